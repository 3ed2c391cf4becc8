#!/usr/bin/env python3
"""Writes patches.json, the fixture of models of patches, with PyTorch's own layers (made with 2.6 on a CPU, float32).

    python3 make_patches.py [directory]

  vit       ViT (Dosovitskiy et al. 2020): a convolution as patch embedding, class token, learned positions, nn.TransformerEncoderLayer
            pre-norm, norm, linear head; cross entropy
  mean      the same without class token; the mean of all patches
  patchtst  PatchTST (Nie et al. 2022): instance norm, ReplicationPad1d, unfold, linear, learned positions, the same layers, flatten head as
            in the authors' code (by dimension, then patch), instance norm undone; mean squared error
  affine    the same with RevIN's weights for each of three variables; the rows are of the third and the first
  last      a decoder of the same pictures as mean (GPT of patches): a causal mask, and the last patch's state for the head
  series    a decoder of a series (Timer, Liu et al. 2024): patches up to the last value, a causal mask, a linear head at each of them that
            forecasts what follows it, by mean and deviation of all values up to there; mean squared error, averaged over patches

Each holds weights by our names, input, targets, the prediction, the summed loss, and the gradient norm of every weight.
"""
import json
import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from make_architectures import layer_names

DIM, HEADS, LAYERS = 8, 2, 2
SIDE, CHANNELS, PATCH, CLASSES = 8, 3, 4, 3
LENGTH, WIDTH, STRIDE, HORIZON = 20, 6, 3, 5
CAUSAL_LENGTH = 21
# DIM of make_architectures is another: rows of fused matrices are cut by name alone here
assert all(part == slice(None) for _, _, part in layer_names("", "", False))


def layers():
    layer = nn.TransformerEncoderLayer(DIM, HEADS, 2 * DIM, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, LAYERS, norm=nn.LayerNorm(DIM), enable_nested_tensor=False)


def causal(length):
    return nn.Transformer.generate_square_subsequent_mask(length)


class Vit(nn.Module):
    def __init__(self, mean, last=False):
        super().__init__()
        self.mean, self.last = mean or last, last
        self.patch = nn.Conv2d(CHANNELS, DIM, PATCH, PATCH)
        self.cls = None if self.mean else nn.Parameter(torch.zeros(1, 1, DIM))
        self.position = nn.Parameter(torch.zeros((SIDE // PATCH) ** 2 + (0 if self.mean else 1), DIM))
        self.encoder = layers()
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, values):
        x = self.patch(values.view(-1, CHANNELS, SIDE, SIDE)).flatten(2).transpose(1, 2)
        if not self.mean:
            x = torch.cat([self.cls.expand(len(x), 1, DIM), x], 1)
        x = self.encoder(x + self.position, mask=causal(x.shape[1]) if self.last else None)
        return self.head(x[:, -1] if self.last else x.mean(1) if self.mean else x[:, 0])

    def ours(self, of):
        yield "embedding.projection.weight", of(self.patch.weight).flatten(1)
        yield "embedding.projection.bias", of(self.patch.bias)
        if not self.mean:
            yield "embedding.classToken", of(self.cls)[0]
        yield "position.weight", of(self.position)
        yield "head.weight", of(self.head.weight)
        yield "head.bias", of(self.head.bias)

    @staticmethod
    def loss(made, targets):
        return F.cross_entropy(made, targets, reduction="sum")


class PatchTst(nn.Module):
    def __init__(self, variables=None):
        super().__init__()
        self.variables = variables
        if variables is not None:
            self.affine_weight, self.affine_bias = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))
        self.patches = (LENGTH - WIDTH) // STRIDE + 2
        self.pad = nn.ReplicationPad1d((0, STRIDE))
        self.patch = nn.Linear(WIDTH, DIM)
        self.position = nn.Parameter(torch.zeros(self.patches, DIM))
        self.encoder = layers()
        self.head = nn.Linear(DIM * self.patches, HORIZON)

    def forward(self, values):
        mean = values.mean(-1, keepdim=True).detach()
        deviation = torch.sqrt(values.var(-1, keepdim=True, unbiased=False) + 1e-5).detach()
        x = (values - mean) / deviation
        if self.variables is not None:
            weight, bias = self.affine_weight[self.variables, None], self.affine_bias[self.variables, None]
            x = x * weight + bias
        x = self.encoder(self.patch(self.pad(x).unfold(-1, WIDTH, STRIDE)) + self.position)
        x = self.head(x.transpose(1, 2).flatten(1))
        if self.variables is not None:
            x = (x - bias) / (weight + 1e-5 ** 2)
        return x * deviation + mean

    def ours(self, of):
        yield "embedding.projection.weight", of(self.patch.weight)
        yield "embedding.projection.bias", of(self.patch.bias)
        yield "position.weight", of(self.position)
        if self.variables is not None:
            yield "instanceNorm.weight", of(self.affine_weight)
            yield "instanceNorm.bias", of(self.affine_bias)
        yield "head.weight", of(self.head.weight).view(HORIZON, DIM, self.patches).transpose(1, 2).flatten(1)
        yield "head.bias", of(self.head.bias)

    @staticmethod
    def loss(made, targets):
        return F.mse_loss(made, targets, reduction="sum")


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.ends = range(WIDTH, CAUSAL_LENGTH + 1, STRIDE)
        self.patch = nn.Linear(WIDTH, DIM)
        self.position = nn.Parameter(torch.zeros(len(self.ends), DIM))
        self.encoder = layers()
        self.head = nn.Linear(DIM, HORIZON)

    def forward(self, values):
        self.values = values
        norms = [(values[:, :end].mean(1, keepdim=True), torch.sqrt(values[:, :end].var(1, keepdim=True, unbiased=False) + 1e-5))
                 for end in self.ends]
        x = torch.stack([(values[:, end - WIDTH:end] - mean) / deviation for end, (mean, deviation) in zip(self.ends, norms)], 1)
        x = self.head(self.encoder(self.patch(x) + self.position, mask=causal(len(self.ends))))
        return torch.stack([x[:, i] * deviation + mean for i, (mean, deviation) in enumerate(norms)], 1)

    def ours(self, of):
        yield "embedding.projection.weight", of(self.patch.weight)
        yield "embedding.projection.bias", of(self.patch.bias)
        yield "position.weight", of(self.position)
        yield "head.weight", of(self.head.weight)
        yield "head.bias", of(self.head.bias)

    def loss(self, made, targets):
        everything = torch.cat([self.values, targets], 1)
        return sum(F.mse_loss(made[:, i], everything[:, end:end + HORIZON], reduction="sum") for i, end in enumerate(self.ends)) / len(self.ends)


def fixture(model, values, targets, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
        if hasattr(model, "affine_weight"):
            model.affine_weight.add_(1)  # what is divided by is not near 0
    made = model(values)
    loss = model.loss(made, targets)
    loss.backward()
    theirs = dict(model.named_parameters())

    def named(of):
        yield from model.ours(of)
        for layer in range(LAYERS):
            for ours, name, _ in layer_names(f"blocks.{layer}.", f"encoder.layers.{layer}.", False):
                yield ours, of(theirs[name])
        for part in ("weight", "bias"):
            yield f"norm.{part}", of(theirs[f"encoder.norm.{part}"])

    def numbers(tensor):
        return [float(f"{number:.7g}") for number in tensor.detach().flatten().tolist()]

    return {
        "weights": {name: numbers(value) for name, value in named(lambda parameter: parameter)},
        "norms": {name: float(value.norm()) for name, value in named(lambda parameter: parameter.grad)},
        "input": numbers(values), "targets": targets.flatten().tolist(), "made": numbers(made), "loss": float(loss),
    }


if __name__ == "__main__":
    torch.manual_seed(1)
    pictures = torch.randn(2, CHANNELS * SIDE * SIDE).mul(100).round().div(100)
    series = (torch.randn(2, LENGTH).cumsum(-1) + 3).mul(100).round().div(100)
    longer = (torch.randn(2, CAUSAL_LENGTH, generator=torch.Generator().manual_seed(5)).cumsum(-1) + 3).mul(100).round().div(100)
    made = {
        "vit": fixture(Vit(False), pictures, torch.tensor([2, 0]), 2),
        "mean": fixture(Vit(True), pictures, torch.tensor([1, 2]), 3),
        "patchtst": fixture(PatchTst(), series, torch.randn(2, HORIZON).mul(100).round().div(100), 4),
        "affine": fixture(PatchTst([2, 0]), series, torch.randn(2, HORIZON).mul(100).round().div(100), 7),
        "last": fixture(Vit(False, last=True), pictures, torch.tensor([0, 1]), 5),
        "series": fixture(Causal(), longer, torch.randn(2, HORIZON).mul(100).round().div(100), 6),
    }
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent) / "patches.json"
    path.write_text(json.dumps(made, separators=(",", ":")) + "\n")
