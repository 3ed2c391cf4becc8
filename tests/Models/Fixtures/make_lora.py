#!/usr/bin/env python3
"""Writes lora.safetensors with PyTorch (made with 2.6 on a CPU, float32): ten steps of AdamW of adapters on llama.safetensors beside it.

    python3 make_lora.py [directory]

The arithmetic is that of PEFT (github.com/huggingface/peft, src/peft/tuners/lora/layer.py and dora.py), written out on weights: where PEFT
adds scaling * B(A(x)) to a layer's output, the weight here is W + scaling * B @ A, and autograd takes it apart again.
  lora     scaling = alpha / r (Hu et al. 2021)
  rslora   scaling = alpha / sqrt(r) (Kalajdzievski 2023)
  dora     magnitude * (W + scaling * B @ A) / norm of each row, the norm detached (Liu et al. 2024)
Shared by all: start.<target>.loraA and .loraB, both drawn, so that nothing hides behind zeros; a magnitude starts as the norm of each row
of W. For each case: <case>.losses (mean per scored token before each of ten steps, and after them), <case>.norm.<target>.<part> (of each
gradient before the first step) and, of the last layer, <case>.<target>.<part> after ten steps.
"""
import json
import struct
import sys
from pathlib import Path

import torch

from make_fixtures import BETAS, DECAY, DIM, EPSILON, HEADS, LAYERS, RATE, STEPS, llama, loss_sum, write

RANK, ALPHA = 2, 3.0
WIDTH = DIM // HEADS
# Layers of weights, and the rows of the matrix in each that has an adapter.
TARGETS = {
    "mixer.projection.query": ("mixer.projection.qkv.weight", 0, HEADS * WIDTH),
    "mixer.projection.value": ("mixer.projection.qkv.weight", (HEADS + 2) * WIDTH, 2 * WIDTH),
    "feedForward.gate": ("feedForward.gateUp.weight", 0, 64),
    "feedForward.down": ("feedForward.down.weight", 0, DIM),
}
ADAPTED = {f"blocks.{layer}.{name}": (f"blocks.{layer}.{weight}", first, rows)
           for layer in range(LAYERS) for name, (weight, first, rows) in TARGETS.items()}


def read(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    types = {"F32": torch.float32, "I64": torch.int64}
    return {
        name: torch.frombuffer(bytearray(raw[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]]),
                               dtype=types[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in json.loads(raw[8:8 + size]).items()
    }


def adapted(w, p, scaling, dora):
    """All weights, those of adapted matrices made from the trained ones."""
    result = dict(w)
    for target, (weight, first, rows) in ADAPTED.items():
        whole = result[weight]
        own = whole[first:first + rows] + scaling * p[f"{target}.loraB"] @ p[f"{target}.loraA"]
        if dora:
            own = p[f"{target}.magnitude"].unsqueeze(1) * own / torch.linalg.norm(own, dim=1, keepdim=True).detach()
        result[weight] = torch.cat([whole[:first], own, whole[first + rows:]])
    return result


def case(w, start, tokens, targets, scaling, dora=False):
    p = {name: value.clone() for name, value in start.items()}
    if dora:
        p |= {f"{target}.magnitude": torch.linalg.norm(w[weight][first:first + rows], dim=1)
              for target, (weight, first, rows) in ADAPTED.items()}
    for value in p.values():
        value.requires_grad_()
    optimizer = torch.optim.AdamW(
        [
            {"params": [v for v in p.values() if v.dim() > 1], "weight_decay": DECAY},
            {"params": [v for v in p.values() if v.dim() < 2], "weight_decay": 0.0},
        ],
        lr=RATE, betas=BETAS, eps=EPSILON,
    )
    scored, losses, result = (targets != -100).sum(), [], {}
    for step in range(STEPS + 1):
        optimizer.zero_grad()
        loss = loss_sum(lambda _, t: llama(adapted(w, p, scaling, dora), t), w, tokens, targets) / scored
        losses.append(loss.item())
        loss.backward()
        if step == 0:
            result |= {f"norm.{name}": value.grad.norm().reshape(1) for name, value in p.items()}
        if step < STEPS:
            optimizer.step()
    last = f"blocks.{LAYERS - 1}."
    return {"losses": torch.tensor(losses), **result} | {n: v.detach() for n, v in p.items() if n.startswith(last)}


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    base = read(Path(__file__).parent / "llama.safetensors")
    w = {name[len("weight."):]: value for name, value in base.items() if name.startswith("weight.")}
    torch.manual_seed(4)
    start = {}
    for target, (weight, first, rows) in ADAPTED.items():
        start[f"{target}.loraA"] = 0.3 * torch.randn(RANK, w[weight].shape[1])
        start[f"{target}.loraB"] = 0.1 * torch.randn(rows, RANK)
    result = {f"start.{name}": value for name, value in start.items()}
    for name, scaling, dora in (("lora", ALPHA / RANK, False), ("rslora", ALPHA / RANK ** 0.5, False), ("dora", ALPHA / RANK, True)):
        made = case(w, start, base["tokens"], base["targets"], scaling, dora)
        result |= {f"{name}.{key}": value for key, value in made.items()}
    write(directory / "lora.safetensors", result)


if __name__ == "__main__":
    main()
