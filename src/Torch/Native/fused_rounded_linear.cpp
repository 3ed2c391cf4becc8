// A linear layer whose products are bfloat16 and whose sums and weight gradients are float32, on the CPU.
//
// libtorch's own bfloat16 product wants the weight rounded at each call; here it is rounded once for as long as it stays as it is. The
// input is kept rounded, in half the memory. The result is float32, or rounded while it is in the cache for those who read it rounded.
//
// Shapes: x (…, K), weight (N, K) float32, rounded (N, K) bfloat16, bias (N) float32, result (…, N).
#include "fused.h"
#include "matrix_product.h"
#include "rounding.h"
#include "shim.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor product(const Tensor& left, const Tensor& right) {
  auto result = at::empty({left.size(0), right.size(1)}, left.options().dtype(at::kFloat));
  tn::multiply_into(result, left, right, false);
  return result;
}

class FusedRoundedLinear : public torch::autograd::Function<FusedRoundedLinear> {
 public:
  // weight is here for its gradient.
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight, const Tensor& rounded,
                        const std::optional<Tensor>& bias, bool coarse) {
    const auto rows = tn::rounded(input.reshape({-1, input.size(-1)}));
    context->save_for_backward({rows, rounded});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["coarse"] = input.scalar_type() == at::kBFloat16;
    auto sizes = input.sizes().vec();
    sizes.back() = weight.size(0);
    if (coarse) return tn::product_rounded(rows, rounded.t(), bias).view(sizes);
    auto result = product(rows, rounded.t());
    if (bias) result.add_(*bias);
    return result.view(sizes);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto &rows = saved[0], &rounded = saved[1];
    auto sizes = gradients[0].sizes().vec();
    const auto dy = gradients[0].reshape({-1, sizes.back()});
    const auto coarse = tn::rounded(dy);
    Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) {
      sizes.back() = rounded.size(1);
      dx = (context->saved_data["coarse"].toBool() ? tn::product_rounded(coarse, rounded, std::nullopt) : product(coarse, rounded)).view(sizes);
    }
    if (context->needs_input_grad(1)) dweight = product(coarse.t(), rows);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(3)) dbias = dy.sum(at::IntArrayRef{0}, false, at::kFloat);
    return {dx, dweight, Tensor(), dbias, Tensor()};
  }
};

}  // namespace

// coarse: whether the result is bfloat16.
TN_API int32_t tn_fused_rounded_linear(const Tensor* x, const Tensor* weight, const Tensor* rounded, const Tensor* bias, int32_t coarse,
                                       Tensor** result) {
  return tn::returning(result, [&] {
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(x->is_cpu() && (weight->scalar_type() == at::kFloat || weight->is_same(*rounded)) && rounded->scalar_type() == at::kBFloat16 &&
                    weight->sizes() == rounded->sizes() && weight->dim() == 2,
                "a rounded linear layer needs a weight on the CPU in float32, and its like in bfloat16, not ", weight->sizes(), " ",
                weight->scalar_type(), " and ", rounded->sizes(), " ", rounded->scalar_type(), " with an input on ", x->device());
    if (x->dim() == 0 || x->numel() == 0) {
      const auto empty = at::linear(x->to(at::kFloat), weight->to(at::kFloat), shift);
      return coarse != 0 ? empty.to(at::kBFloat16) : empty;
    }
    return FusedRoundedLinear::apply(*x, *weight, *rounded, shift, coarse != 0);
  });
}
