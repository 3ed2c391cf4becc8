"""Writes the checkpoints beside it: tiny models with random weights, and the logits that the references give.

    python3 make_fixtures.py [--golden DIRECTORY]

The references are written from the published formulas with PyTorch alone. With --golden they are compared with checkpoints that
transformers wrote: DIRECTORY/<name>/{config.json, model.safetensors, expected.safetensors}.
"""
import argparse
import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "references"))
import decoders, encoders, files, shapes  # noqa: E402

FORWARD = {name: decoders.llama_like for name in ("llama", "mistral", "qwen2", "qwen3", "mixtral", "deepseek_v3")}
SHAPES = {name: shapes.llama_like for name in FORWARD}
for name in ("gpt2", "gpt_neox", "bloom"):
    FORWARD[name], SHAPES[name] = getattr(decoders, name), getattr(shapes, name)
for name in ("bert", "t5", "bart"):
    FORWARD[name], SHAPES[name] = getattr(encoders, name), getattr(shapes, name)

VOCABULARY, LENGTH, TARGET = 40, 24, 11

LLAMA = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=48, hidden_act="silu",
             max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=False, vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2,
             rope_parameters=dict(rope_type="default", rope_theta=10000.0))
ROPE = lambda **values: dict(rope_parameters=dict(rope_theta=10000.0, **values))

CONFIGS = {
    "llama": LLAMA | dict(model_type="llama"),
    "llama-biased-tied": LLAMA | dict(model_type="llama", attention_bias=True, tie_word_embeddings=True, head_dim=12),
    "llama-linear": LLAMA | dict(model_type="llama") | ROPE(rope_type="linear", factor=4.0),
    "llama-dynamic": LLAMA | dict(model_type="llama", max_position_embeddings=16) | ROPE(rope_type="dynamic", factor=2.0),
    "llama-yarn": LLAMA | dict(model_type="llama") | ROPE(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
    "llama-yarn-factor": LLAMA | dict(model_type="llama") | ROPE(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.25, beta_fast=8.0),
    "llama-3": LLAMA | dict(model_type="llama") | ROPE(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
    "mistral": LLAMA | dict(model_type="mistral", sliding_window=6),
    "qwen2": LLAMA | dict(model_type="qwen2", use_sliding_window=False, sliding_window=None, max_window_layers=2, tie_word_embeddings=True),
    "qwen2-window": LLAMA | dict(model_type="qwen2", use_sliding_window=True, sliding_window=6, max_window_layers=1),
    "qwen3": LLAMA | dict(model_type="qwen3", head_dim=12, use_sliding_window=False),
    "mixtral": LLAMA | dict(model_type="mixtral", num_local_experts=4, num_experts_per_tok=2, sliding_window=None, intermediate_size=24),
    "deepseek-v3": LLAMA | dict(
        model_type="deepseek_v3", num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=12, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, head_dim=4,
        moe_intermediate_size=16, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, n_group=4, topk_group=2, norm_topk_prob=True,
        routed_scaling_factor=2.5, first_k_dense_replace=1, rms_norm_eps=1e-3,  # not that of the norms inside attention
        scoring_func="sigmoid", topk_method="noaux_tc", rope_interleave=True,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, beta_fast=32.0, beta_slow=1.0,
                             mscale=1.0, mscale_all_dim=1.0)),
    "gpt2": dict(model_type="gpt2", n_embd=32, n_layer=2, n_head=4, n_positions=32, n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5,
                 vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=1),
    "gpt-neox": dict(model_type="gpt_neox", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, hidden_act="gelu",
                     max_position_embeddings=64, layer_norm_eps=1e-5, use_parallel_residual=True, rotary_pct=0.25, rotary_emb_base=10000,
                     tie_word_embeddings=False, vocab_size=VOCABULARY, rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.25)),
    "gpt-neox-serial": dict(model_type="gpt_neox", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, hidden_act="gelu",
                            max_position_embeddings=64, layer_norm_eps=1e-5, use_parallel_residual=False, rotary_pct=0.5, rotary_emb_base=1000,
                            tie_word_embeddings=False, vocab_size=VOCABULARY, rope_theta=1000.0),
    "bloom": dict(model_type="bloom", hidden_size=36, n_layer=2, n_head=6, layer_norm_epsilon=1e-5, vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2),
    "bert": dict(model_type="bert", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, hidden_act="gelu",
                 max_position_embeddings=32, type_vocab_size=2, layer_norm_eps=1e-12, vocab_size=VOCABULARY, pad_token_id=0),
    "t5-v1.0": dict(model_type="t5", d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=4, feed_forward_proj="relu",
                    layer_norm_epsilon=1e-6, relative_attention_num_buckets=32, relative_attention_max_distance=128, tie_word_embeddings=True,
                    is_encoder_decoder=True, vocab_size=VOCABULARY, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0),
    "t5-v1.1": dict(model_type="t5", d_model=32, d_kv=6, d_ff=48, num_layers=1, num_decoder_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
                    layer_norm_epsilon=1e-6, relative_attention_num_buckets=16, relative_attention_max_distance=20, tie_word_embeddings=False,
                    is_encoder_decoder=True, vocab_size=VOCABULARY, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0),
    "bart": dict(model_type="bart", d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
                 decoder_ffn_dim=48, activation_function="gelu", max_position_embeddings=32, scale_embedding=True, is_encoder_decoder=True,
                 vocab_size=VOCABULARY, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2),
}

# These have the weights of another one, and no file of their own.
SHARED = dict.fromkeys(("llama-linear", "llama-dynamic", "llama-yarn", "llama-yarn-factor", "llama-3", "mistral"), "llama")


def random_weights(config, generator):
    """Large enough that every part shows in the logits."""
    weights = {}
    for name, shape in SHAPES[config["model_type"]](config).items():
        draw = torch.randn(shape, generator=generator)
        if name.endswith("e_score_correction_bias"):
            # As trained ones are: below zero transformers lets a token into groups that DeepSeek's own code closes to it.
            draw = draw.abs()
        is_scale = len(shape) == 1 and name.endswith("weight")
        weights[name] = 1 + 0.2 * draw if is_scale else draw * (0.5 if "embed" in name or "shared" in name or "wte" in name or len(shape) == 1 else shape[-1] ** -0.5)
    return weights


def inputs(config, generator):
    ids = torch.randint(3, config["vocab_size"], (2, LENGTH), generator=generator)
    if config["model_type"] not in ("bert", "t5", "bart"):
        return dict(input_ids=ids)
    mask = torch.ones_like(ids)
    mask[1, LENGTH - 7:] = 0
    result = dict(input_ids=ids, attention_mask=mask)
    if config["model_type"] != "bert":
        result["decoder_input_ids"] = torch.randint(3, config["vocab_size"], (2, TARGET), generator=generator)
    return result


def logits(config, weights, given):
    arguments = [given[name] for name in ("input_ids", "attention_mask", "decoder_input_ids") if name in given]
    with torch.no_grad():
        return FORWARD[config["model_type"]](weights, config, *arguments)


def check(golden):
    for folder in sorted(path for path in golden.iterdir() if (path / "expected.safetensors").exists()):
        config = json.loads((folder / "config.json").read_text())
        expected = files.read(folder / "expected.safetensors")
        actual = logits(config, files.read(folder / "model.safetensors"), expected)
        difference = (actual - expected["logits"]).abs()
        if config["model_type"] == "bert":
            difference = difference[expected["attention_mask"].bool()]
        print(f"{folder.name}: largest difference {difference.max():.2g}, logits of ±{expected['logits'].abs().max():.3g}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.golden:
        check(arguments.golden)
    for name, config in CONFIGS.items():
        generator = torch.Generator().manual_seed(sum(SHARED.get(name, name).encode()))
        weights, given = random_weights(config, generator), inputs(config, generator)
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        if name not in SHARED:
            files.write(folder / "model.safetensors", weights)
        files.write(folder / "expected.safetensors", given | dict(logits=logits(config, weights, given)))


if __name__ == "__main__":
    main()
