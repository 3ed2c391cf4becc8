#!/usr/bin/env python3
"""The peer of configs/shakespeare-char.json: nanoGPT's model and loop in PyTorch eager, on the same text.

Same architecture and arithmetic as nanoGPT's CPU recipe (pre-norm, LayerNorm and linears without bias, exact GELU,
learned positions, tied head, flash attention, AdamW with decay on matrices, clipping at 1, cosine schedule). Prints one
JSON object: tokens per second over the timed steps, the median step, the losses, and the peak memory: of the process, or on
a GPU of the tensors there, and what is taken of the GPU's memory in all. On a GPU it does what a careful user would: fused AdamW, page-locked batches copied without waiting, the
loss read every ten steps.

    python3 nanogpt_peer.py --data tinyshakespeare.txt --steps 300
    python3 nanogpt_peer.py --data tinyshakespeare.txt --steps 300 --device cuda --autocast --compile

For suite.py it also evaluates and generates, on random ids (--random), for a number of seconds (--seconds) instead of steps.
There bfloat16 is the weights' own format, rounded once, as one would have it where nothing is learned; with --int8 the matrices of linear layers are
8 bits with a scale for each row, multiplied by PyTorch's own kernel with bfloat16, as in gpt-fast.

    python3 nanogpt_peer.py --random 65 --seconds 10 --task generation --bfloat16
"""
import argparse
import json
import math
import os
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

    def forward(self, x, cache=None, past=0):
        batch, length, dim = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).split(dim, dim=2)
        q, k, v = (t.view(batch, length, self.heads, dim // self.heads).transpose(1, 2) for t in (q, k, v))
        if cache is not None:  # keys and values of (batch, heads, context, head dimension)
            cache[0][:, :, past : past + length], cache[1][:, :, past : past + length] = k, v
            k, v = cache[0][:, :, : past + length], cache[1][:, :, : past + length]
        # The tokens of a prompt see those before them; a single one sees all.
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0, is_causal=length > 1)
        y = self.output(y.transpose(1, 2).contiguous().view(batch, length, dim))
        x = x + F.dropout(y, self.dropout, self.training)
        y = self.down(F.gelu(self.up(self.feed_forward_norm(x))))
        return x + F.dropout(y, self.dropout, self.training)


class Int8Linear(nn.Module):
    """A linear layer without bias whose weight is int8, each row with its scale in bfloat16."""

    def __init__(self, weight):
        super().__init__()
        scales = (weight.float().abs().amax(1) / 127).clamp(min=1e-12)
        self.scales = scales.bfloat16()
        self.weight = (weight.float() / scales[:, None]).round().to(torch.int8)

    def forward(self, x):
        return torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), self.weight, self.scales).view(*x.shape[:-1], -1)


def to_int8(module):
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child.weight.detach()))
        else:
            to_int8(child)


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

    def next_logits(self, x, caches, past):
        """Of the last position of x, which stands behind `past` others."""
        h = self.tokens(x) + self.positions(torch.arange(past, past + x.shape[1]))
        for block, cache in zip(self.blocks, caches):
            h = block(h, cache, past)
        return self.head(self.norm(h[:, -1:]))


def read_characters(path):
    text = open(path, encoding="utf-8").read()
    characters = sorted(set(text))
    ids = {c: i for i, c in enumerate(characters)}
    return np.array([ids[c] for c in text[: int(0.9 * len(text))]], dtype=np.uint16), len(characters)


def read_bytes(path):
    data = np.fromfile(path, dtype=np.uint8)
    return data[: int(0.9 * len(data))].astype(np.uint16), 256


def rate(work, seconds):
    """Tokens a second. A fifth of the time, and at least one call, is for warming up and is not counted."""
    began = time.perf_counter()
    work()
    while time.perf_counter() - began < seconds / 5:
        work()
    began, tokens = time.perf_counter(), 0
    while not tokens or time.perf_counter() - began < seconds:
        tokens += work()
    return tokens / (time.perf_counter() - began)


def evaluation(model, a):
    """The loss of windows that do not overlap, a.batch of them at once."""
    model.eval()
    run = torch.compile(model) if a.compile else model
    rows = torch.randint(a.random, (a.text // a.context, a.context + 1))

    def all_windows():
        total = 0.0
        for part in rows.split(a.batch):
            total += run(part[:, :-1], part[:, 1:].contiguous()).item() * part.shape[0] * a.context
        return rows.shape[0] * a.context

    with torch.inference_mode():
        return rate(all_windows, a.seconds)


def generation(model, a):
    """One sequence, greedily, from a prompt to the end of the context, with keys and values kept."""
    model.eval()
    kind = next(model.parameters()).dtype
    prompt = torch.randint(a.random, (1, a.prompt))

    def one_text():
        caches = [[torch.empty(1, a.heads, a.context, a.dim // a.heads, dtype=kind) for _ in range(2)] for _ in range(a.layers)]
        x, past, ids = prompt, 0, []
        while len(ids) < a.context - a.prompt:
            token = model.next_logits(x, caches, past)[:, -1].argmax(-1, keepdim=True)
            past += x.shape[1]
            x = token
            ids.append(token.item())
        return len(ids)

    with torch.inference_mode():
        return rate(one_text, a.seconds)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = p.add_mutually_exclusive_group(required=True)
    text.add_argument("--data")
    text.add_argument("--random", type=int, metavar="VOCABULARY", help="random ids below this instead of a text")
    p.add_argument("--task", choices=["training", "evaluation", "generation"], default="training")
    p.add_argument("--seconds", type=float, default=0, help="time so long instead of --steps: at least two steps after at least one and a fifth of the time")
    p.add_argument("--text", type=int, default=16384, help="evaluation: tokens of the text")
    p.add_argument("--prompt", type=int, default=16, help="generation: tokens of the prompt")
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--dim", type=int, default=128)
    p.add_argument("--context", type=int, default=64)
    p.add_argument("--batch", type=int, default=12)
    p.add_argument("--dropout", type=float, default=0.0)
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--warmup", type=int, default=20, help="steps that are not timed")
    p.add_argument("--threads", type=int, default=0, help="OMP_NUM_THREADS, or else all processors, if 0")
    p.add_argument("--autocast", action="store_true", help="bfloat16 autocast")
    p.add_argument("--bfloat16", action="store_true", help="weights in bfloat16: evaluation and generation")
    p.add_argument("--int8", action="store_true", help="matrices in int8, all else in bfloat16: generation")
    p.add_argument("--tf32", action="store_true", help="TF32 products, on a GPU")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    p.add_argument("--bytes", action="store_true", help="bytes as tokens instead of characters")
    p.add_argument("--vocabulary", type=int, default=0, help="rows of the embedding, where more than the text has kinds of tokens")
    a = p.parse_args()
    if a.task != "training" and (not a.random or not a.seconds or a.device != "cpu" or a.autocast or a.compile and a.task == "generation"):
        p.error("evaluation and generation are measured with --random and --seconds, on a CPU, with --bfloat16 for --autocast; generation without --compile")
    if a.int8 and a.task != "generation":
        p.error("--int8 is for generation")
    if a.task == "training" and a.bfloat16:
        p.error("--bfloat16 is for evaluation and generation; training has --autocast")

    torch.manual_seed(1337)
    # torch's own default leaves out cores that share their arithmetic units with another.
    torch.set_num_threads(a.threads or int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
    device = torch.device(a.device)
    on_gpu = device.type == "cuda"
    if a.tf32:
        torch.set_float32_matmul_precision("high")
    if a.random:
        data, vocabulary = np.random.default_rng(1337).integers(0, a.random, 400_000).astype(np.uint16), a.random
    else:
        data, vocabulary = read_bytes(a.data) if a.bytes else read_characters(a.data)

    def batch():
        starts = torch.randint(len(data) - a.context, (a.batch,))
        x = torch.stack([torch.from_numpy(data[i : i + a.context].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + a.context].astype(np.int64)) for i in starts])
        if on_gpu:
            return x.pin_memory().to(device, non_blocking=True), y.pin_memory().to(device, non_blocking=True)
        return x, y

    model = Model(max(vocabulary, a.vocabulary), a.context, a.layers, a.heads, a.dim, a.dropout).to(device)
    if a.task != "training":
        model = model.bfloat16() if a.bfloat16 or a.int8 else model
        if a.int8:
            to_int8(model)
        report(tokensPerSecond=(evaluation if a.task == "evaluation" else generation)(model, a))
        return
    matrices = [q for q in model.parameters() if q.dim() >= 2]
    vectors = [q for q in model.parameters() if q.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99),
        fused=True if on_gpu else None)
    run = torch.compile(model) if a.compile else model

    times, losses = [], []
    total = a.warmup + a.steps
    launched = began = time.perf_counter()
    warm = False
    for step in range(10**9):
        if a.seconds:
            ready = step > 0 and time.perf_counter() - launched >= a.seconds / 5
        else:
            ready = step >= a.warmup
        if ready and not warm:
            warm = True
            if on_gpu:
                torch.cuda.synchronize()
            began = time.perf_counter()
        if len(times) >= 2 and time.perf_counter() - began >= a.seconds if a.seconds else step == total:
            break
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
        if warm:
            times.append(time.perf_counter() - start)

    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began if on_gpu else sum(times)
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    free, installed = torch.cuda.mem_get_info(device) if on_gpu else (0, peak)
    report(
        tokensPerSecond=a.batch * a.context * len(times) / seconds,
        medianStepSeconds=statistics.median(times),
        losses=losses,
        peakMemoryMiB=peak / 2**20,
        takenMemoryMiB=(installed - free) / 2**20,
        parameters=sum(q.numel() for q in model.parameters()))


def report(**figures):
    print(json.dumps(figures | {"torch": torch.__version__}), flush=True)


if __name__ == "__main__":
    main()
