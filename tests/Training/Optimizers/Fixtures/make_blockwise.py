#!/usr/bin/env python3
"""Writes blockwise.safetensors with PyTorch (made with 2.6 on a CPU): ten steps of AdamW whose moments are kept in 8 bits.

    python3 make_blockwise.py [directory]

Moments as Dettmers et al. 2022 (arXiv 2110.02861): blocks of 256 numbers, each with its largest magnitude, codes of the dynamic tree. The nearest
code is sought among all 256; of squares, what is not 0 is not rounded to 0 (Li et al. 2023, arXiv 2309.01507, §4.1). Between steps the update is that of torch.optim.AdamW, in float32. Tensors: weight at the start, gradients
(10, 600), and after the last step the weight and the scales of both moments.
"""
import math
import sys
from pathlib import Path

import torch

from make_optimizers import write

N, BLOCK, STEPS = 600, 256, 10
LR, BETA1, BETA2, EPS, DECAY = 0.01, 0.9, 0.99, 1e-8, 0.1


def codes(signed):
    numbers = [0.0, 1.0]
    for exponent in range(7):
        ends = torch.linspace(0.1, 1, 2 ** (exponent if signed else exponent + 1) + 1, dtype=torch.float64)
        for middle in ((ends[:-1] + ends[1:]) / 2).tolist():
            numbers.append(middle * 10 ** (exponent - 6))
            if signed:
                numbers.append(-middle * 10 ** (exponent - 6))
    assert len(numbers) == 256
    return torch.tensor(sorted(numbers), dtype=torch.float32)


def quantize(values, table):
    padded = torch.cat([values, torch.zeros(-len(values) % BLOCK)]).view(-1, BLOCK)
    scales = padded.abs().amax(1)
    nearest = (padded.div(scales[:, None]).nan_to_num(0)[..., None] - table).abs().argmin(-1)
    if table[0] == 0:
        nearest = torch.where(padded > 0, nearest.clamp(min=1), nearest)
    return nearest, scales


def dequantize(nearest, scales, table):
    return (table[nearest] * scales[:, None]).view(-1)[:N]


def main():
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(N, generator=generator)
    gradients = torch.randn(STEPS, N, generator=generator) * 10.0 ** -torch.randint(0, 4, (N,), generator=generator)
    signed, unsigned = codes(True), codes(False)
    first, second = quantize(torch.zeros(N), signed), quantize(torch.zeros(N), unsigned)
    p = weight.clone()
    for step in range(1, STEPS + 1):
        g = gradients[step - 1]
        m = dequantize(*first, signed) * BETA1 + g * (1 - BETA1)
        v = dequantize(*second, unsigned) * BETA2 + g * g * (1 - BETA2)
        p = p * (1 - LR * DECAY)
        p = p - LR / (1 - BETA1**step) * m / (v.sqrt() / math.sqrt(1 - BETA2**step) + EPS)
        first, second = quantize(m, signed), quantize(v, unsigned)
    write(directory / "blockwise.safetensors", {
        "weight": weight, "gradients": gradients, "result": p,
        "average_scale": first[1], "square_scale": second[1],
    })


if __name__ == "__main__":
    main()
