"""The models that are measured."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    name: str
    layers: int
    heads: int
    dim: int
    context: int
    batch: int
    vocabulary: int
    text: int  # tokens of one evaluation, a whole number of windows
    rows: int  # windows that the peer evaluates at once

    @property
    def describes(self):
        return (f"{self.layers} layers, {self.heads} heads, {self.dim}, context {self.context}, "
                f"batch {self.batch} × {self.context}, {self.vocabulary:,} tokens")


# nanoGPT's recipe for a CPU, its recipe for a GPU with a batch for a CPU, and GPT-2 small's shape; all without dropout.
SIZES = {size.name: size for size in [
    Size("0.8M", 4, 4, 128, 64, 12, 65, 16384, 256),
    Size("10M", 6, 6, 384, 256, 16, 65, 16384, 64),
    Size("124M", 12, 12, 768, 512, 4, 50304, 4096, 4),
]}
TASKS = ["start", "training", "evaluation", "generation"]
PRECISIONS = ["float32", "bfloat16"]
WEIGHTS = [*PRECISIONS, "int8"]  # how weights are held for generation
BYTES = {"float32": 4, "bfloat16": 2, "int8": 34 / 32}  # of a weight; blocks of 8 bits have scales
PROMPT = 16  # tokens before generation
