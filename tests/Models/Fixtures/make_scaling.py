#!/usr/bin/env python3
"""Writes scaling.safetensors: rotary frequencies and attention factors of every scaling, float64 (made with PyTorch 2.6).

    python3 make_scaling.py [directory]

Written from the published formulas, not from our code: the "hf" functions follow Hugging Face's modeling_rope_utils.py line by line
(in float64 instead of float32), "paper" ones follow the equations of the papers, and "deepseek" the modelling code
published with DeepSeek-V2. For each case: <case>.frequencies (d/2) and <case>.factors (on queries and keys; on scores).
"""
import math
import sys
from pathlib import Path

import torch

from make_fixtures import DTYPES, write

DTYPES[torch.float64] = "F64"


def inverse(d, base):
    return 1.0 / (base ** (torch.arange(0, d, 2, dtype=torch.int64).to(torch.float64) / d))


def hf_linear(d, base, factor):
    return inverse(d, base) / factor, 1.0


def paper_ntk(d, base, factor):  # Peng et al. 2023, §3.1: b' = b·s^(|D|/(|D|-2)), θ_d = b'^(-2d/|D|)
    changed = base * factor ** (d / (d - 2))
    return torch.tensor([changed ** (-2 * i / d) for i in range(d // 2)], dtype=torch.float64), 1.0


def hf_dynamic(d, base, factor, original, seq_len):
    seq_len = max(seq_len, original)
    base = base * ((factor * seq_len / original) - (factor - 1)) ** (d / (d - 2))
    return inverse(d, base), 1.0


def paper_by_parts(d, base, factor, original, alpha=1, beta=32):  # Peng et al. 2023, definitions 1 and 2
    result = []
    for i in range(d // 2):
        theta = base ** (-2 * i / d)
        wavelength = 2 * math.pi / theta
        r = original / wavelength
        gamma = 0 if r < alpha else 1 if r > beta else (r - alpha) / (beta - alpha)
        result.append((1 - gamma) * theta / factor + gamma * theta)
    return torch.tensor(result, dtype=torch.float64), 1.0


def hf_yarn(d, base, factor, original, beta_fast=32, beta_slow=1, truncate=True, attention_factor=None, mscale=None, mscale_all_dim=None):
    def get_mscale(scale, mscale=1):
        return 1.0 if scale <= 1 else 0.1 * mscale * math.log(scale) + 1.0

    if attention_factor is None:
        if mscale and mscale_all_dim:
            attention_factor = float(get_mscale(factor, mscale) / get_mscale(factor, mscale_all_dim))
        else:
            attention_factor = get_mscale(factor)

    def find_correction_dim(num_rotations):
        return (d * math.log(original / (num_rotations * 2 * math.pi))) / (2 * math.log(base))

    low, high = find_correction_dim(beta_fast), find_correction_dim(beta_slow)
    if truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, d - 1)
    if low == high:
        high += 0.001
    ramp = torch.clamp((torch.arange(d // 2, dtype=torch.float64) - low) / (high - low), 0, 1)
    extrapolation = inverse(d, base)
    interpolation = extrapolation / factor
    return interpolation * ramp + extrapolation * (1 - ramp), attention_factor


def deepseek_scores(factor, mscale_all_dim):
    # softmax_scale = q_head_dim ** -0.5; if mscale_all_dim: softmax_scale *= yarn_get_mscale(factor, mscale_all_dim) ** 2
    return (0.1 * mscale_all_dim * math.log(factor) + 1.0) ** 2


def hf_llama3(d, base, factor, original, low=1, high=4):
    inv_freq = inverse(d, base)
    low_wavelength, high_wavelength = original / low, original / high
    wavelength = 2 * math.pi / inv_freq
    scaled = torch.where(wavelength > low_wavelength, inv_freq / factor, inv_freq)
    smooth = (original / wavelength - low) / (high - low)
    smoothed = (1 - smooth) * scaled / factor + smooth * scaled
    medium = ~(wavelength < high_wavelength) * ~(wavelength > low_wavelength)
    return torch.where(medium, smoothed, scaled), 1.0


CASES = {
    "none": (inverse(64, 1e4), 1.0),
    "linear": hf_linear(64, 1e4, 4),
    "ntk": paper_ntk(64, 1e4, 4),
    "dynamic": hf_dynamic(64, 1e4, 2, 2048, 5000),
    "dynamic-plain": hf_dynamic(64, 1e4, 1, 2048, 8192),
    "dynamic-short": hf_dynamic(64, 1e4, 2, 2048, 1000),
    "by-parts": paper_by_parts(128, 1e4, 16, 4096),
    "by-parts-pairs": (hf_yarn(128, 1e4, 16, 4096)[0], 1.0),
    "yarn": hf_yarn(128, 1e4, 16, 4096),
    "yarn-turns": (paper_by_parts(128, 1e4, 16, 4096)[0], 0.1 * math.log(16) + 1),
    "yarn-explicit": hf_yarn(128, 1e4, 16, 4096, attention_factor=1.5),
    "yarn-betas": hf_yarn(96, 1e5, 2.5, 1000, beta_fast=20, beta_slow=2),
    "yarn-step": hf_yarn(8, 1e4, 4, 8, beta_fast=1.25, beta_slow=1.2),
    "qwen": hf_yarn(128, 1e6, 4, 32768),
    "gpt-oss": hf_yarn(64, 150000, 32, 4096, truncate=False),
    "deepseek-v2": hf_yarn(64, 1e4, 40, 4096, mscale=0.707, mscale_all_dim=0.707),
    "deepseek-unequal": hf_yarn(64, 1e4, 40, 4096, mscale=1.0, mscale_all_dim=0.5),
    "llama3": hf_llama3(128, 5e5, 8, 8192),
    "llama3-factors": hf_llama3(64, 1e4, 32, 2048, low=2, high=16),
}
SCORES = {"deepseek-v2": deepseek_scores(40, 0.707), "deepseek-unequal": deepseek_scores(40, 0.5)}


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    tensors = {}
    for name, (frequencies, factor) in CASES.items():
        tensors[f"{name}.frequencies"] = frequencies
        tensors[f"{name}.factors"] = torch.tensor([factor, SCORES.get(name, 1.0)], dtype=torch.float64)
    write(directory / "scaling.safetensors", tensors)


if __name__ == "__main__":
    main()
