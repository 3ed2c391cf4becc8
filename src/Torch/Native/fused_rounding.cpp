#include "rounding.h"

#include "matrix_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

namespace {

constexpr int64_t kGrain = 16384;  // elements that one thread takes at least

TN_VECTOR_CLONES
void round_all(const float* x, uint16_t* y, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) y[i] = tn::round_bfloat16(x[i]);
}

TN_VECTOR_CLONES
void round_biased(const float* x, const float* bias, uint16_t* y, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) y[row * width + i] = tn::round_bfloat16(x[row * width + i] + bias[i]);
  }
}

}  // namespace

namespace tn {

at::Tensor rounded(const at::Tensor& x) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return x.to(at::kBFloat16).contiguous();
  const auto source = x.contiguous();
  auto result = at::empty_like(source, source.options().dtype(at::kBFloat16));
  const auto* from = source.const_data_ptr<float>();
  auto* to = mutable_rounded_bits(result);
  at::parallel_for(0, source.numel(), kGrain, [&](int64_t begin, int64_t end) { round_all(from, to, begin, end); });
  return result;
}

at::Tensor product_rounded(const at::Tensor& left, const at::Tensor& right, const std::optional<at::Tensor>& bias) {
  auto result = at::empty({left.size(0), right.size(1)}, left.options());
  multiply_rounded_into(result, left, right, bias);
  return result;
}

void multiply_rounded_into(const at::Tensor& result, const at::Tensor& left, const at::Tensor& right, const std::optional<at::Tensor>& bias) {
  const auto rows = left.size(0), width = right.size(1);
  const auto sums = at::empty({std::min(rows, kRowsAtOnce), width}, left.options().dtype(at::kFloat));
  const auto shift = bias ? bias->contiguous() : at::Tensor();
  const auto* from = sums.const_data_ptr<float>();
  for (int64_t first = 0; first < rows; first += kRowsAtOnce) {
    const auto count = std::min(kRowsAtOnce, rows - first);
    multiply_into(sums.narrow(0, 0, count), left.narrow(0, first, count), right, false);
    auto* to = mutable_rounded_bits(result) + first * width;
    if (bias) {
      const auto* added = shift.const_data_ptr<float>();
      at::parallel_for(0, count, std::max<int64_t>(1, kGrain / width),
                       [&](int64_t begin, int64_t end) { round_biased(from, added, to, width, begin, end); });
    } else {
      at::parallel_for(0, count * width, kGrain, [&](int64_t begin, int64_t end) { round_all(from, to, begin, end); });
    }
  }
}

}  // namespace tn
