#!/usr/bin/env python3
"""Trains every recipe, measures what it learned, and writes the table of docs/recipes.md.

    benchmarks/recipes.py [--only name,name…] [--table] [--set key=value]…

Runs stand in runs/recipes/<name>; a recipe that has been trained is not trained again. --only trains these alone; --table trains nothing
and writes the table of what is there, with the rows of the table before for runs that are gone. Recipes whose text is not at hand are left out of the table and named below it. Needs nothing but
Python 3 and the .NET SDK; every figure comes from evaluate --json, plan --json and the run's own files.
"""
import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "recipes"
PAGE = ROOT / "docs" / "recipes.md"
HEADING = "## What they learn"
LONGER = 4


def trainer(*arguments, **options):
    return subprocess.run(["dotnet", "run", "--no-build", "--", *arguments], cwd=ROOT, text=True, **options)


def recipe(path):
    """A recipe's settings, with those of the recipe it extends; comments are left out."""
    settings = json.loads(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M))
    return merged(recipe(path.parent / settings["extends"]), settings) if "extends" in settings else settings


def merged(below, above):
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: merged(below.get(key), value) for key, value in above.items()}


def text_is_there(path, overrides):
    settings = recipe(path)
    if "initialize" in settings and not (ROOT / settings["initialize"]["from"]).exists():
        return False
    if any(override.startswith("data.train.0.path=") for override in overrides):
        return True
    return all((ROOT / source["path"]).exists() for source in settings["data"]["train"] if "path" in source)


def train(path, overrides):
    run = RUNS / path.stem
    if (run / "evaluation.json").exists():
        return
    sets = [argument for override in overrides for argument in ("--set", override)]
    began = time.time()
    if trainer("train", str(path), "--run", str(run), *sets, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"{path.name}: training failed, see {run}/log.txt")
    minutes = (time.time() - began) / 60
    if trainer("evaluate", str(run), "--json", str(run / "evaluation.json"), stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"{path.name}: could not be evaluated")
    if path.stem.startswith("extrapolate"):
        longer = LONGER * plan_of(path, sets)["contextLength"]
        if trainer("evaluate", str(run), "--window", str(longer), "--json", str(run / "longer.json"), stdout=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"{path.name}: could not be evaluated on longer texts")
    (run / "plan.json").write_text(json.dumps(plan_of(path, sets)))
    (run / "minutes.json").write_text(json.dumps(minutes))
    print(f"{path.stem}: {minutes:.1f} min", flush=True)


def plan_of(path, sets):
    return json.loads(trainer("plan", str(path), *sets, "--json", capture_output=True).stdout)


def row(path):
    run = RUNS / path.stem
    evaluation, plan, minutes = (json.loads((run / f"{name}.json").read_text()) for name in ("evaluation", "plan", "minutes"))
    loss = mean_loss(evaluation)
    longer = run / "longer.json"
    figures = [f"{plan['parameters'] / 1e6:.2f} M", f"{plan['steps']:,}", f"{minutes:.1f}", f"{loss:.4f}" + (f" ({mean_loss(json.loads(longer.read_text())):.4f} at {LONGER} contexts)" if longer.exists() else ""), number(evaluation.get("bitsPerByte")), f"{100 * evaluation['accuracy']:.1f} %"]
    translation = evaluation.get("translation")
    figures.append(f"{translation['bleu']['score']:.1f} (copying {translation['copyBleu']['score']:.1f})" if translation else "")
    return f"| [{path.stem}](../configs/{path.name}) | {about(path)} | " + " | ".join(figures) + " |"


def mean_loss(evaluation):
    return evaluation["negativeLogLikelihood"] / evaluation["tokens"]


def number(value):
    return "" if value is None else f"{value:.3f}"


def about(path):
    """The first sentence of a recipe's comment."""
    lines = [line.strip()[2:].strip() for line in path.read_text().splitlines() if line.strip().startswith("//")]
    return re.split(r"(?<=[.:])\s", " ".join(lines))[0].rstrip(":.").replace("|", "\\|")


def rows_before():
    """The rows of the page as it is, by recipe."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    return {match[1]: line for line in lines if (match := re.match(r"\| \[([\w-]+)\]\(", line))}


def table(paths):
    page = PAGE.read_text().split("\n" + HEADING + "\n")
    before = page[0].splitlines() + [""] if len(page) > 1 else []
    trained = [path for path in paths if (RUNS / path.stem / "minutes.json").exists()
               and "negativeLogLikelihood" in json.loads((RUNS / path.stem / "evaluation.json").read_text())]
    rows = rows_before() | {path.stem: row(path) for path in trained}
    bleu = next((json.loads((RUNS / path.stem / "evaluation.json").read_text())["translation"]["bleu"]["signature"]
                 for path in trained if "translate" in path.stem), None)
    lines = [
        *before,
        HEADING,
        "",
        "Written by `benchmarks/recipes.py`: each recipe of configs/ trained as it stands, then `evaluate` on its validation data with",
        "window and stride as long as its context. Loss is in nats per scored token, of the best checkpoint; minutes are those of training on",
        "two cores of a server with AVX-512, and of the evaluations on the way. Recipes compare only where they have the same data and tokenizer.",
        "",
        "| Recipe | What it is | Parameters | Steps | Minutes | Loss | Bits per byte | Accuracy | BLEU |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(rows[path.stem] for path in paths if path.stem in rows),
        "",
    ]
    if bleu:
        lines += [f"BLEU: `{bleu}`, 200 pairs spread over the validation data, 4 beams.", ""]
    missing = [path.stem for path in paths if path.stem not in rows]
    if missing:
        lines += [f"Not measured here: {', '.join(missing)}.", ""]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    paths = sorted(path for path in (ROOT / "configs").glob("*.json") if not path.name.endswith(".schema.json"))
    chosen = [path for path in paths if not arguments.only or path.stem in arguments.only.split(",")]
    if not arguments.table:
        subprocess.run(["dotnet", "build", "-v", "q"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for path in chosen:
            if text_is_there(path, arguments.overrides):
                train(path, arguments.overrides)
    table(paths)


if __name__ == "__main__":
    main()
