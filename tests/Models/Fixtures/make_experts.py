#!/usr/bin/env python3
"""Writes experts.safetensors with PyTorch (made with 2.6 on a CPU): layers of experts in float64, kept as float32.

    python3 make_experts.py [directory]

Every expert is run on every token and weighted, 0 for those that were not chosen. Cases:
  mixtral   softmax over 4 experts, the 2 best, weights add up to 1, SwiGLU; Switch's balance loss over the batch, z-loss
  deepseek  sigmoid over 8 experts in 4 groups, 2 groups by the sum of their two best scores, 3 experts, a bias on the choice only,
            weights add up to 2.5, a shared expert twice as wide, GeGLU; no losses
  switch    softmax over 4 experts, the best one, its weight as it is, ReLU, biases; the balance loss in each sequence by itself
Shared by all: input (2, 7, C), direction (2, 7, C). For each case <k>: <k>.weight.<name>, <k>.output, <k>.loss (auxiliary),
<k>.gradient.input, <k>.gradient.<name> of (output · direction).sum() + loss, and <k>.counts (tokens of each expert).
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from make_activations import single
from make_fixtures import write

BATCH, LENGTH, DIM, HIDDEN = 2, 7, 6, 5


def swiglu(x):
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


def geglu(x):
    gate, up = x.chunk(2, -1)
    return F.gelu(gate) * up


def weighted(w, x, chosen, weights, activation, first):
    experts = w["router.weight"].shape[0]
    share = torch.zeros(x.shape[0], experts).scatter(1, chosen, weights)
    result = torch.zeros_like(x)
    for e in range(experts):
        bias = lambda name: w[f"experts.{name}Bias"].view(experts, -1)[e] if f"experts.{name}Bias" in w else None
        hidden = activation(F.linear(x, w[f"experts.{first}"][e], bias(first)))
        result = result + share[:, e : e + 1] * F.linear(hidden, w["experts.down"][e], bias("down"))
    return result


def balance(chosen, affinity, active):
    """E · sum f P over tokens (N, K), (N, E)."""
    experts = affinity.shape[1]
    f = F.one_hot(chosen, experts).sum((0, 1)) / (chosen.shape[0] * active)
    return experts * (f * affinity.mean(0)).sum()


def mixtral(w, x):
    logits = F.linear(x, w["router.weight"])
    probabilities = logits.softmax(-1)
    weights, chosen = probabilities.topk(2, -1)
    weights = weights / weights.sum(-1, keepdim=True)
    loss = 0.02 * balance(chosen, probabilities, 2) + 0.003 * torch.logsumexp(logits, -1).square().mean()
    return weighted(w, x, chosen, weights, swiglu, "gateUp"), loss, chosen


def deepseek(w, x):
    scores = F.linear(x, w["router.weight"]).sigmoid()
    ranked = scores.detach() + w["router.balance"]
    groups = ranked.view(-1, 4, 2).topk(2, -1).values.sum(-1).topk(2, -1).indices
    for token in range(x.shape[0]):
        for group in set(range(4)) - set(groups[token].tolist()):
            ranked[token, 2 * group : 2 * group + 2] = -torch.inf
    chosen = ranked.topk(3, -1).indices
    weights = scores.gather(1, chosen)
    weights = 2.5 * weights / weights.sum(-1, keepdim=True)
    shared = F.linear(geglu(F.linear(x, w["shared.gateUp.weight"])), w["shared.down.weight"])
    return weighted(w, x, chosen, weights, geglu, "gateUp") + shared, torch.zeros(()), chosen


def switch(w, x):
    probabilities = F.linear(x, w["router.weight"]).softmax(-1)
    weights, chosen = probabilities.topk(1, -1)
    rows = zip(chosen.view(BATCH, LENGTH, 1), probabilities.view(BATCH, LENGTH, -1))
    loss = 0.05 * torch.stack([balance(c, p, 1) for c, p in rows]).mean()
    return weighted(w, x, chosen, weights, F.relu, "up"), loss, chosen


CASES = {
    "mixtral": (mixtral, {"router.weight": (4, DIM), "experts.gateUp": (4, 2 * HIDDEN, DIM), "experts.down": (4, DIM, HIDDEN)}),
    "deepseek": (deepseek, {
        "router.weight": (8, DIM), "router.balance": (8,), "experts.gateUp": (8, 2 * HIDDEN, DIM), "experts.down": (8, DIM, HIDDEN),
        "shared.gateUp.weight": (4 * HIDDEN, DIM), "shared.down.weight": (DIM, 2 * HIDDEN)}),
    "switch": (switch, {
        "router.weight": (4, DIM), "experts.up": (4, HIDDEN, DIM), "experts.upBias": (4 * HIDDEN,),
        "experts.down": (4, DIM, HIDDEN), "experts.downBias": (4 * DIM,)}),
}


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    source, direction = single(torch.randn(BATCH, LENGTH, DIM)), single(torch.randn(BATCH, LENGTH, DIM))
    result = {"input": source, "direction": direction}
    for name, (run, shapes) in CASES.items():
        w = {key: single(torch.randn(shape)).requires_grad_(key != "router.balance") for key, shape in shapes.items()}
        x = source.clone().requires_grad_()
        output, loss, chosen = run(w, x.view(-1, DIM))
        ((output.view_as(x) * direction).sum() + loss).backward()
        result |= {f"{name}.weight.{key}": value.detach() for key, value in w.items()}
        result |= {f"{name}.output": output.detach().view_as(x), f"{name}.loss": loss.detach().reshape(1), f"{name}.gradient.input": x.grad}
        result |= {f"{name}.gradient.{key}": value.grad for key, value in w.items() if value.requires_grad}
        result |= {f"{name}.counts": chosen.flatten().bincount(minlength=shapes["router.weight"][0])}
    write(directory / "experts.safetensors", {key: value.float() if value.is_floating_point() else value for key, value in result.items()})


if __name__ == "__main__":
    main()
