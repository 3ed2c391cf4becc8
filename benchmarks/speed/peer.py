"""PyTorch's side: nanogpt_peer.py, given to the interpreter through standard input, since that may see another file system."""
import json
from pathlib import Path

from .process import first_line, run
from .sizes import PRECISIONS, PROMPT, WEIGHTS

SOURCE = Path(__file__).resolve().parent.parent / "nanogpt_peer.py"
VERSIONS = """
import platform, torch
from torch._inductor.cpu_vec_isa import pick_vec_isa
print('PyTorch', torch.__version__, 'on Python', platform.python_version() + ', compiling for', pick_vec_isa() or 'no vector instructions')
"""


class PyTorch:
    name = "PyTorch"

    def __init__(self, size, python):
        self.size, self.python = size, python

    def modes(self, task):
        if task == "start":
            return [f"eager {precision}" for precision in PRECISIONS]  # compiling comes on top
        if task == "generation":
            return [f"eager {weights}" for weights in WEIGHTS]
        return [f"{how} {precision}" for how in ("eager", "compiled") for precision in PRECISIONS]

    def measure(self, task, mode, seconds=0, **more):
        """Figures by name: tokensPerSecond and peakMiB, or of a start firstStepEnds and firstStepTakes, in seconds. Without seconds, of
        `warmup` and `steps`."""
        size = self.size
        start = task == "start"
        timing = dict(task="training", warmup=0, steps=1) if start else dict(task=task, seconds=seconds) | more
        options = timing | dict(random=size.vocabulary, layers=size.layers, heads=size.heads, dim=size.dim, context=size.context,
                       batch=size.rows if task == "evaluation" else size.batch, text=size.text, prompt=PROMPT)
        flags = ["--compile"] if mode.startswith("compiled") else []
        if mode.endswith("bfloat16"):
            flags.append("--autocast" if task in ("training", "start") else "--bfloat16")
        if mode.endswith("int8"):
            flags.append("--int8")
        command = [*self.python, "-", *(part for name, value in options.items() for part in (f"--{name}", str(value))), *flags]
        source = SOURCE.read_text()
        if start:
            ends, line = first_line(command, "{", given=source)
            return {"firstStepEnds": ends, "firstStepTakes": json.loads(line)["medianStepSeconds"]}
        text, memory = run(command, given=source)
        return {"tokensPerSecond": json.loads(text.splitlines()[-1])["tokensPerSecond"], "peakMiB": memory}


def versions(python):
    return run([*python, "-c", VERSIONS])[0].strip()
