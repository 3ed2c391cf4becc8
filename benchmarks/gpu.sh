#!/usr/bin/env bash
# What this machine's GPU does with the trainer, in one command: looks at the set-up, trains nanoGPT's model at three sizes in float32, TF32
# and bfloat16 with fused attention required, compares the losses with the CPU's, evaluates, generates, resumes and compares bit for
# bit, runs out of memory on purpose, and, where PYTHON has torch with CUDA, runs the same training in PyTorch, eager and
# compiled, in turns. Writes report.md and report.json with every version: send the folder back. Takes about 20 minutes.
#   gpu.sh [<text>]    any text of about a megabyte; without one, this project's own sources
#   TRAINER_LIBTORCH   the folder of a libtorch with CUDA; without it the build takes TorchSharp's package (-p:Cuda=true)
#   DEVICE=cuda        cuda, cuda:1 …; cpu runs the same with tiny models, to test this script
#   PYTHON=python3     a Python that may have torch, a command with arguments; PYTHON= leaves PyTorch out
#   SIZES="name:layers:heads:dim:context:batch …"   STEPS=200   WARMUP=20   ROUNDS=2   OUT=gpu-report
# Exit code: 0 every check passed, 1 one failed (the report says which), 2 the set-up is not ready.
set -euo pipefail
text=${1:+$(realpath "$1")}
OUT=$(realpath -m "${OUT:-gpu-report}")
cd "$(dirname "$0")/.."

DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON-python3}
ROUNDS=${ROUNDS:-2}
if [[ $DEVICE == cpu ]]; then
  SIZES=${SIZES:-"tiny:2:2:32:32:4 small:2:4:64:32:4"}
  STEPS=${STEPS:-12} WARMUP=${WARMUP:-4}
  precisions=(float32 bfloat16)
else
  SIZES=${SIZES:-"10M:6:6:384:256:64 124M:12:12:768:1024:16 354M:24:16:1024:1024:8"}
  STEPS=${STEPS:-200} WARMUP=${WARMUP:-20}
  precisions=(float32 tf32 bfloat16)
fi
# Tuned for other programs, these would decide the outcome of the products.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

say() { printf '%s\n' "$*" >&2; }

# --- The set-up ----------------------------------------------------------------------------------------------------

build=(dotnet build Trainer.csproj -c Release -v q --nologo)
[[ $DEVICE == cpu || ${TRAINER_LIBTORCH:-} ]] || build+=(-p:Cuda=true)
"${build[@]}" >&2 || { say 'gpu.sh: the build failed; see above'; exit 2; }
trainer=artifacts/bin/Trainer/release/Trainer
mkdir -p "$OUT/logs"
"$trainer" doctor >"$OUT/logs/doctor.txt" 2>&1 || { say "gpu.sh: $(tail -n 1 "$OUT/logs/doctor.txt")"; exit 2; }
if [[ $DEVICE != cpu ]] && ! grep -q '^cuda:0 ' "$OUT/logs/doctor.txt"; then
  say "gpu.sh: no GPU to use: $(sed -n 's/^GPU *//p' "$OUT/logs/doctor.txt")"
  exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/facts" "$work/speeds" "$work/checks"

if [[ ! $text ]]; then
  text=$work/text.txt
  find src -name '*.cs' -print0 | sort -z | xargs -0 cat >"$text"
fi

fact() { printf '%s\t%s\n' "$1" "$2" >>"$work/facts"; }
checked() { # name, passed or failed, what was seen
  printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/checks"
  say "$2: $1 ($3)"
}

fact date "$(date -u +%Y-%m-%dT%H:%MZ)"
fact device "$DEVICE"
fact commit "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
fact text "$(wc -c <"$text") bytes"
if command -v nvidia-smi >/dev/null; then
  while IFS= read -r line; do fact nvidia-smi "$line"; done < <(nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader)
fi
while read -r name value; do [[ ! $name ]] || fact "doctor" "$name $value"; done <"$OUT/logs/doctor.txt"

peer=''
if [[ $PYTHON ]] && $PYTHON -c "import sys, torch; sys.exit('$DEVICE' != 'cpu' and not torch.cuda.is_available())" 2>/dev/null; then
  peer=yes
  fact PyTorch "$($PYTHON -c 'import torch; print(torch.__version__, torch.version.cuda)')"
else
  fact PyTorch "not compared: '$PYTHON' has no torch for $DEVICE"
fi

# --- Training ------------------------------------------------------------------------------------------------------

# Byte tokens and nanoGPT's learning rate, as in the PyTorch program.
train() { # run, size, precision, steps, further settings …
  local run=$1 layers heads dim context batch
  IFS=: read -r _ layers heads dim context batch <<<"$2"
  "$trainer" train configs/shakespeare-char.json --run "$run" --set "data.train.0.path=$text" tokenizer.type=byte optimizer.learningRate=1e-3 \
    "model.layers=$layers" "model.attention.heads=$heads" "model.dim=$dim" "model.contextLength=$context" model.attention.kernel=flash \
    "training.batchSize=$batch" "training.precision=$3" "training.steps=$4" "training.device=$DEVICE" \
    monitoring.logEvery=5 monitoring.samples.0=public evaluation.every=0 evaluation.batches=2 checkpoint.every=0 "${@:5}"
}

# tokens/s over the steps after the warm-up, peak MiB and the last loss, from metrics.jsonl
figures() {
  awk -v warmup="$WARMUP" -F'[:,]' '
    function field(name,   i) { for (i = 1; i < NF; i++) if ($i ~ "\"" name "\"") return $(i + 1) }
    /stepSeconds/ {
      step = field("step"); tokens = field("tokens"); loss = field("loss")
      if (step <= warmup) first = tokens; else { time += field("stepSeconds") * (step - last); end = tokens }
      last = step; if ($0 ~ /peakMemoryBytes/) peak = field("peakMemoryBytes")
    }
    END { printf "%.0f\t%s\t%s\n", (end - first) / time, peak ? sprintf("%.0f", peak / 1048576) : "-", loss }' "$1/metrics.jsonl"
}

# Through standard input, with the text inside: the interpreter may see another file system.
theirs() { # size, precision, further arguments …
  local layers heads dim context batch arguments
  IFS=: read -r _ layers heads dim context batch <<<"$1"
  arguments="--bytes --device $DEVICE --warmup $WARMUP --steps $STEPS --layers $layers --heads $heads --dim $dim --context $context --batch $batch"
  case $2 in bfloat16) arguments+=' --autocast' ;; tf32) arguments+=' --tf32' ;; esac
  { sed '/^if __name__/,$d' benchmarks/nanogpt_peer.py
    printf 'import tempfile, base64, sys\nf = tempfile.NamedTemporaryFile()\nf.write(base64.b64decode("""%s"""))\nf.flush()\n' "$(base64 "$text")"
    printf 'sys.argv = ["peer", "--data", f.name] + "%s".split()\nmain()\n' "$arguments ${*:3}"
  } | $PYTHON - | sed -nE 's/.*"tokensPerSecond": ([0-9.]+).*"losses": \[.*[[ ]([0-9.]+)\].*"peakMemoryMiB": ([0-9.]+).*/\1\t\3\t\2/p'
}

record() { # size, precision, who, round, attention, figures
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "$6" >>"$work/speeds"
  say "$1 $2 $3 round $4: ${6//$'\t'/  } $5"
}

compare_speeds() {
  local size name precision round run log attention mode
  for size in $SIZES; do
    name=${size%%:*}
    for precision in "${precisions[@]}"; do
      for ((round = 1; round <= ROUNDS; round++)); do
        run=$work/$name-$precision log=$OUT/logs/$name-$precision-$round.txt
        rm -rf "$run"
        if train "$run" "$size" "$precision" "$((STEPS + WARMUP))" >"$log" 2>&1; then
          attention=$(sed -nE 's/^attention: (.*) in .*/\1/p' "$log" | head -n 1)
          record "$name" "$precision" Trainer "$round" "$attention" "$(figures "$run")"
        else
          checked "training $name in $precision" failed "$(tail -n 1 "$log")"
          break
        fi
        [[ $peer ]] || continue
        for mode in eager compiled; do
          log=$OUT/logs/$name-$precision-$round-pytorch-$mode.txt
          attention=$(theirs "$size" "$precision" "$([[ $mode == eager ]] || echo --compile)" 2>"$log") || attention=''
          if [[ $attention ]]; then
            record "$name" "$precision" "PyTorch $mode" "$round" - "$attention"
          elif [[ $round -eq 1 ]]; then
            checked "PyTorch $mode, $name in $precision" skipped "$(tail -n 1 "$log")"
          fi
        done
      done
      check_attention "$name" "$precision"
    done
  done
}

# FlashAttention-2 for bfloat16, the memory-efficient kernel for float32, on a CPU the kernel in C#: the whole matrix of weights never.
check_attention() {
  local wanted='flash (Flash)' found
  if [[ $DEVICE == cpu ]]; then
    wanted='flash (Simd)'
  elif [[ $2 != bfloat16 ]]; then
    wanted='flash (Efficient)'
  fi
  found=$(awk -F'\t' -v size="$1" -v precision="$2" '$1 == size && $2 == precision && $3 == "Trainer" { print $5; exit }' "$work/speeds")
  [[ $found ]] || return 0
  checked "attention of $1 in $2" "$([[ $found == "$wanted" ]] && echo passed || echo failed)" "$found, wanted $wanted"
}

# --- Checks --------------------------------------------------------------------------------------------------------

first_size=${SIZES%% *}

# The first steps on the CPU and here: float32 agrees closely, the others to their own precision.
check_losses() {
  local precision bound gap
  train "$work/cpu" "$first_size" float32 10 monitoring.logEvery=1 training.device=cpu model.attention.kernel=auto >"$OUT/logs/losses-cpu.txt" 2>&1 ||
    { checked 'losses against the CPU' failed "$(tail -n 1 "$OUT/logs/losses-cpu.txt")"; return; }
  for precision in "${precisions[@]}"; do
    case $precision in float32) bound=0.001 ;; tf32) bound=0.01 ;; *) bound=0.03 ;; esac
    train "$work/losses-$precision" "$first_size" "$precision" 10 monitoring.logEvery=1 >"$OUT/logs/losses-$precision.txt" 2>&1 ||
      { checked "losses in $precision" failed "$(tail -n 1 "$OUT/logs/losses-$precision.txt")"; continue; }
    gap=$(paste <(losses "$work/cpu") <(losses "$work/losses-$precision") | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d } END { printf "%.6f", most }')
    checked "losses of 10 steps in $precision against float32 on the CPU" \
      "$(awk -v gap="$gap" -v bound="$bound" 'BEGIN { print gap <= bound ? "passed" : "failed" }')" "largest gap $gap, allowed $bound"
  done
}

losses() { sed -nE 's/.*"loss":([0-9.eE+-]+),.*/\1/p' "$1/metrics.jsonl"; }

# Stopped and gone on with: the same bits, dropout's generator included.
check_resume() {
  local precision
  for precision in "${precisions[@]}"; do
    local whole=$work/whole-$precision parts=$work/parts-$precision log=$OUT/logs/resume-$precision.txt dropout=(model.dropout=0.1 checkpoint.every=10)
    # Its fused kernel cannot drop weights.
    [[ $DEVICE != cpu ]] || dropout+=(model.attention.kernel=auto)
    if train "$whole" "$first_size" "$precision" 20 "${dropout[@]}" >"$log" 2>&1 &&
      cp -r "$whole" "$parts" && rm -rf "$parts"/checkpoints/step-*20 "$parts"/checkpoints/last "$parts"/checkpoints/best &&
      train "$parts" "$first_size" "$precision" 20 "${dropout[@]}" --resume >>"$log" 2>&1; then
      if cmp -s "$whole"/checkpoints/step-*20/model.safetensors "$parts"/checkpoints/step-*20/model.safetensors &&
        cmp -s "$whole"/checkpoints/step-*20/optimizer.safetensors "$parts"/checkpoints/step-*20/optimizer.safetensors; then
        checked "resuming in $precision" passed 'weights and moments are equal bit for bit'
      else
        checked "resuming in $precision" failed 'weights or moments differ'
      fi
    else
      checked "resuming in $precision" failed "$(tail -n 1 "$log")"
    fi
  done
}

check_evaluation() {
  local here there gap start
  start=$(date +%s.%N)
  "$trainer" evaluate "$work/cpu" --device "$DEVICE" --json "$OUT/logs/evaluation.json" >"$OUT/logs/evaluation.txt" 2>&1 ||
    { checked evaluation failed "$(tail -n 1 "$OUT/logs/evaluation.txt")"; return; }
  fact 'evaluation, seconds with start' "$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')"
  "$trainer" evaluate "$work/cpu" --device cpu --json "$OUT/logs/evaluation-cpu.json" >>"$OUT/logs/evaluation.txt" 2>&1
  here=$(perplexity "$OUT/logs/evaluation.json") there=$(perplexity "$OUT/logs/evaluation-cpu.json")
  gap=$(awk -v a="$here" -v b="$there" 'BEGIN { d = a / b - 1; print d < 0 ? -d : d }')
  checked 'perplexity here and on the CPU' "$(awk -v gap="$gap" 'BEGIN { print gap < 1e-4 ? "passed" : "failed" }')" "$here, $there"
}

perplexity() { tr ',{}' '\n' <"$1" | sed -nE 's/.*"perplexity": *([0-9.eE+-]+).*/\1/p' | head -n 1; }

check_generation() {
  local run start
  run=$(find "$work" -maxdepth 1 -name "*-bfloat16" -path "*${first_size%%:*}-*" | head -n 1)
  [[ $run ]] || return 0
  start=$(date +%s.%N)
  if "$trainer" generate "$run" --device "$DEVICE" --prompt 'public ' --tokens 400 --greedy >"$OUT/logs/generation.txt" 2>&1; then
    fact 'generation of 400 tokens, seconds with start' "$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')"
    checked generation passed "$(wc -c <"$OUT/logs/generation.txt") bytes"
  else
    checked generation failed "$(tail -n 1 "$OUT/logs/generation.txt")"
  fi
}

# A batch that cannot fit must end with what to change, and not with a trace.
check_memory() {
  [[ $DEVICE != cpu ]] || return 0
  local code=0 log=$OUT/logs/out-of-memory.txt
  train "$work/memory" huge:12:16:2048:1024:4096 float32 1 >"$log" 2>&1 || code=$?
  if [[ $code -eq 1 ]] && grep -q '^out of memory on cuda.*microBatchSize' "$log"; then
    checked 'running out of memory' passed "$(grep '^out of memory' "$log")"
  else
    checked 'running out of memory' failed "exit code $code: $(tail -n 1 "$log")"
  fi
}

# --- The report ----------------------------------------------------------------------------------------------------

# Medians of the rounds: size, precision, who, attention, tokens/s, peak MiB, last loss.
medians() {
  awk -F'\t' '
    function median(list,   v, n, i, j, t) {
      n = split(list, v, " ")
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] + 0 < v[i] + 0) { t = v[i]; v[i] = v[j]; v[j] = t }
      return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    { key = $1 "\t" $2 "\t" $3; if (!(key in speed)) order[++count] = key; speed[key] = speed[key] " " $6; kernel[key] = $5; memory[key] = $7; loss[key] = $8 }
    END { for (i = 1; i <= count; i++) { k = order[i]; printf "%s\t%s\t%.0f\t%s\t%s\n", k, kernel[k], median(speed[k]), memory[k], loss[k] } }' "$work/speeds"
}

markdown() {
  echo '# A GPU report of Trainer'
  printf '\n| | |\n|---|---|\n'
  awk -F'\t' '{ gsub(/\|/, "\\|"); printf "| %s | %s |\n", $1, $2 }' "$work/facts"
  printf '\n## Training, medians of %s rounds of %s steps\n\n' "$ROUNDS" "$STEPS"
  printf '| size | precision | | attention | tokens/s | peak MiB | last loss | Trainer is |\n|---|---|---|---|---:|---:|---:|---:|\n'
  medians | awk -F'\t' '
    $3 == "Trainer" { ours[$1, $2] = $5 }
    { ratio = $3 == "Trainer" || !(($1, $2) in ours) ? "" : sprintf("%.2f×", ours[$1, $2] / $5)
      printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6, $7, ratio }'
  printf '\n## Checks\n\n| check | | seen |\n|---|---|---|\n'
  awk -F'\t' '{ gsub(/\|/, "\\|"); printf "| %s | %s | %s |\n", $1, $2, $3 }' "$work/checks"
}

json() {
  local quote='function q(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/[\001-\037]/, " ", s); return "\"" s "\"" }'
  echo '{"facts":['
  awk -F'\t' "$quote"'{ printf "%s{\"name\":%s,\"value\":%s}\n", (NR > 1 ? "," : ""), q($1), q($2) }' "$work/facts"
  echo '],"rounds":['
  awk -F'\t' "$quote"'{ printf "%s{\"size\":%s,\"precision\":%s,\"who\":%s,\"round\":%s,\"attention\":%s,\"tokensPerSecond\":%s,\"peakMemoryMiB\":%s,\"loss\":%s}\n",
    (NR > 1 ? "," : ""), q($1), q($2), q($3), $4, q($5), $6, ($7 == "-" ? "null" : $7), q($8) }' "$work/speeds"
  echo '],"checks":['
  awk -F'\t' "$quote"'{ printf "%s{\"check\":%s,\"result\":%s,\"seen\":%s}\n", (NR > 1 ? "," : ""), q($1), q($2), q($3) }' "$work/checks"
  echo ']}'
}

compare_speeds
check_losses
check_resume
check_evaluation
check_generation
check_memory
markdown >"$OUT/report.md"
json >"$OUT/report.json"
say "written: $OUT/report.md, $OUT/report.json"
! grep -q $'\tfailed\t' "$work/checks"
