"""The table: what was compared, and when it is an agreement."""

HEAD = """| Model | Stored | Context | Texts cut alike | Perplexity in llama.cpp | here | apart by | with its float16 cache | Greedy tokens alike | Continuations alike | Largest gap of log p |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""

LIKELIEST = 20

# How far perplexities may be apart, relative, and log-probabilities: float32 alone; llama.cpp rounds what it multiplies with matrices of other types to their type.
TOLERANCES = {"f32": (1e-4, 5e-3), "f16": (1e-3, 0.02), "bf16": (5e-3, 0.1), "q8_0": (5e-3, 0.1)}


class Row:
    def __init__(self, name, kind, context, of):
        self.name, self.kind, self.context, self.of = name, kind, context, of
        self.continuations = self.continuations_equal = self.tokens = self.tokens_equal = 0
        self.gap = 0.0

    @classmethod
    def of_saved(cls, values):
        row = cls.__new__(cls)
        vars(row).update(values)
        return row

    def add(self, same_text, tokens, steps, judged):
        """One continuation: whether the texts are the same, or None; llama.cpp's tokens and log-probabilities; ours at the same places."""
        if same_text is not None:
            self.continuations, self.continuations_equal = self.continuations + 1, self.continuations_equal + same_text
        for token, mine in zip(tokens, judged, strict=True):
            self.tokens, self.tokens_equal = self.tokens + 1, self.tokens_equal + (mine.index(max(mine)) == token)
        if len(steps) < len(tokens):
            return  # llama-server tells nothing of tokens that end amid a character, so that it is unknown which places the others are of
        for theirs, mine in zip(steps, judged, strict=True):
            self.gap = max(self.gap, max(abs(value - mine[other]) for other, value in theirs.items()))

    @property
    def apart(self):
        return abs(self.theirs / self.ours - 1)

    @property
    def exact(self):
        """Whether llama.cpp computes in float32, so that every token must be the same."""
        return self.kind == "f32" or "widened" in self.kind

    def problems(self):
        perplexity, logarithm = TOLERANCES["f32" if self.exact else self.kind]
        if self.texts_equal < self.texts:
            yield f"{self.name} {self.kind}: {self.texts - self.texts_equal} texts have other tokens in llama.cpp"
        if self.apart > perplexity:
            yield f"{self.name} {self.kind}: perplexities are {self.apart:.1e} apart, and {perplexity:.0e} is allowed"
        if self.gap > logarithm:
            yield f"{self.name} {self.kind}: a log-probability is {self.gap:.1e} apart, and {logarithm:.0e} is allowed"
        if self.exact and (self.tokens_equal < self.tokens or self.continuations_equal < self.continuations):
            yield f"{self.name} {self.kind}: greedy continuations differ"

    def line(self):
        return (f"| {self.name} | {self.kind} | {self.context} | {self.texts_equal}/{self.texts} | {self.theirs:.4f} | {self.ours:.4f} | {self.apart:.1e} | {self.default:.4f} "
                f"| {self.tokens_equal}/{self.tokens} | {self.continuations_equal}/{self.continuations} | {self.gap:.1e} |")


def document(version, rows, blocks_equal):
    lines = "\n".join(row.line() for row in rows)
    return f"""# GGUF in llama.cpp

Written by `benchmarks/llama_cpp/compare.py`, with llama.cpp {version}: small models of each family, trained for a moment on API documentation, written by
`export --format gguf` and computed by llama.cpp, beside this program with the same weights (those of F16, BF16 and Q8_0 are the rounded ones here, too).

{HEAD}
{lines}

The blocks of Q8_0 {"equal" if blocks_equal else "DIFFER FROM"} those that llama-quantize makes of the float32 file, byte for byte.

- *Texts cut alike*: a stretch of documentation and ten texts of contractions, digits, white space, other scripts, emoji and names of special tokens give
  the same ids. *Perplexity* is llama-perplexity's, of the second half of each context. *Greedy tokens alike*: before how many of the tokens that llama-server
  continues with, this program finds the same one likeliest; *continuations alike*: how many texts equal those of `generate --greedy`,
  of those without broken characters, which the two show differently. *Gap*:
  between the log-probabilities of the {LIKELIEST} likeliest tokens, at all of these places.
- Contexts of 512 are those of models that were made for 128: prompts reach beyond it, and all scored tokens lie there. *Bytes* has a tokenizer of bytes, *pieces* one of
  Llama 2's kind over weights that were trained with other tokens, hence its perplexity.
- llama.cpp keeps keys and values in float16 unless it is told otherwise (`--cache-type-k f32 --cache-type-v f32 --flash-attn off`). That, and nothing in the file, moves
  its perplexities from one column to the other.
- It multiplies matrices of F16, BF16 and Q8_0 with activations that it rounds to the same type, which this program does not: the rows *q8_0* and *q8_0, widened by
  llama-quantize* have the same weights, and in float32 arithmetic they give this program's tokens.
- It looks GELU up in a table of float16, hence GPT-2's gap.
- llama-completion may end before its last words are written, with exit code 0: its text is then a beginning of the whole one. llama-server answers whole.
- Mistral is written as Llama is. A model with a window shorter than its context is refused, since llama.cpp would not keep it.
"""
