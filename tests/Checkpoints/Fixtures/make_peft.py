"""Writes peft/: adapters over fused matrices in PEFT's layout, and the logits with them.

    python3 make_peft.py

Matrices that make queries, keys and values are one in these families, and an adapter of PEFT over them has one A for all three. The
arithmetic is that of PEFT (src/peft/tuners/lora/layer.py and dora.py: get_delta_weight, fan_in_fan_out, weight norms), on the weights of
the checkpoint beside it, which the references then run. Made with PyTorch 2.6 on a CPU.
"""
import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "references"))
import decoders, files  # noqa: E402

LENGTH, RANK, ALPHA = 8, 2, 3
# Family, forward pass, names of modules, use_rslora, use_dora.
CASES = {
    "gpt2-lora": ("gpt2", decoders.gpt2, ["transformer.h.{}.attn.c_attn", "transformer.h.{}.mlp.c_proj"], False, False),
    "gpt2-dora": ("gpt2", decoders.gpt2, ["transformer.h.{}.attn.c_attn"], False, True),
    "gpt-neox-rslora": ("gpt-neox", decoders.gpt_neox, ["gpt_neox.layers.{}.attention.query_key_value"], True, False),
    "bloom-dora": ("bloom", decoders.bloom, ["transformer.h.{}.self_attention.query_key_value"], False, True),
}


def rounded(*shape, generator):
    return (torch.randn(shape, generator=generator) * 0.3).mul(1000).round().div(1000)


def main():
    for case, (family, forward, patterns, rslora, dora) in CASES.items():
        generator = torch.Generator().manual_seed(len(case))
        config = json.loads((HERE / family / "config.json").read_text())
        weights = files.read(HERE / family / "model.safetensors")
        transposed = family == "gpt2"
        scaling = ALPHA / RANK ** (0.5 if rslora else 1)
        tensors = {}
        for module in (pattern.format(layer) for pattern in patterns for layer in range(2)):
            own = weights[f"{module}.weight"].T if transposed else weights[f"{module}.weight"]  # (outputs, inputs)
            a, b = rounded(RANK, own.shape[1], generator=generator), rounded(own.shape[0], RANK, generator=generator)
            adapted = own + scaling * b @ a
            prefix = f"base_model.model.{module}."
            tensors |= {prefix + "lora_A.weight": a, prefix + "lora_B.weight": b}
            if dora:
                magnitude = (1 + 0.2 * torch.rand(own.shape[0], generator=generator)).mul(1000).round().div(1000)
                tensors[prefix + "lora_magnitude_vector"] = magnitude
                adapted = magnitude[:, None] * adapted / torch.linalg.norm(adapted, dim=1, keepdim=True)
            weights[f"{module}.weight"] = adapted.T if transposed else adapted
        ids = torch.randint(3, config["vocab_size"], (1, LENGTH), generator=generator)
        content = {
            "family": family,
            "adapter_config": {
                "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none",
                "use_rslora": rslora, "use_dora": dora, "fan_in_fan_out": transposed,
                "target_modules": [pattern.split("{}.")[1] for pattern in patterns],
            },
            "tensors": {name: {"shape": list(value.shape), "data": [round(x, 3) for x in value.flatten().tolist()]}
                        for name, value in tensors.items()},
            "input_ids": ids[0].tolist(),
            "logits": [[round(x, 6) for x in row] for row in forward(weights, config, ids)[0].tolist()],
        }
        lines = [f'  "{key}": {json.dumps(value)}' for key, value in content.items()]
        (HERE / "peft" / f"{case}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
