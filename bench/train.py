#!/usr/bin/env python3
"""The work of bench/train.c in PyTorch, on the CPU, and both beside each other.

    bench/train.py --ours build/release/bench/bench-train [--torch PYTHON]

Same network (two LSTM layers of 64, two heads), same shapes (256 sequences side by side, windows of 64 ticks, state carried
over four of them), same losses, clipping and Adam, same number of threads: one, then as many as there are CPUs. Each is
timed with matrix products in single precision and in bfloat16 (PyTorch: torch.autocast). Prints a line for each and, per
number of threads, one with the quotients: `single` and `bfloat16` are like beside like, `fastest` is our fastest beside
PyTorch's. PyTorch is timed in a process of its own, once with the environment as it is and, where OPENBLAS_CORETYPE
or OPENBLAS_L2_SIZE is set, once without them; the faster one counts. Without PyTorch ours is printed alone and said so.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

INPUTS, HIDDEN, LAYERS, WINDOW, LANES, WINDOWS = 65, 64, 2, 64, 256, 4
CAUSES, RESOURCES, LEVELS = 15, 4, (0.5, 0.9, 0.99) # five causes at three horizons
SECONDS = 10.0
PRODUCTS = "single", "bfloat16"


def measure(inputs, causes, threads, products):
    import torch
    from torch import nn
    import torch.nn.functional as functional
    torch.set_num_threads(threads)
    torch.manual_seed(1)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(inputs, HIDDEN, LAYERS)
            self.head = nn.Linear(HIDDEN, causes + RESOURCES * len(LEVELS))

        def forward(self, features, state):
            top, state = self.lstm(features, state)
            return self.head(top), state

    def rounded():
        return torch.autocast("cpu", dtype=torch.bfloat16) if products == "bfloat16" else contextlib.nullcontext()

    network = Network()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    levels = torch.tensor(LEVELS)
    features = torch.rand(WINDOWS, WINDOW, LANES, inputs) * 2 - 1
    labels = (torch.rand(WINDOWS, WINDOW, LANES, causes) > 0.9).float()
    demand = torch.rand(WINDOWS, WINDOW, LANES, RESOURCES, 1) * 2 - 1

    def epoch():
        state = (torch.zeros(LAYERS, LANES, HIDDEN), torch.zeros(LAYERS, LANES, HIDDEN))
        for i in range(WINDOWS):
            optimiser.zero_grad(set_to_none=True)
            with rounded():
                raw, state = network(features[i], state)
            raw, state = raw.float(), tuple(part.detach().float() for part in state)
            quantiles = raw[..., causes:].unflatten(-1, (RESOURCES, len(LEVELS)))
            rising = torch.cat((quantiles[..., :1], functional.softplus(quantiles[..., 1:])), -1).cumsum(-1)
            error = demand[i] - rising
            loss = functional.binary_cross_entropy_with_logits(raw[..., :causes], labels[i], reduction="sum") + \
                0.3 * torch.maximum(levels * error, (levels - 1) * error).sum()
            (loss / (WINDOW * LANES)).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()

    epoch()  # warms up
    epochs, cpu_began, began = 0, time.process_time(), time.monotonic()
    while time.monotonic() - began < SECONDS:
        epoch()
        epochs += 1
    steps = epochs * WINDOWS * WINDOW * LANES
    return {"bench": "train", "implementation": f"pytorch {torch.__version__}", "products": products, "inputs": inputs, "hidden": HIDDEN,
            "layers": LAYERS, "window": WINDOW, "batch": LANES, "threads": torch.get_num_threads(),
            "steps_per_s": round(steps / (time.monotonic() - began)),
            "steps_per_cpu_s": round(steps / (time.process_time() - cpu_began))}


def find_torch(named):
    """A Python that has PyTorch: the one named, a virtual environment of its own, the system's."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "forestall/torch/bin/python"
    for python in [named] if named else [str(cache), "/usr/bin/python3", sys.executable]:
        try:
            if subprocess.run([python, "-c", "import torch"], capture_output=True, timeout=120).returncode == 0:
                return python
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


def rival(python, like):
    """The faster of the two environments, of PyTorch with as many threads and such products."""
    kernel = [name for name in os.environ if name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")]
    environments = [dict(os.environ)]
    if kernel:
        environments.append({name: value for name, value in os.environ.items() if name not in kernel})
    lines = []
    for environment in environments:
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(like["threads"]))
        asked = [f"--{name}={like[name]}" for name in ("inputs", "causes", "threads", "products")]
        done = subprocess.run([python, __file__, "--measure", *asked], env={**environment, **threads},
                              stdout=subprocess.PIPE, text=True, check=True, timeout=600)
        lines.append(json.loads(done.stdout))
    return max(lines, key=lambda line: line["steps_per_s"])


def compare(threads, speeds):
    """speeds: [ours or PyTorch's][products], steps a second."""
    ours, theirs = speeds
    quotients = {products: ours[products] / theirs[products] for products in ours if products in theirs}
    print(json.dumps({"bench": "train", "threads": threads, "ours_over_pytorch":
                      {name: round(value, 2) for name, value in
                       {**quotients, "fastest": max(ours.values()) / max(theirs.values()),
                        "fastest_over_single": max(ours.values()) / theirs["single"]}.items()}}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=pathlib.Path)
    parser.add_argument("--torch", help="a Python with PyTorch")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--causes", type=int, default=CAUSES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--products", choices=PRODUCTS, default="single")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.inputs, options.causes, options.threads, options.products)))
        return 0
    if not options.ours:
        parser.error("--ours PROGRAM is needed")
    python = find_torch(options.torch)
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        speeds = {}, {}
        for products in PRODUCTS:
            ours = subprocess.run([options.ours, str(threads), *[products] * (products != "single")],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
            if not ours:
                continue  # it says why
            lines = [json.loads(ours)]
            lines += [rival(python, lines[0])] if python else []
            for line, found in zip(lines, speeds):
                print(json.dumps(line), flush=True)
                found[products] = line["steps_per_s"]
        if python:
            compare(threads, speeds)
    if not python:
        print("bench-train: PyTorch is NOT COMPARED: no Python here has it. Install python3-torch, or `pip install torch` into "
              "~/.cache/forestall/torch, or name a Python that has it: TORCH=PYTHON", file=sys.stderr)
    return 0


sys.exit(main())
