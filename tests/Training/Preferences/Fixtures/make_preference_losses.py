"""Writes preference_losses.json: DPO, IPO, ORPO and KTO as TRL computes them from log-probabilities (ORPO as its paper has it, per pair),
and the gradients of the mean loss. Run with PyTorch 2: python3 make_preference_losses.py > preference_losses.json"""
import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
pairs = 6
tokens = torch.randint(1, 20, (pairs, 2)).double()
policy = -torch.rand(pairs, 2).double() * tokens * 2
reference = policy + torch.randn(pairs, 2).double() * 2


def dpo(logps, smoothing):
    beta = 0.3
    logits = (logps[:, 0] - logps[:, 1]) - (reference[:, 0] - reference[:, 1])
    losses = -F.logsigmoid(beta * logits) * (1 - smoothing) - F.logsigmoid(-beta * logits) * smoothing
    rewards = beta * (logps - reference)
    return losses, rewards


def ipo(logps):
    beta = 0.2
    means, references = logps / tokens, reference / tokens
    logits = (means[:, 0] - means[:, 1]) - (references[:, 0] - references[:, 1])
    return (logits - 1 / (2 * beta)) ** 2, beta * (means - references)


def orpo(logps):
    weight = 0.25
    chosen, rejected = (logps / tokens).unbind(1)
    log_odds = (chosen - rejected) - (torch.log1p(-torch.exp(chosen)) - torch.log1p(-torch.exp(rejected)))
    return -chosen - weight * F.logsigmoid(log_odds), weight * logps / tokens


def kto(logps, kl, desirable, undesirable):
    beta = 0.3
    gains = logps - reference
    kl = torch.tensor(kl).double().clamp(min=0)
    losses = torch.cat([desirable * (1 - F.sigmoid(beta * (gains[:, 0] - kl))), undesirable * (1 - F.sigmoid(beta * (kl - gains[:, 1])))])
    return losses, None


cases = []


def add(options, compute):
    logps = policy.clone().requires_grad_()
    losses, rewards = compute(logps)
    loss = losses.mean()
    loss.backward()
    case = {"options": options, "loss": loss.item(), "gradients": logps.grad.flatten().tolist()}
    if rewards is not None:
        chosen, rejected = rewards.detach().unbind(1)
        case["figures"] = [(chosen > rejected).double().mean().item(), (chosen - rejected).mean().item(), chosen.mean().item(),
                           rejected.mean().item()]
    cases.append(case)


add({"type": "dpo", "beta": 0.3}, lambda logps: dpo(logps, 0))
add({"type": "dpo", "beta": 0.3, "labelSmoothing": 0.1}, lambda logps: dpo(logps, 0.1))
add({"type": "ipo", "beta": 0.2}, ipo)
add({"type": "orpo", "weight": 0.25}, orpo)
add({"type": "kto", "beta": 0.3}, lambda logps: kto(logps, 0.0, 1, 1))
add({"type": "kto", "beta": 0.3, "chosenWeight": 1.5, "rejectedWeight": 0.5}, lambda logps: kto(logps, 0.0, 1.5, 0.5))
print(json.dumps({"tokens": tokens.flatten().tolist(), "policy": policy.flatten().tolist(), "reference": reference.flatten().tolist(),
                  "cases": cases}, indent=1))
