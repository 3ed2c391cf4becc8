"""Names and shapes of a family's weights, as Hugging Face's files have them."""


def with_bias(shapes, name, outputs, inputs, bias=True):
    shapes[name + ".weight"] = (outputs, inputs)
    if bias:
        shapes[name + ".bias"] = (outputs,)


def norm(shapes, name, width, bias=True):
    shapes[name + ".weight"] = (width,)
    if bias:
        shapes[name + ".bias"] = (width,)


def gated(s, n, width, dim):
    for p in ("gate_proj", "up_proj"):
        with_bias(s, n + p, width, dim, False)
    with_bias(s, n + "down_proj", dim, width, False)


def latent(s, n, c):
    dim, heads = c["hidden_size"], c["num_attention_heads"]
    head = c["qk_nope_head_dim"] + c["qk_rope_head_dim"]
    if c["q_lora_rank"] is None:
        with_bias(s, n + "q_proj", heads * head, dim, False)
    else:
        with_bias(s, n + "q_a_proj", c["q_lora_rank"], dim, False)
        norm(s, n + "q_a_layernorm", c["q_lora_rank"], False)
        with_bias(s, n + "q_b_proj", heads * head, c["q_lora_rank"], False)
    with_bias(s, n + "kv_a_proj_with_mqa", c["kv_lora_rank"] + c["qk_rope_head_dim"], dim, False)
    norm(s, n + "kv_a_layernorm", c["kv_lora_rank"], False)
    with_bias(s, n + "kv_b_proj", heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"], False)
    with_bias(s, n + "o_proj", dim, heads * c["v_head_dim"], False)


def grouped(s, n, c):
    dim, heads, groups, head = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    everywhere = c.get("attention_bias", False)
    for p, h in zip("qkv", (heads, groups, groups)):
        with_bias(s, f"{n}{p}_proj", h * head, dim, everywhere or c["model_type"] == "qwen2")
    with_bias(s, n + "o_proj", dim, heads * head, everywhere)
    if c["model_type"] == "qwen3":
        norm(s, n + "q_norm", head, False)
        norm(s, n + "k_norm", head, False)


def llama_like(c):
    dim, kind = c["hidden_size"], c["model_type"]
    s = {"model.embed_tokens.weight": (c["vocab_size"], dim)}
    for i in range(c["num_hidden_layers"]):
        n = f"model.layers.{i}."
        norm(s, n + "input_layernorm", dim, False)
        (latent if kind == "deepseek_v3" else grouped)(s, n + "self_attn.", c)
        norm(s, n + "post_attention_layernorm", dim, False)
        if kind == "mixtral":
            with_bias(s, n + "block_sparse_moe.gate", c["num_local_experts"], dim, False)
            for e in range(c["num_local_experts"]):
                m = f"{n}block_sparse_moe.experts.{e}."
                with_bias(s, m + "w1", c["intermediate_size"], dim, False)
                with_bias(s, m + "w2", dim, c["intermediate_size"], False)
                with_bias(s, m + "w3", c["intermediate_size"], dim, False)
        elif kind == "deepseek_v3" and i >= c["first_k_dense_replace"]:
            with_bias(s, n + "mlp.gate", c["n_routed_experts"], dim, False)
            s[n + "mlp.gate.e_score_correction_bias"] = (c["n_routed_experts"],)
            for e in range(c["n_routed_experts"]):
                gated(s, f"{n}mlp.experts.{e}.", c["moe_intermediate_size"], dim)
            gated(s, n + "mlp.shared_experts.", c["moe_intermediate_size"] * c["n_shared_experts"], dim)
        else:
            gated(s, n + "mlp.", c["intermediate_size"], dim)
    norm(s, "model.norm", dim, False)
    if not c["tie_word_embeddings"]:
        s["lm_head.weight"] = (c["vocab_size"], dim)
    return s


def gpt2(c):
    dim = c["n_embd"]
    s = {"transformer.wte.weight": (c["vocab_size"], dim), "transformer.wpe.weight": (c["n_positions"], dim)}
    for i in range(c["n_layer"]):
        n = f"transformer.h.{i}."
        norm(s, n + "ln_1", dim)
        norm(s, n + "ln_2", dim)
        for name, inputs, outputs in (("attn.c_attn", dim, 3 * dim), ("attn.c_proj", dim, dim), ("mlp.c_fc", dim, 4 * dim), ("mlp.c_proj", 4 * dim, dim)):
            s[f"{n}{name}.weight"], s[f"{n}{name}.bias"] = (inputs, outputs), (outputs,)
    norm(s, "transformer.ln_f", dim)
    return s


def fused(s, n, attention, dim, width):
    norm(s, n + "input_layernorm", dim)
    norm(s, n + "post_attention_layernorm", dim)
    with_bias(s, n + attention + ".query_key_value", 3 * dim, dim)
    with_bias(s, n + attention + ".dense", dim, dim)
    with_bias(s, n + "mlp.dense_h_to_4h", width, dim)
    with_bias(s, n + "mlp.dense_4h_to_h", dim, width)


def gpt_neox(c):
    dim = c["hidden_size"]
    s = {"gpt_neox.embed_in.weight": (c["vocab_size"], dim)}
    for i in range(c["num_hidden_layers"]):
        fused(s, f"gpt_neox.layers.{i}.", "attention", dim, c["intermediate_size"])
    norm(s, "gpt_neox.final_layer_norm", dim)
    s["embed_out.weight"] = (c["vocab_size"], dim)
    return s


def bloom(c):
    dim = c["hidden_size"]
    s = {"transformer.word_embeddings.weight": (c["vocab_size"], dim)}
    norm(s, "transformer.word_embeddings_layernorm", dim)
    for i in range(c["n_layer"]):
        fused(s, f"transformer.h.{i}.", "self_attention", dim, 4 * dim)
    norm(s, "transformer.ln_f", dim)
    return s


def bert(c):
    dim, n = c["hidden_size"], "bert.embeddings."
    s = {n + "word_embeddings.weight": (c["vocab_size"], dim), n + "position_embeddings.weight": (c["max_position_embeddings"], dim),
         n + "token_type_embeddings.weight": (c["type_vocab_size"], dim)}
    norm(s, n + "LayerNorm", dim)
    for i in range(c["num_hidden_layers"]):
        n = f"bert.encoder.layer.{i}."
        for p in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            with_bias(s, n + p, dim, dim)
        norm(s, n + "attention.output.LayerNorm", dim)
        with_bias(s, n + "intermediate.dense", c["intermediate_size"], dim)
        with_bias(s, n + "output.dense", dim, c["intermediate_size"])
        norm(s, n + "output.LayerNorm", dim)
    s["cls.predictions.bias"] = (c["vocab_size"],)
    with_bias(s, "cls.predictions.transform.dense", dim, dim)
    norm(s, "cls.predictions.transform.LayerNorm", dim)
    return s


def t5(c):
    dim, inner = c["d_model"], c["num_heads"] * c["d_kv"]
    s = {"shared.weight": (c["vocab_size"], dim)}
    for side, layers in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
        for i in range(layers):
            names = ["SelfAttention"] + (["EncDecAttention"] if side == "decoder" else []) + ["DenseReluDense"]
            for index, name in enumerate(names):
                n = f"{side}.block.{i}.layer.{index}."
                norm(s, n + "layer_norm", dim, False)
                n += name + "."
                if name == "DenseReluDense":
                    for p in (("wi_0", "wi_1") if c["feed_forward_proj"] == "gated-gelu" else ("wi",)):
                        with_bias(s, n + p, c["d_ff"], dim, False)
                    with_bias(s, n + "wo", dim, c["d_ff"], False)
                else:
                    for p in "qkv":
                        with_bias(s, n + p, inner, dim, False)
                    with_bias(s, n + "o", dim, inner, False)
            if i == 0:
                s[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (c["relative_attention_num_buckets"], c["num_heads"])
        norm(s, f"{side}.final_layer_norm", dim, False)
    if not c["tie_word_embeddings"]:
        s["lm_head.weight"] = (c["vocab_size"], dim)
    return s


def bart(c):
    dim = c["d_model"]
    s = {"model.shared.weight": (c["vocab_size"], dim), "final_logits_bias": (1, c["vocab_size"])}
    for side in ("encoder", "decoder"):
        n = f"model.{side}."
        s[n + "embed_positions.weight"] = (c["max_position_embeddings"] + 2, dim)
        norm(s, n + "layernorm_embedding", dim)
        for i in range(c[f"{side}_layers"]):
            m = f"{n}layers.{i}."
            for name in ("self_attn", "encoder_attn") if side == "decoder" else ("self_attn",):
                for p in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    with_bias(s, f"{m}{name}.{p}", dim, dim)
                norm(s, f"{m}{name}_layer_norm", dim)
            with_bias(s, m + "fc1", c[f"{side}_ffn_dim"], dim)
            with_bias(s, m + "fc2", dim, c[f"{side}_ffn_dim"])
            norm(s, m + "final_layer_norm", dim)
    return s
