#!/usr/bin/env python3
"""Takes random models of a billion parameters through import, convert, evaluate and export, and writes docs/billion.md.

    benchmarks/billion.py [--size 1B|300M] [--type float32,bfloat16] [--work DIRECTORY] [--no-build]

A Llama is written as Hugging Face has it: sharded safetensors of random numbers, made with Python alone; 15 GB for 1B, removed afterwards.
Each command runs by itself: seconds by the clock, processor seconds, and the most memory it held (ru_maxrss, which counts pages of mapped
files too), also in units of the weights it read. 300M is for trying it, and writes no table. Nothing but Python 3 and the .NET SDK is needed.
"""
import argparse
import array
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "artifacts" / "bin" / "Trainer" / "release" / "Trainer"
SIZES = {
    "1B": dict(hidden_size=2048, num_hidden_layers=17, num_attention_heads=16, intermediate_size=5632, vocab_size=32000),
    "300M": dict(hidden_size=1024, num_hidden_layers=19, num_attention_heads=16, intermediate_size=2816, vocab_size=32000),
}
BYTES = {"float32": 4, "bfloat16": 2}
WINDOW, SHARD, HEADS, POOL = 512, 1_000_000_000, 4, 1 << 22


def tensors(c):
    dim, hidden = c["hidden_size"], c["intermediate_size"]
    yield "model.embed_tokens.weight", (c["vocab_size"], dim)
    for layer in range(c["num_hidden_layers"]):
        n = f"model.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{n}self_attn.{name}.weight", (dim, dim)
        for name, shape in (("gate_proj", (hidden, dim)), ("up_proj", (hidden, dim)), ("down_proj", (dim, hidden))):
            yield f"{n}mlp.{name}.weight", shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{n}{name}.weight", (dim,)
    yield "model.norm.weight", (dim,)
    yield "lm_head.weight", (c["vocab_size"], dim)


def count(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def stored(numbers, kind):
    """Little-endian; bfloat16 is the upper half of a float32."""
    data = array.array("f", numbers).tobytes()
    return data if kind == "float32" else b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))


def write_shard(path, shard, kind, pool):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shard:
        end = offset + count(shape) * BYTES[kind]
        header[name] = {"dtype": "F32" if kind == "float32" else "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    one = stored([1.0], kind)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shard:
            left = count(shape) * BYTES[kind]
            while left > 0:
                # Each piece begins elsewhere in the pool of random numbers.
                start = random.randrange(POOL // 2) * BYTES[kind]
                piece = one * count(shape) if len(shape) == 1 else pool[start:start + min(left, len(pool) - start)]
                file.write(piece)
                left -= len(piece)


def make(directory, config, kind):
    random.seed(1337)
    pool = stored((random.gauss(0, 0.02) for _ in range(POOL)), kind)
    shards, held = [[]], 0
    for name, shape in tensors(config):
        size = count(shape) * BYTES[kind]
        if held and held + size > SHARD:
            shards.append([])
            held = 0
        shards[-1].append((name, shape))
        held += size
    directory.mkdir(parents=True)
    places = {}
    for index, shard in enumerate(shards, 1):
        file = f"model-{index:05}-of-{len(shards):05}.safetensors"
        write_shard(directory / file, shard, kind, pool)
        places |= {name: file for name, _ in shard}
    total = sum(count(shape) for _, shape in tensors(config)) * BYTES[kind]
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))
    (directory / "config.json").write_text(json.dumps(config | dict(
        model_type="llama", architectures=["LlamaForCausalLM"], num_key_value_heads=config["num_attention_heads"], hidden_act="silu", rms_norm_eps=1e-5,
        max_position_embeddings=2048, rope_theta=10000.0, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0, dtype=kind)))
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer()))


def tokenizer():
    """GPT-2's 256 bytes, no merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = (byte for byte in range(256) if byte not in printable)
    symbols = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(rest)}
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {symbols[byte]: byte for byte in range(256)}, "merges": []}}


def weights_of(path):
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.glob("*.safetensors"))


def measure(what, source, *arguments):
    began = time.time()
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{what} failed:\n{said}")
    seconds, peak = time.time() - began, usage.ru_maxrss * 1024
    row = [what, gigabytes(weights_of(source)), f"{seconds:.0f}", f"{usage.ru_utime + usage.ru_stime:.0f}", gigabytes(peak), f"{peak / weights_of(source):.2f}"]
    print(" | ".join(row), flush=True)
    return row


def gigabytes(size):
    return f"{size / 1e9:.2f}"


def rounds(config, kind, work):
    source, ours, grouped = work / "source", work / "ours", work / "grouped"
    make(source, config, kind)
    text = work / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20, encoding="ascii")
    text.write_text(text.read_text()[:WINDOW])
    yield measure("`import`", source, "import", source, "--output", ours)
    shutil.rmtree(source)
    yield measure(f"`convert --key-value-heads {HEADS}`", ours, "convert", ours, "--output", grouped, "--key-value-heads", HEADS)
    shutil.rmtree(grouped)
    yield measure(f"`evaluate --window {WINDOW}`, one window", ours, "evaluate", ours, "--data", text, "--window", WINDOW, "--device", "cpu")
    yield measure(f"`export --format huggingface --type {'f32' if kind == 'float32' else 'bf16'}`", ours, "export", ours, "--format", "huggingface", "--type", "f32" if kind == "float32" else "bf16",
                  "--max-shard-size", "1GB", "--output", work / "exported")
    shutil.rmtree(work / "exported")
    for type_ in ("f16", "q8_0"):
        yield measure(f"`export --format gguf --type {type_}`", ours, "export", ours, "--format", "gguf", "--type", type_, "--output", work / "model.gguf")
        (work / "model.gguf").unlink()
    shutil.rmtree(ours)


def table(parameters, results):
    lines = [
        "# A billion parameters",
        "",
        f"Written by `benchmarks/billion.py`: a random Llama of {parameters / 1e9:.2f} · 10⁹ parameters, sharded in files of 1 GB. Weights read and peak memory are",
        "in GB (10⁹ bytes); memory counts all that the command held, pages of mapped files included, and is compared with the weights that it read.",
        f"Seconds are those of a machine with {os.cpu_count()} processors which had other work too; processor seconds leave most of that out.",
        "",
    ]
    for kind, rows in results.items():
        lines += [f"## From {kind}", "", "| Command | Weights read | Seconds | Processor seconds | Peak memory | Peak / weights |", "|---|---:|---:|---:|---:|---:|",
                  *("| " + " | ".join(row) + " |" for row in rows), ""]
    (ROOT / "docs" / "billion.md").write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="1B")
    parser.add_argument("--type", default="bfloat16,float32")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_build:
        subprocess.run(["dotnet", "build", "Trainer.csproj", "-c", "Release", "-v", "q", "--nologo"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    config, results = SIZES[arguments.size], {}
    parameters = sum(count(shape) for _, shape in tensors(config))
    for kind in arguments.type.split(","):
        work = Path(tempfile.mkdtemp(dir=arguments.work))
        try:
            results[kind] = list(rounds(config, kind, work))
        finally:
            shutil.rmtree(work)
    if arguments.size == "1B":
        table(parameters, results)


if __name__ == "__main__":
    main()
