"""Decoders: logits (B, T, V) of ids (B, T), from a config.json and weights under Hugging Face's names."""
import math

import torch
import torch.nn.functional as F

from layers import attend, causal, gelu_tanh, layer_norm, linear, rms_norm, rope, split


def rope_settings(c):
    parameters = c.get("rope_parameters") or c.get("rope_scaling") or {}
    return dict(theta=parameters.get("rope_theta", c.get("rope_theta", 10000.0)), scaling=parameters, max_positions=c["max_position_embeddings"],
                fraction=parameters.get("partial_rotary_factor", c.get("rotary_pct", 1.0)))


def swiglu(w, n, x, gate="gate_proj", up="up_proj", down="down_proj"):
    return linear(w, n + down, F.silu(linear(w, n + gate, x)) * linear(w, n + up, x))


def mixtral_experts(w, n, x, c):
    flat = x.reshape(-1, x.shape[-1])
    weights, chosen = linear(w, n + "gate", flat).softmax(-1).topk(c["num_experts_per_tok"], -1)
    weights = weights / weights.sum(-1, keepdim=True)
    out = torch.zeros_like(flat)
    for token in range(flat.shape[0]):
        for weight, expert in zip(weights[token], chosen[token]):
            out[token] += weight * swiglu(w, f"{n}experts.{expert}.", flat[token], "w1", "w3", "w2")
    return out.view_as(x)


def deepseek_experts(w, n, x, c):
    flat = x.reshape(-1, x.shape[-1])
    scores = linear({n + "gate.weight": w[n + "gate.weight"]}, n + "gate", flat).sigmoid()
    biased = scores + w[n + "gate.e_score_correction_bias"]
    groups = biased.view(flat.shape[0], c["n_group"], -1)
    best = groups.topk(2, -1).values.sum(-1).topk(c["topk_group"], -1).indices
    allowed = torch.zeros(flat.shape[0], c["n_group"], dtype=torch.bool).scatter(1, best, True)
    biased = biased.masked_fill(~allowed.repeat_interleave(groups.shape[-1], 1), 0.0)
    chosen = biased.topk(c["num_experts_per_tok"], -1).indices
    weights = scores.gather(1, chosen)
    if c["norm_topk_prob"]:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    weights = weights * c["routed_scaling_factor"]
    out = torch.zeros_like(flat)
    for token in range(flat.shape[0]):
        for weight, expert in zip(weights[token], chosen[token]):
            out[token] += weight * swiglu(w, f"{n}experts.{expert}.", flat[token])
    return out.view_as(x) + swiglu(w, n + "shared_experts.", x)


def latent_attention(w, n, x, c):
    heads, nope, turned, value = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    eps, settings = 1e-6, rope_settings(c)
    q = linear(w, n + "q_proj", x) if c["q_lora_rank"] is None else \
        linear(w, n + "q_b_proj", rms_norm(w, n + "q_a_layernorm", linear(w, n + "q_a_proj", x), eps))
    q_nope, q_rope = split(q, heads).split([nope, turned], -1)
    latent, k_rope = linear(w, n + "kv_a_proj_with_mqa", x).split([c["kv_lora_rank"], turned], -1)
    k_nope, v = split(linear(w, n + "kv_b_proj", rms_norm(w, n + "kv_a_layernorm", latent, eps)), heads).split([nope, value], -1)
    halves = lambda t: torch.cat([t[..., 0::2], t[..., 1::2]], -1)  # stored in interleaved pairs
    q_rope, k_rope = (rope(halves(t), **settings) for t in (q_rope, k_rope.unsqueeze(1)))
    scale = (nope + turned) ** -0.5
    parameters = settings["scaling"]
    if parameters.get("rope_type") == "yarn" and parameters.get("mscale_all_dim"):
        scale *= (0.1 * parameters["mscale_all_dim"] * math.log(parameters["factor"]) + 1) ** 2
    q, k = torch.cat([q_nope, q_rope], -1), torch.cat([k_nope, k_rope.expand(-1, heads, -1, -1)], -1)
    return linear(w, n + "o_proj", attend(q, k, v, scale, causal(x.shape[1])))


def grouped_attention(w, n, x, c, window):
    settings = rope_settings(c)
    q, k, v = (split(linear(w, n + p + "_proj", x), h) for p, h in zip("qkv", (c["num_attention_heads"], *[c["num_key_value_heads"]] * 2)))
    if n + "q_norm.weight" in w:
        q, k = rms_norm(w, n + "q_norm", q, c["rms_norm_eps"]), rms_norm(w, n + "k_norm", k, c["rms_norm_eps"])
    q, k = rope(q, **settings), rope(k, **settings)
    return linear(w, n + "o_proj", attend(q, k, v, q.shape[-1] ** -0.5, causal(x.shape[1], window)))


def llama_like(w, c, ids):
    """llama, mistral, qwen2, qwen3, mixtral, deepseek_v3."""
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        n = f"model.layers.{i}."
        h = rms_norm(w, n + "input_layernorm", x, c["rms_norm_eps"])
        window = c.get("sliding_window") if c["model_type"] in ("mistral", "mixtral") or (c.get("use_sliding_window") and i >= c["max_window_layers"]) else None
        x = x + (latent_attention(w, n + "self_attn.", h, c) if c["model_type"] == "deepseek_v3" else grouped_attention(w, n + "self_attn.", h, c, window))
        h = rms_norm(w, n + "post_attention_layernorm", x, c["rms_norm_eps"])
        if c["model_type"] == "mixtral":
            x = x + mixtral_experts(w, n + "block_sparse_moe.", h, c)
        elif c["model_type"] == "deepseek_v3" and i >= c["first_k_dense_replace"]:
            x = x + deepseek_experts(w, n + "mlp.", h, c)
        else:
            x = x + swiglu(w, n + "mlp.", h)
    head = w["model.embed_tokens.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"]
    return F.linear(rms_norm(w, "model.norm", x, c["rms_norm_eps"]), head)


def gpt2(w, c, ids):
    conv = lambda name, x: x @ w[name + ".weight"] + w[name + ".bias"]  # Conv1D: (inputs, outputs)
    eps, length = c["layer_norm_epsilon"], ids.shape[1]
    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][:length]
    for i in range(c["n_layer"]):
        n = f"transformer.h.{i}."
        q, k, v = (split(t, c["n_head"]) for t in conv(n + "attn.c_attn", layer_norm(w, n + "ln_1", x, eps)).chunk(3, -1))
        x = x + conv(n + "attn.c_proj", attend(q, k, v, q.shape[-1] ** -0.5, causal(length)))
        x = x + conv(n + "mlp.c_proj", gelu_tanh(conv(n + "mlp.c_fc", layer_norm(w, n + "ln_2", x, eps))))
    return F.linear(layer_norm(w, "transformer.ln_f", x, eps), w["transformer.wte.weight"])


def gpt_neox(w, c, ids):
    eps, heads, settings = c["layer_norm_eps"], c["num_attention_heads"], rope_settings(c)
    x = w["gpt_neox.embed_in.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        n = f"gpt_neox.layers.{i}."
        qkv = split(linear(w, n + "attention.query_key_value", layer_norm(w, n + "input_layernorm", x, eps)), heads)
        q, k, v = qkv.chunk(3, -1)
        a = linear(w, n + "attention.dense", attend(rope(q, **settings), rope(k, **settings), v, q.shape[-1] ** -0.5, causal(ids.shape[1])))
        y = x if c["use_parallel_residual"] else x + a
        m = linear(w, n + "mlp.dense_4h_to_h", F.gelu(linear(w, n + "mlp.dense_h_to_4h", layer_norm(w, n + "post_attention_layernorm", y, eps))))
        x = x + a + m
    return F.linear(layer_norm(w, "gpt_neox.final_layer_norm", x, eps), w["embed_out.weight"])


def bloom(w, c, ids):
    eps, heads, length = c["layer_norm_epsilon"], c["n_head"], ids.shape[1]
    nearest = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (h + 1) / nearest) for h in range(nearest)]
    slopes += [2 ** (-4 * (2 * h + 1) / nearest) for h in range(heads - nearest)]
    bias = torch.tensor(slopes)[None, :, None, None] * torch.arange(length)[None, None, None]
    x = layer_norm(w, "transformer.word_embeddings_layernorm", w["transformer.word_embeddings.weight"][ids], eps)
    for i in range(c["n_layer"]):
        n = f"transformer.h.{i}."
        q, k, v = split(linear(w, n + "self_attention.query_key_value", layer_norm(w, n + "input_layernorm", x, eps)), heads).chunk(3, -1)
        x = x + linear(w, n + "self_attention.dense", attend(q, k, v, q.shape[-1] ** -0.5, causal(length), bias))
        x = x + linear(w, n + "mlp.dense_4h_to_h", gelu_tanh(linear(w, n + "mlp.dense_h_to_4h", layer_norm(w, n + "post_attention_layernorm", x, eps))))
    return F.linear(layer_norm(w, "transformer.ln_f", x, eps), w["transformer.word_embeddings.weight"])
