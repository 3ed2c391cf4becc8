#!/usr/bin/env python3
"""Writes the fixtures of the architectures with PyTorch's own transformer layers (made with 2.6 on a CPU, float32).

    python3 make_architectures.py [directory]

  bert.safetensors         nn.TransformerEncoderLayer, post-norm, learned positions, norm after the embeddings, tied head with bias; padded rows
  encoder-pre.safetensors  nn.TransformerEncoderLayer, pre-norm, sinusoidal positions
  transformer.safetensors  nn.TransformerEncoderLayer and DecoderLayer, post-norm, sinusoidal positions, embeddings times sqrt(dim) (2017); padded sources
  bart.safetensors         the same with learned positions and norms after the embeddings
  encdec-pre.safetensors   the same pre-norm, with a norm after each stack
  sandwich.safetensors     a decoder with norms before and after each branch, from plain operations
  parallel.safetensors     a decoder whose branches read the same stream, from plain operations

Each file holds what those of make_fixtures.py do, and: documents or source, sourceDocuments (0, -1 where padding), valid (where logits count).
"""
import math
import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from make_fixtures import BETAS, DECAY, DIM, EPSILON, HEADS, LAYERS, LENGTH, RATE, STEPS, VOCABULARY, write

BATCH, SOURCE = 3, 6
LAYER = {"mixer.output": "self_attn.out_proj", "feedForward.up": "linear1", "feedForward.down": "linear2", "mixerNorm": "norm1"}


def sinusoidal(length):
    angle = torch.outer(torch.arange(length).double(), 10000.0 ** (-torch.arange(0, DIM, 2).double() / DIM))
    return torch.stack([angle.sin(), angle.cos()], -1).reshape(length, DIM).float()


def layer_names(prefix, torch_prefix, decoder):
    """Our names of the parameters of one layer, and what they are cut from."""
    names = dict(LAYER, feedForwardNorm="norm3" if decoder else "norm2")
    if decoder:
        names |= {"crossNorm": "norm2", "cross.output": "multihead_attn.out_proj"}
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            yield f"{prefix}{ours}.{part}", f"{torch_prefix}{theirs}.{part}", slice(None)
    for part in ("weight", "bias"):
        yield f"{prefix}mixer.projection.qkv.{part}", f"{torch_prefix}self_attn.in_proj_{part}", slice(None)
        if decoder:
            yield f"{prefix}cross.projection.query.{part}", f"{torch_prefix}multihead_attn.in_proj_{part}", slice(0, DIM)
            yield f"{prefix}cross.projection.keyValue.{part}", f"{torch_prefix}multihead_attn.in_proj_{part}", slice(DIM, None)


class Model(nn.Module):
    """Embeddings, torch's layers, a tied head."""

    def __init__(self, pre=False, learned=False, embedding_norm=False, scale=False, head_bias=False, decoder=False):
        super().__init__()
        self.learned, self.scale, self.with_decoder, self.pre = learned, scale, decoder, pre
        kind = dict(d_model=DIM, nhead=HEADS, dim_feedforward=4 * DIM, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre)
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.head_bias = nn.Parameter(torch.zeros(VOCABULARY)) if head_bias else None
        stacks = ["encoder", "decoder"] if decoder else ["encoder"]
        for stack in stacks:
            cls = nn.TransformerDecoderLayer if stack == "decoder" else nn.TransformerEncoderLayer
            self.add_module(stack, nn.ModuleList(cls(**kind) for _ in range(LAYERS)))
            self.add_module(f"{stack}_norm", nn.LayerNorm(DIM) if pre else None)
            self.add_module(f"{stack}_embedding_norm", nn.LayerNorm(DIM) if embedding_norm else None)
            positions = nn.Embedding(max(LENGTH, SOURCE), DIM) if learned else None
            self.add_module(f"{stack}_position", positions)

    def names(self):
        yield "embedding.weight", "embedding.weight", slice(None)
        if self.head_bias is not None:
            yield "head.bias", "head_bias", slice(None)
        for stack in ["encoder", "decoder"] if self.with_decoder else ["encoder"]:
            ours = f"{stack}." if self.with_decoder else ""
            for layer in range(LAYERS):
                yield from layer_names(f"{ours}blocks.{layer}.", f"{stack}.{layer}.", stack == "decoder")
            for name, theirs in {"norm": f"{stack}_norm", "embeddingNorm": f"{stack}_embedding_norm"}.items():
                if getattr(self, theirs) is not None:
                    yield f"{ours}{name}.weight", f"{theirs}.weight", slice(None)
                    yield f"{ours}{name}.bias", f"{theirs}.bias", slice(None)
            if self.learned:
                yield f"{ours}position.weight", f"{stack}_position.weight", slice(None)

    def embed(self, stack, tokens):
        x = self.embedding(tokens) * (math.sqrt(DIM) if self.scale else 1.0)
        positions = getattr(self, f"{stack}_position")
        x = x + (positions.weight[: tokens.shape[1]] if positions is not None else sinusoidal(tokens.shape[1]))
        norm = getattr(self, f"{stack}_embedding_norm")
        return x if norm is None else norm(x)

    def end(self, stack, x):
        norm = getattr(self, f"{stack}_norm")
        return x if norm is None else norm(x)

    def forward(self, data):
        if not self.with_decoder:
            x = self.encode(data["tokens"], data.get("documents"))
        else:
            memory = self.encode(data["source"], data["sourceDocuments"])
            x = self.embed("decoder", data["tokens"])
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            for layer in self.decoder:
                x = layer(x, memory, tgt_mask=mask, tgt_is_causal=True, memory_key_padding_mask=data["sourceDocuments"] < 0)
            x = self.end("decoder", x)
        return F.linear(x, self.embedding.weight, self.head_bias)

    def encode(self, tokens, documents):
        x = self.embed("encoder", tokens)
        for layer in self.encoder:
            x = layer(x, src_key_padding_mask=None if documents is None else documents < 0)
        return self.end("encoder", x)


class Plain(nn.Module):
    """A decoder from plain operations, under our own names (dots written as double underscores)."""

    def __init__(self, parallel):
        super().__init__()
        self.parallel = parallel
        shapes = {"embedding.weight": (VOCABULARY, DIM), "norm.weight": (DIM,), "position.weight": (LENGTH, DIM)}
        for layer in range(LAYERS):
            b = f"blocks.{layer}."
            norms = ["mixerNorm", "feedForwardNorm"] + ([] if parallel else ["mixerOutputNorm", "feedForwardOutputNorm"])
            shapes |= {f"{b}{norm}.weight": (DIM,) for norm in norms}
            shapes |= {f"{b}mixer.projection.qkv.weight": (3 * DIM, DIM), f"{b}mixer.output.weight": (DIM, DIM)}
            shapes |= {f"{b}feedForward.up.weight": (4 * DIM, DIM), f"{b}feedForward.down.weight": (DIM, 4 * DIM)}
        for name, shape in shapes.items():
            self.register_parameter(name.replace(".", "__"), nn.Parameter(torch.zeros(shape)))

    def names(self):
        for name, _ in self.named_parameters():
            yield name.replace("__", "."), name, slice(None)

    def forward(self, data):
        w = {name.replace("__", "."): value for name, value in self.named_parameters()}
        norm = lambda t, name: F.layer_norm(t, (DIM,), w[f"{name}.weight"], None, 1e-5)
        x = F.embedding(data["tokens"], w["embedding.weight"]) + w["position.weight"]
        for layer in range(LAYERS):
            b = f"blocks.{layer}."
            q, k, v = (t.view(*t.shape[:2], HEADS, -1).transpose(1, 2) for t in F.linear(norm(x, b + "mixerNorm"), w[b + "mixer.projection.qkv.weight"]).chunk(3, -1))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
            mixed = F.linear(mixed, w[b + "mixer.output.weight"])
            feed = lambda t: F.linear(F.gelu(F.linear(norm(t, b + "feedForwardNorm"), w[b + "feedForward.up.weight"])), w[b + "feedForward.down.weight"])
            if self.parallel:
                x = x + mixed + feed(x)
            else:
                x = x + norm(mixed, b + "mixerOutputNorm")
                x = x + norm(feed(x), b + "feedForwardOutputNorm")
        return F.linear(norm(x, "norm"), w["embedding.weight"])


def draw(model):
    for name, value in model.named_parameters():
        with torch.no_grad():
            value.copy_(torch.randn(value.shape) * (0.3 if value.dim() > 1 else 0.2))
            if "norm" in name.lower() and name.endswith("weight"):
                value.add_(1)


def data_for(model):
    data = {"tokens": torch.randint(VOCABULARY, (BATCH, LENGTH)), "targets": torch.randint(VOCABULARY, (BATCH, LENGTH))}
    data["targets"][0, 0] = data["targets"][2, 5] = -100
    data["valid"] = torch.ones(BATCH, LENGTH, dtype=torch.int64)
    if getattr(model, "with_decoder", False):
        data["source"] = torch.randint(VOCABULARY, (BATCH, SOURCE))
        data["sourceDocuments"] = torch.zeros(BATCH, SOURCE, dtype=torch.int64)
        data["sourceDocuments"][1, 4:] = -1
    elif getattr(model, "learned", False):
        data["documents"] = torch.zeros(BATCH, LENGTH, dtype=torch.int64)
        data["documents"][1, 5:] = -1
        data["valid"][1, 5:] = 0
        data["targets"][1, 5:] = -100
    return data


def loss_sum(model, data):
    return F.cross_entropy(model(data).view(-1, VOCABULARY), data["targets"].view(-1), reduction="sum", ignore_index=-100)


def fixture(model):
    draw(model)
    data = data_for(model)
    parameters = dict(model.named_parameters())
    result = {f"weight.{ours}": parameters[theirs][cut].detach().clone() for ours, theirs, cut in model.names()}
    loss = loss_sum(model, data)
    loss.backward()
    result |= data | {"logits": model(data).detach(), "loss": loss.detach().reshape(1)}
    result |= {f"norm.{ours}": parameters[theirs].grad[cut].norm().reshape(1) for ours, theirs, cut in model.names()}
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters.values() if p.dim() > 1], "weight_decay": DECAY},
         {"params": [p for p in parameters.values() if p.dim() < 2], "weight_decay": 0.0}],
        lr=RATE, betas=BETAS, eps=EPSILON)
    losses = []
    for step in range(STEPS + 1):
        optimizer.zero_grad()
        loss = loss_sum(model, data) / (data["targets"] != -100).sum()
        losses.append(loss.item())
        loss.backward()
        if step < STEPS:
            optimizer.step()
    return result | {"losses": torch.tensor(losses)}


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(2)
    models = {
        "bert": Model(learned=True, embedding_norm=True, head_bias=True),
        "encoder-pre": Model(pre=True),
        "transformer": Model(scale=True, decoder=True),
        "bart": Model(learned=True, embedding_norm=True, decoder=True),
        "encdec-pre": Model(pre=True, decoder=True),
        "sandwich": Plain(parallel=False),
        "parallel": Plain(parallel=True),
    }
    for name, model in models.items():
        write(directory / f"{name}.safetensors", fixture(model))


if __name__ == "__main__":
    main()
