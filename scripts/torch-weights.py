#!/usr/bin/env python3
"""Weights between Forestall and PyTorch, with equal outputs.

    scripts/torch-weights.py export MODEL.safetensors MODEL.pt
    scripts/torch-weights.py import MODEL.pt MODEL.safetensors

Needs torch, numpy and safetensors. MODEL.pt is a dictionary: `weights` (the state of the module below), `shape` (inputs,
hidden, layers, outputs, segments) and `metadata` (of the file, kept as it was). Ours joins input and old hidden state in one matrix
[inputs + hidden][4 * hidden] with one bias; PyTorch has two matrices, transposed, and two biases, of which the second
is zero after an export and added to the first by an import. Gates have the same order: input, forget, candidate, output.
"""
import json
import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

CAUSES, RESOURCES, QUANTILES, HORIZONS = 5, 4, 3, 2
LEAST = CAUSES + RESOURCES * QUANTILES # of files without the probabilities within 2 and 30 s


class Network(torch.nn.Module):
    """forward(features [batch][time][inputs], state) -> logits, probabilities, demand quantiles, state.
    horizons(features, state) -> probabilities [batch][time][horizon][cause] within 2 and 30 s."""

    def __init__(self, inputs, hidden, layers, outputs=LEAST + HORIZONS * CAUSES, segments=0):
        super().__init__()
        self.lstm = torch.nn.LSTM(inputs + segments, hidden, layers, batch_first=True)
        self.head = torch.nn.Linear(hidden, outputs)
        for name, count, value in (("mean", inputs, 0.0), ("scale", inputs, 1.0), ("slope", CAUSES, 1.0),
                                   ("intercept", CAUSES, 0.0)):
            self.register_buffer(name, torch.full((count,), value))
        self.register_buffer("segments", torch.zeros(segments, 3)) # feature, low, scale
        self.register_buffer("bound", torch.tensor(float("inf")))
        if outputs > LEAST:
            self.register_buffer("horizon_slope", torch.ones(HORIZONS, CAUSES))
            self.register_buffer("horizon_intercept", torch.zeros(HORIZONS, CAUSES))

    def inputs(self, features):
        """What model/network.h says of bound and segments."""
        scaled = ((features - self.mean) * self.scale).clamp(-self.bound, self.bound)
        feature, low, scale = self.segments.T
        return torch.cat([scaled, ((features[..., feature.long()] - low) * scale).clamp(0, 1) - 0.5], -1)

    def forward(self, features, state=None):
        hidden, state = self.lstm(self.inputs(features), state)
        raw = self.head(hidden)
        logits, demand = raw[..., :CAUSES], raw[..., CAUSES:LEAST].unflatten(-1, (RESOURCES, QUANTILES))
        rising = torch.cat([demand[..., :1], torch.nn.functional.softplus(demand[..., 1:])], -1).cumsum(-1)
        return logits, torch.sigmoid(self.slope * logits + self.intercept), rising, state

    def horizons(self, features, state=None):
        hidden, _ = self.lstm(self.inputs(features), state)
        raw = self.head(hidden)[..., LEAST:].unflatten(-1, (HORIZONS, CAUSES))
        return torch.sigmoid(self.horizon_slope * raw + self.horizon_intercept)


NAMES = {"mean": "features.mean", "scale": "features.scale", "segments": "segments", "slope": "calibration.slope",
         "intercept": "calibration.intercept", "head.bias": "head.bias", "horizon_slope": "calibration.horizon_slope",
         "horizon_intercept": "calibration.horizon_intercept"}


def from_file(path):
    """A module with the weights of a model file, and the file's metadata."""
    with safe_open(path, "numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    if not metadata or metadata.get("format") != "forestall-network-1":
        sys.exit(f"{path}: not a forestall-network-1 file")
    inputs, hidden = len(tensors["features.mean"]), tensors["head.weight"].shape[0]
    layers = sum(name.startswith("lstm.") and name.endswith(".weight") for name in tensors)
    segments = len(tensors.get("segments", ()))
    network = Network(inputs, hidden, layers, tensors["head.weight"].shape[1], segments)
    weights = {ours: tensors[theirs] for ours, theirs in NAMES.items() if theirs in tensors}
    weights.setdefault("segments", numpy.zeros((0, 3), numpy.float32))
    weights["bound"] = numpy.float32(metadata.get("bound", "inf"))
    weights["head.weight"] = tensors["head.weight"].T
    for layer in range(layers):
        joined = tensors[f"lstm.{layer}.weight"]
        below = joined.shape[0] - hidden
        weights[f"lstm.weight_ih_l{layer}"], weights[f"lstm.weight_hh_l{layer}"] = joined[:below].T, joined[below:].T
        weights[f"lstm.bias_ih_l{layer}"] = tensors[f"lstm.{layer}.bias"]
        weights[f"lstm.bias_hh_l{layer}"] = numpy.zeros_like(tensors[f"lstm.{layer}.bias"])
    network.load_state_dict({name: torch.from_numpy(numpy.asarray(value).copy()) for name, value in weights.items()})
    return network, metadata


def to_file(network, metadata, path):
    weights = {name: value.detach().cpu().float().numpy() for name, value in network.state_dict().items()}
    tensors = {theirs: weights[ours] for ours, theirs in NAMES.items() if ours in weights and weights[ours].size}
    tensors["head.weight"] = weights["head.weight"].T
    for layer in range(network.lstm.num_layers):
        tensors[f"lstm.{layer}.weight"] = numpy.concatenate(
            [weights[f"lstm.weight_ih_l{layer}"].T, weights[f"lstm.weight_hh_l{layer}"].T])
        tensors[f"lstm.{layer}.bias"] = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    save_file({name: numpy.ascontiguousarray(value) for name, value in tensors.items()}, path, metadata=metadata)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("export", "import"):
        sys.exit(__doc__)
    if sys.argv[1] == "export":
        network, metadata = from_file(sys.argv[2])
        shape = [len(network.mean), network.lstm.hidden_size, network.lstm.num_layers, network.head.out_features,
                 len(network.segments)]
        torch.save({"weights": network.state_dict(), "shape": shape, "metadata": json.dumps(metadata)}, sys.argv[3])
    else:
        saved = torch.load(sys.argv[2], weights_only=True)
        network = Network(*saved["shape"])
        network.load_state_dict(saved["weights"])
        to_file(network, json.loads(saved["metadata"]), sys.argv[3])


if __name__ == "__main__":
    main()
