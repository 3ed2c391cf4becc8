"""TorchSharp alone: the program in benchmarks/stock, on random ids."""
import json

from .ours import ROOT
from .process import run
from .sizes import PROMPT

PROGRAM = ROOT / "artifacts" / "bin" / "Stock" / "release" / "Stock"


class Stock:
    name = "TorchSharp"

    def __init__(self, size):
        self.size = size

    def modes(self, task):
        return ["float32", "bfloat16", "mixed"]

    def measure(self, task, mode, **timing):
        """Figures by name: tokensPerSecond and peakMiB."""
        size = self.size
        options = timing | dict(layers=size.layers, heads=size.heads, dim=size.dim, context=size.context, batch=size.batch,
                                vocabulary=size.vocabulary, prompt=PROMPT, precision=mode)
        verb = "train" if task == "training" else "generate"
        text, memory = run([PROGRAM, verb, *(part for name, value in options.items() for part in (f"--{name}", str(value)))])
        return {"tokensPerSecond": json.loads(text)["tokensPerSecond"], "peakMiB": memory}
