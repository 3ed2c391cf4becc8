#!/usr/bin/env python3
"""Writes the fixtures of the parity tests with PyTorch (made with 2.6 on a CPU, float32).

    python3 make_fixtures.py [directory]

Two tiny decoders, written here plainly from torch's own operations, under the names of our modules:
  gpt.safetensors    layer norm, learned positions, multi-head, GELU, tied head (nanoGPT without biases)
  llama.safetensors  RMS norm, rotary positions (half-split), grouped-query, SwiGLU, head of its own
Each file holds: weight.<name>, tokens, targets (-100 = not scored), logits, loss (sum), norm.<name> (of each gradient of
the summed loss), losses (mean per scored token before each of ten AdamW steps, and after them).
"""
import json
import math
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

BATCH, LENGTH, DIM, HEADS, LAYERS, VOCABULARY = 3, 8, 16, 4, 2, 13
STEPS, RATE, BETAS, EPSILON, DECAY = 10, 1e-2, (0.9, 0.95), 1e-8, 0.1
DTYPES = {torch.float32: "F32", torch.int64: "I64"}


def attention(w, x, groups, rotary):
    batch, length, _ = x.shape
    width = DIM // HEADS
    qkv = F.linear(x, w["mixer.projection.qkv.weight"])
    q, k, v = qkv.split([HEADS * width, groups * width, groups * width], -1)
    q, k, v = (t.view(batch, length, -1, width).transpose(1, 2) for t in (q, k, v))
    if rotary:
        frequency = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
        cos, sin = angle.cos().float(), angle.sin().float()

        def turn(t):
            a, b = t.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

        q, k = turn(q), turn(k)
    k, v = (t.repeat_interleave(HEADS // groups, 1) for t in (k, v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return F.linear(y.transpose(1, 2).reshape(batch, length, DIM), w["mixer.output.weight"])


def gpt(w, tokens):
    norm = lambda t, name: F.layer_norm(t, (DIM,), w[name], None, 1e-5)
    x = F.embedding(tokens, w["embedding.weight"]) + w["position.weight"][: tokens.shape[1]]
    for layer in range(LAYERS):
        b = block(w, layer)
        x = x + attention(b, norm(x, f"blocks.{layer}.mixerNorm.weight"), HEADS, rotary=False)
        h = norm(x, f"blocks.{layer}.feedForwardNorm.weight")
        x = x + F.linear(F.gelu(F.linear(h, b["feedForward.up.weight"])), b["feedForward.down.weight"])
    return F.linear(norm(x, "norm.weight"), w["embedding.weight"])


def llama(w, tokens):
    norm = lambda t, name: t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-5) * w[name]
    x = F.embedding(tokens, w["embedding.weight"])
    for layer in range(LAYERS):
        b = block(w, layer)
        x = x + attention(b, norm(x, f"blocks.{layer}.mixerNorm.weight"), 2, rotary=True)
        h = norm(x, f"blocks.{layer}.feedForwardNorm.weight")
        gate, up = F.linear(h, b["feedForward.gateUp.weight"]).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, b["feedForward.down.weight"])
    return F.linear(norm(x, "norm.weight"), w["head.weight"])


def block(w, layer):
    prefix = f"blocks.{layer}."
    return {name[len(prefix):]: value for name, value in w.items() if name.startswith(prefix)}


def weights(shapes):
    # Larger than a fresh model's, so that attention is far from uniform and a mistake shows.
    return {
        name: (torch.randn(shape) * 0.3 if len(shape) > 1 else 1 + 0.2 * torch.randn(shape)).requires_grad_()
        for name, shape in shapes.items()
    }


def shapes(rows, feed_forward, extra):
    result = {"embedding.weight": (VOCABULARY, DIM), "norm.weight": (DIM,), **extra}
    for layer in range(LAYERS):
        for name in ("mixerNorm.weight", "feedForwardNorm.weight"):
            result[f"blocks.{layer}.{name}"] = (DIM,)
        result[f"blocks.{layer}.mixer.projection.qkv.weight"] = (rows, DIM)
        result[f"blocks.{layer}.mixer.output.weight"] = (DIM, DIM)
        for name, shape in feed_forward.items():
            result[f"blocks.{layer}.feedForward.{name}.weight"] = shape
    return result


def loss_sum(model, w, tokens, targets):
    return F.cross_entropy(model(w, tokens).view(-1, VOCABULARY), targets.view(-1), reduction="sum", ignore_index=-100)


def fixture(model, w):
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))
    targets = torch.randint(VOCABULARY, (BATCH, LENGTH))
    targets[0, 0] = targets[2, 5] = -100
    result = {f"weight.{name}": value.detach().clone() for name, value in w.items()}
    loss = loss_sum(model, w, tokens, targets)
    loss.backward()
    result |= {"tokens": tokens, "targets": targets, "logits": model(w, tokens).detach(), "loss": loss.detach().reshape(1)}
    result |= {f"norm.{name}": value.grad.norm().reshape(1) for name, value in w.items()}
    result["losses"] = train(model, w, tokens, targets)
    return result


def train(model, w, tokens, targets):
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in w.values() if p.dim() > 1], "weight_decay": DECAY},
            {"params": [p for p in w.values() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=RATE, betas=BETAS, eps=EPSILON,
    )
    scored = (targets != -100).sum()
    losses = []
    for step in range(STEPS + 1):
        optimizer.zero_grad()
        loss = loss_sum(model, w, tokens, targets) / scored
        losses.append(loss.item())
        loss.backward()
        if step < STEPS:
            optimizer.step()
    return torch.tensor(losses)


def write(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        raw = value.contiguous().numpy().tobytes()
        header[name] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(f"{path}: {path.stat().st_size} bytes, ln V = {math.log(VOCABULARY):.4f}")


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(1)
    hidden = {"up": (4 * DIM, DIM), "down": (DIM, 4 * DIM)}
    write(directory / "gpt.safetensors", fixture(gpt, weights(shapes(3 * DIM, hidden, {"position.weight": (LENGTH, DIM)}))))
    hidden = {"gateUp": (2 * 64, DIM), "down": (DIM, 64)}
    write(directory / "llama.safetensors", fixture(llama, weights(shapes(2 * DIM, hidden, {"head.weight": (VOCABULARY, DIM)}))))


if __name__ == "__main__":
    main()
