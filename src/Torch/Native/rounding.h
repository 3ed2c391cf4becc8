// bfloat16 numbers as their bits, in loops that compilers turn into vector instructions; and products whose results are rounded.
#pragma once

#include "vector_math.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>
#include <optional>

namespace tn {

// To the nearest, halves to even; what is not a number stays none.
TN_INLINE uint16_t round_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(x != x ? 0x7FC0u : rounded);
}

TN_INLINE float widen_bfloat16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

// Bits of a bfloat16 tensor.
inline const uint16_t* rounded_bits(const at::Tensor& x) { return static_cast<const uint16_t*>(x.const_data_ptr()); }
inline uint16_t* mutable_rounded_bits(const at::Tensor& x) { return static_cast<uint16_t*>(x.mutable_data_ptr()); }

// x in bfloat16, contiguous: itself where it is already.
at::Tensor rounded(const at::Tensor& x);

// Rows that are multiplied before their sums, still in the cache, are rounded.
constexpr int64_t kRowsAtOnce = 1024;

// left·right + bias in bfloat16, (M, N): products of bfloat16 matrices added up in float32, and rounded once. On the CPU.
at::Tensor product_rounded(const at::Tensor& left, const at::Tensor& right, const std::optional<at::Tensor>& bias);

// The same into a result that is there already, its rows contiguous.
void multiply_rounded_into(const at::Tensor& result, const at::Tensor& left, const at::Tensor& right, const std::optional<at::Tensor>& bias);

}  // namespace tn
