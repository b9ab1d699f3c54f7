"""Model files and Python's `safetensors`: it reads what we write, we read what it writes, and numpy computes the same network."""
import hashlib
import os
import pathlib
import subprocess

import numpy
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

PROBE = pathlib.Path(os.environ["FORESTALL_TESTS"]) / "model_probe"
SHAPE = (65, 24, 2)


def probe(*arguments, check=True):
    return subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, check=check, timeout=60)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def inputs_of(tensors, bound, features):
    scaled = numpy.clip((features - tensors["features.mean"]) * tensors["features.scale"], -bound, bound)
    feature, low, scale = tensors["segments"].astype(float).T
    return numpy.concatenate([scaled, numpy.clip((features[feature.astype(int)] - low) * scale, 0, 1) - 0.5])


def step(tensors, bound, steps):
    """The network by the book, in double."""
    layers = sum(name.startswith("lstm") and name.endswith(".weight") for name in tensors)
    hidden = tensors["head.weight"].shape[0]
    h, c = numpy.zeros((layers, hidden)), numpy.zeros((layers, hidden))
    for t in range(steps):
        x = numpy.sin(t + numpy.arange(len(tensors["features.mean"]))).astype(numpy.float32)
        x = inputs_of(tensors, bound, x.astype(float))
        for layer in range(layers):
            gates = numpy.concatenate([x, h[layer]]) @ tensors[f"lstm.{layer}.weight"].astype(float) + tensors[f"lstm.{layer}.bias"]
            i, f, g, o = numpy.split(gates, 4)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * numpy.tanh(g)
            x = h[layer] = sigmoid(o) * numpy.tanh(c[layer])
    raw = x @ tensors["head.weight"].astype(float) + tensors["head.bias"]
    logits, demand, horizons = raw[:5], raw[5:17].reshape(4, 3), raw[17:].reshape(2, 5)
    demand = numpy.cumsum(numpy.stack([demand[:, 0], numpy.logaddexp(0, demand[:, 1]), numpy.logaddexp(0, demand[:, 2])], 1), 1)
    return (logits, sigmoid(tensors["calibration.slope"] * logits + tensors["calibration.intercept"]), demand,
            sigmoid(tensors["calibration.horizon_slope"] * horizons + tensors["calibration.horizon_intercept"]))


def printed(text):
    rows = [[float(word) for word in line.split()] for line in text.splitlines()]
    return numpy.array(rows[:5]), numpy.array(rows[5:9]), numpy.array(rows[9:]).reshape(2, 5)


def check_step(path, tensors):
    heads, demand, within = printed(probe("step", path, 30).stdout)
    with safe_open(path, "numpy") as file:
        bound = float(file.metadata()["bound"])
    logits, probabilities, quantiles, horizons = step(tensors, bound, 30)
    worst = max(abs(heads[:, 0] - logits).max(), abs(heads[:, 1] - probabilities).max(), abs(demand - quantiles).max(),
                abs(within - horizons).max())
    print(f"largest difference to numpy {worst:.2e}")
    assert worst < 2e-5


def test_write__python_reads__same_network(tmp_path):
    path = tmp_path / "model.safetensors"
    version = probe("write", path, *SHAPE, 7).stdout.strip()
    assert version == hashlib.sha256(path.read_bytes()).hexdigest()
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "forestall-network-1"
    assert metadata["feature_names"].split(",")[:2] == ["x0", "x1"]
    tensors = load_file(path)
    assert tensors["lstm.1.weight"].shape == (48, 96)
    check_step(path, tensors)


def test_read__python_wrote__same_network(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    probe("write", first, *SHAPE, 8)
    tensors = load_file(first)
    chance = numpy.random.default_rng(1)
    for name in tensors:
        if name.startswith("lstm") or name.startswith("head"):
            tensors[name] = chance.normal(0, 0.3, tensors[name].shape).astype(numpy.float32)
    with safe_open(first, "numpy") as file:
        save_file(tensors, second, metadata=file.metadata())
    check_step(second, tensors)


def test_read__other_shape_or_no_metadata__refused(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    probe("write", first, *SHAPE, 8)
    tensors = load_file(first)
    save_file(tensors, second)
    refused = probe("step", second, 1, check=False)
    assert refused.returncode == 1 and "forestall-network-1" in refused.stderr
    with safe_open(first, "numpy") as file:
        tensors["lstm.0.bias"] = tensors["lstm.0.bias"][:-1]
        save_file(tensors, second, metadata=file.metadata())
    refused = probe("step", second, 1, check=False)
    assert refused.returncode == 1 and "lstm.0.bias" in refused.stderr


def test_read__segment_of_no_feature_or_no_width__refused(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    probe("write", first, *SHAPE, 8)
    for column, value in ((0, SHAPE[0]), (0, -1), (2, 0), (2, numpy.nan)):
        tensors = load_file(first)
        tensors["segments"][3, column] = value
        with safe_open(first, "numpy") as file:
            save_file(tensors, second, metadata=file.metadata())
        refused = probe("step", second, 1, check=False)
        assert refused.returncode == 1 and "segment" in refused.stderr


def test_read__file_without_segments_and_bound__as_before(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    probe("write", first, *SHAPE, 8)
    tensors = load_file(first)
    segments = len(tensors.pop("segments"))
    joined = tensors["lstm.0.weight"]
    tensors["lstm.0.weight"] = numpy.concatenate([joined[:SHAPE[0]], joined[SHAPE[0] + segments:]])
    with safe_open(first, "numpy") as file:
        save_file(tensors, second, metadata={key: value for key, value in file.metadata().items() if key != "bound"})
    heads, _, _ = printed(probe("step", second, 30).stdout)
    tensors["segments"] = numpy.zeros((0, 3), numpy.float32)
    assert abs(heads[:, 0] - step(tensors, numpy.inf, 30)[0]).max() < 2e-5
