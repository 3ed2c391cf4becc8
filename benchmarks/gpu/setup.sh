# What all parts share: the program, the device, where results go, and what has been done before.

set_up() { # run or build, the folder with the program and configs/
  readonly root=$2
  OUT=$(realpath -m "${OUT:-gpu-report}")
  DEVICE=${DEVICE:-cuda} PYTHON=${PYTHON-python3} WARMUP=${WARMUP:-20} ROUNDS=${ROUNDS:-2} LIMIT=${LIMIT:-1000000} VARIANTS=${VARIANTS:-}
  postponed=''
  if [[ $DEVICE == cpu ]]; then
    SIZES=${SIZES:-"shakespeare:2:2:32:32:4:256:12 gpt2:2:4:64:32:4:1024:12"}
    WARMUP=4 RECIPE_STEPS=${RECIPE_STEPS:-20} FLAT_STEPS=${FLAT_STEPS:-200} JOBS=${JOBS:-1}
    precisions=(bfloat16 float32)
  else
    SIZES=${SIZES:-"gpt2:12:12:768:1024:16:50304:100 shakespeare:6:6:384:256:64:256:400"}
    RECIPE_STEPS=${RECIPE_STEPS:-5000} FLAT_STEPS=${FLAT_STEPS:-500} JOBS=${JOBS:-4}
    precisions=(bfloat16 tf32 float32)
  fi
  # Tuned for other programs, these would decide the outcome of the products.
  unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  logs=$work/logs
  mkdir -p "$OUT" "$logs"
  [[ ! -e $OUT/logs.tar.gz ]] || tar -C "$work" -xzf "$OUT/logs.tar.gz"
  touch "$OUT"/{checks,speeds}.tsv
  if [[ $1 == run ]]; then find_program; else build_program; fi
  find_text
  cd "$work" # where the trainer puts prepared data
  head -c 300000 "$text" >small.txt
  # An encoder cannot write samples, and a list that a recipe has can be emptied by another recipe only.
  printf '{ "extends": "%s", "monitoring": { "samples": [], "tensorBoard": false } }' "$root/configs/shakespeare-char.json" >recipe.json
  look_for_ssl
  examine
}

# .NET ends the process where there is none, at the first checksum.
look_for_ssl() {
  [[ $(find /usr/lib* /lib* /usr/local/lib* -name 'libssl.so.*' 2>/dev/null) ]] ||
    say "gpu.sh: no libssl.so is in the usual places; .NET needs OpenSSL's"
}

find_program() {
  trainer=$root/Trainer
  [[ -x $trainer ]] || stop "$root has no program: unpack what gpu.sh --pack made"
  if [[ ! ${TRAINER_LIBTORCH:-} ]]; then
    local ask='import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))'
    [[ $PYTHON ]] && TRAINER_LIBTORCH=$($PYTHON -c "$ask" 2>"$logs/python.txt") ||
      stop "no libtorch: '$PYTHON' has no torch ($(tail -n 1 "$logs/python.txt" 2>/dev/null)); name one by TRAINER_LIBTORCH or PYTHON"
  fi
  export TRAINER_LIBTORCH
}

build_program() {
  local build=(dotnet build "$root/Trainer.csproj" -c Release -v q --nologo)
  [[ $DEVICE == cpu || ${TRAINER_LIBTORCH:-} ]] || build+=(-p:Cuda=true)
  "${build[@]}" >&2 || stop 'the build failed; see above'
  trainer=$root/artifacts/bin/Trainer/release/Trainer
}

find_text() {
  text=${TEXT:+$(realpath "$TEXT")}
  [[ ! $text ]] || return 0
  text=$root/text.txt
  if [[ ! -e $text ]]; then
    text=$work/text.txt
    find "$root/src" -name '*.cs' -print0 | LC_ALL=C sort -z | xargs -0 cat >"$text"
  fi
}

# The facts are gathered anew every time: parts of a report may come from several starts of one machine, not from several machines.
examine() {
  "$trainer" doctor >"$logs/doctor.txt" 2>&1 || stop "$(tail -n 1 "$logs/doctor.txt")"
  [[ $DEVICE == cpu ]] || grep -q '^cuda:0 ' "$logs/doctor.txt" || stop "no GPU to use: $(sed -n 's/^GPU *//p' "$logs/doctor.txt")"
  : >"$OUT/facts.tsv"
  fact date "$(date -u +%Y-%m-%dT%H:%MZ)"
  fact device "$DEVICE"
  fact commit "$(cat "$root/commit" 2>/dev/null || git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
  fact text "$(wc -c <"$text") bytes"
  if command -v nvidia-smi >/dev/null; then
    while IFS= read -r line; do fact nvidia-smi "$line"; done < <(
      nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader)
  fi
  while read -r name value; do [[ ! $name ]] || fact doctor "$name $value"; done <"$logs/doctor.txt"
  local place=$DEVICE
  [[ $place == cuda:* ]] || place=cuda:0
  card=$(sed -nE "s/^$place +([^,]*),.*/\1/p" "$logs/doctor.txt" | head -n 1)
  peer=''
  if [[ $PYTHON ]] && $PYTHON -c "import sys, torch; sys.exit('$DEVICE' != 'cpu' and not torch.cuda.is_available())" 2>/dev/null; then
    peer=yes
    fact PyTorch "$($PYTHON -c 'import torch; print(torch.__version__, torch.version.cuda)')"
  else
    fact PyTorch "not compared: '$PYTHON' has no torch for $DEVICE"
  fi
}

fact() { printf '%s\t%s\n' "$1" "$2" >>"$OUT/facts.tsv"; }

checked() { # name, passed, failed or skipped, what was seen
  printf '%s\t%s\t%s\n' "$1" "$2" "${3//$'\t'/ }" >>"$OUT/checks.tsv"
  say "$2: $1 ($3)"
}

judge() { # name, what was seen, a test as awk reads it
  checked "$1" "$(awk "BEGIN { print ($3) ? \"passed\" : \"failed\" }")" "$2"
}

# The newest result of each check; with an argument those with this result only.
results() {
  awk -F'\t' -v only="${1:-}" '
    !($1 in last) { order[++count] = $1 }
    { last[$1] = $0; result[$1] = $2 }
    END { for (i = 1; i <= count; i++) if (only == "" || result[order[i]] == only) print last[order[i]] }' "$OUT/checks.tsv"
}

# Whether it is worth starting: it has not passed before, and there is time.
due() { # name of a check
  [[ ! $(results passed | awk -F'\t' -v name="$1" '$1 == name') ]] || return 1
  in_time
}

in_time() {
  ((SECONDS < LIMIT)) && return
  postponed=yes
  return 1
}

# Byte tokens and nanoGPT's recipe; settings given later win.
train_command() { # run, settings …
  command=("$trainer" train "$work/recipe.json" --run "$1" --set "data.train.0.path=$text" tokenizer.type=byte
    optimizer.learningRate=1e-3 "training.device=$DEVICE" evaluation.every=0 evaluation.batches=2 checkpoint.every=0
    "${@:2}")
}

train() {
  local command
  train_command "$@"
  "${command[@]}"
}

reason() { grep -v '^ *$' "$1" | tail -n 1; } # of a failure, from its log
