"""Writes bleu.json: corpora and their scores by a computation of its own, from the definition of BLEU (Papineni et al. 2002).

Nothing here is taken from the program: words are cut by a scanner instead of expressions, n-grams are counted as tuples,
and the score is a product of rational powers. Run: python3 make_bleu.py > bleu.json
"""
import json
import math
import random

SIGNS = set('{|}~[\\]^_`!"#$%&()*+:;<=>?@/')
DIGITS = set("0123456789")


def cut(line):
    """mteval-v13a, character by character; each pass is one of its substitutions."""
    line = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        line = line.replace(name, sign)
    line = "".join(f" {c} " if c in SIGNS or c == " " else c for c in f" {line} ")
    out, i = [], 0
    while i < len(line):  # a point or comma after what is no digit
        if i + 1 < len(line) and line[i] not in DIGITS and line[i + 1] in ".,":
            out.append(f"{line[i]} {line[i + 1]} ")
            i += 2
        else:
            out.append(line[i])
            i += 1
    line, out, i = "".join(out), [], 0
    while i < len(line):  # a point or comma before what is no digit
        if i + 1 < len(line) and line[i] in ".," and line[i + 1] not in DIGITS:
            out.append(f" {line[i]} {line[i + 1]}")
            i += 2
        else:
            out.append(line[i])
            i += 1
    line, out, i = "".join(out), [], 0
    while i < len(line):  # a dash after a digit
        if i + 1 < len(line) and line[i] in DIGITS and line[i + 1] == "-":
            out.append(f"{line[i]} - ")
            i += 2
        else:
            out.append(line[i])
            i += 1
    return "".join(out).split()


def grams(words, n):
    counts = {}
    for i in range(len(words) - n + 1):
        counts[tuple(words[i:i + n])] = counts.get(tuple(words[i:i + n]), 0) + 1
    return counts


def bleu(hypotheses, references):
    found, total, length, reference_length = [0] * 4, [0] * 4, 0, 0
    for i, hypothesis in enumerate(hypotheses):
        h, rs = cut(hypothesis.rstrip()), [cut(r[i].rstrip()) for r in references]
        length += len(h)
        reference_length += min((abs(len(r) - len(h)), len(r)) for r in rs)[1]
        for n in range(1, 5):
            own, theirs = grams(h, n), [grams(r, n) for r in rs]
            total[n - 1] += sum(own.values())
            found[n - 1] += sum(min(c, max(t.get(g, 0) for t in theirs)) for g, c in own.items())
    if not any(found) or not all(total):
        return 0.0
    score, halves = 1.0, 1
    for f, t in zip(found, total):
        if f == 0:
            halves *= 2
        score *= ((f or 1 / halves) / t) ** 0.25
    return 100 * score * (1 if length >= reference_length else math.exp(1 - reference_length / length))


def sentence(rng, words):
    return "".join(rng.choice(words) + rng.choice([" ", " ", " ", ", ", ". ", "-", "; ", "/", " ", "\t", "..", " (", ") "]) for _ in range(rng.randint(0, 14)))


def worsen(rng, text, words):
    parts = text.split(" ")
    return " ".join(rng.choice(words) if rng.random() < 0.2 else p for p in parts if rng.random() > 0.1)


def main():
    rng = random.Random(7)
    words = ["the", "a", "dog", "Dog", "3.14", "1,000", "2-3", "don't", "&quot;x&quot;", "&amp;", "it", "l'été", "東京", "U.S.", "<skipped>", "50%", "C#", "e.g.", "😀", "a_b"]
    cases = []
    for _ in range(40):
        first = [sentence(rng, words) for _ in range(rng.randint(1, 6))]
        references = [first] + [[worsen(rng, s, words) for s in first] for _ in range(rng.randint(0, 2))]
        hypotheses = [worsen(rng, s, words) for s in first]
        cases.append({"hypotheses": hypotheses, "references": references, "score": bleu(hypotheses, references)})
    cuts = [{"text": t, "words": cut(t)} for t in [sentence(rng, words) for _ in range(40)] + ["a-\nb\nc", "...", "1.5.", ".5", ",,a", "x.,y", "don't stop-me", "5-6-7", "\u00a0x\u2003y"]]
    print(json.dumps({"cases": cases, "cuts": cuts}, ensure_ascii=False, indent=1))


main()
