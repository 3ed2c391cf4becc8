// Whole-model updates in one call: no host round trip, no loop in .NET.
#include "shim.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include <cmath>

TN_API int32_t tn_fused_adamw_(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* averages,
                               Tensor* const* squares, Tensor* const* steps, int32_t count, double learning_rate,
                               double beta1, double beta2, double weight_decay, double epsilon,
                               const Tensor* gradient_scale, const Tensor* found_inf) {
  return tn::guarded([&] {
    const c10::AutoGradMode no_grad(false);
    const auto state_steps = tn::list(steps, count);
    const auto weights = tn::list(parameters, count);
    const auto skip = tn::optional_tensor(found_inf);
    at::_foreach_add_(state_steps, 1);
    at::_fused_adamw_(weights, tn::list(gradients, count), tn::list(averages, count),
                      tn::list(squares, count), {}, state_steps, learning_rate, beta1, beta2, weight_decay, epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, tn::optional_tensor(gradient_scale), skip);
    // It writes without saying so, and copies of the weights in other types would not be made anew.
    for (const auto& weight : weights) {
      if (!weight.is_inference()) weight.unsafeGetTensorImpl()->bump_version();
    }
    // The kernel leaves everything as it was where found_inf is 1; the count of steps has to follow.
    if (skip) at::_foreach_sub_(state_steps, std::vector<Tensor>(static_cast<size_t>(count), *skip));
  });
}

// The norm over all gradients, which are scaled in place to at most max_norm where that is finite and positive.
TN_API int32_t tn_clip_grad_norm_(Tensor* const* gradients, int32_t count, double max_norm, double order,
                                  Tensor** result) {
  return tn::returning(result, [&] {
    const c10::AutoGradMode no_grad(false);
    const auto list = tn::list(gradients, count);
    auto norms = at::_foreach_norm(list, order);
    auto total = at::linalg_vector_norm(at::stack(norms), order);
    if (max_norm > 0 && std::isfinite(max_norm)) {
      const auto factor = (max_norm / (total + 1e-6)).clamp_max(1.0);
      at::_foreach_mul_(list, factor);
    }
    return total;
  });
}

// Scales gradients in place so that a common norm, which may span more tensors than these, is at most max_norm.
TN_API int32_t tn_scale_to_norm_(Tensor* const* gradients, int32_t count, const Tensor* norm, double max_norm) {
  return tn::guarded([&] {
    const c10::AutoGradMode no_grad(false);
    at::_foreach_mul_(tn::list(gradients, count), (max_norm / (*norm + 1e-6)).clamp_max(1.0));
  });
}
