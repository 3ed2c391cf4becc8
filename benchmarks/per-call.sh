#!/usr/bin/env bash
# The cost of a call through the binding against PyTorch's Python, run in turns (A B A B) so that whatever else the
# machine does falls on both. Prints nanoseconds of processor time per call, the medians of the rounds, and their ratio.
#   PYTHON="python3"   the Python that has torch, a command with arguments
#   ROUNDS=3 CALLS=200000
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
ROUNDS=${ROUNDS:-3}
CALLS=${CALLS:-200000}
# Tuned for other programs, these would decide the outcome of the products.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

if ! $PYTHON -c 'import torch' 2>/dev/null; then
  echo "per-call.sh: '$PYTHON' has no torch; set PYTHON to one that has." >&2
  exit 2
fi

dotnet build benchmarks/PerCall -c Release -v q --nologo >&2
ours=artifacts/bin/PerCall/release/PerCall.dll
results=$(mktemp -d)
trap 'rm -r "$results"' EXIT
for ((round = 1; round <= ROUNDS; round++)); do
  dotnet "$ours" "$CALLS" >>"$results/ours"
  # Through standard input: the interpreter may see another file system.
  $PYTHON - "$CALLS" <benchmarks/per_call.py >>"$results/theirs"
done

awk -F'\t' '
  function median(list,   values, count, i, j, swap) {
    count = split(list, values, " ")
    for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++)
      if (values[j] + 0 < values[i] + 0) { swap = values[i]; values[i] = values[j]; values[j] = swap }
    return values[int((count + 1) / 2)]
  }
  FILENAME ~ /ours$/ { if (!($1 in ours)) order[++cases] = $1; ours[$1] = ours[$1] " " $2 }
  FILENAME ~ /theirs$/ { theirs[$1] = theirs[$1] " " $2 }
  END {
    printf "%-28s %10s %10s %8s\n", "nanoseconds per call", "Trainer", "PyTorch", "ratio"
    for (i = 1; i <= cases; i++) {
      name = order[i]; mine = median(ours[name]); other = median(theirs[name])
      printf "%-28s %10.0f %10.0f %8.2f\n", name, mine, other, mine / other
    }
  }' "$results/ours" "$results/theirs"
