#!/usr/bin/env python3
"""Compares the GGUF files that this program writes, as llama.cpp computes them, with this program itself.

    benchmarks/llama_cpp/compare.py [--chroot DIR] [--only name,name…] [--steps N] [--output FILE]

Trains a small model of each family, writes it as GGUF, and compares tokens, perplexity and greedy continuations with llama.cpp's. Writes
docs/llama-cpp.md, and fails where they differ by more than rounding explains. Needs llama.cpp's programs on the path, or in a root directory named
by --chroot (as a newer Debian beside this one), and Python 3. Files stand in runs/llama-cpp, or in the root directory's tmp/trainer-llama-cpp;
what was trained or
measured there is not again.
"""
import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import files
import models
import ours
import sentence_piece
import table
from peer import LlamaCpp

SHORT_PROMPT, LONG_PROMPT = 48, 600  # characters
LONGER = 4

# How rotary positions reach four times the context, each with the models it is written for.
EXTENSIONS = [("llama", "linear"), ("llama", "ntk"), ("llama", "yarn"), ("llama", "llama3"), ("qwen2", "yarn")]

# In the place of YaRN's own, 0.1 ln 4 + 1 = 1.14.
ATTENTION_FACTOR = 1.3


class Comparison:
    def __init__(self, options):
        self.cpp = LlamaCpp(options.chroot, options.port)
        self.folder = options.chroot / "tmp" / "trainer-llama-cpp" if options.chroot else ours.REPOSITORY / "runs" / "llama-cpp"
        self.only, self.steps, self.rows, self.blocks_equal = options.only, options.steps, [], None
        self.folder.mkdir(parents=True, exist_ok=True)
        ours.trainer("prepare", ours.REPOSITORY / "configs" / "dotnet-docs.json")
        text = (ours.REPOSITORY / "datasets" / "dotnet-docs" / "text.txt").read_text()
        self.text = text[len(text) * 19 // 20:][:10000]  # of what recipes hold out
        self.text_file = self.folder / "text.txt"
        self.text_file.write_text(self.text)

    def run(self):
        for family in models.PATTERNS:
            self.compare(family, "f32", models.CONTEXT, lambda: self.trained(family))
        for kind in ("f16", "bf16"):
            self.compare("llama", kind, models.CONTEXT, lambda: self.rounded("llama", kind))
        if self.wanted("llama", "q8_0"):
            self.quantized()
        self.compare("llama, pieces", "f32", models.CONTEXT, lambda: self.pieces())
        for family, method in EXTENSIONS:
            self.compare(f"{family}, {method} × {LONGER}", "f32", LONGER * models.CONTEXT, lambda: self.extended(family, method))
        self.compare(f"llama, yarn, attention factor {ATTENTION_FACTOR} × {LONGER}", "f32", LONGER * models.CONTEXT, lambda: self.sharpened("llama"))

    def wanted(self, name, kind):
        return not self.only or any(part in f"{name} {kind}" for part in self.only)

    def trained(self, family):
        run = self.folder / family.replace(", ", "-")
        if not any(run.rglob("manifest.json")):
            recipe = run.with_suffix(".json")
            recipe.write_text(json.dumps(models.recipe(family, self.tokenizer(models.PATTERNS[family]), self.steps)))
            print(f"training {family}", file=sys.stderr)
            ours.trainer("train", recipe, "--run", run)
        return next(path.parent for path in run.rglob("manifest.json"))

    def tokenizer(self, pattern):
        """Bytes, or learned with one of this program's expressions; Qwen's differs from cl100k's in its digits."""
        if pattern is None:
            return {"type": "byte"}
        if pattern != "qwen2":
            return {"type": "bpe", "vocabularySize": models.VOCABULARY, "pattern": pattern}
        learned = (self.trained("llama") / "tokenizer.json").read_text()
        assert r"\\p{N}{1,3}" in learned, "the expression of cl100k is not what it was"
        path = self.folder / "qwen2-tokenizer.json"
        path.write_text(learned.replace(r"\\p{N}{1,3}", r"\\p{N}"))
        return {"type": "file", "path": str(path)}

    def extended(self, family, method):
        target = self.folder / f"{family}-{method}"
        if not target.exists():
            ours.trainer("convert", self.trained(family), "--rope-scaling", method, "--factor", LONGER, "--output", target)
        return target

    def sharpened(self, family):
        """YaRN with an attention factor that is said, as some published models say it."""
        target, source = self.folder / f"{family}-yarn-factor", self.folder / f"{family}-yarn-factor-hf"
        if not target.exists():
            ours.trainer("export", self.extended(family, "yarn"), "--format", "huggingface", "--output", source)
            path = source / "config.json"
            config = json.loads(path.read_text())
            for spelling in ("rope_parameters", "rope_scaling"):
                config[spelling]["attention_factor"] = ATTENTION_FACTOR
            path.write_text(json.dumps(config))
            ours.trainer("import", source, "--output", target)
        return target

    def rounded(self, family, kind):
        """A checkpoint whose weights are what the GGUF's are, so that like is compared with like."""
        target = self.folder / f"{family}-{kind}"
        if not target.exists():
            ours.trainer("export", self.trained(family), "--format", "huggingface", "--type", kind, "--output", self.folder / f"{family}-{kind}-hf")
            ours.trainer("import", self.folder / f"{family}-{kind}-hf", "--output", target)
        return target

    def pieces(self):
        """The tokenizer of Llama 2's kind. The weights know other tokens, which is all the same to what is compared."""
        target, source = self.folder / "llama-pieces", self.folder / "llama-pieces-hf"
        if not target.exists():
            ours.trainer("export", self.trained("llama"), "--format", "huggingface", "--output", source)
            tokenizer = sentence_piece.tokenizer(self.text, models.VOCABULARY)
            (source / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
            ours.trainer("import", source, "--output", target)
        return target

    def quantized(self):
        """Q8_0: the blocks against llama-quantize's, the weights they stand for in float32, and llama.cpp's own arithmetic on blocks."""
        trained, kept = self.trained("llama"), self.folder / "llama-q8_0"
        blocks, theirs, exact = (self.folder / name for name in ("llama-q8_0.gguf", "llama-q8_0-theirs.gguf", "llama-f32.gguf"))
        ours.trainer("export", trained, "--format", "gguf", "--output", exact)
        ours.trainer("export", trained, "--format", "gguf", "--type", "q8_0", "--output", blocks)
        self.cpp.quantize(exact, theirs, "Q8_0")
        ours_read, theirs_read = files.Gguf(blocks), files.Gguf(theirs)
        self.blocks_equal = ours_read.tensors == theirs_read.tensors
        if not kept.exists():
            source = self.folder / "llama-q8_0-hf"
            ours.trainer("export", trained, "--format", "huggingface", "--output", source)
            heads = models.FAMILIES["llama"]["attention"]
            path = source / "model.safetensors"
            files.write_safetensors(path, files.as_hugging_face(ours_read, files.read_safetensors(path), heads["heads"], heads["keyValueHeads"]))
            ours.trainer("import", source, "--output", kept)
        wide = self.folder / "llama-q8_0-wide.gguf"
        self.cpp.quantize(blocks, wide, "F32")
        self.compare("llama", "q8_0, widened by llama-quantize", models.CONTEXT, lambda: kept, wide)
        self.compare("llama", "q8_0", models.CONTEXT, lambda: kept, blocks)

    def compare(self, name, kind, context, make, gguf=None):
        if not self.wanted(name, kind):
            return
        checkpoint = make()
        if gguf is None:
            gguf = self.folder / f"{name.replace(', ', '-').replace(' × ', 'x')}-{kind}.gguf"
            ours.trainer("export", checkpoint, "--format", "gguf", "--type", kind, "--output", gguf)
        # Measured before, with the same file of the same program: it is not measured again.
        kept = gguf.with_suffix(".json")
        of = hashlib.sha256(gguf.read_bytes() + ours.PROGRAM.with_name("Trainer.Models.dll").read_bytes()).hexdigest()
        if kept.exists() and (row := table.Row.of_saved(json.loads(kept.read_text()))).of == of:
            return self.add(row)
        chunks, count = (4, 64) if context == models.CONTEXT else (3, 128)
        row = table.Row(name, kind, context, of)
        (ids, *tricky), scratch = ours.encode(checkpoint, [self.text, *models.TRICKY]), self.folder / "scratch"
        with self.cpp.serve(gguf, context) as server:
            row.texts, row.texts_equal = 1 + len(tricky), sum(server.tokenize(text) == mine for text, mine in zip([self.text, *models.TRICKY], [ids, *tricky]))
            for start in range(0, 4000, 1000):
                prompt = self.text[start:start + (SHORT_PROMPT if context == models.CONTEXT else LONG_PROMPT)]
                text, tokens, steps = server.greedy(prompt, count, table.LIKELIEST)
                same = None if "\ufffd" in text else text == ours.continuation(checkpoint, prompt, count)
                row.add(same, tokens, steps, self.judged(checkpoint, prompt, tokens, scratch))
        row.theirs, row.default = (self.cpp.perplexity(gguf, self.text_file, context, chunks, exact) for exact in (True, False))
        row.ours = ours.perplexity(checkpoint, ids, context, chunks, scratch)
        kept.write_text(json.dumps(vars(row)))
        self.add(row)

    def add(self, row):
        self.rows.append(row)
        print(row.line(), flush=True)

    @staticmethod
    def judged(checkpoint, prompt, tokens, scratch):
        """Log-probabilities before each of llama.cpp's tokens."""
        before = ours.encode(checkpoint, [prompt])[0]
        return ours.log_probabilities(checkpoint, before + tokens, scratch)[len(before) - 1:-1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--chroot", type=Path, help="a root directory that has llama.cpp's programs")
    arguments.add_argument("--port", type=int, default=18080, help="where llama-server listens (default: %(default)s)")
    arguments.add_argument("--only", type=lambda text: text.split(","), help="those rows alone whose name or type has one of these words; writes no file")
    arguments.add_argument("--steps", type=int, default=150, help="how long models are trained (default: %(default)s)")
    arguments.add_argument("--output", type=Path, default=ours.REPOSITORY / "docs" / "llama-cpp.md", help="the table (default: docs/llama-cpp.md)")
    options = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ours.build()
    comparison = Comparison(options)
    print(table.HEAD)
    comparison.run()
    if not options.only:
        options.output.write_text(table.document(comparison.cpp.version(), comparison.rows, comparison.blocks_equal))
    problems = [problem for row in comparison.rows for problem in row.problems()] + (["Q8_0 blocks differ from llama-quantize's"] if comparison.blocks_equal is False else [])
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
