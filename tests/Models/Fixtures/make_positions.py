#!/usr/bin/env python3
"""Writes positions.safetensors: one tiny decoder under every way for order to enter attention (made with PyTorch 2.6, float32).

    python3 make_positions.py [directory]

The decoder is make_fixtures.py's llama with other attention, written plainly. The file holds weight.<name> of what all variants share,
tokens, targets, and for each variant: <variant>.weight.<name> of what it adds, <variant>.logits, and
<variant>.norm.<name>: the norm of the gradient of the summed loss, for what it adds and for the first layer's projection.
"""
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from make_biases import compute_bias, get_slopes
from make_fixtures import BATCH, DIM, HEADS, LAYERS, LENGTH, VOCABULARY, block, loss_sum, shapes, weights, write
from make_scaling import hf_yarn, inverse

GROUPS, WIDTH = 2, DIM // HEADS
POSITION = torch.arange(LENGTH, dtype=torch.float64)
COMPLEX = (inverse(WIDTH, 1e4), 1.0)


def interleaved(t, frequencies, factor):  # Meta's apply_rotary_emb
    turns = torch.polar(torch.full((LENGTH, WIDTH // 2), factor, dtype=torch.float64), torch.outer(POSITION, frequencies)).to(torch.complex64)
    pairs = torch.view_as_complex(t.reshape(*t.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(3)


def half_split(t, frequencies, factor):  # Hugging Face's apply_rotary_pos_emb
    angles = torch.outer(POSITION, frequencies)
    angles = torch.cat([angles, angles], -1)
    cos, sin = (angles.cos() * factor).float(), (angles.sin() * factor).float()
    rotated = torch.cat([-t[..., WIDTH // 2:], t[..., : WIDTH // 2]], -1)
    return t * cos + rotated * sin


def attention(w, x, turn=None, bias=None, scale=WIDTH**-0.5, queries=None):
    qkv = F.linear(x, w["mixer.projection.qkv.weight"])
    q, k, v = qkv.split([HEADS * WIDTH, GROUPS * WIDTH, GROUPS * WIDTH], -1)
    q, k, v = (t.view(BATCH, LENGTH, -1, WIDTH).transpose(1, 2) for t in (q, k, v))
    if turn is not None:
        q, k = turn(q), turn(k)
    if queries is not None:
        q = q * queries
    k, v = (t.repeat_interleave(HEADS // GROUPS, 1) for t in (k, v))
    scores = q @ k.transpose(2, 3) * scale
    if bias is not None:
        scores = scores + bias
    future = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    y = scores.masked_fill(future, -math.inf).softmax(-1) @ v
    return F.linear(y.transpose(1, 2).reshape(BATCH, LENGTH, DIM), w["mixer.output.weight"])


def decoder(attend):
    def run(w, tokens):
        norm = lambda t, name: t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-5) * w[name]
        x = F.embedding(tokens, w["embedding.weight"])
        for layer in range(LAYERS):
            b = block(w, layer)
            x = x + attention(b, norm(x, f"blocks.{layer}.mixerNorm.weight"), **attend(w, b, layer))
            gate, up = F.linear(norm(x, f"blocks.{layer}.feedForwardNorm.weight"), b["feedForward.gateUp.weight"]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, b["feedForward.down.weight"])
        return F.linear(norm(x, "norm.weight"), w["head.weight"])

    return run


def temperature(floor, scale):  # Llama 4's attn_scales
    return (torch.log(torch.floor((POSITION + 1.0) / floor) + 1.0) * scale + 1.0).float().view(-1, 1)


def scalable(b):
    return b["mixer.scalableSoftmax.scale"].view(-1, 1, 1) * (POSITION + 1).log().float().view(-1, 1)


YARN = hf_yarn(WIDTH, 1e4, 2, LENGTH // 2)
DEEPSEEK = hf_yarn(WIDTH, 1e4, 2, LENGTH // 2, mscale=1.0, mscale_all_dim=0.5)
SCALES = {f"blocks.{layer}.mixer.scalableSoftmax.scale": (HEADS,) for layer in range(LAYERS)}
VARIANTS = {
    "interleaved": ({}, lambda w, b, layer: {"turn": lambda t: interleaved(t, *COMPLEX)}),
    "yarn": ({}, lambda w, b, layer: {"turn": lambda t: half_split(t, *YARN)}),
    "interleaved-yarn": ({}, lambda w, b, layer: {"turn": lambda t: interleaved(t, *YARN)}),
    "deepseek": ({}, lambda w, b, layer: {
        "turn": lambda t: half_split(t, *DEEPSEEK), "scale": WIDTH**-0.5 * (0.1 * 0.5 * math.log(2) + 1.0) ** 2}),
    "alibi": ({}, lambda w, b, layer: {
        "bias": torch.tensor(get_slopes(HEADS)).view(-1, 1, 1) * -(POSITION.view(-1, 1) - POSITION).abs().float()}),
    "t5": ({"position.weight": (8, HEADS)}, lambda w, b, layer: {"bias": compute_bias(w["position.weight"], LENGTH, False, 8, 6), "scale": 1.0}),
    "scalable": (SCALES, lambda w, b, layer: {"turn": lambda t: half_split(t, *COMPLEX), "queries": scalable(b)}),
    "irope": ({}, lambda w, b, layer: {"turn": lambda t: half_split(t, *COMPLEX)} if layer == 0 else {"queries": temperature(2, 0.3)}),
    "everything": (SCALES, lambda w, b, layer: {"turn": lambda t: interleaved(t, *YARN), "queries": scalable(b) * temperature(3, 0.5)}),
}
WATCHED = "blocks.0.mixer.projection.qkv.weight"


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(4)
    shared = weights(shapes(2 * DIM, {"gateUp": (2 * 64, DIM), "down": (DIM, 64)}, {"head.weight": (VOCABULARY, DIM)}))
    tokens, targets = torch.randint(VOCABULARY, (BATCH, LENGTH)), torch.randint(VOCABULARY, (BATCH, LENGTH))
    result = {f"weight.{name}": value.detach().clone() for name, value in shared.items()} | {"tokens": tokens, "targets": targets}
    for name, (extra, attend) in VARIANTS.items():
        added = weights(extra)
        w = {key: value.detach().requires_grad_() for key, value in (shared | added).items()}
        model = decoder(attend)
        loss_sum(model, w, tokens, targets).backward()
        result |= {f"{name}.weight.{key}": value.detach().clone() for key, value in added.items()}
        result |= {f"{name}.norm.{key}": w[key].grad.norm().reshape(1) for key in [*added, WATCHED]}
        result[f"{name}.logits"] = model(w, tokens).detach()
    write(directory / "positions.safetensors", result)


if __name__ == "__main__":
    main()
