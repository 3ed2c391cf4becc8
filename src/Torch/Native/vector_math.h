// Elementary functions that compilers turn into vector instructions: no branches, no calls, no errno.
#pragma once

#include <cstdint>
#include <cstring>

// One copy of a loop for each level of x86 vector instructions; the loader picks the best that the processor has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TN_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TN_VECTOR_CLONES
#endif

#define TN_INLINE static inline __attribute__((always_inline))

namespace tn {

// e^x to about 2 units in the last place; x is clamped to ±87, where float32 ends.
TN_INLINE float vector_exp(float x) {
  constexpr float kLog2E = 1.44269504088896341f, kRound = 12582912.0f;  // 1.5 · 2^23: adding it rounds to an integer
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  x = x > 87.0f ? 87.0f : x;
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  // Cephes' expf: e^r = 1 + r + r²·p(r) on [−ln2/2, ln2/2].
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = p * r * r + r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const int32_t exponent = (bits + 127) << 23;  // the low bits of shifted hold n
  float scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return mantissa * scale;
}

TN_INLINE float vector_sigmoid(float x) { return 1.0f / (1.0f + vector_exp(-x)); }

// The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26, as in libtorch's own vector code), from x and e^(−x²).
TN_INLINE float vector_erf(float x, float exp_of_minus_square) {
  const float magnitude = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.3275911f * magnitude);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float positive = 1.0f - p * t * exp_of_minus_square;
  return x < 0 ? -positive : positive;
}

}  // namespace tn
