#!/usr/bin/env python3
"""Writes biases.safetensors: slopes and biases of ALiBi, buckets and biases of T5 (made with PyTorch 2.6).

    python3 make_biases.py [directory]

The functions follow, line by line, the code published with the ALiBi paper (get_slopes) and Hugging Face's T5
(_relative_position_bucket, compute_bias).
"""
import math
import sys
from pathlib import Path

import torch

from make_fixtures import DTYPES, write

DTYPES[torch.float64] = "F64"


def get_slopes(n):
    def get_slopes_power_of_2(n):
        start = 2 ** (-2 ** -(math.log2(n) - 3))
        ratio = start
        return [start * ratio**i for i in range(n)]

    if math.log2(n).is_integer():
        return get_slopes_power_of_2(n)
    closest_power_of_2 = 2 ** math.floor(math.log2(n))
    return get_slopes_power_of_2(closest_power_of_2) + get_slopes(2 * closest_power_of_2)[0::2][: n - closest_power_of_2]


def relative_position_bucket(relative_position, bidirectional, num_buckets, max_distance):
    relative_buckets = 0
    if bidirectional:
        num_buckets //= 2
        relative_buckets += (relative_position > 0).to(torch.long) * num_buckets
        relative_position = torch.abs(relative_position)
    else:
        relative_position = -torch.min(relative_position, torch.zeros_like(relative_position))
    max_exact = num_buckets // 2
    is_small = relative_position < max_exact
    relative_position_if_large = max_exact + (
        torch.log(relative_position.float() / max_exact) / math.log(max_distance / max_exact) * (num_buckets - max_exact)
    ).to(torch.long)
    relative_position_if_large = torch.min(relative_position_if_large, torch.full_like(relative_position_if_large, num_buckets - 1))
    return relative_buckets + torch.where(is_small, relative_position, relative_position_if_large)


def compute_bias(weight, length, bidirectional, num_buckets, max_distance):
    context_position = torch.arange(length)[:, None]
    memory_position = torch.arange(length)[None, :]
    bucket = relative_position_bucket(memory_position - context_position, bidirectional, num_buckets, max_distance)
    return weight[bucket].permute(2, 0, 1).unsqueeze(0).contiguous()


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(3)
    tensors = {f"slopes.{n}": torch.tensor(get_slopes(n), dtype=torch.float64) for n in range(1, 25)}
    relative = torch.arange(-300, 301)
    for buckets, distance in ((32, 128), (8, 20), (4, 3), (64, 256)):
        for bidirectional in (False, True):
            name = f"{buckets}.{distance}.{'both' if bidirectional else 'back'}"
            tensors[f"buckets.{name}"] = relative_position_bucket(relative, bidirectional, buckets, distance)
            weight = torch.randn(buckets, 3)
            tensors[f"weight.{name}"] = weight
            tensors[f"bias.{name}"] = compute_bias(weight, 12, bidirectional, buckets, distance)
    write(directory / "biases.safetensors", tensors)


if __name__ == "__main__":
    main()
