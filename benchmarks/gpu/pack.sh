# gpu.sh --pack: the program as one compressed file with .NET inside, TorchSharp's native part beside it, and what --run reads.

readonly largest_pack=$((55 * 1000 * 1000))

pack() { # the repository, the archive or folder to make
  local root=$1 target folder size
  target=$(realpath -m "$2")
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  folder=$work/trainer-gpu
  [[ $target == *.tar.gz ]] || folder=$target
  [[ ! -e $target ]] || stop "$target is there already"
  # Built apart from the usual output, which is not self-contained, and kept to make the next pack sooner.
  dotnet publish "$root/Trainer.csproj" -c Release -r linux-x64 --self-contained true -v q --nologo -o "$folder" \
    -p:ArtifactsPath="$root/artifacts/pack" -p:OmitLibTorch=true -p:PublishSingleFile=true -p:EnableCompressionInSingleFile=true \
    -p:DebugType=none -p:PublishDocumentationFiles=false -p:TrainingOnly=true >&2 || stop 'the program was not published; see above'
  mkdir -p "$folder/benchmarks/gpu" "$folder/configs"
  cp "$root"/benchmarks/{gpu.sh,nanogpt_peer.py} "$folder/benchmarks"
  cp "$root"/benchmarks/gpu/*.sh "$folder/benchmarks/gpu"
  cp "$root/configs/shakespeare-char.json" "$folder/configs"
  if [[ ${TEXT:-} ]]; then cp "$TEXT" "$folder/text.txt"; else sources "$root" >"$folder/text.txt"; fi
  git -C "$root" describe --always --dirty --abbrev=10 >"$folder/commit" 2>/dev/null || echo unknown >"$folder/commit"
  if [[ $target == *.tar.gz ]]; then tar -C "$work" -czf "$target" trainer-gpu; fi
  size=$(find "$target" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d", n }')
  if ((size > largest_pack)); then
    rm -rf "$target"
    stop "the pack has $size bytes, more than the $largest_pack that may be carried"
  fi
  say "$target: $(awk -v n="$size" 'BEGIN { printf "%.1f", n / 1e6 }') MB. There: tar xzf it, then bash trainer-gpu/benchmarks/gpu.sh --run"
}
