// Attention of one head within a band (band_attention.h) with products in bfloat16, by the instructions for them that AVX-512 has.
//
// Scores, softmax and all sums are float32; what is multiplied is rounded: queries, keys and values as they come, weights and the
// gradients of scores tile by tile. The instruction adds up two products at once, so factors lie in pairs along what is summed
// over: those of a row side by side as they are, those of two rows interleaved. Shapes as there; D is a multiple of 32.
#pragma once

#include "band_attention.h"
#include "rounding.h"

#ifdef TN_BAND_ATTENTION

#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,avx512bf16,prefer-vector-width=512")

namespace tn::rounded_band {

using band::Band;
using band::kHidden;
using band::kKeys;
using band::kLanes;
using band::kRows;
using band::Softmax;
using band::Target;

// Two bfloat16 numbers, the first in the low half.
typedef uint32_t Pair __attribute__((may_alias, aligned(2)));

// Rows of bfloat16 that stand `stride` numbers apart.
template <class T>
struct Matrix {
  T* data;
  int64_t stride;

  T* row(int64_t index) const { return data + index * stride; }
  const Pair* pairs(int64_t index) const { return reinterpret_cast<const Pair*>(row(index)); }
};
using Source = Matrix<const uint16_t>;
using Result = Matrix<uint16_t>;

struct Head {
  Source q, k, v;
  int64_t queries, keys, width;
  float scale;
  Band band;
  band::WeightDropout dropout;
};

// c (M, 16·N) = or += a (M, 2·depth)·b (2·depth, 16·N). a's pairs stand at row·m + step·k, those of b's row pair k at b + k·stride.
template <int M, int N>
TN_INLINE void multiply(int64_t depth, const Pair* a, int64_t row, int64_t step, const Pair* b, int64_t stride, Target c, bool add) {
  __m512 sum[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) sum[m][n] = add ? _mm512_loadu_ps(c.row(m) + kLanes * n) : _mm512_setzero_ps();
  for (int64_t k = 0; k < depth; ++k) {
    __m512bh line[N];
    for (int n = 0; n < N; ++n) line[n] = (__m512bh)_mm512_loadu_si512(b + k * stride + kLanes * n);
    for (int m = 0; m < M; ++m) {
      const auto factor = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[m * row + k * step]));
      for (int n = 0; n < N; ++n) sum[m][n] = _mm512_dpbf16_ps(sum[m][n], factor, line[n]);
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) _mm512_storeu_ps(c.row(m) + kLanes * n, sum[m][n]);
}

// c (rows, width) = or += a·b as above; width is a multiple of 32.
inline void product(int64_t rows, int64_t width, int64_t depth, const Pair* a, int64_t row, int64_t step, const Pair* b, int64_t stride, Target c,
                    bool add) {
  for (int64_t n = 0; n < width; n += 2 * kLanes) {
    int64_t m = 0;
    for (; m + 8 <= rows; m += 8) multiply<8, 2>(depth, a + m * row, row, step, b + n, stride, {c.row(m) + n, c.stride}, add);
    for (; m + 4 <= rows; m += 4) multiply<4, 2>(depth, a + m * row, row, step, b + n, stride, {c.row(m) + n, c.stride}, add);
    for (; m < rows; ++m) multiply<1, 2>(depth, a + m * row, row, step, b + n, stride, {c.row(m) + n, c.stride}, add);
  }
}

// x (count, width) → y (width / 2, kKeys) pairs along the width, with zeros for the keys that are not there.
inline void transpose(Source x, int64_t count, int64_t width, Pair* y) {
  band::transpose({reinterpret_cast<const float*>(x.data), x.stride / 2}, count, width / 2, reinterpret_cast<float*>(y));
}

TN_INLINE __m512i alternating() {
  return _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
}

// x (count, width) → y (⌈count / 2⌉, width) pairs of rows; the row after an odd last one is zero.
inline void interleave(Source x, int64_t count, int64_t width, Pair* y) {
  const __m512i order = alternating();
  for (int64_t m = 0; m < count; m += 2) {
    for (int64_t d = 0; d < width; d += kLanes) {
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.row(m) + d));
      const __m256i second =
          m + 1 < count ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.row(m + 1) + d)) : _mm256_setzero_si256();
      // The forms without a mask make this compiler warn of what its own header leaves unset.
      const __m512i low = _mm512_maskz_inserti64x4(0xFF, _mm512_setzero_si512(), first, 0);
      const __m512i both = _mm512_maskz_inserti64x4(0xFF, low, second, 1);
      _mm512_storeu_si512(y + m / 2 * width + d, _mm512_permutexvar_epi16(order, both));
    }
  }
}

// A row of kKeys numbers → kKeys / 2 pairs.
TN_INLINE void round_row(const float* x, Pair* y) {
  for (int64_t n = 0; n < kKeys; n += 2 * kLanes)
    _mm512_storeu_si512(y + n / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + n + kLanes), _mm512_loadu_ps(x + n)));
}

// Two rows of kKeys numbers → kKeys pairs of the one and the other.
TN_INLINE void round_rows(const float* first, const float* second, Pair* y) {
  const __m512i order = alternating();
  for (int64_t n = 0; n < kKeys; n += kLanes) {
    const auto both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(second + n), _mm512_loadu_ps(first + n));
    _mm512_storeu_si512(y + n, _mm512_permutexvar_epi16(order, both));
  }
}

// What every number of a row is multiplied with before it is rounded.
inline void round_scaled(const float* x, float factor, uint16_t* y, int64_t width) {
  const __m512 factors = _mm512_set1_ps(factor);
  for (int64_t d = 0; d < width; d += kLanes) {
    const auto line = (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_loadu_ps(x + d), factors));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + d), line);
  }
}

// Floats of scratch memory: a pair takes as much as a float.
inline int64_t forward_room(int64_t keys, int64_t width) {
  return band::blocks_of(keys) * kKeys * width + kRows * kKeys + kRows * kKeys / 2 + kRows * width;
}
inline int64_t backward_room(int64_t queries, int64_t width) {
  return 3 * kKeys * width / 2 + (queries + 1) * width + 2 * kRows * kKeys + 3 * kRows * kKeys / 2 + queries;
}

// Queries [begin, end), which begin at a multiple of kRows. A query that sees nothing has the result 0.
inline void forward(const Head& h, int64_t begin, int64_t end, Result out, float* log, float* scratch) {
  const int64_t all = band::blocks_of(h.keys) * kKeys;
  auto* const transposed = reinterpret_cast<Pair*>(scratch);
  auto* const values = transposed + all * h.width / 2;
  const Target scores{scratch + all * h.width, kKeys};
  const Target gathered{scores.data + kRows * kKeys, h.width};
  auto* const weights = reinterpret_cast<Pair*>(gathered.data + kRows * h.width);
  for (int64_t j = h.band.first(begin) / kKeys * kKeys; j < h.band.last(begin, end - begin, h.keys); j += kKeys) {
    const int64_t keys = std::min(kKeys, h.keys - j);
    transpose({h.k.row(j), h.k.stride}, keys, h.width, transposed + j * h.width / 2);
    interleave({h.v.row(j), h.v.stride}, keys, h.width, values + j * h.width / 2);
  }
  for (int64_t i = begin; i < end; i += kRows) {
    const int64_t rows = std::min(kRows, end - i);
    Softmax softmax;
    std::fill(gathered.data, gathered.row(rows), 0.0f);
    for (int64_t j = h.band.first(i) / kKeys * kKeys; j < h.band.last(i, rows, h.keys); j += kKeys) {
      const int64_t keys = std::min(kKeys, h.keys - j);
      product(rows, kKeys, h.width / 2, h.q.pairs(i), h.q.stride / 2, 1, transposed + j * h.width / 2, kKeys, scores, false);
      if (keys < kKeys || !h.band.covers(i, rows, j, keys)) band::hide(scores, i, rows, j, keys, h.band);
      for (int64_t m = 0; m < rows; ++m) {
        softmax.add(m, scores.row(m), h.scale, gathered.row(m), h.width);
        if (h.dropout.drops()) band::drop(h.dropout, i + m, j, scores.row(m));
        round_row(scores.row(m), weights + m * kKeys / 2);
      }
      product(rows, h.width, (keys + 1) / 2, weights, kKeys / 2, 1, values + j * h.width / 2, h.width, gathered, true);
    }
    for (int64_t m = 0; m < rows; ++m) {
      round_scaled(gathered.row(m), softmax.sum[m] == 0 ? 0.0f : 1.0f / softmax.sum[m], out.row(i + m), h.width);
      log[i + m] = softmax.log(m);
    }
  }
}

// What the gradient takes from each weight: Σ dout·out of its query.
inline void deltas(const Head& h, Source out, Source dout, float* delta) {
  for (int64_t i = 0; i < h.queries; ++i) {
    const uint16_t *a = out.row(i), *b = dout.row(i);
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t d = 0; d < h.width; ++d) total += widen_bfloat16(a[d]) * widen_bfloat16(b[d]);
    delta[i] = total;
  }
}

// Adds to dq, dk and dv, float32: query heads that share keys and values add to the same ones.
inline void backward(const Head& h, Source out, Source dout, const float* log, Target dq, Target dk, Target dv, float* scratch) {
  const int64_t half = kKeys * h.width / 2, side = (h.queries + 1) / 2 * h.width;
  auto* const kt = reinterpret_cast<Pair*>(scratch);
  auto* const vt = kt + half;
  auto* const kr = vt + half;
  auto* const qr = kr + half;
  auto* const dr = qr + side;
  const Target weights{reinterpret_cast<float*>(dr + side), kKeys}, slopes{weights.data + kRows * kKeys, kKeys};
  auto* const weight_rows = reinterpret_cast<Pair*>(slopes.data + kRows * kKeys);
  auto* const slope_rows = weight_rows + kRows * kKeys / 2;
  auto* const slope_pairs = slope_rows + kRows * kKeys / 2;
  float* const delta = reinterpret_cast<float*>(slope_pairs + kRows * kKeys / 2);
  deltas(h, out, dout, delta);
  interleave(h.q, h.queries, h.width, qr);
  interleave(dout, h.queries, h.width, dr);
  for (int64_t j = 0; j < h.keys; j += kKeys) {
    const int64_t keys = std::min(kKeys, h.keys - j);
    transpose({h.k.row(j), h.k.stride}, keys, h.width, kt);
    transpose({h.v.row(j), h.v.stride}, keys, h.width, vt);
    interleave({h.k.row(j), h.k.stride}, keys, h.width, kr);
    const int64_t first = std::max<int64_t>(0, j - h.band.after);
    const int64_t last = std::min(h.queries, j + keys - 1 + h.band.before);
    for (int64_t i = first / kRows * kRows; i < last; i += kRows) {
      const int64_t rows = std::min(kRows, h.queries - i), pairs = (rows + 1) / 2;
      if (h.band.parts(i, rows, j, keys)) continue;
      product(rows, kKeys, h.width / 2, h.q.pairs(i), h.q.stride / 2, 1, kt, kKeys, weights, false);
      product(rows, kKeys, h.width / 2, dout.pairs(i), dout.stride / 2, 1, vt, kKeys, slopes, false);
      if (keys < kKeys || !h.band.covers(i, rows, j, keys)) band::hide(weights, i, rows, j, keys, h.band);
      for (int64_t m = 0; m < rows; ++m) {
        band::differentiate(h.dropout, i + m, j, weights.row(m), slopes.row(m), h.scale, log[i + m], delta[i + m]);
        round_row(slopes.row(m), slope_pairs + m * kKeys / 2);
      }
      if (rows % 2 != 0) {
        std::fill(weights.row(rows), weights.row(rows + 1), 0.0f);
        std::fill(slopes.row(rows), slopes.row(rows + 1), 0.0f);
      }
      for (int64_t m = 0; m < rows; m += 2) {
        round_rows(weights.row(m), weights.row(m + 1), weight_rows + m / 2 * kKeys);
        round_rows(slopes.row(m), slopes.row(m + 1), slope_rows + m / 2 * kKeys);
      }
      product(keys, h.width, pairs, weight_rows, 1, kKeys, dr + i / 2 * h.width, h.width, {dv.row(j), dv.stride}, true);
      product(keys, h.width, pairs, slope_rows, 1, kKeys, qr + i / 2 * h.width, h.width, {dk.row(j), dk.stride}, true);
      product(rows, h.width, (keys + 1) / 2, slope_pairs, kKeys / 2, 1, kr, h.width, {dq.row(i), dq.stride}, true);
    }
  }
}

}  // namespace tn::rounded_band

#pragma GCC pop_options
#endif
