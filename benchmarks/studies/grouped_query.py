#!/usr/bin/env python3
"""Multi-head attention pooled to grouped-query and multi-query attention, then uptrained for 0, 1, 5 and 10 % of the original steps
(Ainslie et al. 2023, arXiv 2305.13245). Takes about an hour on two quiet cores.

    python3 benchmarks/studies/grouped_query.py [--scale 0.01] [--precision bfloat16]

Writes runs/studies/grouped-query/study.json (for `report runs/studies/grouped-query`) and study.md.
"""
import json
import subprocess

from study import Study

STEPS = 6000
SHARES = [1, 5, 10]
SHAPES = {"GQA-2": 2, "MQA": 1}
POOLS = ["mean", "first", "random"]
UPTRAIN = "grouped-query-uptrain"
VALIDATION_BYTES = 200_000

study = Study("grouped-query", __doc__.split("\n\n")[0])
validation = study.save("validation.txt", study.documentation()[1][:study.amount(VALIDATION_BYTES, least=4096)])


def main():
    base = study.train("grouped-query-base", "base", study.steps(STEPS))
    pooled = {(shape, pool): study.convert(base, f"{shape}-{pool}", "--key-value-heads", heads, "--pool", pool)
              for shape, heads in SHAPES.items() for pool in POOLS}
    costs = decoding({"MHA": base} | {shape: pooled[shape, "mean"] for shape in SHAPES})

    rows = [row("MHA", "", 0, base, costs)]
    rows += [row("MHA", "", share, uptrained(base, "MHA", None, None, share), costs) for share in SHARES]
    for (shape, pool), checkpoint in pooled.items():
        rows.append(row(shape, pool, 0, checkpoint, costs))
        rows += [row(shape, pool, share, uptrained(base, shape, SHAPES[shape], pool, share), costs) for share in SHARES]

    study.write(
        "study", "From multi-head to grouped-query and multi-query attention",
        f"A model of 8 heads, trained for {study.steps(STEPS)} steps, its key and value heads pooled, and uptrained with the original recipe for a share of its steps. "
        "MHA trained on for as long is the measure of what more training alone gives. Perplexity on held-out documentation "
        f"(window 256, stride 256); decoding speed of {costs['MHA']['batch']} sequences side by side after {costs['MHA']['remembered']} tokens.",
        rows,
        [{"x": "share %", "y": "perplexity", "series": "series", "logY": True},
         {"x": "cache bytes per token", "y": "decoded tokens per second", "series": "attention"}])


def uptrained(base, shape, heads, pool, share):
    steps = study.steps(STEPS * share / 100)
    # Without a conversion the recipe only goes on with the weights.
    source = [f"initialize.from={base}"]
    if heads is None:
        return study.train("grouped-query-base", f"MHA-{share}", steps, "schedule.warmupSteps=10", *source)
    return study.train(UPTRAIN, f"{shape}-{pool}-{share}", steps, *source,
                       f"initialize.convert.keyValueHeads={heads}", f"initialize.convert.pool={pool}")


def decoding(checkpoints):
    study.say("decoding speed")
    output = subprocess.run(
        ["dotnet", "run", "-c", "Release", "--project", "benchmarks/Decoding", "--", "16", "1024", "64", *checkpoints.values()],
        capture_output=True, text=True, check=True).stdout
    return dict(zip(checkpoints, map(json.loads, output.splitlines())))


def row(shape, pool, share, checkpoint, costs):
    figures = study.evaluate(checkpoint, "--data", validation)
    return {
        "series": f"{shape} {pool}".strip(), "attention": shape, "pool": pool, "share %": share, "steps": study.steps(STEPS * share / 100) if share else 0,
        "perplexity": figures["perplexity"], "bits per byte": figures["bitsPerByte"],
        "cache bytes per token": costs[shape]["cacheBytesPerToken"], "decoded tokens per second": round(costs[shape]["tokensPerSecond"]),
    }


main()
