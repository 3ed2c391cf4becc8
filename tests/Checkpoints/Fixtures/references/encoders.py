"""Encoders and encoder-decoders; mask (B, S) is 1 where there is text."""
import math

import torch
import torch.nn.functional as F

from layers import attend, causal, gelu_tanh, layer_norm, linear, rms_norm, split


def visible(mask):
    return mask.bool()[:, None, None]


def bert(w, c, ids, mask):
    eps, heads = c["layer_norm_eps"], c["num_attention_heads"]
    n = "bert.embeddings."
    x = w[n + "word_embeddings.weight"][ids] + w[n + "position_embeddings.weight"][:ids.shape[1]] + w[n + "token_type_embeddings.weight"][0]
    x = layer_norm(w, n + "LayerNorm", x, eps)
    for i in range(c["num_hidden_layers"]):
        n = f"bert.encoder.layer.{i}."
        q, k, v = (split(linear(w, n + "attention.self." + p, x), heads) for p in ("query", "key", "value"))
        x = layer_norm(w, n + "attention.output.LayerNorm", x + linear(w, n + "attention.output.dense", attend(q, k, v, q.shape[-1] ** -0.5, visible(mask))), eps)
        x = layer_norm(w, n + "output.LayerNorm", x + linear(w, n + "output.dense", F.gelu(linear(w, n + "intermediate.dense", x))), eps)
    n = "cls.predictions."
    x = layer_norm(w, n + "transform.LayerNorm", F.gelu(linear(w, n + "transform.dense", x)), eps)
    return F.linear(x, w["bert.embeddings.word_embeddings.weight"], w[n + "bias"])


def t5_bias(table, queries, keys, both, buckets, reach):
    distance = torch.arange(keys)[None] - torch.arange(queries)[:, None]
    bucket = torch.zeros_like(distance)
    if both:
        buckets //= 2
        bucket = (distance > 0) * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    far = exact + (torch.log(distance.float().clamp(min=1) / exact) / math.log(reach / exact) * (buckets - exact)).long()
    bucket = bucket + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))
    return table[bucket].permute(2, 0, 1)[None]


def t5_stack(w, c, side, ids, mask, memory=None, memory_mask=None):
    eps, heads = c["layer_norm_epsilon"], c["num_heads"]
    x, decoder, length = w["shared.weight"][ids], side == "decoder", ids.shape[1]
    bias = t5_bias(w[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"], length, length, not decoder,
                   c["relative_attention_num_buckets"], c["relative_attention_max_distance"])
    seen = causal(length) if decoder else visible(mask)
    for i in range(c["num_decoder_layers"] if decoder else c["num_layers"]):
        n = f"{side}.block.{i}.layer."
        project = lambda name, y, p: split(linear(w, f"{n}{name}.{p}", y), heads)
        h = rms_norm(w, n + "0.layer_norm", x, eps)
        q, k, v = (project("0.SelfAttention", h, p) for p in "qkv")
        x = x + linear(w, n + "0.SelfAttention.o", attend(q, k, v, 1.0, seen, bias))
        if decoder:
            h = rms_norm(w, n + "1.layer_norm", x, eps)
            q, k, v = (project("1.EncDecAttention", y, p) for p, y in zip("qkv", (h, memory, memory)))
            x = x + linear(w, n + "1.EncDecAttention.o", attend(q, k, v, 1.0, visible(memory_mask)))
        n += "2." if decoder else "1."
        h = rms_norm(w, n + "layer_norm", x, eps)
        n += "DenseReluDense."
        if n + "wi.weight" in w:
            h = F.relu(linear(w, n + "wi", h))
        else:
            h = gelu_tanh(linear(w, n + "wi_0", h)) * linear(w, n + "wi_1", h)
        x = x + linear(w, n + "wo", h)
    return rms_norm(w, f"{side}.final_layer_norm", x, eps)


def t5(w, c, ids, mask, target):
    hidden = t5_stack(w, c, "decoder", target, None, t5_stack(w, c, "encoder", ids, mask), mask)
    if c.get("scale_decoder_outputs", c["tie_word_embeddings"]):
        hidden = hidden * c["d_model"] ** -0.5
    return F.linear(hidden, w["shared.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"])


def bart_stack(w, c, side, ids, mask, memory=None, memory_mask=None):
    heads, eps, decoder, length = c[f"{side}_attention_heads"], 1e-5, side == "decoder", ids.shape[1]
    n = f"model.{side}."
    x = w["model.shared.weight"][ids] * (c["d_model"] ** 0.5 if c["scale_embedding"] else 1.0)
    x = layer_norm(w, n + "layernorm_embedding", x + w[n + "embed_positions.weight"][2:2 + length], eps)
    seen = causal(length) if decoder else visible(mask)
    for i in range(c[f"{side}_layers"]):
        n = f"model.{side}.layers.{i}."

        def attention(name, queries, keys, mask):
            q, k, v = (split(linear(w, f"{n}{name}.{p}_proj", y), heads) for p, y in zip("qkv", (queries, keys, keys)))
            return linear(w, f"{n}{name}.out_proj", attend(q, k, v, q.shape[-1] ** -0.5, mask))

        x = layer_norm(w, n + "self_attn_layer_norm", x + attention("self_attn", x, x, seen), eps)
        if decoder:
            x = layer_norm(w, n + "encoder_attn_layer_norm", x + attention("encoder_attn", x, memory, visible(memory_mask)), eps)
        x = layer_norm(w, n + "final_layer_norm", x + linear(w, n + "fc2", F.gelu(linear(w, n + "fc1", x))), eps)
    return x


def bart(w, c, ids, mask, target):
    hidden = bart_stack(w, c, "decoder", target, None, bart_stack(w, c, "encoder", ids, mask), mask)
    return F.linear(hidden, w["model.shared.weight"]) + w["final_logits_bias"]
