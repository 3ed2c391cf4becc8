#!/usr/bin/env python3
"""The peer of configs/shakespeare-char.json: nanoGPT's model and loop in PyTorch eager, on the same text.

Same architecture and arithmetic as nanoGPT's CPU recipe (pre-norm, LayerNorm and linears without bias, exact GELU,
learned positions, tied head, flash attention, AdamW with decay on matrices, clipping at 1, cosine schedule). Prints one
JSON object: tokens per second over the timed steps, the median step, the losses, and the peak memory: of the process, or on
a GPU of the tensors there. On a GPU it does what a careful user would: fused AdamW, page-locked batches copied without waiting, the
loss read every ten steps.

    python3 nanogpt_peer.py --data tinyshakespeare.txt --steps 300
    python3 nanogpt_peer.py --data tinyshakespeare.txt --steps 300 --device cuda --autocast --compile
"""
import argparse
import json
import math
import resource
import statistics
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm = nn.LayerNorm(dim, bias=False)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.feed_forward_norm = nn.LayerNorm(dim, bias=False)
        self.up = nn.Linear(dim, 4 * dim, bias=False)
        self.down = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x):
        batch, length, dim = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).split(dim, dim=2)
        q, k, v = (t.view(batch, length, self.heads, dim // self.heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0, is_causal=True)
        y = self.output(y.transpose(1, 2).contiguous().view(batch, length, dim))
        x = x + F.dropout(y, self.dropout, self.training)
        y = self.down(F.gelu(self.up(self.feed_forward_norm(x))))
        return x + F.dropout(y, self.dropout, self.training)


class Model(nn.Module):
    def __init__(self, vocabulary, context, layers, heads, dim, dropout):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, dim)
        self.positions = nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim, bias=False)
        self.head = nn.Linear(dim, vocabulary, bias=False)
        self.tokens.weight = self.head.weight
        self.dropout = dropout
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deviation = 0.02 / math.sqrt(2 * layers) if name.endswith(("output.weight", "down.weight")) else 0.02
                nn.init.normal_(parameter, 0.0, deviation)

    def forward(self, x, y):
        positions = torch.arange(x.shape[1], device=x.device)
        h = F.dropout(self.tokens(x) + self.positions(positions), self.dropout, self.training)
        for block in self.blocks:
            h = block(h)
        logits = self.head(self.norm(h))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


def read_characters(path):
    text = open(path, encoding="utf-8").read()
    characters = sorted(set(text))
    ids = {c: i for i, c in enumerate(characters)}
    return np.array([ids[c] for c in text[: int(0.9 * len(text))]], dtype=np.uint16), len(characters)


def read_bytes(path):
    data = np.fromfile(path, dtype=np.uint8)
    return data[: int(0.9 * len(data))].astype(np.uint16), 256


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--dim", type=int, default=128)
    p.add_argument("--context", type=int, default=64)
    p.add_argument("--batch", type=int, default=12)
    p.add_argument("--dropout", type=float, default=0.0)
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--warmup", type=int, default=20, help="steps that are not timed")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--autocast", action="store_true", help="bfloat16 autocast")
    p.add_argument("--tf32", action="store_true", help="TF32 products, on a GPU")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    p.add_argument("--bytes", action="store_true", help="bytes as tokens instead of characters")
    a = p.parse_args()

    torch.manual_seed(1337)
    if a.threads:
        torch.set_num_threads(a.threads)
    device = torch.device(a.device)
    on_gpu = device.type == "cuda"
    if a.tf32:
        torch.set_float32_matmul_precision("high")
    data, vocabulary = read_bytes(a.data) if a.bytes else read_characters(a.data)

    def batch():
        starts = torch.randint(len(data) - a.context, (a.batch,))
        x = torch.stack([torch.from_numpy(data[i : i + a.context].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + a.context].astype(np.int64)) for i in starts])
        if on_gpu:
            return x.pin_memory().to(device, non_blocking=True), y.pin_memory().to(device, non_blocking=True)
        return x, y

    model = Model(vocabulary, a.context, a.layers, a.heads, a.dim, a.dropout).to(device)
    matrices = [q for q in model.parameters() if q.dim() >= 2]
    vectors = [q for q in model.parameters() if q.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99),
        fused=True if on_gpu else None)
    run = torch.compile(model) if a.compile else model

    times, losses = [], []
    total = a.warmup + a.steps
    began = time.perf_counter()
    for step in range(total):
        if step == a.warmup:
            if on_gpu:
                torch.cuda.synchronize()
            began = time.perf_counter()
        start = time.perf_counter()
        rate = 1e-3 * step / 100 if step < 100 else 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / max(1, total - 100))) * 9e-4
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, y = batch()
        with torch.autocast(device.type, torch.bfloat16, enabled=a.autocast):
            loss = run(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0:
            losses.append(loss.item())
        if step >= a.warmup:
            times.append(time.perf_counter() - start)

    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began if on_gpu else sum(times)
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({
        "tokensPerSecond": a.batch * a.context * a.steps / seconds,
        "medianStepSeconds": statistics.median(times),
        "losses": losses,
        "peakMemoryMiB": peak / 2**20,
        "parameters": sum(q.numel() for q in model.parameters()),
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
