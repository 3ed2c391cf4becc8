// Rotary positions (Su et al. 2021, arXiv 2104.09864): pairs of a head's numbers turned in place by the angle of their position.
//
// Of each position a table holds [cos | cos | −sin | sin] where a number is paired with the one half a turned width on, and
// cos and sin in turn where pairs lie side by side; R numbers of a head are turned. AVX-512.
#pragma once

#include "rounding.h"

#ifdef TN_BAND_ATTENTION
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")

namespace tn {

TN_INLINE float wide(float x) { return x; }
TN_INLINE float wide(uint16_t x) { return widen_bfloat16(x); }
TN_INLINE void store(float& to, float x) { to = x; }
TN_INLINE void store(uint16_t& to, float x) { to = round_bfloat16(x); }

struct Turn {
  const float* table;  // null where nothing is turned
  int64_t batch, row;  // distances in the table: 0 where all sequences stand at the same positions
  int64_t turned;
  bool interleaved;

  const float* at(int64_t b, int64_t t) const { return table + b * batch + t * row; }

  // The numbers of one head at one position; backwards for gradients.
  template <class Number>
  void apply(Number* x, const float* angles, bool backwards) const {
    const float sign = backwards ? -1.0f : 1.0f;
    const int64_t half = turned / 2;
    if (interleaved) {
      for (int64_t i = 0; i < half; ++i) turn(x[2 * i], x[2 * i + 1], angles[2 * i], sign * angles[2 * i + 1]);
      return;
    }
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) turn(x[i], x[half + i], angles[i], sign * angles[3 * half + i]);
  }

 private:
  template <class Number>
  static __attribute__((always_inline)) inline void turn(Number& first, Number& second, float cos, float sin) {
    const float a = wide(first), b = wide(second);
    store(first, a * cos - b * sin);
    store(second, b * cos + a * sin);
  }
};

}  // namespace tn

#pragma GCC pop_options
#endif
