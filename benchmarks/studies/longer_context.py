#!/usr/bin/env python3
"""A model trained at 512 bytes, extended four and eight times by every scaling of rotary positions, after 0, 100 and 400 steps of
fine-tuning, against direct fine-tuning, PoSE and the untouched model. Takes about 50 minutes on two quiet cores.

    python3 benchmarks/studies/longer_context.py [--scale 0.01] [--precision bfloat16] [--methods direct,yarn,pose] [--factors 4]

Writes below runs/studies/longer-context: study.json (perplexity by window, passkeys by length), study-position.json (loss by position),
study-passkey.json (by length and depth), each with a table in markdown; `report runs/studies/longer-context` shows them.
"""
import json
import random

from study import Study

LENGTH = 512
FACTORS = [4, 8]
STEPS = [100, 400]
# Passkeys are learned in three stages: documentation with some of them, prompts with little around the key, then prompts of all lengths. A model
# that only ever sees the last kind does not learn in as many steps to look for the key.
DOCUMENT_STEPS, SHORT_STEPS, BASE_STEPS = 2000, 600, 1000
TOKENS_OF_STEP = 4096
SCALINGS = ["linear", "ntk", "ntk-by-parts", "dynamic-ntk", "yarn", "llama3"]
WINDOWS = [512, 1024, 2048, 4096]
VALIDATION_BYTES = 100_000

study = Study("longer-context", __doc__.split("\n\n")[0], methods=["direct", *SCALINGS, "pose"], factors=FACTORS)
methods, factors = study.options.methods, study.options.factors
rows, positions, passkeys = [], [], []


def main():
    write_texts()
    # The recipes name the folder of the whole study.
    texts = [f"data.train.0.path={study.path('data/train.txt')}", f"data.train.1.path={study.path('data/passkeys.jsonl')}",
             f"data.validation.0.path={study.path('data/validation.txt')}"]
    documents = study.train("longer-context-base", "documents", study.steps(DOCUMENT_STEPS), *texts)
    short = study.train("longer-context-passkeys", "short", study.steps(SHORT_STEPS), *texts, f"data.train.1.path={study.path('data/short-passkeys.jsonl')}",
                        f"initialize.from={documents}")
    base = study.train("longer-context-passkeys", "base", study.steps(BASE_STEPS), *texts, f"initialize.from={short}")
    measure("untouched", 1, 0, base)
    for factor in factors:
        if "direct" in methods:
            measure("direct", factor, 0, base)
        for scaling in filter(methods.__contains__, SCALINGS):
            measure(scaling, factor, 0, study.convert(base, f"{scaling}-{factor}-0", "--rope-scaling", scaling, "--factor", factor))
        for method in methods:
            fine_tune(method, factor, base, texts)
    write()


def fine_tune(method, factor, base, texts):
    target = LENGTH * factor
    row_length = LENGTH if method == "pose" else target
    recipe = method if method in ("direct", "pose") else "yarn"
    scaling = [f"model.position.scaling.type={method}"] if recipe == "yarn" else []
    if method == "llama3":
        scaling.append(f"model.position.scaling.factor={factor}")  # of this one it is not the ratio of the lengths
    first, last = map(study.steps, STEPS)
    run = study.train(f"longer-context-{recipe}", f"{method}-{factor}", last, *texts, *scaling, f"initialize.from={base}",
                      f"model.contextLength={target}", f"training.batchSize={TOKENS_OF_STEP // row_length}", f"checkpoint.every={first}", "checkpoint.keep=100")
    for nominal, steps in zip(STEPS, [first, last]):
        measure(method, factor, nominal, f"{run}/checkpoints/step-{steps:08d}")


def measure(method, factor, steps, checkpoint):
    series = f"{method} {factor}×" if factor > 1 else method
    row = {"series": series, "method": method, "factor": factor, "steps": steps}
    validation = study.path("data/validation.txt")
    # A model is measured up to the length it is made for, the untouched one at all of them.
    windows = [window for window in WINDOWS if window <= LENGTH * factor or method == "untouched"]
    for window in windows:
        figures = study.evaluate(checkpoint, "--data", validation, "--window", window)
        row[f"perplexity at {window}"] = figures["perplexity"]
        if window == windows[-1]:
            positions.extend({"series": series, "steps": steps, "position": part["to"], "loss": part["loss"]} for part in figures["byPosition"])
    cells = study.evaluate(checkpoint, "--passkey", ",".join(map(str, windows)))["cells"]
    for window in windows:
        of_length = [cell for cell in cells if cell["length"] == window]
        passkeys.append({"series": series, "steps": steps, "length": window} | {f"depth {cell['depth']:g}": cell["found"] / cell["trials"] for cell in of_length})
        row[f"passkeys at {window}"] = sum(cell["found"] for cell in of_length) / sum(cell["trials"] for cell in of_length)
    row["perplexity at target"] = row[f"perplexity at {LENGTH * factor}"]
    rows.append(row)


def write():
    about = (f"Trained at {LENGTH} bytes for {study.steps(DOCUMENT_STEPS + SHORT_STEPS + BASE_STEPS)} steps; fine-tuned with {TOKENS_OF_STEP} tokens a step, "
             f"the middle figure after {study.steps(STEPS[0])} steps and the last after {study.steps(STEPS[1])}. PoSE is YaRN's scaling, trained in rows of {LENGTH}. "
             f"Perplexity on {study.amount(VALIDATION_BYTES, least=2 * WINDOWS[-1])} held-out bytes, stride = window.")
    study.write("study", "Longer contexts", about, rows,
                [{"x": "steps", "y": "perplexity at target", "series": "series", "logY": True},
                 *[{"x": "steps", "y": f"perplexity at {window}", "series": "series", "logY": True} for window in WINDOWS],
                 *[{"x": "steps", "y": f"passkeys at {window}", "series": "series"} for window in WINDOWS]])
    trained = [row for row in positions if row["steps"] == STEPS[-1] or row["series"] == "untouched"]
    study.write("study-position", "Longer contexts: loss by position", f"{about} Nats per token by the tokens seen before, in windows of the length it was made for.", trained,
                [{"x": "position", "y": "loss", "series": "series"}])
    study.write("study-passkey", "Longer contexts: passkeys by length and depth", "The share of ten passkeys that greedy decoding writes, by length of the prompt and depth of the passkey in it.",
                passkeys, [])


def write_texts():
    """Documentation to train and to validate on, and passkey prompts like those of `evaluate --passkey`, with and without the introduction."""
    train, held_out = study.documentation()
    study.save("train.txt", train)
    study.save("validation.txt", held_out[:study.amount(VALIDATION_BYTES, least=2 * WINDOWS[-1])])
    for name, introduced, shortness in [("short-passkeys", 0.3, 3), ("passkeys", 0.5, 2)]:
        draw = random.Random(1337)
        study.save(f"{name}.jsonl", "".join(json.dumps({"text": prompt(draw, introduced, shortness)}) + "\n" for _ in range(40_000)))


def prompt(draw, introduced, shortness):
    """A prompt and its answer, up to the length of training: the higher the shortness, the fewer of them are long."""
    key = str(draw.randrange(10_000, 100_000))
    introduction = "" if draw.random() >= introduced else ("There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
                                                           "I will quiz you about the important information there.\n")
    needle = f"The pass key is {key}. Remember it. {key} is the pass key. "
    question = f"What is the pass key? The pass key is {key}\n"
    filler = ["The grass is green. ", "The sky is blue. ", "The sun is yellow. ", "Here we go. ", "There and back again. "]
    room = (LENGTH - 1 - len(introduction + needle + question)) * draw.random() ** shortness
    sentences = []
    while room >= len(filler[len(sentences) % len(filler)]):
        sentences.append(filler[len(sentences) % len(filler)])
        room -= len(sentences[-1])
    sentences.insert(draw.randint(0, len(sentences)), needle)
    return introduction + "".join(sentences) + question


main()
