# The part `train`: how fast, in how much memory, beside the same model in this machine's PyTorch, in turns.

run_training() {
  start_sampling
  check_recipe
  run_sizes
  stop_sampling
}

# What the GPU does meanwhile, as its driver says.
start_sampling() {
  command -v nvidia-smi >/dev/null || return 0
  nvidia-smi --query-gpu=utilization.gpu,clocks.sm,clocks.mem,power.draw --format=csv,noheader -l 2 >"$logs/clocks-$(date +%s).csv" &
  sampler=$!
}

stop_sampling() {
  [[ ! $sampler ]] || kill "$sampler" 2>/dev/null || true
  sampler=''
}

run_sizes() {
  local precision size round who
  for precision in "${precisions[@]}"; do
    for size in $SIZES; do
      for ((round = 1; round <= ROUNDS; round++)); do
        for who in Trainer 'PyTorch eager' 'PyTorch compiled'; do
          [[ $who == Trainer || $peer ]] || continue
          measured "${size%%:*}" "$precision" "$who" "$round" && continue
          in_time || return 0
          measure "$size" "$precision" "$who" "$round"
          write_report
        done
      done
      check_attention "${size%%:*}" "$precision"
    done
  done
}

measured() { # size, precision, who, round
  awk -F'\t' -v key="$1 $2 $3 $4" '$1 " " $2 " " $3 " " $4 == key { found = 1 } END { exit !found }' "$OUT/speeds.tsv"
}

# One line of speeds.tsv: size, precision, who, round, attention, tokens/s, MiB taken of the device, last loss, parameters.
measure() { # size, precision, who, round
  local name=${1%%:*} log=$logs/${1%%:*}-$2-$4-${3// /-}.txt figures='' check="$3, ${1%%:*} in $2"
  if [[ $3 == Trainer ]]; then
    figures=$(ours "$1" "$2" 2>"$log") || figures=''
  else
    figures=$(theirs "$1" "$2" "$3" 2>"$log") || figures=''
  fi
  if [[ $figures ]]; then
    printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$2" "$3" "$4" "$figures" >>"$OUT/speeds.tsv"
    say "$name $2 $3 round $4: ${figures//$'\t'/  }"
    [[ ! $(results | awk -F'\t' -v name="$check" '$1 == name && $2 != "passed"') ]] || checked "$check" passed 'at a later try'
  else
    checked "$check" "$([[ $3 == Trainer ]] && echo failed || echo skipped)" "$(reason "$log")"
  fi
}

# As fast as PyTorch may, which is not deterministic either.
ours() { # size, precision
  local name layers heads dim context batch vocabulary steps run
  IFS=: read -r name layers heads dim context batch vocabulary steps <<<"$1"
  run=$work/$name-$2
  rm -rf "$run"
  train "$run" "model.layers=$layers" "model.attention.heads=$heads" "model.dim=$dim" "model.contextLength=$context" \
    "model.vocabularySize=$vocabulary" model.attention.kernel=flash training.deterministic=false "training.batchSize=$batch" \
    "training.precision=$2" "training.steps=$((steps + WARMUP))" "monitoring.logEvery=$((WARMUP / 2))" >&2
  figures "$run"
  rm -rf "$run/checkpoints"
}

# The attention named in the log; tokens/s over the steps after the warm-up, peak MiB and the last loss from metrics.jsonl.
figures() { # run
  local attention parameters
  attention=$(sed -nE 's/.*attention: (.*) in .* layers?$/\1/p' "$1/log.txt" | head -n 1)
  parameters=$(sed -nE 's/.*model: ([0-9,]+) parameters.*/\1/p' "$1/log.txt" | head -n 1 | tr -d ,)
  awk -v warmup="$WARMUP" -v attention="$attention" -v parameters="$parameters" -F'[:,]' '
    function field(name,   i) { for (i = 1; i < NF; i++) if ($i ~ "\"" name "\"") return $(i + 1) + 0 }
    /stepSeconds/ {
      step = field("step"); tokens = field("tokens"); loss = field("loss")
      if (step <= warmup) first = tokens; else { time += field("stepSeconds") * (step - last); end = tokens }
      last = step; if ($0 ~ /peakMemoryBytes/) peak = field("peakMemoryBytes")
    }
    END {
      memory = peak ? sprintf("%.0f", peak / 1048576) : "-"
      printf "%s\t%.0f\t%s\t%.4f\t%s\n", attention, (end - first) / time, memory, loss, parameters
    }' "$1/metrics.jsonl"
}

# Through standard input, with the text inside: the interpreter may see another file system.
theirs() { # size, precision, who
  local layers heads dim context batch vocabulary steps arguments
  IFS=: read -r _ layers heads dim context batch vocabulary steps <<<"$1"
  arguments="--bytes --vocabulary $vocabulary --device $DEVICE --warmup $WARMUP --steps $steps --layers $layers --heads $heads --dim $dim"
  arguments+=" --context $context --batch $batch"
  case $2 in bfloat16) arguments+=' --autocast' ;; tf32) arguments+=' --tf32' ;; esac
  [[ $3 != *compiled ]] || arguments+=' --compile'
  { sed '/^if __name__/,$d' "$root/benchmarks/nanogpt_peer.py"
    printf 'import tempfile, base64, sys\nf = tempfile.NamedTemporaryFile()\n'
    printf 'f.write(base64.b64decode("""%s"""))\nf.flush()\n' "$(base64 "$text")"
    printf 'sys.argv = ["peer", "--data", f.name] + "%s".split()\nmain()\n' "$arguments"
  } | bounded $PYTHON - | awk '
    function number(name) {
      return match($0, "\"" name "\": *[0-9.e+-]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : ""
    }
    /"tokensPerSecond"/ {
      match($0, /"losses": *\[[^]]*/)
      count = split(substr($0, RSTART, RLENGTH), loss, /[[,]/)
      printf "-\t%.0f\t%.0f\t%.4f\t%d\n", number("tokensPerSecond"), number("takenMemoryMiB"), loss[count], number("parameters")
      found = 1
    }
    END { exit !found }'
}

# A fused kernel, whichever: cuDNN's on newer GPUs, FlashAttention-2, for float32 the memory-efficient one; on a CPU the one in C#.
check_attention() { # size, precision
  local name="attention of $1 in $2" found
  due "$name" || return 0
  found=$(awk -F'\t' -v key="$1 $2 Trainer" '$1 " " $2 " " $3 == key { print $5; exit }' "$OUT/speeds.tsv")
  case $found in
    '') ;;
    'flash (Flash)' | 'flash (CuDnn)' | 'flash (Efficient)' | 'flash (Simd)') checked "$name" passed "$found" ;;
    *) checked "$name" failed "$found" ;;
  esac
}

# nanoGPT's Shakespeare recipe for a GPU, all of it: it must learn, and end.
check_recipe() {
  local name="nanoGPT's recipe learns" log=$logs/recipe.txt first last best shape=() precision=bfloat16 began=$SECONDS
  due "$name" || return 0
  if [[ $DEVICE == cpu ]]; then shape=("${tiny[@]}"); else
    shape=(model.layers=6 model.attention.heads=6 model.dim=384 model.contextLength=256 training.batchSize=64 model.dropout=0.2)
  fi
  rm -rf "$work/recipe"
  if PATIENCE=$((3 * PATIENCE)) train "$work/recipe" "${shape[@]}" "training.precision=$precision" "training.steps=$RECIPE_STEPS" monitoring.logEvery=50 \
    evaluation.every=$((RECIPE_STEPS / 4)) evaluation.batches=20 >"$log" 2>&1; then
    first=$(sed -nE 's/.*"step":1,.*"loss":([0-9.]+).*/\1/p' "$work/recipe/metrics.jsonl")
    last=$(sed -nE 's/.*"loss":([0-9.]+).*/\1/p' "$work/recipe/metrics.jsonl" | tail -n 1)
    best=$(sed -nE 's/.*"validationLoss":([0-9.]+).*/\1/p' "$work/recipe/metrics.jsonl" | sort -g | head -n 1)
    judge "$name" "loss $first at first, $last after $RECIPE_STEPS steps in $precision and $((SECONDS - began)) s, \
best validation loss $best" "$last < $first - 0.1"
  else
    checked "$name" failed "$(reason "$log")"
  fi
}
