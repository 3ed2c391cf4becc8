"""Our side: the verb `train`, and what `evaluate` and `generate` do without their start."""
import json
import os
import random
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from .process import first_line, run
from .sizes import PRECISIONS, PROMPT, WEIGHTS

ROOT = Path(__file__).resolve().parent.parent.parent
RAW = ROOT / "runs" / "benchmarks"
WORK = RAW / "work"
TRAINER = ROOT / "artifacts" / "bin" / "Trainer" / "release" / "Trainer"
INFERENCE = ROOT / "artifacts" / "bin" / "Inference" / "release" / "Inference"
SMALL = 1000  # tokens a step
TEXT = 400_000  # tokens
LOOKS = 3


def build(*more):
    for project in ("Trainer.csproj", "benchmarks/Inference/Inference.csproj", *more):
        subprocess.run(["dotnet", "build", project, "-c", "Release", "-v", "q", "--nologo"], cwd=ROOT, check=True, stdout=sys.stderr)


def doctor():
    """Names and values of what `doctor` finds; of products, the fastest of a few times."""
    WORK.mkdir(parents=True, exist_ok=True)
    times = [{row["key"]: row["value"] for row in json.loads(run([TRAINER, "doctor", "--json"], cwd=WORK)[0])["rows"]} for _ in range(LOOKS)]
    products = (f"{precision} products" for precision in PRECISIONS)
    return times[0] | {name: max((one[name] for one in times), key=lambda value: float(value.split()[0])) for name in products}


def bandwidth(sizes):
    """Bytes a second that can be read of so many bytes, by their number."""
    text, _ = run([INFERENCE, "bandwidth", *(str(size) for size in sizes)])
    return {int(size): rate for size, rate in json.loads(text)["bytesPerSecond"].items()}


class Trainer:
    def __init__(self, size, name="Trainer", trainer=(TRAINER,), inference=(INFERENCE,)):
        """The commands may be those of another version, which keeps files of its own."""
        self.size, self.name = size, name
        self.trainer, self.inference = trainer, inference
        self.folder = WORK / (size.name if name == "Trainer" else f"{size.name}-{name}")
        self.step = {}  # seconds, by precision
        self.folder.mkdir(parents=True, exist_ok=True)

    def modes(self, task):
        return WEIGHTS if task == "generation" else PRECISIONS

    def measure(self, task, mode, seconds):
        """Figures by name: tokensPerSecond and peakMiB, or of a start firstStepEnds and firstStepTakes, in seconds."""
        if task == "start":
            return self.start(mode)
        if task == "training":
            speed, memory = self.train_for(mode, seconds)
        else:
            tokens = self.size.text if task == "evaluation" else PROMPT
            text, memory = run([*self.inference, task, self.checkpoint, mode, str(seconds), str(tokens)])
            speed = json.loads(text)["tokensPerSecond"]
        return {"tokensPerSecond": speed, "peakMiB": memory}

    def plan(self):
        return json.loads(run([*self.trainer, "plan", self.recipe, "--json"], cwd=WORK)[0])

    def train_for(self, precision, seconds):
        """Tokens a second of about so long, after a fifth of it, and the most MiB held."""
        if precision not in self.step:
            self.step[precision] = self.records(precision, 20 if self.size.batch * self.size.context < SMALL else 3, 1)[0][-1]["stepSeconds"]
        step = self.step[precision]
        speed, memory = self.train(precision, max(1, round(seconds / 5 / step)), max(2, round(seconds / step)))
        self.step[precision] = self.size.batch * self.size.context / speed
        return speed, memory

    def train(self, precision, warmup, timed):
        """Tokens a second of so many steps after so many others, and the most MiB held."""
        every = max(1, min(10, timed // 10))
        records, memory = self.records(precision, warmup + timed, every)
        first = next((record for record in records if record["step"] >= warmup), records[0])
        later = [record for record in records if record["step"] > first["step"]]
        time, last = 0.0, first["step"]
        for record in later:
            time += record["stepSeconds"] * (record["step"] - last)
            last = record["step"]
        return (later[-1]["tokens"] - first["tokens"]) / time, memory

    def start(self, precision):
        run([*self.trainer, "prepare", self.recipe], cwd=WORK)
        ends, _ = first_line(self.command(precision, 1, 1), "step ", cwd=WORK)
        return {"firstStepEnds": ends, "firstStepTakes": self.steps()[0]["stepSeconds"]}

    def records(self, precision, steps, every):
        """The records of so many steps, and the most MiB held."""
        _, memory = run(self.command(precision, steps, every), cwd=WORK)
        return self.steps(), memory

    def command(self, precision, steps, every):
        """Trains in a new run's folder."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        settings = [f"training.steps={steps}", f"training.precision={precision}", f"monitoring.logEvery={every}"]
        return [*self.trainer, "train", self.recipe, "--run", self.folder / "run", "--set", *settings]

    def steps(self):
        """The records of the run's steps."""
        lines = [json.loads(line) for line in (self.folder / "run" / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "stepSeconds" in line]

    def clean(self):
        """Leaves the checkpoint, the text and what was prepared of it."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)

    @cached_property
    def checkpoint(self):
        """A model of this size, hardly trained: what it learned makes no difference to speed."""
        kept = self.folder / "checkpoint"
        if not kept.exists():
            self.records("float32", 1, 1)
            (self.folder / "run").rename(kept)
        return kept

    @cached_property
    def recipe(self):
        """nanoGPT's recipe in this size, on random text."""
        words = vocabulary(self.size.vocabulary)
        text, tokenizer = self.folder / "text.txt", self.folder / "tokenizer.json"
        draw = random.Random(1337)
        write(text, " ".join(draw.choices(words, k=TEXT)))
        write(tokenizer, json.dumps(word_level(words)))
        size = self.size
        path = self.folder / "recipe.json"
        write(path, json.dumps({
            "extends": os.path.relpath(ROOT / "configs" / "shakespeare-char.json", self.folder),
            "name": f"benchmark-{size.name}",
            "model": {"dim": size.dim, "layers": size.layers, "contextLength": size.context, "dropout": 0.0, "attention": {"heads": size.heads}},
            "tokenizer": {"type": "file", "path": str(tokenizer)},
            "data": {"train": [{"path": str(text), "format": "text"}]},
            "training": {"batchSize": size.batch, "device": "cpu", "steps": 1},
            "optimizer": {"learningRate": 1e-3},
            "evaluation": {"every": 0}, "checkpoint": {"every": 0}, "monitoring": {"samples": []},
        }, indent=2))
        return path


def vocabulary(count):
    return [f"w{index}" for index in range(count)]


def word_level(words):
    """A tokenizer that knows each of these words, and nothing else."""
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
            "model": {"type": "WordLevel", "vocab": {word: index for index, word in enumerate(words)}, "unk_token": words[0]}}


def write(path, text):
    """Left as it is where nothing changed: prepared data belongs to one version of its file."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
