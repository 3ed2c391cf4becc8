// Matrices times one vector, or a few: reading the matrix is the time it takes, if nothing else is in the way.
//
// Four rows at a time, in two sums each: enough at once for the latency of the additions, few enough streams for the prefetcher. With
// AVX-512 by hand, since the compiler's sums of short rows take twice as long, and bfloat16 through its own instruction where the processor has it:
// 1.4 and 3 times as fast as the loops below, which are for the others.
#include "blocks.h"
#include "exponent_packing.h"
#include "processor.h"
#include "rounding.h"
#include "token_kernels.h"

#include <ATen/Parallel.h>
#include <c10/util/Half.h>

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TN_TOKEN_AVX512 1
#include <immintrin.h>
#endif

namespace tn {

namespace {

// Taken at once.
constexpr int64_t kRows = 4;
static_assert(kRows % kRowsTogether == 0, "threads begin where rows of a packed matrix stand together");
// Bytes by which blocks are fetched before they are needed.
constexpr int64_t kAhead = 4096;

TN_INLINE float value(float x) { return x; }
TN_INLINE float value(uint16_t x) { return widen_bfloat16(x); }

template <class T>
struct PlainDots {
  using Weight = T;
  using Input = T;

  TN_INLINE int64_t length(int64_t inputs) { return inputs; }

  TN_INLINE void four(const T* rows, int64_t inputs, const T* x, float* sums) {
    const T *w0 = rows, *w1 = rows + inputs, *w2 = rows + 2 * inputs, *w3 = rows + 3 * inputs;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t i = 0; i < inputs; ++i) {
      s0 += value(w0[i]) * value(x[i]);
      s1 += value(w1[i]) * value(x[i]);
      s2 += value(w2[i]) * value(x[i]);
      s3 += value(w3[i]) * value(x[i]);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
  }

  TN_INLINE void one(const T* row, int64_t inputs, const T* x, float* sum) {
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < inputs; ++i) s += value(row[i]) * value(x[i]);
    *sum = s;
  }
};

struct PlainBlockDots {
  using Weight = Block;
  using Input = float;

  TN_INLINE int64_t length(int64_t inputs) { return inputs / kBlockLength; }

  TN_INLINE void four(const Block* rows, int64_t inputs, const float* x, float* sums) {
    for (int64_t r = 0; r < kRows; ++r) one(rows + r * length(inputs), inputs, x, sums + r);
  }

  TN_INLINE void one(const Block* row, int64_t inputs, const float* x, float* sum) {
    *sum = 0;
    for (int64_t b = 0; b < length(inputs); ++b, x += kBlockLength) {
      float s = 0;
#pragma omp simd reduction(+ : s)
      for (int64_t i = 0; i < kBlockLength; ++i) s += static_cast<float>(row[b].numbers[i]) * x[i];
      *sum += c10::detail::fp16_ieee_to_fp32_value(row[b].scale) * s;
    }
  }
};

// Dots is told apart by what it is compiled for, so that it can be inlined: instructions of one processor do not mix with another's.
#define TN_TOKEN_LINEAR(Name, Dots)                                                                            \
  void Name(const TokenLinear& l, int64_t begin, int64_t end) {                                                \
    const auto* weight = static_cast<const Dots::Weight*>(l.weight);                                           \
    const auto* x = static_cast<const Dots::Input*>(l.x);                                                      \
    const auto length = Dots::length(l.inputs);                                                                \
    float sums[kRows];                                                                                         \
    for (int64_t row = begin; row < end; row += kRows) {                                                       \
      const auto count = end - row < kRows ? end - row : kRows;                                                \
      for (int64_t vector = 0; vector < l.batch; ++vector) {                                                   \
        const auto* rows = weight + row * length;                                                              \
        const auto* input = x + vector * l.inputs;                                                             \
        if (count == kRows) {                                                                                  \
          Dots::four(rows, l.inputs, input, sums);                                                             \
        } else {                                                                                               \
          for (int64_t i = 0; i < count; ++i) Dots::one(rows + i * length, l.inputs, input, sums + i);         \
        }                                                                                                      \
        float* y = l.y + vector * l.outputs + row;                                                             \
        for (int64_t i = 0; i < count; ++i) {                                                                  \
          const float sum = l.bias == nullptr ? sums[i] : sums[i] + l.bias[row + i];                           \
          y[i] = l.adds ? y[i] + sum : sum;                                                                    \
        }                                                                                                      \
      }                                                                                                        \
    }                                                                                                          \
  }

TN_VECTOR_CLONES
TN_TOKEN_LINEAR(plain_float, PlainDots<float>)

TN_VECTOR_CLONES
TN_TOKEN_LINEAR(plain_rounded, PlainDots<uint16_t>)

TN_VECTOR_CLONES
TN_TOKEN_LINEAR(plain_blocks, PlainBlockDots)

#ifdef TN_TOKEN_AVX512

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12's own headers, PR 105593
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,avx512bf16,prefer-vector-width=512")

// Only its bfloat16 part may not run where avx512_bf16 is missing; the compiler makes no bfloat16 instructions by itself.
struct FloatDots : PlainDots<float> {
  TN_INLINE void four(const float* rows, int64_t inputs, const float* x, float* sums) { run<kRows>(rows, inputs, x, sums); }

  TN_INLINE void one(const float* row, int64_t inputs, const float* x, float* sum) { run<1>(row, inputs, x, sum); }

  template <int count>
  TN_INLINE void run(const float* rows, int64_t inputs, const float* x, float* sums) {
    __m512 even[count], odd[count];
    for (int r = 0; r < count; ++r) even[r] = odd[r] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + 32 <= inputs; i += 32) {
      const __m512 x0 = _mm512_loadu_ps(x + i), x1 = _mm512_loadu_ps(x + i + 16);
#pragma GCC unroll 4
      for (int r = 0; r < count; ++r) {
        even[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows + r * inputs + i), x0, even[r]);
        odd[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows + r * inputs + i + 16), x1, odd[r]);
      }
    }
    for (; i < inputs; i += 16) {
      const __mmask16 rest = inputs - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (inputs - i)) - 1);
      const __m512 x0 = _mm512_maskz_loadu_ps(rest, x + i);
      for (int r = 0; r < count; ++r) even[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rest, rows + r * inputs + i), x0, even[r]);
    }
    for (int r = 0; r < count; ++r) sums[r] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
  }
};

struct RoundedDots : PlainDots<uint16_t> {
  TN_INLINE void four(const uint16_t* rows, int64_t inputs, const uint16_t* x, float* sums) { run<kRows>(rows, inputs, x, sums); }

  TN_INLINE void one(const uint16_t* row, int64_t inputs, const uint16_t* x, float* sum) { run<1>(row, inputs, x, sum); }

  template <int count>
  TN_INLINE void run(const uint16_t* rows, int64_t inputs, const uint16_t* x, float* sums) {
    __m512 even[count], odd[count];
    for (int r = 0; r < count; ++r) even[r] = odd[r] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + 64 <= inputs; i += 64) {
      const auto x0 = load(x + i), x1 = load(x + i + 32);
#pragma GCC unroll 4
      for (int r = 0; r < count; ++r) {
        even[r] = _mm512_dpbf16_ps(even[r], load(rows + r * inputs + i), x0);
        odd[r] = _mm512_dpbf16_ps(odd[r], load(rows + r * inputs + i + 32), x1);
      }
    }
    for (; i < inputs; i += 32) {
      const __mmask32 rest = inputs - i >= 32 ? 0xffffffffu : (1u << (inputs - i)) - 1;
      const auto x0 = load(rest, x + i);
      for (int r = 0; r < count; ++r) even[r] = _mm512_dpbf16_ps(even[r], load(rest, rows + r * inputs + i), x0);
    }
    for (int r = 0; r < count; ++r) sums[r] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
  }

  TN_INLINE __m512bh load(const uint16_t* from) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from)); }

  TN_INLINE __m512bh load(__mmask32 mask, const uint16_t* from) { return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(mask, from)); }
};

// A row after the other: rows in blocks are short, and four at once are more streams than the processor fetches ahead of.
struct BlockDots : PlainBlockDots {
  TN_INLINE void four(const Block* rows, int64_t inputs, const float* x, float* sums) {
    for (int64_t r = 0; r < kRows; ++r) one(rows + r * length(inputs), inputs, x, sums + r);
  }

  TN_INLINE void one(const Block* row, int64_t inputs, const float* x, float* sum) {
    __m512 total = _mm512_setzero_ps();
    const auto blocks = length(inputs);
    for (int64_t b = 0; b < blocks; ++b, x += kBlockLength) {
      _mm_prefetch(reinterpret_cast<const char*>(row + b) + kAhead, _MM_HINT_T0);
      const __m512 low = _mm512_mul_ps(load(row[b].numbers), _mm512_loadu_ps(x));
      const __m512 part = _mm512_fmadd_ps(load(row[b].numbers + 16), _mm512_loadu_ps(x + 16), low);
      total = _mm512_fmadd_ps(part, _mm512_set1_ps(_cvtsh_ss(row[b].scale)), total);
    }
    *sum = _mm512_reduce_add_ps(total);
  }

  TN_INLINE __m512 load(const int8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
};

TN_TOKEN_LINEAR(avx512_float, FloatDots)

TN_TOKEN_LINEAR(avx512_rounded, RoundedDots)

TN_TOKEN_LINEAR(avx512_blocks, BlockDots)

#pragma GCC pop_options
#pragma GCC diagnostic pop

#endif

using Rows = void (*)(const TokenLinear&, int64_t, int64_t);

Rows rows_of(MatrixFormat format) {
#ifdef TN_TOKEN_AVX512
  if (format == MatrixFormat::float32 && has_avx512()) return avx512_float;
  if (format == MatrixFormat::bfloat16 && has_avx512_bf16()) return avx512_rounded;
  if (format == MatrixFormat::blocks && has_avx512()) return avx512_blocks;
#endif
  switch (format) {
    case MatrixFormat::bfloat16: return plain_rounded;
    case MatrixFormat::blocks: return plain_blocks;
    case MatrixFormat::packed: return token_linear_packed;
    default: return plain_float;
  }
}

int64_t row_bytes(const TokenLinear& linear) {
  switch (linear.format) {
    case MatrixFormat::bfloat16: return linear.inputs * 2;
    case MatrixFormat::blocks: return linear.inputs / kBlockLength * static_cast<int64_t>(sizeof(Block));
    case MatrixFormat::packed: return linear.row_bytes;
    default: return linear.inputs * 4;
  }
}

}  // namespace

void token_linear(const TokenLinear& linear, int64_t begin, int64_t end) { rows_of(linear.format)(linear, begin, end); }

void token_linear(const TokenLinear& linear) {
  const auto grain = std::max<int64_t>(1, kBytesPerThread / (kRows * row_bytes(linear)));
  at::parallel_for(0, (linear.outputs + kRows - 1) / kRows, grain,
                   [&](int64_t begin, int64_t end) { token_linear(linear, begin * kRows, std::min(end * kRows, linear.outputs)); });
}

TN_VECTOR_CLONES
void token_round(const float* x, uint16_t* y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = round_bfloat16(x[i]);
}

}  // namespace tn
