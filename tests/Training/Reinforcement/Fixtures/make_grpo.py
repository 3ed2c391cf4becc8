#!/usr/bin/env python3
"""Writes grpo.json with PyTorch (made with 2.6 on a CPU), in float64: ten updates of a policy that is a table of logits, a row for each
last token, by the arithmetic of TRL's GRPOTrainer (github.com/huggingface/trl, trl/trainer/grpo_trainer.py, _compute_loss and
_generate_and_score_completions; loss types grpo, bnpo and dr_grpo).

    python3 make_grpo.py [directory]
"""
import json
import sys
from pathlib import Path

import torch

VOCABULARY, GROUP, LONGEST, UPDATES, RATE = 6, 4, 5, 10, 3.0
PROMPTS = [[1, 2], [4]]
ANSWERS = [[3, 0], [5, 5, 0], [2, 2, 2, 2, 2], [0], [1, 0], [3, 4, 5, 0], [1, 1, 0], [0]]
REWARDS = [1.0, 0.25, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0]
CASES = [
    dict(name="paper", klWeight=0.04, clip=0.2, clipHigher=None, advantage="standardized", average="sequences", temperature=1.0),
    dict(name="tokens", klWeight=0.0, clip=0.2, clipHigher=0.28, advantage="standardized", average="tokens", temperature=0.7),
    dict(name="dr-grpo", klWeight=0.0, clip=0.1, clipHigher=None, advantage="centered", average="constant", temperature=1.0),
    dict(name="centered", klWeight=0.5, clip=0.05, clipHigher=0.3, advantage="centered", average="tokens", temperature=1.5),
]

torch.manual_seed(5)
table = torch.randn(VOCABULARY, VOCABULARY, dtype=torch.float64)
reference = table + 0.3 * torch.randn(VOCABULARY, VOCABULARY, dtype=torch.float64)

# (B, T): the inputs that predict the tokens of answers, these tokens, and which are there
inputs = torch.zeros(len(ANSWERS), LONGEST, dtype=torch.long)
targets, mask = torch.zeros_like(inputs), torch.zeros(len(ANSWERS), LONGEST, dtype=torch.float64)
for row, answer in enumerate(ANSWERS):
    for i, token in enumerate(answer):
        inputs[row, i] = answer[i - 1] if i > 0 else PROMPTS[row // GROUP][-1]
        targets[row, i], mask[row, i] = token, 1


def per_token_logps(logits, temperature):
    return (logits[inputs] / temperature).log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def run(case):
    rewards = torch.tensor(REWARDS, dtype=torch.float64)
    mean_grouped = rewards.view(-1, GROUP).mean(dim=1).repeat_interleave(GROUP)
    advantages = rewards - mean_grouped
    if case["advantage"] == "standardized":
        advantages = advantages / (rewards.view(-1, GROUP).std(dim=1).repeat_interleave(GROUP) + 1e-4)
    beta, low = case["klWeight"], case["clip"]
    high = case["clipHigher"] or low
    policy = table.clone().requires_grad_()
    old_per_token_logps = per_token_logps(policy, case["temperature"]).detach()
    ref_per_token_logps = per_token_logps(reference, case["temperature"])
    steps = []
    for _ in range(UPDATES):
        logps = per_token_logps(policy, case["temperature"])
        coef_1 = torch.exp(logps - old_per_token_logps)
        coef_2 = torch.clamp(coef_1, 1 - low, 1 + high)
        per_token_loss = -torch.min(coef_1 * advantages.unsqueeze(1), coef_2 * advantages.unsqueeze(1))
        per_token_kl = torch.exp(ref_per_token_logps - logps) - (ref_per_token_logps - logps) - 1
        if beta != 0.0:
            per_token_loss = per_token_loss + beta * per_token_kl
        if case["average"] == "sequences":
            loss = ((per_token_loss * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
        elif case["average"] == "tokens":
            loss = (per_token_loss * mask).sum() / mask.sum().clamp(min=1.0)
        else:
            loss = (per_token_loss * mask).sum() / (per_token_loss.size(0) * LONGEST)
        gradient, = torch.autograd.grad(loss, policy)
        is_low_clipped = (coef_1 < 1 - low) & (advantages.unsqueeze(1) < 0)
        is_high_clipped = (coef_1 > 1 + high) & (advantages.unsqueeze(1) > 0)
        clipped = ((is_low_clipped | is_high_clipped) * mask).sum() / mask.sum()
        steps.append(dict(
            loss=loss.item(), clipped=clipped.item(), kl=((per_token_kl * mask).sum() / mask.sum()).item(),
            gradient=gradient.flatten().tolist()))
        policy = (policy - RATE * gradient).detach().requires_grad_()
    return dict(case, advantages=advantages.tolist(), steps=steps)


directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
(directory / "grpo.json").write_text(json.dumps(dict(
    group=GROUP, maximumTokens=LONGEST, rate=RATE, prompts=PROMPTS, answers=ANSWERS, rewards=REWARDS, table=table.tolist(),
    reference=reference.tolist(), cases=[run(case) for case in CASES])) + "\n")
