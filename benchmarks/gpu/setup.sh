# What all parts share: the program, the device, where results go, and what has been done before.

set_up() { # run or build, the folder with the program and configs/
  readonly root=$2
  OUT=$(realpath -m "${OUT:-gpu-report}")
  DEVICE=${DEVICE:-cuda} PYTHON=${PYTHON-python3} WARMUP=${WARMUP:-20} ROUNDS=${ROUNDS:-2} LIMIT=${LIMIT:-1000000} VARIANTS=${VARIANTS:-}
  PATIENCE=${PATIENCE:-400} postponed='' sampler=''
  if [[ $DEVICE == cpu ]]; then
    SIZES=${SIZES:-"shakespeare:2:2:32:32:4:256:12 gpt2:2:4:64:32:4:1024:12"}
    WARMUP=4 RECIPE_STEPS=${RECIPE_STEPS:-20} FLAT_STEPS=${FLAT_STEPS:-200} JOBS=${JOBS:-1}
    precisions=(bfloat16 float32)
  else
    SIZES=${SIZES:-"gpt2:12:12:768:1024:16:50304:100 shakespeare:6:6:384:256:64:256:400"}
    local jobs=$(($(nproc) / 2))
    RECIPE_STEPS=${RECIPE_STEPS:-5000} FLAT_STEPS=${FLAT_STEPS:-500} JOBS=${JOBS:-$((jobs > 8 ? 8 : jobs > 1 ? jobs : 1))}
    precisions=(bfloat16 tf32 float32)
  fi
  # Tuned for other programs, these would decide the outcome of the products.
  unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
  work=$(mktemp -d)
  logs=$work/logs
  mkdir -p "$OUT" "$logs"
  trap 'stop_sampling; keep_logs; rm -rf "$work"' EXIT
  [[ ! -e $OUT/logs.tar.gz ]] || tar -C "$work" -xzf "$OUT/logs.tar.gz" || say 'gpu.sh: the earlier logs are damaged'
  touch "$OUT"/{checks,speeds}.tsv
  find_text
  ask_python
  if [[ $1 == run ]]; then find_program; else build_program; fi
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

# Once, as it takes seconds: the folder of its libtorch, its versions, and whether it can use the device.
ask_python() {
  local ask='import os, sys, torch; cuda = torch.cuda.is_available(); print(os.path.join(os.path.dirname(torch.__file__), "lib"),
    f"{torch.__version__} with CUDA {torch.version.cuda}", "yes" if sys.argv[1] == "cpu" or cuda else "", sep="\n")'
  pytorch=('' '' '')
  [[ ! $PYTHON ]] || mapfile -t pytorch < <($PYTHON -c "$ask" "$DEVICE" 2>"$logs/python.txt" | tail -n 3)
  peer=${pytorch[2]:-}
}

find_program() {
  trainer=$root/Trainer
  [[ -x $trainer ]] || stop "$root has no program: unpack what gpu.sh --pack made"
  TRAINER_LIBTORCH=${TRAINER_LIBTORCH:-${pytorch[0]:-}}
  [[ $TRAINER_LIBTORCH ]] ||
    stop "no libtorch: '$PYTHON' has no torch ($(tail -n 1 "$logs/python.txt" 2>/dev/null)); name one by TRAINER_LIBTORCH or PYTHON"
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
    sources "$root" >"$text"
  fi
}

# The facts are gathered anew every time: parts of a report may come from several starts of one machine, not from several machines.
examine() {
  : >"$OUT/facts.tsv"
  fact date "$(date -u +%Y-%m-%dT%H:%MZ)"
  fact device "$DEVICE"
  fact commit "$(cat "$root/commit" 2>/dev/null || git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
  fact text "$(wc -c <"$text") bytes"
  fact machine "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), Linux $(uname -r),$(grep -m 1 '^model name' /proc/cpuinfo | cut -d: -f2)"
  if command -v nvidia-smi >/dev/null; then
    while IFS= read -r line; do fact nvidia-smi "$line"; done < <(
      nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit --format=csv)
  fi
  if [[ $peer ]]; then fact PyTorch "${pytorch[1]}"; else fact PyTorch "not compared: '$PYTHON' has no torch for $DEVICE"; fi
  bounded "$trainer" doctor >"$logs/doctor.txt" 2>&1 ||
    stop "doctor ended with exit code $?: $(cat "$logs/doctor.txt"; nvidia-smi 2>&1 | head -n 15)"
  [[ $DEVICE == cpu ]] || grep -q '^cuda:0 ' "$logs/doctor.txt" || stop "no GPU to use: $(cat "$logs/doctor.txt")"
  while read -r name value; do [[ ! $name ]] || fact doctor "$name $value"; done <"$logs/doctor.txt"
  local place=$DEVICE
  [[ $place == cuda:* ]] || place=cuda:0
  card=$(sed -nE "s/^$place +([^,]*),.*/\1/p" "$logs/doctor.txt" | head -n 1)
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

# Ends what hangs, and what would still run a minute after LIMIT, behind which a caller's own limit may lie.
bounded() { # command …
  local code=0 most=$((LIMIT + 60 - SECONDS))
  most=$((most > PATIENCE ? PATIENCE : most > 1 ? most : 1))
  timeout --foreground -k 5 "$most" "$@" || code=$?
  ((code != 124 && code != 137)) || say "gpu.sh: not done after $most seconds"
  return $code
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
  bounded "${command[@]}"
}

# Of a failure, from its log: the last line but for those of stacks.
reason() { grep -vE '^ *(at .*|frame #.*|Exception raised from .*|---.*)?$' "$1" | tail -n 1; }
