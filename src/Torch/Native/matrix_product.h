// Products of float32 matrices on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace tn {

// left·right for matrices (M, K) and (K, N), either of which may be a transposed view; a new matrix (M, N). Not recorded.
at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right);

}  // namespace tn
