// Matrices of bfloat16 in 12 bits: made, widened, and multiplied. See exponent_packing.h.
//
// A token's product takes the time of reading the matrix, and here that is three quarters of what it is in bfloat16. For many rows the processor's
// bfloat16 product is faster, of parts of the matrix that are widened for it and stay in the cache.
#include "exponent_packing.h"

#include "matrix_product.h"
#include "processor.h"
#include "rounding.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TN_PACKED_AVX512 1
#include <immintrin.h>
#endif

namespace tn {

namespace {

// Codes of an exponent; 0 is for the exponent 0.
constexpr int kCodes = 15;
constexpr int64_t kHeader = 2, kException = 4;
// Up to so many rows are multiplied with the matrix as it is.
constexpr int64_t kFewRows = 8;
// Numbers that are widened at once, 1 MiB.
constexpr int64_t kWidened = 1 << 19;
// Numbers that one thread takes at least.
constexpr int64_t kGrain = 1 << 16;
// Bytes by which the matrix is fetched before it is needed.
constexpr int64_t kAhead = 8192;

TN_INLINE uint16_t bits(uint16_t x) { return x; }
TN_INLINE uint16_t bits(float x) { return round_bfloat16(x); }
TN_INLINE int exponent(uint16_t x) { return x >> 7 & 0xFF; }

// How many rows stand together, from a multiple of four on.
int64_t together(int64_t row, int64_t outputs) { return std::min(kRowsTogether, outputs - row); }

struct Summary {
  uint8_t base;
  int64_t exceptions;
};

template <class T>
TN_INLINE Summary summary(const T* row, int64_t inputs) {
  int largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < inputs; ++i) largest = std::max(largest, exponent(bits(row[i])));
  const int base = std::max(0, largest - kCodes);
  int64_t exceptions = 0;
#pragma omp simd reduction(+ : exceptions)
  for (int64_t i = 0; i < inputs; ++i) {
    const int e = exponent(bits(row[i]));
    exceptions += e != 0 && e <= base;
  }
  return {static_cast<uint8_t>(base), exceptions};
}

// What stands for 64 numbers. An exception is 0 there.
template <class T>
TN_INLINE void pack_unit(const T* x, int base, uint8_t* unit) {
  uint8_t codes[kUnitLength], rest[kUnitLength], placed[kUnitLength];
#pragma omp simd
  for (int64_t i = 0; i < kUnitLength; ++i) {
    const uint16_t number = bits(x[i]);
    const int e = exponent(number);
    const bool exceptional = e != 0 && e <= base;
    codes[i] = static_cast<uint8_t>(e <= base ? 0 : e - base);
    rest[i] = static_cast<uint8_t>(exceptional ? 0 : (number >> 8 & 0x80) | (number & 0x7F));
  }
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t quarter = 0; quarter < 4; ++quarter) {
      const auto place = quarter * 16 + half * 8, from = half * 32 + quarter * 8;
      std::memcpy(placed + place, codes + from, 8);
      std::memcpy(unit + 32 + place, rest + from, 8);
    }
  }
#pragma omp simd
  for (int64_t i = 0; i < 32; ++i) unit[i] = static_cast<uint8_t>(placed[i] | placed[i + 32] << 4);
}

TN_INLINE void unpack_unit(const uint8_t* unit, int base, uint16_t* x) {
  uint16_t placed[kUnitLength];
#pragma omp simd
  for (int64_t i = 0; i < kUnitLength; ++i) {
    const int code = unit[i % 32] >> (i < 32 ? 0 : 4) & 0xF, rest = unit[32 + i];
    placed[i] = static_cast<uint16_t>((rest & 0x80) << 8 | (code == 0 ? 0 : base + code) << 7 | (rest & 0x7F));
  }
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t quarter = 0; quarter < 4; ++quarter) std::memcpy(x + half * 32 + quarter * 8, placed + quarter * 16 + half * 8, 16);
}

template <class T>
void write_header(const T* row, int64_t inputs, Summary found, uint8_t* header) {
  header[0] = found.base;
  header[1] = static_cast<uint8_t>(found.exceptions);
  if (found.exceptions == 0) return;
  auto* next = header + kHeader;
  for (int64_t i = 0; i < inputs; ++i) {
    const uint16_t number = bits(row[i]), place = static_cast<uint16_t>(i);
    if (const int e = exponent(number); e == 0 || e > found.base) continue;
    std::memcpy(next, &place, 2);
    std::memcpy(next + 2, &number, 2);
    next += kException;
  }
}

// use(place, number) for each exception of a row.
template <class Use>
TN_INLINE void each_exception(const uint8_t* header, Use use) {
  for (int64_t i = 0; i < header[1]; ++i) {
    uint16_t place, number;
    std::memcpy(&place, header + kHeader + i * kException, 2);
    std::memcpy(&number, header + kHeader + i * kException + 2, 2);
    use(place, number);
  }
}

// The float32 and the bfloat16 loops by their own names: functions that are compiled several times over are no templates.
#define TN_SUMMARISE(Name, T)                                                                                                                      \
  TN_VECTOR_CLONES                                                                                                                                 \
  void Name(const T* numbers, int64_t inputs, Summary* summaries, int64_t begin, int64_t end) {                                                    \
    for (int64_t row = begin; row < end; ++row) summaries[row] = summary(numbers + row * inputs, inputs);                                          \
  }

#define TN_PACK(Name, T)                                                                                                                           \
  TN_VECTOR_CLONES                                                                                                                                 \
  void Name(const T* numbers, const Summary* summaries, uint8_t* bytes, const PackedMatrix& matrix, int64_t begin, int64_t end) {                  \
    const auto inputs = matrix.inputs();                                                                                                           \
    for (int64_t first = begin; first < end; first += kRowsTogether) {                                                                             \
      const auto rows = together(first, matrix.outputs);                                                                                           \
      auto* to = bytes + first * matrix.row_bytes;                                                                                                 \
      for (int64_t r = 0; r < rows; ++r)                                                                                                           \
        write_header(numbers + (first + r) * inputs, inputs, summaries[first + r], to + r * matrix.header_bytes());                                \
      to += rows * matrix.header_bytes();                                                                                                          \
      for (int64_t unit = 0; unit < matrix.units(); ++unit)                                                                                        \
        for (int64_t r = 0; r < rows; ++r, to += kUnitBytes)                                                                                       \
          pack_unit(numbers + (first + r) * inputs + unit * kUnitLength, summaries[first + r].base, to);                                           \
    }                                                                                                                                              \
  }

TN_SUMMARISE(summarise_float, float)
TN_SUMMARISE(summarise_rounded, uint16_t)
TN_PACK(pack_float, float)
TN_PACK(pack_rounded, uint16_t)

TN_VECTOR_CLONES
void plain_unpack(const PackedMatrix& matrix, uint16_t* numbers, int64_t begin, int64_t end) {
  const auto inputs = matrix.inputs();
  for (int64_t first = begin; first < end; first += kRowsTogether) {
    const auto rows = together(first, matrix.outputs);
    const auto* headers = matrix.bytes + first * matrix.row_bytes;
    const auto* from = headers + rows * matrix.header_bytes();
    auto* to = numbers + (first - begin) * inputs;
    for (int64_t unit = 0; unit < matrix.units(); ++unit)
      for (int64_t r = 0; r < rows; ++r, from += kUnitBytes) unpack_unit(from, headers[r * matrix.header_bytes()], to + r * inputs + unit * kUnitLength);
  }
}

#ifdef TN_PACKED_AVX512

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12's own headers, PR 105593
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,avx512bf16,prefer-vector-width=512")

// The upper and the lower byte that each code stands for, in every 16 bytes.
struct Codebook {
  __m512i high, low;
};

TN_INLINE Codebook codebook(uint8_t base) {
  const __m512i codes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const __m512i exponents = _mm512_maskz_add_epi8(0xFFFEFFFEFFFEFFFE, codes, _mm512_set1_epi8(static_cast<char>(base)));
  return {_mm512_and_si512(_mm512_srli_epi16(exponents, 1), _mm512_set1_epi8(0x7F)),
          _mm512_and_si512(_mm512_slli_epi16(exponents, 7), _mm512_set1_epi8(static_cast<char>(0x80)))};
}

struct Unit {
  __m512i first, second;  // 32 numbers each
};

TN_INLINE Unit read_unit(const uint8_t* from, const Codebook& book) {
  const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
  const __m512i halves = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);
  const __m512i pairs = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  const __m512i codes = _mm512_and_si512(_mm512_srlv_epi16(pairs, halves), _mm512_set1_epi8(0xF));
  const __m512i rest = _mm512_loadu_si512(from + 32);
  // rest & sign | high, and rest & ~sign | low
  const __m512i high = _mm512_ternarylogic_epi64(rest, sign, _mm512_shuffle_epi8(book.high, codes), 0xEA);
  const __m512i low = _mm512_ternarylogic_epi64(rest, sign, _mm512_shuffle_epi8(book.low, codes), 0xBA);
  return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
}

// Rows that stand together times a vector. Exceptions are added at the end.
template <int count>
TN_INLINE void dots(const PackedMatrix& matrix, int64_t row, const uint16_t* x, float* sums) {
  const auto* headers = matrix.bytes + row * matrix.row_bytes;
  const auto header = matrix.header_bytes(), units = matrix.units();
  Codebook books[count];
  __m512 even[count], odd[count];
#pragma GCC unroll 4
  for (int r = 0; r < count; ++r) {
    books[r] = codebook(headers[r * header]);
    even[r] = odd[r] = _mm512_setzero_ps();
  }
  const auto* from = headers + count * header;
  for (int64_t unit = 0; unit < units; ++unit, x += kUnitLength) {
    const auto x0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(x)), x1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(x + 32));
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r, from += kUnitBytes) {
      _mm_prefetch(reinterpret_cast<const char*>(from) + kAhead, _MM_HINT_T0);
      const auto numbers = read_unit(from, books[r]);
      even[r] = _mm512_dpbf16_ps(even[r], reinterpret_cast<__m512bh>(numbers.first), x0);
      odd[r] = _mm512_dpbf16_ps(odd[r], reinterpret_cast<__m512bh>(numbers.second), x1);
    }
  }
  x -= units * kUnitLength;
  for (int r = 0; r < count; ++r) {
    sums[r] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
    each_exception(headers + r * header, [&](uint16_t place, uint16_t number) { sums[r] += widen_bfloat16(number) * widen_bfloat16(x[place]); });
  }
}

void avx512_dots(const PackedMatrix& matrix, int64_t row, int64_t count, const uint16_t* x, float* sums) {
  switch (count) {
    case 1: return dots<1>(matrix, row, x, sums);
    case 2: return dots<2>(matrix, row, x, sums);
    case 3: return dots<3>(matrix, row, x, sums);
    default: return dots<4>(matrix, row, x, sums);
  }
}

void avx512_unpack(const PackedMatrix& matrix, uint16_t* numbers, int64_t begin, int64_t end) {
  const auto inputs = matrix.inputs();
  for (int64_t first = begin; first < end; first += kRowsTogether) {
    const auto rows = together(first, matrix.outputs);
    for (int64_t r = 0; r < rows; ++r) {
      const auto* headers = matrix.bytes + first * matrix.row_bytes;
      const auto book = codebook(headers[r * matrix.header_bytes()]);
      const auto* from = headers + rows * matrix.header_bytes() + r * kUnitBytes;
      auto* to = numbers + (first + r - begin) * inputs;
      for (int64_t unit = 0; unit < matrix.units(); ++unit, from += rows * kUnitBytes, to += kUnitLength) {
        const auto unpacked = read_unit(from, book);
        _mm512_storeu_si512(to, unpacked.first);
        _mm512_storeu_si512(to + 32, unpacked.second);
      }
    }
  }
}

#pragma GCC pop_options
#pragma GCC diagnostic pop

bool multiplies_packed() { return has_avx512_bf16(); }

#else

bool multiplies_packed() { return false; }

void avx512_dots(const PackedMatrix&, int64_t, int64_t, const uint16_t*, float*) {}
void avx512_unpack(const PackedMatrix&, uint16_t*, int64_t, int64_t) {}

#endif

}  // namespace

void unpack_exponents(const PackedMatrix& matrix, uint16_t* numbers, int64_t begin, int64_t end) {
  (multiplies_packed() ? avx512_unpack : plain_unpack)(matrix, numbers, begin, end);
  for (int64_t first = begin; first < end; first += kRowsTogether) {
    const auto rows = together(first, matrix.outputs);
    for (int64_t r = 0; r < rows; ++r)
      each_exception(matrix.bytes + first * matrix.row_bytes + r * matrix.header_bytes(),
                     [&](uint16_t place, uint16_t number) { numbers[(first + r - begin) * matrix.inputs() + place] = number; });
  }
}

void token_linear_packed(const TokenLinear& l, int64_t begin, int64_t end) {
  const PackedMatrix matrix{static_cast<const uint8_t*>(l.weight), l.outputs, l.row_bytes};
  const auto* x = static_cast<const uint16_t*>(l.x);
  if (l.batch == 1 && multiplies_packed()) {
    float sums[kRowsTogether];
    for (int64_t row = begin; row < end; row += kRowsTogether) {
      const auto count = together(row, l.outputs);
      avx512_dots(matrix, row, count, x, sums);
      for (int64_t i = 0; i < count; ++i) {
        const float sum = l.bias == nullptr ? sums[i] : sums[i] + l.bias[row + i];
        l.y[row + i] = l.adds ? l.y[row + i] + sum : sum;
      }
    }
    return;
  }
  // Widened once for all vectors, in the first-level cache.
  thread_local std::vector<uint16_t> room;
  room.resize(static_cast<size_t>(kRowsTogether * l.inputs));
  for (int64_t row = begin; row < end; row += kRowsTogether) {
    const auto count = together(row, l.outputs);
    unpack_exponents(matrix, room.data(), row, row + count);
    for (int64_t vector = 0; vector < l.batch; ++vector) {
      const TokenLinear part{room.data(), l.bias == nullptr ? nullptr : l.bias + row, x + vector * l.inputs, l.y + vector * l.outputs + row,
                             1,           l.inputs,                                   count,                 MatrixFormat::bfloat16,
                             l.adds};
      token_linear(part, 0, count);
    }
  }
}

}  // namespace tn

namespace {

tn::PackedMatrix packed(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_cpu() && tensor.scalar_type() == at::kByte && tensor.dim() == 2 && tensor.is_contiguous() &&
                  tn::is_packed_row(tensor.size(1)),
              "a packed matrix is bytes on the CPU, ", tn::kUnitBytes, " for ", tn::kUnitLength, " numbers and a header to each row, not ", tensor.sizes(), " ",
              tensor.scalar_type(), " on ", tensor.device());
  return {tensor.const_data_ptr<uint8_t>(), tensor.size(0), tensor.size(1)};
}

void unpack(const tn::PackedMatrix& matrix, uint16_t* numbers, int64_t begin, int64_t end) {
  const auto grain = std::max<int64_t>(1, tn::kGrain / (matrix.inputs() * tn::kRowsTogether));
  at::parallel_for(0, (end - begin + tn::kRowsTogether - 1) / tn::kRowsTogether, grain, [&](int64_t from, int64_t to) {
    const auto first = begin + from * tn::kRowsTogether;
    tn::unpack_exponents(matrix, numbers + from * tn::kRowsTogether * matrix.inputs(), first, std::min(end, begin + to * tn::kRowsTogether));
  });
}

// rows (M, K) in bfloat16 times the matrix, into result (M, N).
void multiply_widened(const Tensor& rows, const tn::PackedMatrix& matrix, const Tensor& result) {
  const auto width = matrix.inputs(), part = std::min(matrix.outputs, std::max<int64_t>(1, tn::kWidened / width / tn::kRowsTogether) * tn::kRowsTogether);
  const auto wide = at::empty({part, width}, rows.options());
  for (int64_t row = 0; row < matrix.outputs; row += part) {
    const auto count = std::min(part, matrix.outputs - row);
    unpack(matrix, tn::mutable_rounded_bits(wide), row, row + count);
    tn::multiply_into(result.narrow(1, row, count), rows, wide.narrow(0, 0, count).t(), false);
  }
}

}  // namespace

// Whether the processor multiplies packed matrices faster than it reads bfloat16.
TN_API int32_t tn_exponents_run() { return tn::multiplies_packed() ? 1 : 0; }

// numbers (N, K), float32 to be rounded or bfloat16. No result, and no error, where more numbers than can be named are exceptions.
TN_API int32_t tn_exponents_pack(const Tensor* numbers, Tensor** result) {
  *result = nullptr;
  return tn::guarded([&] {
    const auto whole = numbers->scalar_type() == at::kFloat;
    TORCH_CHECK(numbers->is_cpu() && (whole || numbers->scalar_type() == at::kBFloat16) && numbers->dim() == 2 && numbers->numel() > 0 &&
                    numbers->size(1) % tn::kUnitLength == 0 && numbers->size(1) <= 1 << 16,
                "a matrix that is packed is float32 or bfloat16 on the CPU, with rows of a multiple of ", tn::kUnitLength, " and at most 65536 numbers, not ",
                numbers->sizes(), " ", numbers->scalar_type(), " on ", numbers->device());
    const auto from = numbers->contiguous();
    const auto outputs = from.size(0), inputs = from.size(1);
    const auto grain = std::max<int64_t>(1, tn::kGrain / (inputs * tn::kRowsTogether)), groups = (outputs + tn::kRowsTogether - 1) / tn::kRowsTogether;
    std::vector<tn::Summary> summaries(static_cast<size_t>(outputs));
    at::parallel_for(0, outputs, grain * tn::kRowsTogether, [&](int64_t begin, int64_t end) {
      whole ? tn::summarise_float(from.const_data_ptr<float>(), inputs, summaries.data(), begin, end)
            : tn::summarise_rounded(tn::rounded_bits(from), inputs, summaries.data(), begin, end);
    });
    int64_t most = 0;
    for (const auto& row : summaries) most = std::max(most, row.exceptions);
    if (most > tn::kMostExceptions) return;
    const auto row_bytes = inputs / tn::kUnitLength * tn::kUnitBytes + tn::kHeader + most * tn::kException;
    auto bytes = at::empty({outputs, row_bytes}, from.options().dtype(at::kByte));
    auto* to = bytes.mutable_data_ptr<uint8_t>();
    const tn::PackedMatrix matrix{to, outputs, row_bytes};
    at::parallel_for(0, groups, grain, [&](int64_t begin, int64_t end) {
      const auto first = begin * tn::kRowsTogether, last = std::min(outputs, end * tn::kRowsTogether);
      whole ? tn::pack_float(from.const_data_ptr<float>(), summaries.data(), to, matrix, first, last)
            : tn::pack_rounded(tn::rounded_bits(from), summaries.data(), to, matrix, first, last);
    });
    *result = tn::own(std::move(bytes));
  });
}

TN_API int32_t tn_exponents_unpack(const Tensor* bytes, Tensor** result) {
  return tn::returning(result, [&] {
    const auto matrix = packed(*bytes);
    const auto numbers = at::empty({matrix.outputs, matrix.inputs()}, bytes->options().dtype(at::kBFloat16));
    unpack(matrix, tn::mutable_rounded_bits(numbers), 0, matrix.outputs);
    return numbers;
  });
}

// x (…, K) float32 or bfloat16, bytes a packed matrix (N, K), bias (N) or null.
TN_API int32_t tn_exponents_linear(const Tensor* x, const Tensor* bytes, const Tensor* bias, Tensor** result) {
  return tn::returning(result, [&] {
    const auto matrix = packed(*bytes);
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(x->is_cpu() && (x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16) && x->dim() > 0 && x->size(-1) == matrix.inputs() &&
                    (!shift || (shift->scalar_type() == at::kFloat && shift->is_contiguous() && shift->numel() == matrix.outputs)),
                "a packed matrix ", bytes->sizes(), " takes rows of ", matrix.inputs(), " float32 or bfloat16 numbers on the CPU, not ", x->sizes(), " ",
                x->scalar_type(), " on ", x->device());
    TORCH_CHECK(!c10::GradMode::is_enabled() || !x->requires_grad(), "a packed matrix has no backward pass: it is for inference");
    const auto rows = tn::rounded(x->reshape({-1, x->size(-1)}));
    const auto sums = at::empty({rows.size(0), matrix.outputs}, rows.options().dtype(at::kFloat));
    if (rows.size(0) <= tn::kFewRows) {
      tn::token_linear({matrix.bytes, shift ? shift->const_data_ptr<float>() : nullptr, rows.const_data_ptr(), sums.mutable_data_ptr<float>(), rows.size(0),
                        matrix.inputs(), matrix.outputs, tn::MatrixFormat::packed, false, matrix.row_bytes});
    } else {
      multiply_widened(rows, matrix, sums);
      if (shift) sums.add_(*shift);
    }
    auto sizes = x->sizes().vec();
    sizes.back() = matrix.outputs;
    return sums.view(sizes);
  });
}
