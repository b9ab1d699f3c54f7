"""scripts/torch-weights.py: PyTorch computes what the C code computes, and what PyTorch wrote the C code reads."""
import importlib.util
import os
import pathlib
import subprocess

import numpy
import pytest

try:
    import torch
except ImportError:
    torch = None

SOURCE = pathlib.Path(os.environ["FORESTALL_SOURCE"])
PROBE = pathlib.Path(os.environ["FORESTALL_TESTS"]) / "model_probe"
pytestmark = pytest.mark.skipif(not torch, reason="PyTorch is not installed: import and export of weights are NOT tested")
if torch:
    spec = importlib.util.spec_from_file_location("torch_weights", SOURCE / "scripts/torch-weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)


def probe(*arguments):
    return subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=60).stdout


def check(path, network):
    """30 steps of the features that model_probe makes."""
    rows = [[float(word) for word in line.split()] for line in probe("step", path, 30).splitlines()]
    inputs = len(network.mean)
    features = numpy.sin(numpy.arange(30)[:, None] + numpy.arange(inputs)[None, :]).astype(numpy.float32)
    with torch.no_grad():
        logits, probabilities, demand, _ = network(torch.from_numpy(features)[None])
        horizons = network.horizons(torch.from_numpy(features)[None])
    worst = max(abs(logits[0, -1].numpy() - [row[0] for row in rows[:5]]).max(),
                abs(probabilities[0, -1].numpy() - [row[1] for row in rows[:5]]).max(),
                abs(demand[0, -1].numpy() - rows[5:9]).max(),
                abs(horizons[0, -1].numpy().ravel() - [row[0] for row in rows[9:]]).max())
    print(f"largest difference {worst:.2e}")
    assert worst < 2e-5


@pytest.mark.parametrize("layers", [1, 2])
def test_export_and_import__same_outputs(tmp_path, layers):
    first, middle, last = tmp_path / "a.safetensors", tmp_path / "a.pt", tmp_path / "b.safetensors"
    probe("write", first, 65, 24, layers, 7)
    network, metadata = weights.from_file(first)
    check(first, network)
    for parameter in network.parameters(): # as after a training in PyTorch: both biases in use
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    weights.to_file(network, metadata, last)
    check(last, network)
    script = [os.sys.executable, SOURCE / "scripts/torch-weights.py"]
    subprocess.run([*script, "export", first, middle], check=True, timeout=120)
    subprocess.run([*script, "import", middle, last], check=True, timeout=120)
    assert probe("step", first, 30) == probe("step", last, 30)
