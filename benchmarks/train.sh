#!/usr/bin/env bash
# nanoGPT's CPU recipe here against the same model and loop in PyTorch eager, run in turns (A B A B) so that whatever else the
# machine does falls on both. Prints tokens per second over all timed steps and peak memory of each round, the medians, and
# their ratio.
# Quick; suite.py measures more sizes, modes and tasks.
#   train.sh <text>    a text of about a megabyte, such as tinyshakespeare.txt
#   PYTHON="python3"   the Python that has torch, a command with arguments
#   ROUNDS=5 STEPS=300 CONFIG=configs/shakespeare-char.json PRECISION=float32|bfloat16
set -euo pipefail
text=$(realpath "${1:?train.sh: give a text, such as tinyshakespeare.txt}")
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
ROUNDS=${ROUNDS:-5}
STEPS=${STEPS:-300}
CONFIG=${CONFIG:-configs/shakespeare-char.json}
PRECISION=${PRECISION:-float32}
warmup=20
# Tuned for other programs, these would decide the outcome of the products.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

if ! $PYTHON -c 'import torch' 2>/dev/null; then
  echo "train.sh: '$PYTHON' has no torch; set PYTHON to one that has." >&2
  exit 2
fi

dotnet build Trainer.csproj -v q --nologo >&2
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

setting() { sed -nE "s/.*\"$1\": *([0-9.]+).*/\1/p" "$CONFIG" | head -n 1; }
shape=(--dim "$(setting dim)" --layers "$(setting layers)" --heads "$(setting heads)" --context "$(setting contextLength)" --batch "$(setting batchSize)")
[[ $PRECISION == float32 ]] || shape+=(--autocast)

# tokens/s over the steps after the warm-up, and peak MiB
ours() {
  rm -rf "$work/run"
  /usr/bin/time -f %M -o "$work/memory" artifacts/bin/Trainer/debug/Trainer train "$CONFIG" --run "$work/run" --set \
    "data.train.0.path=$text" "training.steps=$((STEPS + warmup))" "training.precision=$PRECISION" training.device=cpu \
    monitoring.logEvery=10 evaluation.every=0 checkpoint.every=0 >/dev/null 2>&1
  awk -v warmup=$warmup -v memory="$(cat "$work/memory")" -F'[:,]' '
    { for (i = 1; i < NF; i++) { if ($i ~ /"step"/) step = $(i + 1); if ($i ~ /"tokens"/) tokens = $(i + 1); if ($i ~ /"stepSeconds"/) seconds = $(i + 1) } }
    /stepSeconds/ { if (step <= warmup) first = tokens; else { time += seconds * (step - last); end = tokens }; last = step }
    END { printf "%.0f %.0f\n", (end - first) / time, memory / 1024 }' "$work/run/metrics.jsonl"
}

# Through standard input: the interpreter may see another file system, where the text is not.
theirs() {
  { sed '/^if __name__/,$d' benchmarks/nanogpt_peer.py
    printf 'import tempfile, base64, sys\nf = tempfile.NamedTemporaryFile()\nf.write(base64.b64decode("""%s"""))\nf.flush()\n' "$(base64 "$text")"
    printf 'sys.argv = ["peer", "--data", f.name, "--warmup", "%s", "--steps", "%s"] + "%s".split()\nmain()\n' "$warmup" "$STEPS" "${shape[*]}"
  } | $PYTHON - | sed -E 's/.*"tokensPerSecond": ([0-9.]+).*"peakMemoryMiB": ([0-9.]+).*/\1 \2/'
}

for ((round = 1; round <= ROUNDS; round++)); do
  ours | tee -a "$work/ours" | sed "s|^|round $round  Trainer  |"
  theirs | tee -a "$work/theirs" | sed "s|^|round $round  PyTorch  |"
done

median() { awk -v column="$2" '{ print $column }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratios=$(paste "$work/ours" "$work/theirs" | awk '{ print $1 / $3 }' | sort -n)
printf '\n%-12s %12s %12s\n' "" "tokens/s" "peak MiB"
printf '%-12s %12.0f %12.0f\n' Trainer "$(median "$work/ours" 1)" "$(median "$work/ours" 2)"
printf '%-12s %12.0f %12.0f\n' PyTorch "$(median "$work/theirs" 1)" "$(median "$work/theirs" 2)"
echo "$ratios" | awk '{ v[NR] = $1 } END { printf "ratio of tokens/s, pair by pair: median %.2f (%.2f to %.2f)\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
