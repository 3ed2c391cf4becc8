#!/usr/bin/env python3
"""Writes the fixtures of the parity tests with PyTorch (made with 2.6 on a CPU, float32).

    python3 make_fixtures.py [directory]

Four tiny decoders, written here plainly from torch's own operations, under the names of our modules:
  gpt.safetensors    layer norm, learned positions, multi-head, GELU, tied head (nanoGPT without biases)
  llama.safetensors  RMS norm, rotary positions (half-split), grouped-query, SwiGLU, head of its own
  latent.safetensors the same with DeepSeek-V2's latent attention (arXiv 2405.04434, equations 37 to 47)
  hybrid.safetensors the same with a first layer of Mamba-2 (arXiv 2405.21060), its recurrence taken position by position
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


def rms(t, weight):
    return t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def turn(t, position):
    """Rotary, half-split, of one vector (…, width) at one position."""
    half = t.shape[-1] // 2
    angle = torch.tensor([position * 10000.0 ** (-2 * i / t.shape[-1]) for i in range(half)], dtype=torch.float64)
    cos, sin = angle.cos().float(), angle.sin().float()
    a, b = t[..., :half], t[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


LATENT = {"nope": 4, "rope": 4, "value": 6, "rank": 8, "query_rank": 6}


def latent_attention(w, x):
    nope, rope, value, rank = (LATENT[name] for name in ("nope", "rope", "value", "rank"))
    p = {name[len("mixer.projection."):-len(".weight")]: t for name, t in w.items() if name.startswith("mixer.projection.")}
    length = x.shape[1]
    q = (rms(x @ p["queryDown"].T, p["queryNorm"]) @ p["queryUp"].T).unflatten(-1, (HEADS, nope + rope))
    down = x @ p["keyValueDown"].T
    c, shared = rms(down[..., :rank], p["keyValueNorm"]), down[..., rank:]
    up = p["keyValueUp"].unflatten(0, (HEADS, nope + value))
    heads = []
    for h in range(HEADS):
        key, v = c @ up[h, :nope].T, c @ up[h, nope:].T
        rows = []
        for t in range(length):
            turned = turn(q[:, t, h, nope:], t)
            scores = [
                ((q[:, t, h, :nope] * key[:, s]).sum(-1) + (turned * turn(shared[:, s], s)).sum(-1)) / math.sqrt(nope + rope)
                for s in range(t + 1)
            ]
            weights = torch.stack(scores, -1).softmax(-1)
            rows.append((weights.unsqueeze(-1) * v[:, : t + 1]).sum(1))
        heads.append(torch.stack(rows, 1))
    return torch.cat(heads, -1) @ w["mixer.output.weight"].T


MAMBA = {"width": 32, "head": 4, "state": 3, "groups": 2, "convolution": 4}


def mamba(w, x):
    width, head, state, groups, taps = MAMBA.values()
    count, channels = width // head, width + 2 * groups * state
    z, xbc, dt = (x @ w["mixer.input.weight"].T).split([width, channels, count], -1)
    kernel, bias = w["mixer.convolution.weight"], w["mixer.convolution.bias"]
    length = x.shape[1]
    convolved = torch.stack([
        bias + sum(xbc[:, t - back] * kernel[:, 0, taps - 1 - back] for back in range(taps) if back <= t) for t in range(length)
    ], 1)
    u, b, c = F.silu(convolved).split([width, groups * state, groups * state], -1)
    u, b, c = u.unflatten(-1, (count, head)), b.unflatten(-1, (groups, state)), c.unflatten(-1, (groups, state))
    dt = F.softplus(dt + w["mixer.stepBias"])
    rate = -torch.exp(w["mixer.logDecay"])
    memory = [torch.zeros(x.shape[0], head, state) for _ in range(count)]
    rows = []
    for t in range(length):
        row = []
        for h in range(count):
            g = h // (count // groups)
            step = dt[:, t, h].view(-1, 1, 1)
            memory[h] = torch.exp(step * rate[h]) * memory[h] + step * u[:, t, h].unsqueeze(-1) * b[:, t, g].unsqueeze(-2)
            row.append((memory[h] * c[:, t, g].unsqueeze(-2)).sum(-1) + w["mixer.skip"][h] * u[:, t, h])
        rows.append(torch.cat(row, -1))
    gated = torch.stack(rows, 1) * F.silu(z)
    parts = gated.unflatten(-1, (groups, width // groups))
    normed = (parts * torch.rsqrt(parts.pow(2).mean(-1, keepdim=True) + 1e-5)).flatten(-2) * w["mixer.norm"]
    return normed @ w["mixer.output.weight"].T


def gpt(w, tokens):
    norm = lambda t, name: F.layer_norm(t, (DIM,), w[name], None, 1e-5)
    x = F.embedding(tokens, w["embedding.weight"]) + w["position.weight"][: tokens.shape[1]]
    for layer in range(LAYERS):
        b = block(w, layer)
        x = x + attention(b, norm(x, f"blocks.{layer}.mixerNorm.weight"), HEADS, rotary=False)
        h = norm(x, f"blocks.{layer}.feedForwardNorm.weight")
        x = x + F.linear(F.gelu(F.linear(h, b["feedForward.up.weight"])), b["feedForward.down.weight"])
    return F.linear(norm(x, "norm.weight"), w["embedding.weight"])


def grouped(b, x):
    return attention(b, x, 2, rotary=True)


def llama(w, tokens, mixers=(grouped, grouped)):
    norm = lambda t, name: rms(t, w[name])
    x = F.embedding(tokens, w["embedding.weight"])
    for layer in range(LAYERS):
        b = block(w, layer)
        x = x + mixers[layer](b, norm(x, f"blocks.{layer}.mixerNorm.weight"))
        h = norm(x, f"blocks.{layer}.feedForwardNorm.weight")
        gate, up = F.linear(h, b["feedForward.gateUp.weight"]).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, b["feedForward.down.weight"])
    return F.linear(norm(x, "norm.weight"), w["head.weight"])


def block(w, layer):
    prefix = f"blocks.{layer}."
    return {name[len(prefix):]: value for name, value in w.items() if name.startswith(prefix)}


def weights(shapes):
    # Larger than a fresh model's, so that attention is far from uniform and a mistake shows.
    def draw(name, shape):
        if len(shape) > 1:
            return torch.randn(shape) * 0.3
        # States decay slowly, so that they reach across chunks.
        return (-3 if name.endswith("logDecay") else 1) + 0.2 * torch.randn(shape)

    return {name: draw(name, shape).requires_grad_() for name, shape in shapes.items()}


LATENT_SHAPES = {
    "projection.queryDown.weight": (LATENT["query_rank"], DIM),
    "projection.queryNorm.weight": (LATENT["query_rank"],),
    "projection.queryUp.weight": (HEADS * (LATENT["nope"] + LATENT["rope"]), LATENT["query_rank"]),
    "projection.keyValueDown.weight": (LATENT["rank"] + LATENT["rope"], DIM),
    "projection.keyValueNorm.weight": (LATENT["rank"],),
    "projection.keyValueUp.weight": (HEADS * (LATENT["nope"] + LATENT["value"]), LATENT["rank"]),
    "output.weight": (DIM, HEADS * LATENT["value"]),
}

CHANNELS = MAMBA["width"] + 2 * MAMBA["groups"] * MAMBA["state"]
MAMBA_SHAPES = {
    "input.weight": (MAMBA["width"] + CHANNELS + MAMBA["width"] // MAMBA["head"], DIM),
    "convolution.weight": (CHANNELS, 1, MAMBA["convolution"]),
    "convolution.bias": (CHANNELS,),
    **{name: (MAMBA["width"] // MAMBA["head"],) for name in ("logDecay", "stepBias", "skip")},
    "norm": (MAMBA["width"],),
    "output.weight": (DIM, MAMBA["width"]),
}


def with_mixers(shapes, mixers):
    """Other mixers in some layers: layer → shapes."""
    kept = {name: shape for name, shape in shapes.items() if not any(name.startswith(f"blocks.{layer}.mixer.") for layer in mixers)}
    return kept | {f"blocks.{layer}.mixer.{name}": shape for layer, own in mixers.items() for name, shape in own.items()}


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
    modern = shapes(2 * DIM, hidden, {"head.weight": (VOCABULARY, DIM)})
    write(directory / "llama.safetensors", fixture(llama, weights(modern)))
    latent = lambda w, tokens: llama(w, tokens, (latent_attention, latent_attention))
    write(directory / "latent.safetensors", fixture(latent, weights(with_mixers(modern, {0: LATENT_SHAPES, 1: LATENT_SHAPES}))))
    hybrid = lambda w, tokens: llama(w, tokens, (mamba, grouped))
    write(directory / "hybrid.safetensors", fixture(hybrid, weights(with_mixers(modern, {0: MAMBA_SHAPES}))))


if __name__ == "__main__":
    main()
