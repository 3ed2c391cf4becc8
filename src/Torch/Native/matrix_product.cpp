// oneDNN's float32 product where this libtorch brings oneDNN along, as a CPU build does: its kernels are made for the
// processor at hand and write the result once, where OpenBLAS first clears it and is bound to the processors it was built for.
// 2 to 12 % faster than OpenBLAS's AVX-512 kernels at the shapes of small models, twice as fast as its AVX2 ones.
#include "matrix_product.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cstdint>

// Weak: absent in builds of libtorch that keep oneDNN to themselves. Row-major; returns 0 on success.
extern "C" __attribute__((weak)) int dnnl_sgemm(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k,
                                                float alpha, const float* a, int64_t lda, const float* b, int64_t ldb,
                                                float beta, float* c, int64_t ldc);

// bfloat16 matrices, float32 result; not in oneDNN's headers, but exported since its version 1.
extern "C" __attribute__((weak)) int dnnl_gemm_bf16bf16f32(char transpose_a, char transpose_b, int64_t m, int64_t n,
                                                           int64_t k, float alpha, const void* a, int64_t lda,
                                                           const void* b, int64_t ldb, float beta, float* c, int64_t ldc);

namespace tn {

namespace {

// A matrix as BLAS reads it: its rows, or those of its transpose, one after the other.
struct Layout {
  char transposed;
  int64_t stride;
};

bool layout_of(const at::Tensor& matrix, Layout& layout) {
  if (matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1)) {
    layout = {'N', matrix.stride(0)};
    return true;
  }
  if (matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0)) {
    layout = {'T', matrix.stride(1)};
    return true;
  }
  return false;
}

bool is_plain(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.is_cpu() && tensor.scalar_type() == type && tensor.dim() == 2 && tensor.numel() > 0;
}

// 0 on success, as oneDNN has it: result = left·right + beta·result. Nothing is written otherwise.
int multiply(const at::Tensor& result, const at::Tensor& left, const at::Tensor& right, float beta) {
  const auto type = left.scalar_type();
  Layout a, b;
  if (!is_plain(left, type) || !is_plain(right, type) || !layout_of(left, a) || !layout_of(right, b)) return 1;
  const auto m = left.size(0), k = left.size(1), n = right.size(1);
  TORCH_CHECK(right.size(0) == k, "matrices of ", left.sizes(), " and ", right.sizes(), " cannot be multiplied");
  const auto stride = std::max(result.stride(0), n);
  auto* sums = result.mutable_data_ptr<float>();
  if (type == at::kFloat && dnnl_sgemm != nullptr) {
    return dnnl_sgemm(a.transposed, b.transposed, m, n, k, 1.0f, left.const_data_ptr<float>(), a.stride, right.const_data_ptr<float>(),
                      b.stride, beta, sums, stride);
  }
  if (type == at::kBFloat16 && dnnl_gemm_bf16bf16f32 != nullptr) {
    return dnnl_gemm_bf16bf16f32(a.transposed, b.transposed, m, n, k, 1.0f, left.const_data_ptr(), a.stride, right.const_data_ptr(),
                                 b.stride, beta, sums, stride);
  }
  return 1;
}

}  // namespace

at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right) {
  if (dnnl_sgemm == nullptr || !is_plain(left, at::kFloat) || !is_plain(right, at::kFloat)) return at::mm(left, right);
  auto result = at::empty({left.size(0), right.size(1)}, left.options());
  return multiply(result, left, right, 0) == 0 ? result : at::mm(left, right);
}

void multiply_into(const at::Tensor& result, const at::Tensor& left, const at::Tensor& right, bool add) {
  TORCH_CHECK(result.dim() == 2 && (result.stride(1) == 1 || result.size(1) == 1) && result.size(0) == left.size(0) && result.size(1) == right.size(1) &&
                  is_plain(result, at::kFloat),
              "the product of ", left.sizes(), " and ", right.sizes(), " does not fit into ", result.sizes());
  if (multiply(result, left, right, add ? 1.0f : 0.0f) == 0) return;
  const auto product = at::mm(left, right);
  if (add) result.add_(product);
  else result.copy_(product);
}

}  // namespace tn
