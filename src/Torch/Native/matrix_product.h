// Products of matrices on the CPU, with sums in float32.
#pragma once

#include <ATen/core/Tensor.h>

namespace tn {

// left·right for matrices (M, K) and (K, N), either of which may be a transposed view; a new matrix (M, N). Not recorded.
at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right);

// Writes left·right to result, or adds it: for a result that is there already, float32, CPU, its rows contiguous. The two factors
// are both float32 or both bfloat16.
void multiply_into(const at::Tensor& result, const at::Tensor& left, const at::Tensor& right, bool add);

}  // namespace tn
