// What the processor at hand can do, for kernels written in its instructions.
#pragma once

namespace tn {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// The level that compilers call x86-64-v4.
inline bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  return has;
}

// Products of bfloat16 numbers besides.
inline bool has_avx512_bf16() {
  static const bool has = has_avx512() && __builtin_cpu_supports("avx512bf16");
  return has;
}

#endif

}  // namespace tn
