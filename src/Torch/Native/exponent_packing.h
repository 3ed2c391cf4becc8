// Matrices of bfloat16 in 12 bits a number instead of 16, without loss: the 8 bits of sign and fraction as they are, of the exponent how far it is below
// the largest of its row, in 4 bits. Weights are near a normal distribution, so that next to none is smaller than its row's largest by 15 powers of
// two; those few stand in the row's header, in full. (DFloat11, Zhang et al. 2025, arXiv 2504.11651, has 11 bits by Huffman codes; 4 bits of one
// length are read by a few vector instructions.)
//
// Shapes: a matrix (N, K), K a multiple of 64, is bytes (N, R), R = 96·K/64 + 2 + 4·E, where E is the most exceptions of a row. Four rows stand together, at
// the end as many as are left, so that a product of a token reads one stream: first their headers, then the first 64 numbers of each row, then the next.
//   header  the base, 1 byte: an exponent is base + code, or 0 where the code is 0; how many exceptions, 1 byte; E times place and number, 2 bytes each
//   unit    64 codes, 4 bits each: in byte j that of place j, above it that of place j + 32; then 64 bytes of sign and fraction, of place 0, 1, …
// Number i of a unit is at the place that lets one instruction interleave high and low bytes: (i mod 32) / 8 · 16 + i / 32 · 8 + i mod 8.
#pragma once

#include "token_kernels.h"

#include <cstdint>

namespace tn {

constexpr int64_t kUnitLength = 64;
constexpr int64_t kUnitBytes = 96;
constexpr int64_t kRowsTogether = 4;
// With more the header would be as long as a unit, and the number of units could not be told from that of bytes.
constexpr int64_t kMostExceptions = 22;

struct PackedMatrix {
  const uint8_t* bytes;
  int64_t outputs, row_bytes;

  int64_t units() const { return row_bytes / kUnitBytes; }
  int64_t inputs() const { return units() * kUnitLength; }
  int64_t header_bytes() const { return row_bytes % kUnitBytes; }
};

// Whether a row of a packed matrix may have so many bytes.
inline bool is_packed_row(int64_t bytes) { return bytes > kUnitBytes && bytes % kUnitBytes % 4 == 2; }

// Rows from begin on, a multiple of four, to end, in bfloat16 without gaps.
void unpack_exponents(const PackedMatrix& matrix, uint16_t* numbers, int64_t begin, int64_t end);

// token_linear for such a matrix; begin is a multiple of four.
void token_linear_packed(const TokenLinear& linear, int64_t begin, int64_t end);

}  // namespace tn
