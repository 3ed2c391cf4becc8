#!/usr/bin/env bash
# What a machine's NVIDIA GPU does with the trainer. Checks every architecture and attention kernel against the CPU's results, resumes,
# generates, runs out of memory on purpose, and trains nanoGPT's Shakespeare model and a GPT-2 of 124 M beside the same in PyTorch.
# Writes report.md and report.json with every version: send the folder back.
#   gpu.sh --pack [<file.tar.gz>|<folder>]   a self-contained program with all that --run needs, under 55 MB, to carry to such a machine
#   gpu.sh --run [<folder>] [--part checks|train|report]
#                      there: needs bash, coreutils, awk, sed, grep and Python's PyTorch 2.10 or newer, and neither .NET nor a network.
#                      The folder is an unpacked pack, by default the one that this script lies in. What passed is not repeated, so a
#                      run that was cut short goes on where it stopped
#   gpu.sh             builds here, with the .NET SDK, and runs all of it
#   OUT=gpu-report     where results go, and where earlier ones are found
#   TRAINER_LIBTORCH   the folder of a libtorch; without it that of Python's torch, or when building here TorchSharp's package with CUDA
#   DEVICE=cuda        cuda, cuda:1 …; cpu runs the same with tiny models, to test this script
#   PYTHON=python3     a Python that may have torch, a command with arguments; PYTHON= leaves PyTorch out
#   TEXT=<file>        a text of about a megabyte instead of this project's own sources; with --pack the one to carry
#   LIMIT=<seconds>    starts nothing new after so long, and ends what still runs a minute later; call again for the rest
#   PATIENCE=400       seconds after which one program is taken for hung
#   SIZES="name:layers:heads:dim:context:batch:vocabulary:steps …"   WARMUP=20   ROUNDS=2   JOBS=8   VARIANTS=<pattern of names>
# Exit code: 0 every check passed, 1 one failed (the report says which), 2 the set-up is not ready, 3 LIMIT came first.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
stop() { say "gpu.sh: $*"; exit 2; }
sources() { find "$1/src" -name '*.cs' -print0 | LC_ALL=C sort -z | xargs -0 cat; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mode=build target='' parts=()
while (($#)); do
  case $1 in
    --pack | --run)
      mode=${1#--}
      if [[ ${2:-} && ${2:-} != --* ]]; then target=$2; shift; fi
      ;;
    --part) [[ ${2:-} =~ ^(checks|train|report)$ ]] || stop '--part is checks, train or report'; parts+=("$2"); shift ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit ;;
    *) stop "'$1' is not known; see --help" ;;
  esac
  shift
done
((${#parts[@]})) || parts=(checks train report)

if [[ $mode == pack ]]; then
  source "$here/gpu/pack.sh"
  pack "$(dirname "$here")" "${target:-trainer-gpu.tar.gz}"
  exit
fi

[[ $mode != run || ! $target ]] || here=$(cd "$target/benchmarks" 2>/dev/null && pwd) ||
  stop "$target is not an unpacked pack: it has no folder benchmarks"
for file in setup checks train report; do source "$here/gpu/$file.sh"; done
set_up "$mode" "$(dirname "$here")"
for part in "${parts[@]}"; do
  case $part in
    checks) run_checks ;;
    train) run_training ;;
  esac
  write_report
done
say "written: $OUT/report.md, $OUT/report.json, $OUT/logs.tar.gz"
[[ ! $postponed ]] || say "LIMIT came first: call again for the rest"
[[ ! $(results failed) ]] || exit 1
[[ ! $postponed ]] || exit 3
