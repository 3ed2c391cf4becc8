#!/usr/bin/env python3
"""Writes optimizers.safetensors with PyTorch (made with 2.6 on a CPU): ten steps of each optimizer, in float64, kept as float32.

    python3 make_optimizers.py [directory]

Shared by all: weight.<parameter> at the start and gradients.<parameter>, (10, …), of each step. For each case <case>:
<case>.<parameter>, and for schedule-free also <case>.average.<parameter>. Learning rates and settings are those of OptimizerParityTests.cs.
SGD and Adafactor are torch.optim's; the others are their authors' published code, without what is not numerical:
Muon       github.com/KellerJordan/Muon, muon.py; with Moonlight's scale github.com/MoonshotAI/Moonlight, examples/toy_train.py
Lion       github.com/google/automl, lion/lion_pytorch.py
schedule-free  github.com/facebookresearch/schedule_free, schedulefree/adamw_schedulefree.py
"""
import json
import struct
import sys
from pathlib import Path

import torch

SHAPES = {"tall": (12, 4), "wide": (6, 10), "experts": (3, 8, 5), "embedding": (7, 4), "vector": (5,)}
HIDDEN = {"tall": [4, 8], "wide": [6], "experts": [4, 4]}  # rows of the matrices in each
HEADS = {"tall": [2, 2, 2, 2, 2, 2], "wide": [6], "experts": [4, 4]}  # two heads in the first part, four in the second
STEPS = 10


def newton_schulz(G, steps=5):
    a, b, c = (3.4445, -4.7750, 2.0315)
    X = G
    if G.size(-2) > G.size(-1):
        X = X.mT
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        A = X @ X.mT
        B = b * A + c * A @ A
        X = a * X + B @ X
    return X.mT if G.size(-2) > G.size(-1) else X


def muon(weights, gradients, rows, original, nesterov):
    lr, decay, momentum = 0.02, 0.1, 0.95
    adam = torch.optim.AdamW([
        {"params": [p for n, p in weights.items() if n not in rows and p.dim() > 1], "weight_decay": 0.3},
        {"params": [p for n, p in weights.items() if n not in rows and p.dim() < 2], "weight_decay": 0},
    ], lr=0.004, betas=(0.9, 0.95), eps=1e-8)
    buffers = {n: torch.zeros_like(weights[n]) for n in rows}
    for step in range(STEPS):
        for name, parts in rows.items():
            p, grad, buffer = weights[name], gradients[name][step], buffers[name]
            if original:
                buffer.lerp_(grad, 1 - momentum)
                update = grad.lerp(buffer, momentum) if nesterov else buffer
            else:
                buffer.mul_(momentum).add_(grad)
                update = grad.add(buffer, alpha=momentum) if nesterov else buffer
            p.mul_(1 - lr * decay)
            for old, part in zip(p.split(parts, -2), update.split(parts, -2)):
                R, C = part.shape[-2:]
                scale = max(1, R / C) ** 0.5 if original else 0.2 * max(R, C) ** 0.5
                old.add_(newton_schulz(part), alpha=-lr * scale)
        for name, p in weights.items():
            p.grad = gradients[name][step].clone()
        adam.step()


def lion(weights, gradients):
    lr, beta1, beta2 = 0.003, 0.9, 0.99
    for name, p in weights.items():
        exp_avg = torch.zeros_like(p)
        for grad in gradients[name]:
            p.mul_(1 - lr * (0.3 if p.dim() > 1 else 0))
            update = exp_avg * beta1 + grad * (1 - beta1)
            p.add_(torch.sign(update), alpha=-lr)
            exp_avg.mul_(beta2).add_(grad, alpha=1 - beta2)


def schedule_free(weights, gradients, rates, r):
    beta1, beta2, eps = 0.9, 0.95, 1e-8
    for name, y in weights.items():
        decay, lr_max, weight_sum = 0.1 if y.dim() > 1 else 0, -1.0, 0.0
        z, exp_avg_sq = y.clone(), torch.zeros_like(y)
        for k, (grad, lr) in enumerate(zip(gradients[name], rates)):
            bias_correction2 = 1 - beta2 ** (k + 1)
            lr_max = max(lr, lr_max)
            weight = ((k + 1) ** r) * (lr_max ** 2.0)
            weight_sum += weight
            ckp1 = weight / weight_sum
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            denom = exp_avg_sq.div(bias_correction2).sqrt_().add_(eps)
            grad_normalized = grad / denom
            grad_normalized.add_(y, alpha=decay)
            y.lerp_(end=z, weight=ckp1)
            y.add_(grad_normalized, alpha=lr * (beta1 * (1 - ckp1) - 1))
            z.sub_(grad_normalized, alpha=lr)
        yield name, y.lerp(end=z, weight=1 - 1 / beta1)


def library(make, weights, gradients, decay):
    optimizer = make([
        {"params": [p for p in weights.values() if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in weights.values() if p.dim() < 2], "weight_decay": 0},
    ])
    for step in range(STEPS):
        for name, p in weights.items():
            p.grad = gradients[name][step].clone()
        optimizer.step()


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(5)
    start = {name: torch.randn(shape).mul(0.3) for name, shape in SHAPES.items()}
    pushes = {name: torch.randn(STEPS, *shape) + 0.3 * torch.randn(shape) for name, shape in SHAPES.items()}
    result = {f"weight.{n}": w for n, w in start.items()} | {f"gradients.{n}": g for n, g in pushes.items()}
    gradients = {n: g.double() for n, g in pushes.items()}

    def case(name, run):
        weights = {n: w.double() for n, w in start.items()}
        averages = run(weights, gradients)
        result.update({f"{name}.average.{n}": x.float() for n, x in (averages or {}).items()})
        result.update({f"{name}.{n}": w.float() for n, w in weights.items()})

    single = torch.finfo(torch.float32).eps
    rates = [0.01 * min(1, (k + 1) / 4) for k in range(STEPS)]
    case("sgd", lambda w, g: library(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), w, g, 0.1))
    case("sgd-nesterov", lambda w, g: library(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True), w, g, 0.1))
    case("sgd-plain", lambda w, g: library(lambda p: torch.optim.SGD(p, lr=0.05), w, g, 0))
    case("adafactor", lambda w, g: library(
        lambda p: torch.optim.Adafactor(p, lr=0.05, beta2_decay=-0.8, eps=(single, 1e-3), d=1.0), w, g, 0.1))
    case("lion", lion)
    case("schedule-free", lambda w, g: dict(schedule_free(w, g, rates, 0)))
    case("schedule-free-power", lambda w, g: dict(schedule_free(w, g, rates, 2)))
    case("muon", lambda w, g: muon(w, g, HIDDEN, original=False, nesterov=True))
    case("muon-original", lambda w, g: muon(w, g, HIDDEN, original=True, nesterov=False))
    case("muon-heads", lambda w, g: muon(w, g, HEADS, original=True, nesterov=True))
    write(directory / "optimizers.safetensors", result)


def write(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        raw = value.contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
