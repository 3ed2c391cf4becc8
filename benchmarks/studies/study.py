"""What the studies share: running the program, reading its figures, writing tables for people and for the `report` verb."""
import argparse
import json
import os
import subprocess
import sys
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Study:
    """A folder under runs/studies/ with runs, figures and tables. Started again, it goes on where it was stopped."""

    def __init__(self, name, description, **lists):
        """Each of `lists` is an option with a comma-separated list; the default names all it may hold."""
        arguments = argparse.ArgumentParser(description=description)
        for option, everything in lists.items():
            arguments.add_argument(f"--{option}", type=lambda text, kind=type(everything[0]): [kind(part) for part in text.split(",")], default=everything,
                                   help=f"some of {','.join(map(str, everything))} (default: all)")
        arguments.add_argument("--scale", type=float, default=float(os.environ.get("STEPS_SCALE", 1)),
                               help="a factor on all steps: 0.01 for a look at whether everything works (default: $STEPS_SCALE or 1)")
        arguments.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                               help="of the products of training: bfloat16 is faster where the processor has it (default: float32)")
        self.options = arguments.parse_args()
        self.scale = self.options.scale
        for option, everything in lists.items():
            unknown = set(getattr(self.options, option)) - set(everything)
            if unknown:
                arguments.error(f"--{option}: there is no {', '.join(map(str, unknown))}; choose from {','.join(map(str, everything))}")
        os.chdir(REPOSITORY)
        suffix = "" if self.scale == 1 else f"-{self.scale:g}"
        self.folder = f"runs/studies/{name}{suffix}"
        os.makedirs(self.folder, exist_ok=True)
        self.started = time.time()
        subprocess.run(["dotnet", "build", "Trainer.csproj", "-c", "Release", "-v", "q", "--nologo"], check=True, stdout=sys.stderr)

    def path(self, name):
        return f"{self.folder}/{name}"

    def steps(self, steps):
        return max(1, round(steps * self.scale))

    def amount(self, count, least):
        """A number of bytes or trials that a look has less of."""
        return max(least, round(count * min(1, self.scale)))

    def documentation(self):
        """The corpus dotnet-docs: the text before its last twentieth, and that, which recipes hold out."""
        self.trainer("prepare", "configs/dotnet-docs.json")
        with open("datasets/dotnet-docs/text.txt", encoding="utf-8") as file:
            text = file.read()
        cut = len(text) * 19 // 20
        return text[:cut], text[cut:]

    def save(self, name, text):
        """A text of the study, left as it is if nothing changed: prepared data belongs to one version of its file."""
        path = self.path(f"data/{name}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def trainer(self, *arguments):
        """Runs the program; its own words are shown only where it fails."""
        command = ["artifacts/bin/Trainer/release/Trainer", *map(str, arguments)]
        outcome = subprocess.run(command, capture_output=True, text=True)
        if outcome.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{outcome.stderr}")
        return outcome.stdout

    def train(self, recipe, run, steps, *settings):
        """Trains, or goes on with what was begun. Every run of the study writes below its folder."""
        self.say(f"{run}: {steps} steps")
        directory = self.path(run)
        self.trainer("train", f"configs/studies/{recipe}.json", "--run", directory, "--resume",
                     "--set", f"training.steps={steps}", f"training.precision={self.options.precision}", *settings)
        return directory

    def convert(self, source, name, *options):
        output = self.path(name)
        if not os.path.exists(f"{output}/manifest.json"):
            self.trainer("convert", source, "--output", output, *options)
        return output

    def evaluate(self, checkpoint, *options):
        """The figures of `evaluate --json`, kept beside the tables so that a study that is stopped has them."""
        file = self.path("figures/" + "_".join([checkpoint, *map(str, options)]).replace("/", "-") + ".json")
        os.makedirs(os.path.dirname(file), exist_ok=True)
        if not os.path.exists(file):
            self.trainer("evaluate", checkpoint, *options, "--json", file)
        with open(file) as content:
            return json.load(content)

    def write(self, name, title, description, rows, plots):
        """A study for `report`, and its table as markdown."""
        with open(self.path(f"{name}.json"), "w") as file:
            json.dump({"title": title, "description": description, "rows": rows, "plots": plots}, file, indent=2)
            file.write("\n")
        with open(self.path(f"{name}.md"), "w") as file:
            file.write(f"# {title}\n\n{description}\n\n{table(rows)}")
        self.say(f"wrote {self.path(name)}.json and .md")

    def say(self, words):
        print(f"[{time.time() - self.started:6.0f} s] {words}", file=sys.stderr, flush=True)


def table(rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *[[shown(row.get(name)) for name in names] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
