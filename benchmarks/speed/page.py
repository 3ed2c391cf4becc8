"""The page of results, from raw figures."""
from statistics import median

HEAD = """# Speed and memory against PyTorch

Written by `benchmarks/suite.py`: the same model on both sides, nanoGPT's architecture, random text, no dropout; every mode in turn, round
after round, each measurement a process of its own. Tokens per second are medians of the rounds, with their range; memory is the most that the process held.
PyTorch trains in bfloat16 with autocast, and evaluates and generates with weights rounded once; int8 is blocks of 8 bits here, and PyTorch's own kernel with a
scale for each row there. Generation is greedy, one sequence, keys and values kept, from a
prompt of 16 tokens to the end of the context. *Roofline* is the share of the machine's measured best: of its matrix products in that precision for training
and evaluation, of the bandwidth of reading the weights once a token for generation.
"""


def write(path, studies):
    if not studies:
        raise SystemExit("suite.py: there are no figures in runs/benchmarks; run it without --table")
    starts = [study for study in studies if study["task"] == "start"]
    others = [study for study in studies if study["task"] != "start"]
    lines = [HEAD, *summary(others), ""]
    if starts:
        lines += [*start(starts), ""]
    for study in others:
        lines += [*section(study), ""]
    path = str(path)
    with open(path, "w") as file:
        file.write("\n".join(lines).rstrip() + "\n")


def summary(studies):
    yield ("Our best mode against PyTorch's best mode at that size, pair by pair: median of the ratios (lowest to highest). Where weights of 8 bits are the fastest, "
           "the line above has the best without them.")
    yield ""
    yield "| task | size | ours | PyTorch's | tokens/s | peak memory |"
    yield "|---|---|---|---|---:|---:|"
    for study in studies:
        for ours, theirs in pairs(study):
            yield (f"| {study['task']} | {study['size']} | {short(ours)} | {short(theirs)} | **{ratio(study, ours, theirs, 'tokensPerSecond')}** "
                   f"| {ratio(study, ours, theirs, 'peakMiB')} |")


def pairs(study):
    """Our best mode and theirs: without weights of 8 bits, and with them where that is another pair."""
    coarse = [mode for mode in modes(study) if not mode.endswith("int8")]
    found = [(best(study, some, "Trainer"), best(study, some, "PyTorch")) for some in (coarse, modes(study))]
    return [pair for pair in dict.fromkeys(found) if all(pair)]


def start(studies):
    """How long the first step is in coming: less is better."""
    yield "## Start"
    yield ""
    yield (f"Seconds from the start of the process, with prepared data here and text in memory there, until the first training step begins and ends; {len(studies[0]['rounds'])} rounds, "
           f"{studies[0]['began']}. {versions(studies[0]['machine'])}.")
    yield ""
    yield "| | | step begins | step ends | range | PyTorch's best ÷ ours |"
    yield "|---|---|---:|---:|---:|---:|"
    for study in studies:
        theirs = least([mode for mode in modes(study) if mode.startswith("PyTorch")], study)
        for mode in modes(study):
            ends, takes = values(study, mode, "firstStepEnds"), values(study, mode, "firstStepTakes")
            begins = median(a - b for a, b in zip(ends, takes))
            against = ratio(study, theirs, mode, "firstStepEnds") if theirs and mode.startswith("Trainer") else ""
            yield f"| {study['size']} | {mode} | {begins:.1f} | {median(ends):.1f} | {min(ends):.1f}–{max(ends):.1f} | {against} |"


def least(some, study):
    return min(some, key=lambda mode: median(values(study, mode, "firstStepEnds")), default=None)


def versions(machine):
    return f"{machine['model']}, {machine['processor']}; libtorch {machine['libtorch']}, {machine['.NET']}; {machine['peer']}"


def section(study):
    roof = study["roofline"]
    yield f"## {study['task'].capitalize()}, {study['size']}"
    yield ""
    yield (f"{study['about']}; {roof['parameters']:,} parameters; {len(study['rounds'])} rounds of {study['seconds']:g} s, {study['began']}, load {study['load']:.1f}. "
           f"{versions(study['machine'])}. "
           f"Products {per_precision(roof['flopsPerSecond'], 'GFLOP/s')}; reading the weights {per_precision(roof['bytesPerSecond'], 'GB/s')}.")
    yield ""
    yield "| | tokens/s | range | peak MiB | roofline |"
    yield "|---|---:|---:|---:|---:|"
    for mode in modes(study):
        speeds, memory = values(study, mode, "tokensPerSecond"), values(study, mode, "peakMiB")
        yield f"| {mode} | {median(speeds):,.0f} | {min(speeds):,.0f}–{max(speeds):,.0f} | {median(memory):,.0f} | {100 * share(study, mode):.0f} % |"
    if study["skipped"]:
        yield ""
    for mode, why in study["skipped"].items():
        yield f"- {mode} was skipped: `{why.replace('`', chr(39))}`"


def per_precision(rates, unit):
    return " and ".join(f"{rate / 1e9:,.0f} {unit} in {precision}" for precision, rate in rates.items())


def modes(study):
    """Those that ran in every round, in their order."""
    return [mode for mode in study["rounds"][0] if mode not in study["skipped"]]


def values(study, mode, figure):
    return [one[mode][figure] for one in study["rounds"]]


def best(study, some, side):
    return max((mode for mode in some if mode.startswith(side)), key=lambda mode: median(values(study, mode, "tokensPerSecond")), default=None)


def ratio(study, ours, theirs, figure):
    ratios = [a / b for a, b in zip(values(study, ours, figure), values(study, theirs, figure))]
    return f"{median(ratios):.2f}×" + (f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else "")


def share(study, mode):
    precision, roof = mode.split()[-1], study["roofline"]
    speed = median(values(study, mode, "tokensPerSecond"))
    if study["task"] == "generation":
        return speed * roof["weightBytes"][precision] / roof["bytesPerSecond"][precision]
    return speed * roof["flopsPerToken"][study["task"]] / roof["flopsPerSecond"][precision]


def short(mode):
    return mode.split(" ", 1)[1]
