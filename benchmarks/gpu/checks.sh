# The part `checks`: what the device computes against what the CPU computes, and what a run must survive.

# Ten steps from the same weights on the same batches; every line one variant of attention, position, block, architecture or optimizer.
# Float32 sums in another order, and 1e-3 nats is about twenty times what that makes of a loss of 5 in ten steps. On a GPU bfloat16 goes
# other ways through a model than on a CPU: the bound is wide, and what it is for are types that do not fit.
readonly tolerance=0.001 rough=0.05
tiny=(model.dim=64 model.layers=2 model.attention.heads=4 model.contextLength=256 training.batchSize=4 training.steps=10
  schedule.warmupSteps=2 monitoring.logEvery=1 training.precision=float32 data.train.0.path=small.txt)
variants() {
  local documents='data.packing=documents data.train.0.format=jsonl data.train.0.path=pairs.jsonl data.train.0.column=source'
  documents+=' tokenizer.type=bpe tokenizer.vocabularySize=300 tokenizer.specialTokens.0=<|endoftext|>'
  local bias=model.position.type pattern=model.attention.pattern kernel=model.attention.kernel
  local pairs='model.architecture=encoder-decoder data.objective=sequence-to-sequence'
  pairs+=' data.train.0.format=jsonl data.train.0.path=pairs.jsonl'
  pairs+=' data.train.0.column=source data.train.0.targetColumn=target tokenizer.type=bpe tokenizer.vocabularySize=300'
  pairs+=' tokenizer.specialTokens.0=<pad> tokenizer.specialTokens.1=<s> tokenizer.specialTokens.2=</s>'
  local latent="model.attention.type=latent model.attention.headDim=16 model.attention.ropeDim=8 model.attention.valueDim=16"
  latent+=" model.attention.keyValueRank=32 $bias=rotary"
  local window="$pattern.type=sliding $pattern.window=16" layers=model.layerPattern
  local yarn="$bias=rotary model.position.scaling.type=yarn model.position.scaling.factor=2 model.position.scaling.originalLength=128"
  local mamba="$layers.0.mixer.type=mamba2 $layers.0.mixer.stateDim=16 $layers.0.mixer.headDim=16"
  local both="$layers.0.repeat=1 $layers.0.attention.pattern.type=sliding $layers.0.attention.pattern.window=16 $layers.1.repeat=1"
  local experts='model.feedForward.type=experts model.feedForward.experts=4 model.feedForward.active=2 model.feedForward.hiddenDim=64'
  local masked="model.architecture=encoder $pattern.type=full data.objective=masked tokenizer.type=bpe tokenizer.vocabularySize=300"
  masked+=' tokenizer.specialTokens.0=[PAD] tokenizer.specialTokens.1=[CLS] tokenizer.specialTokens.2=[SEP]'
  masked+=' tokenizer.specialTokens.3=[MASK]'
  cat <<END
multi-head, auto kernel          |
multi-head, reference kernel     | $kernel=reference
multi-head, flash kernel         | $kernel=flash
multi-head, block-sparse kernel  | $kernel=block-sparse
multi-head, linear kernel        | $kernel=linear
multi-query, flash kernel        | model.attention.type=multi-query $kernel=flash
multi-query, reference kernel    | model.attention.type=multi-query $kernel=reference
grouped-query, flash kernel      | model.attention.type=grouped-query model.attention.keyValueHeads=2 $kernel=flash
grouped-query, linear kernel     | model.attention.type=grouped-query model.attention.keyValueHeads=2 $kernel=linear
differential, auto kernel        | model.attention.type=differential
latent, auto kernel              | $latent
latent, reference kernel         | $latent $kernel=reference
sliding window, auto kernel      | $window
sliding window, block-sparse     | $window $kernel=block-sparse
sliding window, reference        | $window $kernel=reference
strided, block-sparse            | $pattern.type=strided $pattern.stride=16 $kernel=block-sparse
fixed, block-sparse              | $pattern.type=fixed $pattern.stride=16 $kernel=block-sparse
longformer, block-sparse         | $pattern.type=longformer $pattern.window=16 $pattern.causal=true $kernel=block-sparse
bigbird, block-sparse            | $pattern.type=bigbird $pattern.blockSize=16 $pattern.causal=true $kernel=block-sparse
prefix, auto kernel              | $pattern.type=prefix $pattern.prefixLength=16
local and global layers          | $both
documents, auto kernel           | $documents
documents, block-sparse          | $documents $kernel=block-sparse
rotary positions                 | $bias=rotary
rotary positions, YaRN           | $yarn
sinusoidal positions             | $bias=sinusoidal
no positions                     | $bias=none
ALiBi, auto kernel               | $bias=alibi
ALiBi, block-sparse              | $bias=alibi $window $kernel=block-sparse
T5 bias, auto kernel             | $bias=t5
T5 bias, block-sparse            | $bias=t5 $kernel=block-sparse
bounded scores                   | model.attention.softCap=20
query and key norms, rms         | model.attention.queryKeyNorm=true model.norm.type=rms
sandwich norms, SwiGLU           | model.norm.placement=sandwich model.norm.type=rms model.feedForward.type=swiglu
norms behind the residual        | model.norm.placement=post
experts                          | $experts
mamba2 and attention             | $layers.0.repeat=1 $mamba $layers.1.repeat=1
activation checkpointing         | training.activationCheckpointing=true
micro-batches                    | training.microBatchSize=2
encoder, masked                  | $masked
encoder-decoder, cross attention | $pairs
encoder-decoder, T5 bias         | $pairs $bias=t5
AdamW with moments of 8 bits     | optimizer.momentPrecision=int8
schedule-free AdamW              | optimizer.type=schedule-free-adamw
Muon                             | optimizer.type=muon optimizer.precision=float32
Lion                             | optimizer.type=lion optimizer.learningRate=3e-4
Adafactor                        | optimizer.type=adafactor
SGD                              | optimizer.type=sgd
an average of the weights        | optimizer.average.decay=0.9
END
}

run_checks() {
  local name settings running=0
  head -c 240 "$text" >scored.txt
  pairs >pairs.jsonl
  while IFS='|' read -r name settings; do
    name="as on the CPU: ${name%"${name##*[! ]}"}"
    [[ $name == *$VARIANTS* ]] && { due "$name" || due "$name, bfloat16"; } || continue
    check_variant "$name" $settings &
    ((++running < JOBS)) || { wait -n || true; running=$((running - 1)); }
  done < <(variants)
  wait || true
  write_report
  local precision
  for precision in "${precisions[@]}"; do
    check_precision "$precision"
    check_resume "$precision"
  done
  check_generation
  check_flat_memory
  check_out_of_memory
  check_processes
}

# Lines of the text, and what they are answered with: themselves, turned around.
pairs() {
  tr -cd 'a-zA-Z \n' <"$text" | awk 'length($0) > 12 && length($0) < 40 && count++ < 2000 {
    around = ""
    for (i = length($0); i > 0; i--) around = around substr($0, i, 1)
    printf "{\"source\":\"%s\",\"target\":\"%s\"}\n", $0, around }'
}

check_variant() { # name, settings …
  local name=$1 folder steps scores
  folder=$(mktemp -d "$work/variant-XXXXXX")
  local log=$logs/${name//[^a-zA-Z0-9]/-}.txt
  shift
  export OMP_NUM_THREADS=${THREADS:-2}
  cd "$folder" # with prepared data of its own: variants run side by side
  ln -s ../small.txt ../pairs.jsonl ../scored.txt .
  if train "$folder/cpu" "${tiny[@]}" "$@" training.device=cpu >"$log" 2>&1 &&
    train "$folder/here" "${tiny[@]}" "$@" >>"$log" 2>&1 &&
    score "$folder" cpu there >>"$log" 2>&1 && score "$folder" "$DEVICE" here >>"$log" 2>&1; then
    steps=$(gap <(losses "$folder/cpu") <(losses "$folder/here"))
    scores=$(gap <(likelihoods "$folder/there.json") <(likelihoods "$folder/here.json"))
    judge "$name" "largest differences $steps in $(losses "$folder/here" | wc -l) losses, $scores in $(
      likelihoods "$folder/there.json" | wc -l) scores" \
      "$steps >= 0 && $scores >= 0 && $steps <= $tolerance && $scores <= $tolerance"
  else
    checked "$name" failed "$(reason "$log")"
  fi
  if [[ -e $folder/cpu/metrics.jsonl ]] && train "$folder/rough" "${tiny[@]}" "$@" training.precision=bfloat16 >>"$log" 2>&1; then
    steps=$(gap <(losses "$folder/cpu") <(losses "$folder/rough"))
    judge "$name, bfloat16" "largest difference $steps" "$steps >= 0 && $steps <= $rough"
  else
    checked "$name, bfloat16" failed "$(reason "$log")"
  fi
  cd "$work"
  rm -rf "$folder"
}

# The CPU's checkpoint, on a device.
score() { # folder, device, name of the result
  local source=()
  ! grep -q '"encoder-decoder"' "$1/cpu/config.json" || source=(--source 'public int Count')
  bounded "$trainer" score "$1/cpu" --data scored.txt "${source[@]}" --device "$2" --json "$1/$3.json"
}

# Of the steps, and of the evaluation at the end.
losses() { sed -nE 's/.*"(loss|validationLoss)":([0-9.eE+-]+),.*/\2/p' "$1/metrics.jsonl"; }

likelihoods() { sed 's/.*"negativeLogLikelihood"://' "$1" | tr -d '[]{}' | tr ',' '\n'; }

# The largest difference of two lists of numbers; -1 where one is no number or missing.
gap() {
  paste "$1" "$2" | awk -F'\t' '
    NF != 2 || $1 == "" || $2 == "" { bad = 1 }
    $1 == "null" && $2 == "null" { next }
    $1 !~ /^-?[0-9]/ || $2 !~ /^-?[0-9]/ { bad = 1 }
    { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d }
    END { if (bad || !NR) print -1; else printf "%.7f", most }'
}

# The first size of the training part, its first steps against float32 on the CPU: the others to their own precision.
check_precision() { # precision
  local name="losses of 10 steps in $1 against float32 on the CPU" bound most log=$logs/losses-$1.txt
  due "$name" || return 0
  local shape=(model.layers=4 model.attention.heads=4 model.dim=256 model.contextLength=128 training.batchSize=8 training.steps=10
    monitoring.logEvery=1 schedule.warmupSteps=2 data.train.0.path=small.txt)
  case $1 in float32) bound=0.001 ;; tf32) bound=0.01 ;; *) bound=0.03 ;; esac
  rm -rf "$work/precision"
  if { [[ -e $work/exact ]] || train "$work/exact" "${shape[@]}" training.device=cpu >"$log" 2>&1; } &&
    train "$work/precision" "${shape[@]}" "training.precision=$1" >>"$log" 2>&1; then
    most=$(gap <(losses "$work/exact") <(losses "$work/precision"))
    judge "$name" "largest difference $most, allowed $bound" "$most >= 0 && $most <= $bound"
  else
    checked "$name" failed "$(reason "$log")"
  fi
}

# Stopped and gone on with: the same bits, dropout's generator included.
check_resume() { # precision
  local name="resuming in $1, bit for bit" whole=$work/whole-$1 parts=$work/parts-$1 log=$logs/resume-$1.txt file differing=''
  due "$name" || return 0
  rm -rf "$whole" "$parts"
  local shape=("${tiny[@]}" training.steps=20 checkpoint.every=10 model.dropout=0.1 "training.precision=$1")
  if train "$whole" "${shape[@]}" >"$log" 2>&1 &&
    cp -r "$whole" "$parts" && rm -rf "$parts"/checkpoints/step-*20 "$parts"/checkpoints/{last,best} &&
    train "$parts" "${shape[@]}" --resume >>"$log" 2>&1; then
    for file in model optimizer; do
      cmp -s "$whole"/checkpoints/step-*20/$file.safetensors "$parts"/checkpoints/step-*20/$file.safetensors || differing+=" $file"
    done
    if [[ $differing ]]; then
      checked "$name" failed "not the same:$differing"
    else
      checked "$name" passed 'weights and moments are equal'
    fi
  else
    checked "$name" failed "$(reason "$log")"
  fi
}

check_generation() {
  local name='generation' start seconds same log=$logs/generation.txt run=$work/generation
  due "$name" || return 0
  rm -rf "$run"
  train "$run" "${tiny[@]}" training.steps=50 >"$log" 2>&1 || { checked "$name" failed "$(reason "$log")"; return 0; }
  start=$(date +%s.%N)
  if bounded "$trainer" generate "$run" --device "$DEVICE" --prompt 'public ' --tokens 200 --greedy >"$work/here.txt" 2>>"$log" &&
    seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }') &&
    bounded "$trainer" generate "$run" --device cpu --prompt 'public ' --tokens 200 --greedy >"$work/there.txt" 2>>"$log"; then
    same=$(cmp -s "$work/here.txt" "$work/there.txt" && echo 'the same as' || echo 'other than')
    checked "$name" "$([[ -s $work/here.txt ]] && echo passed || echo failed)" \
      "$(wc -c <"$work/here.txt") bytes in $seconds s with the start, $same on the CPU"
  else
    checked "$name" failed "$(reason "$log")"
  fi
}

# What a run has taken after a quarter of its steps is all that it takes: of the GPU's memory, and of the process's own. The evaluation and
# the checkpoint at the end need more of the latter, once.
check_flat_memory() {
  local name="memory stays flat over $FLAT_STEPS steps" log=$logs/flat-memory.txt run=$work/flat
  local early late process_early process_late
  due "$name" || return 0
  rm -rf "$run"
  train_command "$run" "${tiny[@]}" "training.steps=$FLAT_STEPS" monitoring.logEvery=10
  "${command[@]}" >"$log" 2>&1 &
  watch_memory $! "$run/metrics.jsonl" >"$work/resident"
  wait $! || { checked "$name" failed "$(reason "$log")"; return 0; }
  read -r early late < <(sed -nE 's/.*"step":([0-9]+),.*"peakMemoryBytes":([0-9]+).*/\1 \2/p' "$run/metrics.jsonl" |
    awk -v steps="$FLAT_STEPS" '$1 <= steps / 4 { early = $2 } { late = $2 } END { printf "%.1f %.1f\n", early / 1048576, late / 1048576 }')
  read -r process_early process_late < <(awk -v lines="$((FLAT_STEPS / 10))" '
    !early && $1 >= lines / 4 { early = $2 }
    $1 < lines { late = $2 }
    END { printf "%.1f %.1f\n", early / 1024, late / 1024 }' "$work/resident")
  judge "$name" "MiB after a quarter and at the end: $early and $late of the device, $process_early and $process_late of the process" \
    "$process_early > 0 && $late <= $early + 4 && $process_late <= $process_early * 1.05 + 8"
}

watch_memory() { # process, its metrics.jsonl: lines there and KiB resident, several times a second
  local resident began=$SECONDS
  while resident=$(grep VmRSS "/proc/$1/status" 2>/dev/null); do
    printf '%s %s\n' "$(wc -l 2>/dev/null <"$2" || echo 0)" "$(tr -cd 0-9 <<<"$resident")"
    ((SECONDS < LIMIT + 60 && SECONDS - began < PATIENCE)) || kill -KILL "$1" || true
    sleep 0.1
  done
}

# A batch that cannot fit must end with what to change, and not with a trace.
check_out_of_memory() {
  local name='running out of memory' code=0 log=$logs/out-of-memory.txt
  [[ $DEVICE != cpu ]] && due "$name" || return 0
  train "$work/memory" model.layers=12 model.attention.heads=16 model.dim=2048 model.contextLength=1024 training.batchSize=4096 \
    training.precision=float32 training.steps=1 >"$log" 2>&1 || code=$?
  if [[ $code -eq 1 ]] && grep -q '^out of memory on cuda.*microBatchSize' "$log"; then
    checked "$name" passed "$(grep '^out of memory' "$log")"
  else
    checked "$name" failed "exit code $code: $(reason "$log")"
  fi
}

# Two processes, of a GPU each, against one: the same steps but for the order of sums. With the optimizer shared out as well.
check_processes() {
  local kind shares settings name log steps command
  for shares in false true; do
    name="two processes against one$([[ $shares == false ]] || echo ', the optimizer shared out')"
    log=$logs/processes-$shares.txt
    due "$name" || continue
    if ! command -v mpirun >/dev/null; then
      checked "$name" skipped 'no mpirun is here'
      continue
    fi
    if [[ $DEVICE != cpu ]] && ! grep -q '^cuda:1 ' "$logs/doctor.txt"; then
      checked "$name" skipped 'one GPU is here'
      continue
    fi
    settings=("${tiny[@]}" training.microBatchSize=2 "training.shardOptimizer=$shares")
    rm -rf "$work/one" "$work/two"
    train_command "$work/two" "${settings[@]}"
    kind=$DEVICE
    [[ $kind == cpu ]] || kind=cuda # each its own
    if train "$work/one" "${settings[@]}" >"$log" 2>&1 &&
      OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        bounded mpirun -n 2 "${command[@]}" "training.device=$kind" >>"$log" 2>&1; then
      steps=$(gap <(losses "$work/one") <(losses "$work/two"))
      judge "$name" "largest difference $steps in $(losses "$work/two" | wc -l) losses; $(grep -o 'processes: .*' "$log" | head -n 1)" \
        "$steps >= 0 && $steps <= $tolerance"
    else
      checked "$name" failed "$(reason "$log")"
    fi
  done
}
