#!/usr/bin/env python3
"""Trainer against TorchSharp alone (benchmarks/stock), PyTorch eager and, if it is at hand, an older Trainer.

    benchmarks/stock.py [--sizes 0.8M,10M,124M] [--task training|generation|evaluation|start] [--rounds 3] [--steps N --warmup N]
                        [--seconds 5] [--only name,name…]

Everything takes turns, round after round, each measurement a process of its own; training takes a few steps, as many as the
size has in STEPS or --steps says. TorchSharp alone only trains and generates. A start is the time from the command to the end of the first
step, on text that is prepared. Text is random: it makes no difference to speed. Prints the medians, and the ratios pair by pair: a
round's Trainer to that round's peer, in speed. A size may also be layers:heads:dim:context:batch, of 256 tokens or, with a sixth number, of so many.
--only leaves out those whose name ("TorchSharp mixed", "Trainer") does not begin with one of these.

PYTHON names the Python that has torch, a command with arguments; python3 if not given, and PYTHON= leaves PyTorch out. OLD names the
command line of another version of Trainer (OLD="/srv/old/Trainer"), OLD_INFERENCE its program in benchmarks/Inference, for generation and
evaluation; both must see the files of this folder under the same paths. Raw figures go to runs/benchmarks/stock-<task>-<size>.json.
"""
import argparse
import json
import os
import sys
from functools import partial
from statistics import median

from speed import ours, peer, stock
from speed.ours import RAW
from speed.process import Failed
from speed.sizes import SIZES, TASKS, Size
from speed.turns import take_turns

STEPS = {"0.8M": (20, 300), "10M": (3, 12), "124M": (1, 4)}  # not timed, timed
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count())


def size_of(text):
    if text in SIZES:
        return SIZES[text]
    try:
        layers, heads, dim, context, batch, *more = (int(part) for part in text.split(":"))
        (vocabulary,) = more or [256]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: give one of {', '.join(SIZES)} or layers:heads:dim:context:batch[:vocabulary]")
    return Size(text.replace(":", "-"), layers, heads, dim, context, batch, vocabulary, context, batch)


def sides(size, task, timing):
    """What measures everything that takes part, by name."""
    given = (("PYTHON", "python3"), ("OLD", ""), ("OLD_INFERENCE", ""))
    python, old, old_inference = (os.environ.get(name, otherwise).split() for name, otherwise in given)
    versions = [ours.Trainer(size)]
    if old and (task in ("training", "start") or old_inference):
        versions.append(ours.Trainer(size, "old", old, old_inference))
    work = {f"{version.name} {mode}": partial(trainer, version, task, mode, timing) for version in versions for mode in version.modes(task)}
    peers = [(stock.Stock(size), stock.Stock(size).modes(task))] if task in ("training", "generation") else []
    if python:
        peers.append((peer.PyTorch(size, python), versions[0].modes(task)))
    return work | {f"{other.name} {mode}": partial(other.measure, task, mode, **timing, threads=THREADS)
                   for other, modes in peers for mode in modes}


def trainer(version, task, mode, timing):
    if task != "training":
        return version.measure(task, mode, timing.get("seconds"))
    speed, memory = version.train(mode, timing["warmup"], timing["steps"])
    return {"tokensPerSecond": speed, "peakMiB": memory}


def measure(size, task, rounds, timing, only):
    """Figures of the rounds by name; what fails once is left out."""
    work = {name: one for name, one in sides(size, task, timing).items() if name.startswith(only)}
    done, left_out = take_turns(size.name, work, rounds)
    return {name: [one[name] for one in done] for name in work if name not in left_out}


def table(size, task, figures):
    """Medians, and Trainer's modes against each of the others."""
    start = task == "start"
    figure, unit, digits = ("firstStepEnds", "seconds", 2) if start else ("tokensPerSecond", "tokens/s", 0)
    values = {name: [one[figure] for one in rounds] for name, rounds in figures.items()}
    speeds = {name: [1 / value for value in those] for name, those in values.items()} if start else values
    new = [name for name in speeds if name.startswith("Trainer ")]
    held = "" if start else f"{'peak MiB':>10}"
    yield f"{task}, {size.name}: {size.describes}; {THREADS} threads"
    yield f"{'':22}{unit:>10}{'range':>20}{held}" + "".join(f"{name + ' is':>28}" for name in new)
    for name, rounds in figures.items():
        spread = f"{min(values[name]):,.{digits}f}–{max(values[name]):,.{digits}f}"
        memory = "" if start else f"{median(one['peakMiB'] for one in rounds):10,.0f}"
        ratios = "".join(f"{against(speeds[one], speeds[name]) if one != name else '':>28}" for one in new)
        yield f"{name:22}{median(values[name]):10,.{digits}f}{spread:>20}{memory}{ratios}".rstrip()


def against(ours_, theirs):
    ratios = [a / b for a, b in zip(ours_, theirs)]
    return f"{median(ratios):.2f}× ({min(ratios):.2f}–{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [size_of(name) for name in text.split(",")], default=list(SIZES.values()))
    parser.add_argument("--task", choices=TASKS, default="training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="timed steps of training")
    parser.add_argument("--warmup", type=int, help="steps before them")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement of generation and evaluation")
    parser.add_argument("--only", default="", help="names, or beginnings of names, with commas between them")
    a = parser.parse_args()
    ours.build("benchmarks/stock/Stock.csproj")
    RAW.mkdir(parents=True, exist_ok=True)
    for size in a.sizes:
        warmup, steps = STEPS.get(size.name, (2, 10))
        training = dict(warmup=warmup if a.warmup is None else a.warmup, steps=a.steps or steps)
        timing = training if a.task == "training" else {} if a.task == "start" else dict(seconds=a.seconds)
        figures = measure(size, a.task, a.rounds, timing, tuple(a.only.split(",")))
        record = {"size": size.name, "timing": timing, "threads": THREADS, "figures": figures}
        (RAW / f"stock-{a.task}-{size.name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print("\n".join(table(size, a.task, figures)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"stock.py: {failure}")
