#!/usr/bin/env python3
"""Holds what `plan --data … --time …` promises against the run: time, the memory of tensors, validation loss.

    benchmarks/plan.py <text>… [--time 10m]

A text is a file, a folder or `dotnet-docs`. Fails when time or memory is off by more than 10 %, or the loss by more than 5 %. Needs
nothing but Python 3, a build (dotnet build Trainer.csproj -c Release) and a machine that does nothing else.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
LIMITS = {"seconds": 0.1, "peakBytes": 0.1, "loss": 0.05}


def trainer(*arguments):
    done = subprocess.run(["dotnet", str(ROOT / "artifacts/bin/Trainer/release/Trainer.dll"), *arguments], cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def measured(run, seconds):
    peak = re.search(r"tensors took at most ([\d.]+) (\w+)", (run / "log.txt").read_text())
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [record["validationLoss"] for record in records if "validationLoss" in record]
    return {"seconds": seconds, "peakBytes": float(peak[1]) * UNITS[peak[2]], "loss": losses[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--time", default="10m")
    options = parser.parse_args()
    far = []
    print(f"{'':20}{'depth':>6}{'epochs':>8}{'seconds: planned':>18}{'taken':>8}{'MiB: planned':>14}{'taken':>8}{'loss: planned':>15}{'reached':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for text in options.texts:
            data = str(Path(text).resolve()) if Path(text).exists() else text
            name = Path(text).stem
            recipe, run = Path(folder) / f"{name}.json", Path(folder) / name
            plan = json.loads(trainer("plan", "--data", data, "--time", options.time, "--out", str(recipe), "--json"))
            start = time.monotonic()
            trainer("train", str(recipe), "--run", str(run))
            taken = measured(run, time.monotonic() - start)
            promised = float("nan") if plan["loss"] is None else plan["loss"]
            print(f"{name:20}{plan['recipe']['model']['layers']:6}{plan['epochs']:8.1f}{plan['seconds']:18.0f}{taken['seconds']:8.0f}"
                  f"{plan['peakBytes'] / 2**20:14.0f}{taken['peakBytes'] / 2**20:8.0f}"
                  f"{promised:15.3f}{taken['loss']:9.3f}", flush=True)
            far += [f"{name} {key}" for key, limit in LIMITS.items()
                    if plan[key] is None or abs(plan[key] / taken[key] - 1) > limit]
    if far:
        sys.exit(f"too far off: {', '.join(far)}")


if __name__ == "__main__":
    main()
