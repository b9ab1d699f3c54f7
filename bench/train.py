#!/usr/bin/env python3
"""The work of bench/train.c in PyTorch, on the CPU, and both beside each other.

    bench/train.py --ours build/release/bench/bench-train [--torch PYTHON]

Same network (two LSTM layers of 64, two heads), same shapes (256 sequences side by side, windows of 64 ticks, state carried
over four of them), same losses, clipping and Adam, one thread. Prints ours, PyTorch's, and a line with the
quotient. PyTorch is timed in a process of its own, once with the environment as it is and, where OPENBLAS_CORETYPE
or OPENBLAS_L2_SIZE is set, once without them; the faster one counts. Without PyTorch ours is printed alone and said so.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

INPUTS, HIDDEN, LAYERS, WINDOW, LANES, WINDOWS = 65, 64, 2, 64, 256, 4
CAUSES, RESOURCES, LEVELS = 15, 4, (0.5, 0.9, 0.99) # five causes at three horizons
SECONDS = 10.0


def measure(inputs, causes):
    import torch
    from torch import nn
    import torch.nn.functional as functional
    torch.set_num_threads(1)
    torch.manual_seed(1)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(inputs, HIDDEN, LAYERS)
            self.head = nn.Linear(HIDDEN, causes + RESOURCES * len(LEVELS))

        def forward(self, features, state):
            top, state = self.lstm(features, state)
            return self.head(top), state

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
            raw, state = network(features[i], state)
            state = tuple(part.detach() for part in state)
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
    return {"bench": "train", "implementation": f"pytorch {torch.__version__}", "inputs": inputs, "hidden": HIDDEN,
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


def rival(python, ours):
    """The faster of the two environments."""
    kernel = [name for name in os.environ if name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")]
    environments = [dict(os.environ)]
    if kernel:
        environments.append({name: value for name, value in os.environ.items() if name not in kernel})
    lines = []
    for environment in environments:
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        done = subprocess.run([python, __file__, "--measure", "--inputs", str(ours["inputs"]), "--causes", str(ours["causes"])],
                              env={**environment, **one_thread}, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
        lines.append(json.loads(done.stdout))
    return max(lines, key=lambda line: line["steps_per_s"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=pathlib.Path)
    parser.add_argument("--torch", help="a Python with PyTorch")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--causes", type=int, default=CAUSES)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.inputs, options.causes)))
        return 0
    if not options.ours:
        parser.error("--ours PROGRAM is needed")
    ours = json.loads(subprocess.run([options.ours], stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(json.dumps(ours), flush=True)
    python = find_torch(options.torch)
    if not python:
        print("bench-train: PyTorch is NOT COMPARED: no Python here has it. Install python3-torch, or `pip install torch` into "
              "~/.cache/forestall/torch, or name a Python that has it: TORCH=PYTHON", file=sys.stderr)
        return 0
    other = rival(python, ours)
    print(json.dumps(other))
    print(json.dumps({"bench": "train", "ours_over_pytorch":
                      round(ours["steps_per_s"] / other["steps_per_s"], 2), "per_cpu_s":
                      round(ours["steps_per_cpu_s"] / other["steps_per_cpu_s"], 2)}))
    return 0


sys.exit(main())
