# The report of what facts.tsv, checks.tsv and speeds.tsv hold.

write_report() {
  markdown >"$OUT/report.md"
  json >"$OUT/report.json"
  keep_logs
}

# Whole or not at all; logs that are being written are not the last that are kept.
keep_logs() {
  local code=0
  tar -C "$work" -czf "$OUT/logs.tar.gz.new" logs 2>/dev/null || code=$?
  if ((code > 1)); then rm -f "$OUT/logs.tar.gz.new"; else mv "$OUT/logs.tar.gz.new" "$OUT/logs.tar.gz"; fi
}

# What the vendor's data sheets say of dense products, TFLOP/s: bfloat16, tf32, float32. Utilisation of other cards is left out.
peak() { # precision
  local peaks
  case $card in
    *MIG*) return 0 ;;
    *' B200') peaks='2250 1125 75' ;;
    *'H100 PCIe') peaks='756 378 51' ;;
    *'H100 NVL' | *'H200 NVL') peaks='835 417 60' ;;
    *H100* | *H200*) peaks='989 494 67' ;;
    *'A100-'* | *'A100 '*) peaks='312 156 19.5' ;;
    *' A10') peaks='125 62.5 31.2' ;;
    *' L4') peaks='121 60 30.3' ;;
    *' L40') peaks='181 90.5 90.5' ;;
    *' L40S') peaks='362 183 91.6' ;;
    *'RTX 3090') peaks='71 35.6 35.6' ;;
    *'RTX 4090') peaks='165 82.6 82.6' ;;
    *'RTX 5090') peaks='209 104.8 104.8' ;;
    *) return 0 ;;
  esac
  case $1 in bfloat16) cut -d' ' -f1 <<<"$peaks" ;; tf32) cut -d' ' -f2 <<<"$peaks" ;; *) cut -d' ' -f3 <<<"$peaks" ;; esac
}

# Floating point operations a token, forward and backward, as nanoGPT counts them: 6 for a weight but those of positions, and attention.
work_of() { # size's name, parameters
  local size name layers dim context
  for size in $SIZES; do
    IFS=: read -r name layers _ dim context _ <<<"$size"
    [[ $name == "$1" ]] || continue
    awk -v n="$2" -v l="$layers" -v d="$dim" -v t="$context" 'BEGIN { printf "%.0f", 6 * (n - t * d) + 12 * l * d * t }'
  done
}

# The median of what was looked at while the GPU had work.
clocks() {
  cat "$logs"/clocks-*.csv 2>/dev/null | awk -F', ' '$1 + 0 > 50' | sort -t, -k2n | awk '{ line[NR] = $0 }
    END { if (NR) print line[int((NR + 1) / 2)] " (utilization, clocks of SM and memory, power), the median of " NR }'
}

# Medians of the rounds: size, precision, who, attention, tokens/s, MiB taken, last loss, parameters.
medians() {
  awk -F'\t' '
    function median(list,   v, n, i, j, t) {
      n = split(list, v, " ")
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] + 0 < v[i] + 0) { t = v[i]; v[i] = v[j]; v[j] = t }
      return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    { key = $1 "\t" $2 "\t" $3; if (!(key in speed)) order[++count] = key
      speed[key] = speed[key] " " $6; kernel[key] = $5; memory[key] = $7; loss[key] = $8; parameters[key] = $9 }
    END {
      for (i = 1; i <= count; i++) {
        k = order[i]
        printf "%s\t%s\t%.0f\t%s\t%s\t%s\n", k, kernel[k], median(speed[k]), memory[k], loss[k], parameters[k]
      }
    }' "$OUT/speeds.tsv"
}

# The same with model FLOP utilisation in per cent where the card is known.
rated() {
  local size precision who kernel speed memory loss parameters peak used
  while IFS=$'\t' read -r size precision who kernel speed memory loss parameters; do
    peak=$(peak "$precision") used=-
    [[ ! $peak ]] || used=$(awk -v s="$speed" -v w="$(work_of "$size" "$parameters")" -v p="$peak" \
      'BEGIN { printf "%.1f", 100 * s * w / (p * 1e12) }')
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$size" "$precision" "$who" "$kernel" "$speed" "$used" "$memory" "$loss" "$parameters"
  done < <(medians)
}

markdown() {
  echo '# A GPU report of Trainer'
  printf '\n| | |\n|---|---|\n'
  awk -F'\t' '{ gsub(/\|/, "\\|"); printf "| %s | %s |\n", $1, $2 }' "$OUT/facts.tsv"
  local busy
  busy=$(clocks || true)
  [[ ! $busy ]] || echo "| GPU in training | $busy |"
  printf '\n## Training, medians of up to %s rounds in turns\n\n' "$ROUNDS"
  echo "Sizes are name:layers:heads:dim:context:batch:vocabulary:steps, $WARMUP steps more to warm up: $SIZES. Memory is what is taken of"
  echo "the device, with what the allocator keeps and CUDA's own needs, for all alike. MFU: model FLOP (6 for a weight and token, and"
  echo "attention's) as a part of the data sheet's"
  echo "dense peak${card:+ of '$card'} in that precision; no figure for cards that gpu.sh does not know."
  printf '\n| size | parameters | precision | | attention | tokens/s | MFU %% | MiB taken | last loss | Trainer is |\n'
  printf '|---|---:|---|---|---|---:|---:|---:|---:|---:|\n'
  rated | awk -F'\t' '
    $3 == "Trainer" { ours[$1, $2] = $5 }
    { ratio = $3 == "Trainer" || !(($1, $2) in ours) ? "" : sprintf("%.2f×", ours[$1, $2] / $5)
      printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $9, $2, $3, $4, $5, $6, $7, $8, ratio }'
  printf '\n## Checks: %s passed, %s failed, %s skipped\n\n| check | | seen |\n|---|---|---|\n' \
    "$(results passed | wc -l)" "$(results failed | wc -l)" "$(results skipped | wc -l)"
  results | awk -F'\t' '{ gsub(/\|/, "\\|"); printf "| %s | %s | %s |\n", $1, $2, $3 }'
}

json() {
  local quote='function q(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/[\001-\037]/, " ", s); return "\"" s "\"" }'
  quote+=' function n(s) { return s ~ /^[0-9.]+$/ ? s : "null" }'
  echo '{"facts":['
  awk -F'\t' "$quote"'{ printf "%s{\"name\":%s,\"value\":%s}\n", (NR > 1 ? "," : ""), q($1), q($2) }' "$OUT/facts.tsv"
  echo '],"rounds":['
  awk -F'\t' "$quote"'{
    printf "%s{\"size\":%s,\"precision\":%s,\"who\":%s,\"round\":%s,", (NR > 1 ? "," : ""), q($1), q($2), q($3), n($4)
    printf "\"attention\":%s,\"tokensPerSecond\":%s,\"takenMemoryMiB\":%s,\"loss\":%s}\n", q($5), n($6), n($7), n($8) }' "$OUT/speeds.tsv"
  echo '],"medians":['
  rated | awk -F'\t' "$quote"'{
    printf "%s{\"size\":%s,\"parameters\":%s,\"precision\":%s,", (NR > 1 ? "," : ""), q($1), n($9), q($2)
    printf "\"who\":%s,\"tokensPerSecond\":%s,\"mfuPercent\":%s}\n", q($3), n($5), n($6) }'
  echo '],"checks":['
  results | awk -F'\t' "$quote"'{ printf "%s{\"check\":%s,\"result\":%s,\"seen\":%s}\n", (NR > 1 ? "," : ""), q($1), q($2), q($3) }'
  echo ']}'
}
