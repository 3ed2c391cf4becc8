// Products of matrices on the CPU, with sums in float32.
#pragma once

#include <ATen/core/Tensor.h>

namespace tn {

// left·right for matrices (M, K) and (K, N), either of which may be a transposed view; a new matrix (M, N). Not recorded.
at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right);

// The same for bfloat16 matrices; the result is float32. Undefined where this processor or this libtorch has no such product.
at::Tensor rounded_product(const at::Tensor& left, const at::Tensor& right);

}  // namespace tn
