#!/usr/bin/env bash
# What attention costs at growing lengths: processor time of a forward and backward pass of one layer on one thread (batch 1, 8 heads of 64, float32) and
# its peak of memory above the inputs, for flash on everything before a position, for block-sparse on sparse patterns, for linear attention
# and, where it fits, for the reference. All cases of a length run in turns (A B C A B C), so that whatever else the machine does falls on
# all; the best time of the rounds counts. Ratios are to flash at the same length: below 1 is less time, or less memory.
#   LENGTHS="1024 2048 4096 8192 16384"   ROUNDS=2   REPEATS=2
#   CASES="flash sliding-256 sliding-512 strided-128 fixed-128-8 bigbird linear reference"   LARGEST_REFERENCE=4096
set -euo pipefail
cd "$(dirname "$0")/.."

LENGTHS=${LENGTHS:-"1024 2048 4096 8192 16384"}
CASES=${CASES:-"flash sliding-256 sliding-512 strided-128 fixed-128-8 bigbird linear reference"}
ROUNDS=${ROUNDS:-2}
REPEATS=${REPEATS:-2}
LARGEST_REFERENCE=${LARGEST_REFERENCE:-4096}
# One thread: on a busy machine several would wait for each other, and count the waiting as work.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

dotnet build benchmarks/Attention -c Release -v q --nologo >&2
program=artifacts/bin/Trainer.Models.Benchmarks/release/Trainer.Models.Benchmarks.dll
results=$(mktemp)
trap 'rm "$results"' EXIT
for length in $LENGTHS; do
  for ((round = 1; round <= ROUNDS; round++)); do
    for case in $CASES; do
      if [[ $case == reference && $length -gt $LARGEST_REFERENCE ]]; then continue; fi
      dotnet "$program" "$case" "$length" "$REPEATS" >>"$results"
    done
  done
done

awk -F'\t' '
  {
    if (!(($2, $1) in time)) { order[++cases] = $2 SUBSEP $1; time[$2, $1] = $3; memory[$2, $1] = $4 }
    if ($3 < time[$2, $1]) time[$2, $1] = $3
    if ($4 > memory[$2, $1]) memory[$2, $1] = $4
  }
  END {
    printf "%8s  %-14s %12s %8s %12s %8s\n", "length", "case", "ms", "ratio", "peak MiB", "ratio"
    for (i = 1; i <= cases; i++) {
      split(order[i], key, SUBSEP); length_ = key[1]; name = key[2]
      if (length_ != last && i > 1) print ""
      last = length_
      printf "%8d  %-14s %12.1f %8.2f %12.0f %8.2f\n", length_, name, time[length_, name], time[length_, name] / time[length_, "flash"], \
        memory[length_, name], memory[length_, name] / memory[length_, "flash"]
    }
  }' "$results"
