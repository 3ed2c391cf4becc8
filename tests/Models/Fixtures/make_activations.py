#!/usr/bin/env python3
"""Writes activations.safetensors with PyTorch (made with 2.6 on a CPU): every kind of feed-forward layer, in float64, kept as float32.

    python3 make_activations.py [directory]

Shared by all kinds: input (2, 5, C), direction (2, 5, C) which weighs the results into one number.
For each kind <k>: <k>.weight.<name> under the names of our modules, <k>.output, <k>.gradient.input, <k>.gradient.<name>.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from make_fixtures import write

DIM, HIDDEN = 6, 10
PLAIN = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu2": lambda x: F.relu(x) ** 2,
}
GATES = {
    "glu": torch.sigmoid,
    "reglu": F.relu,
    "geglu": F.gelu,
    "geglu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "swiglu": F.silu,
}


def plain(function):
    def run(w, x):
        return F.linear(function(F.linear(x, w["up.weight"], w["up.bias"])), w["down.weight"], w["down.bias"])

    return run, {"up.weight": (HIDDEN, DIM), "up.bias": (HIDDEN,)}


def gated(function):
    def run(w, x):
        gate, up = F.linear(x, w["gateUp.weight"], w["gateUp.bias"]).split(HIDDEN, -1)
        return F.linear(function(gate) * up, w["down.weight"], w["down.bias"])

    return run, {"gateUp.weight": (2 * HIDDEN, DIM), "gateUp.bias": (2 * HIDDEN,)}


def single(value):
    """Rounded to float32, so that the fixture holds exactly what was computed with."""
    return value.float().double()


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    source, direction = single(torch.randn(2, 5, DIM)), single(torch.randn(2, 5, DIM))
    result = {"input": source, "direction": direction}
    for kind, (run, shapes) in ({k: plain(f) for k, f in PLAIN.items()} | {k: gated(f) for k, f in GATES.items()}).items():
        shapes |= {"down.weight": (DIM, HIDDEN), "down.bias": (DIM,)}
        w = {name: single(torch.randn(shape)).requires_grad_() for name, shape in shapes.items()}
        x = source.clone().requires_grad_()
        output = run(w, x)
        (output * direction).sum().backward()
        result |= {f"{kind}.weight.{name}": value.detach() for name, value in w.items()}
        result |= {f"{kind}.output": output.detach(), f"{kind}.gradient.input": x.grad}
        result |= {f"{kind}.gradient.{name}": value.grad for name, value in w.items()}
    write(directory / "activations.safetensors", {name: value.float() for name, value in result.items()})


if __name__ == "__main__":
    main()
