#!/usr/bin/env python3
"""The start, training, evaluation and generation here against the same model in PyTorch, eager and compiled, as a page.

    benchmarks/suite.py [--sizes 0.8M,10M,124M] [--tasks start,training,evaluation,generation] [--rounds 3] [--seconds 10]
    benchmarks/suite.py --table

All modes of both sides take turns, round after round, so that whatever else the machine does falls on all of them; each measurement is a
process of its own, of --seconds after a fifth as much for warming up, or at least two steps; a start ends with the first step. Products and
memory bandwidth, which the shares of the roofline are of, are measured first. Raw figures stay in runs/benchmarks/<task>-<size>.json, which
--table writes the page from without measuring. Text is random: it makes no difference to speed.

PYTHON names the Python that has torch, a command with arguments, as in PYTHON="chroot /srv/debian python3"; python3 if not given. A mode
that does not run there is skipped, and the page says why. Apart from it, nothing but Python 3 and the .NET SDK is needed.
"""
import argparse
import json
import os
import sys
import time
from functools import partial

from speed import ours, page, peer
from speed.ours import RAW
from speed.process import Failed
from speed.sizes import BYTES, PRECISIONS, SIZES, TASKS
from speed.turns import say, take_turns


def roofline(size, trainer, machine):
    """What this machine could do at best with a model of this size."""
    plan = trainer.plan()
    weights = {precision: int(plan["parameters"] * width) for precision, width in BYTES.items()}
    rates = ours.bandwidth(weights.values())
    return {
        "parameters": plan["parameters"],
        "flopsPerToken": {"training": plan["trainingFlopsPerToken"], "evaluation": plan["forwardFlopsPerToken"]},
        "flopsPerSecond": {precision: float(machine[f"{precision} products"].split()[0]) * 1e9 for precision in PRECISIONS},
        "weightBytes": weights,
        "bytesPerSecond": {precision: rates[count] for precision, count in weights.items()},
    }


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def chosen(everything):
    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in everything:
                raise argparse.ArgumentTypeError(f"there is no {name}; choose from {','.join(everything)}")
        return names
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=chosen(SIZES), default=list(SIZES))
    parser.add_argument("--tasks", type=chosen(TASKS), default=TASKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--table", action="store_true", help="write the page from the figures that are there")
    parser.add_argument("--page", default=RAW / "speed.md", help="where the page is written (default: runs/benchmarks/speed.md)")
    a = parser.parse_args()
    if a.rounds < 1 or a.seconds <= 0:
        parser.error("--rounds must be 1 or more and --seconds above 0")
    if not a.table:
        run(a, os.environ.get("PYTHON", "python3").split())
    page.write(a.page, [json.loads((RAW / f"{task}-{size}.json").read_text()) for task in TASKS for size in SIZES if (RAW / f"{task}-{size}.json").exists()])
    say(f"written: {a.page}")


def run(a, python):
    try:
        versions = peer.versions(python)
    except (Failed, OSError) as failure:
        sys.exit(f"suite.py: '{' '.join(python)}' has no torch ({failure}); set PYTHON to one that has")
    ours.build()
    machine = ours.doctor() | {"model": processor(), "peer": versions}
    for size in (SIZES[name] for name in a.sizes):
        trainer = ours.Trainer(size)
        best = roofline(size, trainer, machine)
        for task in a.tasks:
            began = time.strftime("%Y-%m-%d %H:%M")
            work = {f"{side.name} {mode}": partial(side.measure, task, mode, a.seconds)
                    for side in (trainer, peer.PyTorch(size, python)) for mode in side.modes(task)}
            rounds, skipped = take_turns(f"{task} {size.name}", work, a.rounds, required=["Trainer"])
            (RAW / f"{task}-{size.name}.json").write_text(json.dumps({
                "task": task, "size": size.name, "about": size.describes, "began": began, "seconds": a.seconds, "load": os.getloadavg()[1],
                "machine": machine, "roofline": best, "rounds": rounds, "skipped": skipped}, indent=1) + "\n")
        trainer.clean()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"suite.py: {failure}")
