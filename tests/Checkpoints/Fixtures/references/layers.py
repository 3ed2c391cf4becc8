"""Layers from their published formulas; weights come from a dictionary under Hugging Face's names."""
import math

import torch
import torch.nn.functional as F


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def layer_norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w.get(name + ".bias"), eps)


def rms_norm(w, name, x, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w[name + ".weight"]


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


def split(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)  # (B, H, T, D)


def attend(q, k, v, scale, mask=None, bias=None):
    """Consecutive query heads share a key-value head; mask is True where one may look."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) * scale
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def causal(length, window=None):
    distance = torch.arange(length)[:, None] - torch.arange(length)[None]
    return (distance >= 0) & (distance < (window or length))


def frequencies(dims, theta, scaling, max_positions, length):
    """Frequencies and the factor on cosine and sine, by rope_type."""
    f = theta ** -(torch.arange(0, dims, 2, dtype=torch.float64) / dims)
    kind = scaling.get("rope_type", "default")
    s = scaling.get("factor")
    if kind == "linear":
        return f / s, 1.0
    if kind == "dynamic":
        reach = max(length, max_positions)
        base = theta * (s * reach / max_positions - (s - 1)) ** (dims / (dims - 2))
        return base ** -(torch.arange(0, dims, 2, dtype=torch.float64) / dims), 1.0
    if kind == "llama3":
        original, low, high = scaling["original_max_position_embeddings"], scaling["low_freq_factor"], scaling["high_freq_factor"]
        turns = original * f / (2 * math.pi)
        keep = ((turns - low) / (high - low)).clamp(0, 1)
        return keep * f + (1 - keep) * f / s, 1.0
    if kind == "yarn":
        original = scaling["original_max_position_embeddings"]
        pair = lambda turns: dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))
        first = max(math.floor(pair(scaling.get("beta_fast", 32))), 0)
        last = min(math.ceil(pair(scaling.get("beta_slow", 1))), dims - 1)
        keep = 1 - ((torch.arange(dims // 2, dtype=torch.float64) - first) / max(last - first, 0.001)).clamp(0, 1)
        magnitude = lambda m: 0.1 * m * math.log(s) + 1
        if "attention_factor" in scaling:
            factor = scaling["attention_factor"]
        elif scaling.get("mscale") and scaling.get("mscale_all_dim"):
            factor = magnitude(scaling["mscale"]) / magnitude(scaling["mscale_all_dim"])
        else:
            factor = magnitude(1)
        return keep * f + (1 - keep) * f / s, factor
    return f, 1.0


def rope(x, theta, fraction=1.0, scaling=None, max_positions=None):
    """Half-split rotary positions on (B, H, T, D)."""
    dims = int(x.shape[-1] * fraction)
    f, factor = frequencies(dims, theta, scaling or {}, max_positions, x.shape[2])
    angles = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * f
    cos, sin = ((fn(angles) * factor).float().repeat(1, 2) for fn in (torch.cos, torch.sin))
    turned, rest = x[..., :dims], x[..., dims:]
    a, b = turned.chunk(2, -1)
    return torch.cat([turned * cos + torch.cat([-b, a], -1) * sin, rest], -1)
