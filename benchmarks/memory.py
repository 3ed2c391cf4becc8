#!/usr/bin/env python3
"""Compares what plan says a run will take with what it takes: the memory of its tensors at their height, and the growth of the process.

    benchmarks/memory.py <text> [--only name,name…] [--limit 0.1] [--steps 3]

The text is one of about a megabyte, such as tinyshakespeare.txt, or some synthetic one if it is missing. Fails when a prediction is further
off than the limit. Needs nothing but Python 3 and a build (dotnet build Trainer.csproj).
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
CHECKPOINTING = ["training.activationCheckpointing=true"]
LONG = ["training.batchSize=16", "training.microBatchSize=null"]

# Name, recipe, settings, threads.
CASES = [
    ("0.8 M", "shakespeare-char", [], 2),
    ("0.8 M, bfloat16", "shakespeare-char", ["training.precision=bfloat16"], 2),
    ("0.8 M, batch 96, bfloat16", "shakespeare-char", ["training.batchSize=96", "training.precision=bfloat16"], 2),
    ("0.8 M, one thread", "shakespeare-char", [], 1),
    ("0.8 M, batch 96", "shakespeare-char", ["training.batchSize=96"], 2),
    ("0.8 M, batch 96, checkpointing", "shakespeare-char", ["training.batchSize=96", *CHECKPOINTING], 2),
    ("0.8 M, batch 96 of 24", "shakespeare-char", ["training.batchSize=96", "training.microBatchSize=24"], 2),
    ("10 M", "shakespeare-char-large", LONG, 2),
    ("10 M, no dropout", "shakespeare-char-large", [*LONG, "model.dropout=0"], 2),
    ("10 M, no dropout, checkpointing", "shakespeare-char-large", [*LONG, "model.dropout=0", *CHECKPOINTING], 2),
    ("10 M, accumulating", "shakespeare-char-large", ["training.batchSize=32", "training.microBatchSize=8", "model.dropout=0"], 2),
    ("10 M, bfloat16", "shakespeare-char-large", [*LONG, "model.dropout=0", "training.precision=bfloat16"], 2),
    ("10 M, bfloat16, checkpointing", "shakespeare-char-large", [*LONG, "model.dropout=0", "training.precision=bfloat16", *CHECKPOINTING], 2),
    ("10 M, checkpointing", "shakespeare-char-large", [*LONG, *CHECKPOINTING], 2),
    ("experts", "shakespeare-char-experts", ["training.batchSize=48"], 2),
    ("experts, checkpointing", "shakespeare-char-experts", ["training.batchSize=48", *CHECKPOINTING], 2),
    ("grouped-query, rotary, swiglu", "dotnet-docs", ["tokenizer.type=byte"], 2),
    ("grouped-query, rotary, swiglu, bfloat16", "dotnet-docs", ["tokenizer.type=byte", "training.precision=bfloat16"], 2),
    ("documents, dropout", "packed-docs", ["model.dropout=0.1"], 2),
    ("encoder", "masked-docs", ["training.batchSize=32"], 2),
    ("encoder, checkpointing", "masked-docs", ["training.batchSize=32", *CHECKPOINTING], 2),
    ("encoder-decoder", "translate-en-fr", [], 2),
    ("encoder-decoder, checkpointing", "translate-en-fr", CHECKPOINTING, 2),
]


def trainer(arguments, threads):
    done = subprocess.run(["dotnet", str(ROOT / "artifacts/bin/Trainer/debug/Trainer.dll"), *arguments], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def measured(log):
    line = re.search(r"tensors took at most ([\d.]+) (\w+); the process grew from ([\d.]+) (\w+) to ([\d.]+) (\w+)", log)
    if line is None:
        sys.exit("the log does not say what memory the run took:\n" + log)
    value = lambda i: float(line[i]) * UNITS[line[i + 1]]
    return value(1), value(5) - value(3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--only", default="", help="cases by name, with semicolons between them")
    parser.add_argument("--limit", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    chosen = [case for case in CASES if not options.only or case[0] in options.only.split(";")]
    mib = 1 << 20
    far = []
    print(f"{'MiB':36}{'planned':>9}{'tensors':>9}{'ratio':>7}{'process':>9}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe, settings, threads in chosen:
            config = f"configs/{recipe}.json"
            settings = [*settings, "training.device=cpu", f"training.steps={options.steps}", "evaluation.every=0", "schedule.warmupSteps=0", "checkpoint.background=false"]
            if recipe.startswith("shakespeare"):
                settings.append(f"data.train.0.path={options.text.resolve()}")
            plan = json.loads(trainer(["plan", config, "--json", "--set", *settings], threads))
            run = Path(folder) / name.replace(" ", "-")
            trainer(["train", config, "--run", str(run), "--set", *settings, "monitoring.tensorBoard=false", "evaluation.batches=1"], threads)
            tensors, growth = measured((run / "log.txt").read_text())
            planned = plan["peakBytes"]
            print(f"{name:36}{planned / mib:9.1f}{tensors / mib:9.1f}{planned / tensors:7.2f}{growth / mib:9.1f}{planned / growth:7.2f}", flush=True)
            if abs(planned / tensors - 1) > options.limit:
                far.append(name)
    if far:
        sys.exit(f"further off than {options.limit:.0%}: {', '.join(far)}")


if __name__ == "__main__":
    main()
