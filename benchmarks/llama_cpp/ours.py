"""This program: what it trains, converts, writes and says of the same tokens."""
import json
import math
import subprocess
import sys
from pathlib import Path

import files

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROGRAM = REPOSITORY / "artifacts" / "bin" / "Trainer" / "release" / "Trainer.dll"


def build():
    subprocess.run(["dotnet", "build", "Trainer.csproj", "-c", "Release", "-v", "q", "--nologo"], check=True, stdout=sys.stderr, cwd=REPOSITORY)


def trainer(*arguments, text=None):
    done = subprocess.run(["dotnet", str(PROGRAM), *map(str, arguments)], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=REPOSITORY)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def encode(checkpoint, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    return [json.loads(line) for line in trainer("tokenizer", "encode", checkpoint / "tokenizer.json", text=lines).splitlines()]


def continuation(checkpoint, prompt, count):
    """What generate writes after the prompt."""
    return trainer("generate", checkpoint, "--prompt", prompt, "--tokens", count, "--greedy", "--device", "cpu")[len(prompt):-1]


def perplexity(checkpoint, ids, context, chunks, scratch):
    """Of the tokens that llama-perplexity scores: those after the middle of each chunk."""
    scored = []
    for start in range(0, chunks * context, context):
        trainer("score", checkpoint, "--tokens", ",".join(map(str, ids[start:start + context])), "--json", scratch, "--device", "cpu")
        scored += json.loads(scratch.read_text())["negativeLogLikelihood"][context // 2 + 1:]
    return math.exp(sum(scored) / len(scored))


def log_probabilities(checkpoint, ids, scratch):
    """Of every token of the vocabulary, after each of the ids."""
    trainer("score", checkpoint, "--tokens", ",".join(map(str, ids)), "--logits", scratch, "--device", "cpu")
    (rows, width), logits = files.read_safetensors(scratch)["logits"]
    result = []
    for row in range(rows):
        numbers = logits[row * width:(row + 1) * width]
        largest = max(numbers)
        total = largest + math.log(sum(math.exp(number - largest) for number in numbers))
        result.append([number - total for number in numbers])
    return result
