// A linear layer whose products are bfloat16 and whose sums, results and gradients are float32, on the CPU.
//
// libtorch's own bfloat16 product rounds its result, which the next operation turns back, and wants the weight rounded at each call;
// here it is rounded once for as long as it stays as it is. The input is kept rounded, in half the memory.
//
// Shapes: x (…, K), weight (N, K) float32, rounded (N, K) bfloat16, bias (N) float32, result (…, N) float32.
#include "fused.h"
#include "matrix_product.h"
#include "shim.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Where there is no product with a float32 result, libtorch's, whose own result is rounded.
Tensor product(const Tensor& left, const Tensor& right) {
  auto result = tn::rounded_product(left, right);
  return result.defined() ? result : at::mm(left, right).to(at::kFloat);
}

class FusedRoundedLinear : public torch::autograd::Function<FusedRoundedLinear> {
 public:
  // weight is here for its gradient.
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight, const Tensor& rounded,
                        const std::optional<Tensor>& bias) {
    const auto rows = input.reshape({-1, input.size(-1)}).to(at::kBFloat16);
    context->save_for_backward({rows, rounded});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["type"] = static_cast<int64_t>(input.scalar_type());
    auto sizes = input.sizes().vec();
    sizes.back() = weight.size(0);
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
    const auto coarse = dy.to(at::kBFloat16);
    Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) {
      sizes.back() = rounded.size(1);
      dx = product(coarse, rounded).view(sizes).to(static_cast<at::ScalarType>(context->saved_data["type"].toInt()));
    }
    if (context->needs_input_grad(1)) dweight = product(coarse.t(), rows);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(3)) dbias = dy.sum(0);
    return {dx, dweight, Tensor(), dbias};
  }
};

}  // namespace

TN_API int32_t tn_fused_rounded_linear(const Tensor* x, const Tensor* weight, const Tensor* rounded, const Tensor* bias,
                                       Tensor** result) {
  return tn::returning(result, [&] {
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(x->is_cpu() && weight->scalar_type() == at::kFloat && rounded->scalar_type() == at::kBFloat16 &&
                    weight->sizes() == rounded->sizes() && weight->dim() == 2,
                "a rounded linear layer needs a weight on the CPU in float32, and its like in bfloat16, not ", weight->sizes(), " ",
                weight->scalar_type(), " and ", rounded->sizes(), " ", rounded->scalar_type(), " with an input on ", x->device());
    if (x->dim() == 0 || x->numel() == 0) return at::linear(x->to(at::kFloat), *weight, shift);
    return FusedRoundedLinear::apply(*x, *weight, *rounded, shift);
  });
}
