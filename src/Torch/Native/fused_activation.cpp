// Activations of feed-forward layers on the CPU, each with its derivative, in one pass over the data.
//
// libtorch's own GELU spends ten times as long: it calls a vector library for erf and exp. Shapes: any; gated kinds
// read (…, 2F) = [gate | up] and give (…, F).
#include "activations.h"
#include "fused.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/chunk.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;  // elements that one thread takes at least

TN_VECTOR_CLONES
void gelu_forward(const float* x, float* y, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) y[i] = tn::gelu(x[i]);
}

TN_VECTOR_CLONES
void gelu_backward(const float* x, const float* dy, float* dx, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) dx[i] = dy[i] * tn::gelu_and_slope(x[i]).slope;
}

TN_VECTOR_CLONES
void swiglu_forward(const float* x, float* y, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* gate = x + row * 2 * width;
    const float* up = gate + width;
    float* out = y + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) out[i] = tn::swiglu(gate[i], up[i]);
  }
}

TN_VECTOR_CLONES
void swiglu_backward(const float* x, const float* dy, float* dx, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* gate = x + row * 2 * width;
    const float* up = gate + width;
    const float* d = dy + row * width;
    float* dgate = dx + row * 2 * width;
    float* dup = dgate + width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const auto f = tn::swiglu_and_slopes(gate[i], up[i]);
      dup[i] = d[i] * f.up_slope;
      dgate[i] = d[i] * f.gate_slope;
    }
  }
}

class FusedGelu : public torch::autograd::Function<FusedGelu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& input) {
    const auto x = input.contiguous();
    context->save_for_backward({x});
    auto y = at::empty_like(x);
    const auto* source = x.const_data_ptr<float>();
    auto* target = y.mutable_data_ptr<float>();
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) { gelu_forward(source, target, begin, end); });
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto x = context->get_saved_variables()[0];
    const auto dy = gradients[0].contiguous();
    auto dx = at::empty_like(x);
    const auto *source = x.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
    auto* target = dx.mutable_data_ptr<float>();
    at::parallel_for(0, x.numel(), kGrain,
                     [&](int64_t begin, int64_t end) { gelu_backward(source, gradient, target, begin, end); });
    return {dx};
  }
};

class FusedSwiGlu : public torch::autograd::Function<FusedSwiGlu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& input) {
    const auto x = input.contiguous();
    context->save_for_backward({x});
    const auto width = x.size(-1) / 2, rows = x.numel() / (2 * width);
    auto sizes = x.sizes().vec();
    sizes.back() = width;
    auto y = at::empty(sizes, x.options());
    const auto* source = x.const_data_ptr<float>();
    auto* target = y.mutable_data_ptr<float>();
    at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                     [&](int64_t begin, int64_t end) { swiglu_forward(source, target, width, begin, end); });
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto x = context->get_saved_variables()[0];
    const auto dy = gradients[0].contiguous();
    const auto width = x.size(-1) / 2, rows = x.numel() / (2 * width);
    auto dx = at::empty_like(x);
    const auto *source = x.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
    auto* target = dx.mutable_data_ptr<float>();
    at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                     [&](int64_t begin, int64_t end) { swiglu_backward(source, gradient, target, width, begin, end); });
    return {dx};
  }
};

bool runs_here(const Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && x.numel() > 0;
}

}  // namespace

// x·Φ(x). Elsewhere than on a CPU in float32: libtorch's own operation.
TN_API int32_t tn_fused_gelu(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return runs_here(*x) ? FusedGelu::apply(*x) : at::gelu(*x); });
}

// silu(gate)·up from [gate | up] along the last dimension.
TN_API int32_t tn_fused_swiglu(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] {
    TORCH_CHECK(x->dim() > 0 && x->size(-1) % 2 == 0, "gate and up need a last dimension of even size, not ", x->sizes());
    if (runs_here(*x)) return FusedSwiGlu::apply(*x);
    const auto halves = x->chunk(2, -1);
    return at::silu(halves[0]) * halves[1];
  });
}
