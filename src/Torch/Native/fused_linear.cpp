// A linear layer as one step of the record: libtorch's own leaves a chain of views and transposes behind, each with a
// node of its own to run backward.
//
// Shapes: x (…, K), weight (N, K), bias (N), result (…, N). Any type and device.
#include "fused.h"
#include "matrix_product.h"
#include "shim.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class FusedLinear : public torch::autograd::Function<FusedLinear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    const auto rows = input.reshape({-1, input.size(-1)});
    context->save_for_backward({rows, weight});
    context->saved_data["bias"] = bias.has_value();
    auto sizes = input.sizes().vec();
    sizes.back() = weight.size(0);
    const auto transposed = weight.t();
    auto result = bias && !input.is_cpu() ? at::addmm(*bias, rows, transposed) : tn::matrix_product(rows, transposed);
    if (bias && input.is_cpu()) result.add_(*bias);
    return result.view(sizes);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto &rows = saved[0], &weight = saved[1];
    auto sizes = gradients[0].sizes().vec();
    const auto dy = gradients[0].reshape({-1, sizes.back()});
    Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) {
      sizes.back() = weight.size(1);
      dx = tn::matrix_product(dy, weight).view(sizes);
    }
    if (context->needs_input_grad(1)) dweight = tn::matrix_product(dy.t(), rows);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dweight, dbias};
  }
};

}  // namespace

// Inputs that are no matrix, or empty, take libtorch's own way.
TN_API int32_t tn_fused_linear(const Tensor* x, const Tensor* weight, const Tensor* bias, Tensor** result) {
  return tn::returning(result, [&] {
    const auto shift = tn::optional_tensor(bias);
    if (x->dim() < 2 || x->numel() == 0 || weight->dim() != 2) return at::linear(*x, *weight, shift);
    return FusedLinear::apply(*x, *weight, shift);
  });
}
