// Attention of one head within a band, in AVX-512: key j is visible to query i where i - before < j <= i + after.
//
// One causal flag, a sliding window, or no bound at all are bands; documents side by side bound it further. Tiles of the scores that lie outside are never computed. Scores
// are made tile by tile, joined by the online softmax (Dao et al. 2022, arXiv 2205.14135) and computed again in the backward pass.
// Everything is float32. Shapes: q, out (T, D); k, v (S, D); rows of each may stand apart, D is a multiple of 16.
#pragma once

#include "dropout.h"
#include "vector_math.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TN_BAND_ATTENTION 1
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")

namespace tn::band {

constexpr int64_t kRows = 64, kKeys = 64;  // of a tile of scores
constexpr int64_t kLanes = 16;
constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Rows of floats that stand `stride` numbers apart.
template <class T>
struct Matrix {
  T* data;
  int64_t stride;

  T* row(int64_t index) const { return data + index * stride; }
};
using Source = Matrix<const float>;
using Target = Matrix<float>;

// The keys of a query's document, [from, to). Neither is less than that of the query before.
struct Span {
  int32_t from, to;
};

struct Band {
  int64_t before, after;
  const Span* spans = nullptr;  // of each query; null where all keys are of its document

  // Keys that any of `rows` queries from `query` on sees: [first, last).
  int64_t first(int64_t query) const {
    const auto bound = std::max<int64_t>(0, query - before + 1);
    return spans == nullptr ? bound : std::max<int64_t>(bound, spans[query].from);
  }
  int64_t last(int64_t query, int64_t rows, int64_t keys) const {
    const auto bound = std::min(keys, query + rows + after);
    return spans == nullptr ? bound : std::min<int64_t>(bound, spans[query + rows - 1].to);
  }

  bool sees(int64_t query, int64_t key) const { return key > query - before && key <= query + after; }

  // Whether every one of a tile's queries sees every one of its keys.
  bool covers(int64_t query, int64_t rows, int64_t key, int64_t keys) const {
    return sees(query, key + keys - 1) && sees(query + rows - 1, key) &&
           (spans == nullptr || (spans[query + rows - 1].from <= key && spans[query].to >= key + keys));
  }

  // Whether documents keep all of a tile's queries from all of its keys.
  bool parts(int64_t query, int64_t rows, int64_t key, int64_t keys) const {
    return spans != nullptr && (key + keys <= spans[query].from || key >= spans[query + rows - 1].to);
  }
};

typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t Places __attribute__((vector_size(64)));

// c (M, 16·N) = or += a (M, depth)·b (depth, 16·N), held in registers. a's elements stand at row·m + step·k.
template <int M, int N>
TN_INLINE void multiply(int64_t depth, const float* a, int64_t row, int64_t step, Source b, Target c, bool add) {
  Lanes sum[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n)
      sum[m][n] = add ? *reinterpret_cast<const Lanes*>(c.row(m) + kLanes * n) : Lanes{};
  for (int64_t k = 0; k < depth; ++k) {
    Lanes line[N];
    for (int n = 0; n < N; ++n) line[n] = *reinterpret_cast<const Lanes*>(b.row(k) + kLanes * n);
    for (int m = 0; m < M; ++m) {
      const float factor = a[m * row + k * step];
      for (int n = 0; n < N; ++n) sum[m][n] += factor * line[n];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) *reinterpret_cast<Lanes*>(c.row(m) + kLanes * n) = sum[m][n];
}

template <int N>
inline void multiply_rows(int64_t rows, int64_t depth, const float* a, int64_t row, int64_t step, Source b, Target c,
                          bool add) {
  int64_t m = 0;
  for (; m + 8 <= rows; m += 8) multiply<8, N>(depth, a + m * row, row, step, b, {c.row(m), c.stride}, add);
  for (; m + 4 <= rows; m += 4) multiply<4, N>(depth, a + m * row, row, step, b, {c.row(m), c.stride}, add);
  for (; m < rows; ++m) multiply<1, N>(depth, a + m * row, row, step, b, {c.row(m), c.stride}, add);
}

// c (rows, width) = or += a (rows, depth)·b (depth, width); width is a multiple of 16.
inline void product(int64_t rows, int64_t width, int64_t depth, const float* a, int64_t row, int64_t step, Source b,
                    Target c, bool add) {
  int64_t n = 0;
  for (; n + 2 * kLanes <= width; n += 2 * kLanes)
    multiply_rows<2>(rows, depth, a, row, step, {b.data + n, b.stride}, {c.data + n, c.stride}, add);
  if (n < width) multiply_rows<1>(rows, depth, a, row, step, {b.data + n, b.stride}, {c.data + n, c.stride}, add);
}

// Swaps the blocks of S by S beside the diagonal of each block of 2·S by 2·S.
template <int S>
TN_INLINE void exchange(Lanes (&x)[kLanes]) {
  Places low, high;
  for (int i = 0; i < kLanes; ++i) {
    low[i] = (i & S) != 0 ? kLanes + i - S : i;
    high[i] = (i & S) != 0 ? kLanes + i : i + S;
  }
  for (int r = 0; r < kLanes; ++r) {
    if ((r & S) != 0) continue;
    const Lanes upper = x[r], lower = x[r + S];
    x[r] = __builtin_shuffle(upper, lower, low);
    x[r + S] = __builtin_shuffle(upper, lower, high);
  }
}

// x (count, width) → y (width, kKeys), with zeros for the keys that are not there.
inline void transpose(Source x, int64_t count, int64_t width, float* y) {
  for (int64_t n = 0; n < kKeys; n += kLanes) {
    for (int64_t d = 0; d < width; d += kLanes) {
      Lanes square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        square[i] = n + i < count ? *reinterpret_cast<const Lanes*>(x.row(n + i) + d) : Lanes{};
      exchange<1>(square);
      exchange<2>(square);
      exchange<4>(square);
      exchange<8>(square);
      for (int64_t i = 0; i < kLanes; ++i) *reinterpret_cast<Lanes*>(y + (d + i) * kKeys + n) = square[i];
    }
  }
}

// What no query may see becomes -inf: beyond the band, its document, and the last key.
inline void hide(Target scores, int64_t query, int64_t rows, int64_t key, int64_t keys, Band band) {
  for (int64_t m = 0; m < rows; ++m) {
    float* s = scores.row(m);
    int64_t visible = std::min(keys, query + m + band.after + 1 - key);
    int64_t hidden = std::min(kKeys, query + m - band.before + 1 - key);
    if (band.spans != nullptr) {
      visible = std::min<int64_t>(visible, band.spans[query + m].to - key);
      hidden = std::min(kKeys, std::max<int64_t>(hidden, band.spans[query + m].from - key));
    }
    for (int64_t n = 0; n < hidden; ++n) s[n] = kHidden;
    for (int64_t n = std::max<int64_t>(0, visible); n < kKeys; ++n) s[n] = kHidden;
  }
}

// e^(s·scale − base) in place; exactly 0 where s is -inf. Returns the sum.
TN_INLINE float exponentiate(float* s, float scale, float base) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t n = 0; n < kKeys; ++n) {
    const float e = tn::vector_exp(s[n] * scale - base);
    s[n] = s[n] == kHidden ? 0.0f : e;
    total += s[n];
  }
  return total;
}

// The online softmax of one block of queries.
struct Softmax {
  float top[kRows], sum[kRows];

  explicit Softmax() {
    std::fill(top, top + kRows, kHidden);
    std::fill(sum, sum + kRows, 0.0f);
  }

  // Takes in a row's scores, which become weights, and fades what was gathered before to the new maximum.
  __attribute__((always_inline)) inline void add(int64_t m, float* s, float scale, float* gathered, int64_t width) {
    float most = kHidden;
#pragma omp simd reduction(max : most)
    for (int64_t n = 0; n < kKeys; ++n) most = s[n] > most ? s[n] : most;
    most = std::max(top[m], most * scale);
    const float base = most == kHidden ? 0.0f : most;
    const float total = exponentiate(s, scale, base);
    const float fade = top[m] == most ? 1.0f : tn::vector_exp(top[m] - base);
    sum[m] = sum[m] * fade + total;
    top[m] = most;
    if (fade == 1.0f) return;
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) gathered[d] *= fade;
  }

  // The logarithm of the whole sum, by which the backward pass finds the weights again; any finite number where nothing was seen.
  float log(int64_t m) const { return sum[m] == 0 ? 0.0f : top[m] + std::log(sum[m]); }
};

// Dropout of the weights of one head.
struct WeightDropout {
  const Dropout* choices;  // null where none is dropped
  uint32_t list;

  static_assert(kKeys == Dropout::kBlock);

  bool drops() const { return choices != nullptr; }

  // What a query's weights in the tile that begins with a key are multiplied with.
  __attribute__((always_inline)) inline void factors(int64_t query, int64_t key, float* to) const {
    choices->factors(list, static_cast<uint32_t>(query), static_cast<uint32_t>(key / kKeys), to);
  }
};

TN_INLINE void scale_by(const float* factors, float* x) {
#pragma omp simd
  for (int64_t n = 0; n < kKeys; ++n) x[n] *= factors[n];
}

struct Head {
  Source q, k, v;
  int64_t queries, keys, width;
  float scale;
  Band band;
  WeightDropout dropout;
};

// The weights of a query in a tile, some of them dropped.
TN_INLINE void drop(const WeightDropout& dropout, int64_t query, int64_t key, float* weights) {
  float factors[kKeys];
  dropout.factors(query, key, factors);
  scale_by(factors, weights);
}

inline int64_t blocks_of(int64_t keys) { return (keys + kKeys - 1) / kKeys; }

// Floats of scratch memory.
inline int64_t forward_room(int64_t keys, int64_t width) {
  return blocks_of(keys) * kKeys * width + kRows * kKeys + kRows * width;
}
inline int64_t backward_room(int64_t queries, int64_t width) { return 2 * kKeys * width + 2 * kRows * kKeys + queries; }

// Queries [begin, end), which begin at a multiple of kRows. A query that sees nothing has the result 0.
inline void forward(const Head& h, int64_t begin, int64_t end, Target out, float* log, float* scratch) {
  float* transposed = scratch;
  const Target scores{transposed + blocks_of(h.keys) * kKeys * h.width, kKeys};
  const Target gathered{scores.data + kRows * kKeys, h.width};
  for (int64_t j = h.band.first(begin) / kKeys * kKeys; j < h.band.last(begin, end - begin, h.keys); j += kKeys)
    transpose({h.k.row(j), h.k.stride}, std::min(kKeys, h.keys - j), h.width, transposed + j * h.width);
  for (int64_t i = begin; i < end; i += kRows) {
    const int64_t rows = std::min(kRows, end - i);
    Softmax softmax;
    std::fill(gathered.data, gathered.row(rows), 0.0f);
    for (int64_t j = h.band.first(i) / kKeys * kKeys; j < h.band.last(i, rows, h.keys); j += kKeys) {
      const int64_t keys = std::min(kKeys, h.keys - j);
      product(rows, kKeys, h.width, h.q.row(i), h.q.stride, 1, {transposed + j * h.width, kKeys}, scores, false);
      if (keys < kKeys || !h.band.covers(i, rows, j, keys)) hide(scores, i, rows, j, keys, h.band);
      for (int64_t m = 0; m < rows; ++m) {
        softmax.add(m, scores.row(m), h.scale, gathered.row(m), h.width);
        if (h.dropout.drops()) drop(h.dropout, i + m, j, scores.row(m));
      }
      product(rows, h.width, keys, scores.data, kKeys, 1, {h.v.row(j), h.v.stride}, gathered, true);
    }
    for (int64_t m = 0; m < rows; ++m) {
      const float inverse = softmax.sum[m] == 0 ? 0.0f : 1.0f / softmax.sum[m];
      float* y = out.row(i + m);
#pragma omp simd
      for (int64_t d = 0; d < h.width; ++d) y[d] = gathered.row(m)[d] * inverse;
      log[i + m] = softmax.log(m);
    }
  }
}

// What the gradient takes from each weight: Σ dout·out of its query.
inline void deltas(const Head& h, Source out, Source dout, float* delta) {
  for (int64_t i = 0; i < h.queries; ++i) {
    const float *a = out.row(i), *b = dout.row(i);
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t d = 0; d < h.width; ++d) total += a[d] * b[d];
    delta[i] = total;
  }
}

// Scores become weights, and the gradients of the weights those of the scores.
TN_INLINE void differentiate(float* s, float* g, float scale, float log, float delta) {
#pragma omp simd
  for (int64_t n = 0; n < kKeys; ++n) {
    const float e = tn::vector_exp(s[n] * scale - log);
    s[n] = s[n] == kHidden ? 0.0f : e;
    g[n] = s[n] * (g[n] - delta) * scale;
  }
}

// As above where weights were dropped: those that come out are without the dropped ones.
TN_INLINE void differentiate_dropped(const WeightDropout& dropout, int64_t query, int64_t key, float* s, float* g, float scale, float log, float delta) {
  float factors[kKeys];
  dropout.factors(query, key, factors);
  scale_by(factors, g);
  differentiate(s, g, scale, log, delta);
  scale_by(factors, s);
}

TN_INLINE void differentiate(const WeightDropout& dropout, int64_t query, int64_t key, float* s, float* g, float scale, float log, float delta) {
  if (dropout.drops()) differentiate_dropped(dropout, query, key, s, g, scale, log, delta);
  else differentiate(s, g, scale, log, delta);
}

// Adds to dq, dk and dv: query heads that share keys and values add to the same ones.
inline void backward(const Head& h, Source out, Source dout, const float* log, Target dq, Target dk, Target dv,
                     float* scratch) {
  float* const kt = scratch;
  float* const vt = kt + kKeys * h.width;
  const Target weights{vt + kKeys * h.width, kKeys}, slopes{weights.data + kRows * kKeys, kKeys};
  float* const delta = slopes.data + kRows * kKeys;
  deltas(h, out, dout, delta);
  for (int64_t j = 0; j < h.keys; j += kKeys) {
    const int64_t keys = std::min(kKeys, h.keys - j);
    transpose({h.k.row(j), h.k.stride}, keys, h.width, kt);
    transpose({h.v.row(j), h.v.stride}, keys, h.width, vt);
    const int64_t first = std::max<int64_t>(0, j - h.band.after);
    const int64_t last = std::min(h.queries, j + keys - 1 + h.band.before);
    for (int64_t i = first / kRows * kRows; i < last; i += kRows) {
      const int64_t rows = std::min(kRows, h.queries - i);
      if (h.band.parts(i, rows, j, keys)) continue;
      product(rows, kKeys, h.width, h.q.row(i), h.q.stride, 1, {kt, kKeys}, weights, false);
      product(rows, kKeys, h.width, dout.row(i), dout.stride, 1, {vt, kKeys}, slopes, false);
      if (keys < kKeys || !h.band.covers(i, rows, j, keys)) hide(weights, i, rows, j, keys, h.band);
      for (int64_t m = 0; m < rows; ++m) differentiate(h.dropout, i + m, j, weights.row(m), slopes.row(m), h.scale, log[i + m], delta[i + m]);
      product(keys, h.width, rows, weights.data, 1, kKeys, {dout.row(i), dout.stride}, {dv.row(j), dv.stride}, true);
      product(keys, h.width, rows, slopes.data, 1, kKeys, {h.q.row(i), h.q.stride}, {dk.row(j), dk.stride}, true);
      product(rows, h.width, keys, slopes.data, kKeys, 1, {h.k.row(j), h.k.stride}, {dq.row(i), dq.stride}, true);
    }
  }
}

}  // namespace tn::band

#pragma GCC pop_options
#endif
