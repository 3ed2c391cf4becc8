// Dropout by keyed choices (dropout.h) on the CPU, float32: (B, T, W) or (B, H, T, W), nothing kept for the backward pass.
#include "dropout.h"
#include "fused.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tn::Dropout;
using tn::KeyedDropout;

TN_VECTOR_CLONES
void drop_rows(const Dropout& dropout, uint32_t list, int64_t begin, int64_t end, int64_t width, const float* x, float* y) {
  float factors[Dropout::kBlock];
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t from = 0; from < width; from += Dropout::kBlock) {
      dropout.factors(list, static_cast<uint32_t>(row), static_cast<uint32_t>(from / Dropout::kBlock), factors);
      const auto *a = x + row * width + from;
      auto* b = y + row * width + from;
      const auto count = std::min(Dropout::kBlock, width - from);
#pragma omp simd
      for (int64_t n = 0; n < count; ++n) b[n] = a[n] * factors[n];
    }
  }
}

Tensor dropped(const Tensor& given, const KeyedDropout& keyed) {
  const auto x = given.contiguous();
  auto y = at::empty_like(x);
  const Dropout dropout(keyed);
  const auto rows = x.size(-2), width = x.size(-1), heads = x.dim() == 4 ? x.size(1) : 1;
  const auto* from = x.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const auto fewest = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));  // rows that are worth a thread
  at::parallel_for(0, x.size(0) * heads * rows, fewest, [&](int64_t begin, int64_t end) {
    for (auto at = begin; at < end;) {
      const auto list = at / rows, first = at % rows, last = std::min(rows, first + end - at);
      drop_rows(dropout, dropout.list(list / heads, heads, list % heads), first, last, width, from + list * rows * width, to + list * rows * width);
      at += last - first;
    }
  });
  return y;
}

class FusedDropout : public torch::autograd::Function<FusedDropout> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const KeyedDropout& dropout) {
    context->saved_data["dropout"] = dropout.numbers();
    return dropped(x, dropout);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    return {dropped(gradients[0], KeyedDropout::of(context->saved_data["dropout"].toIntVector())), Tensor()};
  }
};

}  // namespace

TN_API int32_t tn_fused_dropout(const Tensor* x, const tn::KeyedDropout* dropout, Tensor** result) {
  return tn::returning(result, [&]() -> Tensor {
    TORCH_CHECK(x->is_cpu() && x->scalar_type() == at::kFloat && (x->dim() == 3 || x->dim() == 4),
                "keyed dropout takes float32 (B, T, W) or (B, H, T, W) on the CPU, not ", x->sizes(), " ", x->scalar_type(), " on ", x->device());
    tn::require_probability(*dropout);
    return FusedDropout::apply(*x, *dropout);
  });
}
