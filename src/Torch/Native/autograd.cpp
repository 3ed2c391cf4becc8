// Recording, running and reading gradients.
#include "shim.h"

#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

TN_API int32_t tn_grad_mode() { return c10::GradMode::is_enabled(); }

TN_API void tn_set_grad_mode(int32_t enabled) { c10::GradMode::set_enabled(enabled != 0); }

TN_API int32_t tn_inference_mode() { return c10::InferenceMode::is_enabled(); }

// The guard is thread-local and nests: leave in the reverse order, on the same thread.
TN_API int32_t tn_inference_enter(int32_t enabled, void** guard) {
  return tn::guarded([&] { *guard = new c10::InferenceMode(enabled != 0); });
}

TN_API void tn_inference_leave(void* guard) { delete static_cast<c10::InferenceMode*>(guard); }

TN_API int32_t tn_requires_grad(const Tensor* tensor, int32_t* result) {
  return tn::guarded([&] { *result = tensor->requires_grad(); });
}

TN_API int32_t tn_set_requires_grad(Tensor* tensor, int32_t required) {
  return tn::guarded([&] { tensor->set_requires_grad(required != 0); });
}

TN_API int32_t tn_is_leaf(const Tensor* tensor, int32_t* result) {
  return tn::guarded([&] { *result = tensor->is_leaf(); });
}

TN_API int32_t tn_retain_grad(const Tensor* tensor) {
  return tn::guarded([&] { tensor->retain_grad(); });
}

// A null result means that there is no gradient.
TN_API int32_t tn_grad(const Tensor* tensor, Tensor** result) {
  return tn::guarded([&] {
    const auto& grad = tensor->grad();
    *result = grad.defined() ? tn::own(Tensor(grad)) : nullptr;
  });
}

// Null clears the gradient and gives its memory back.
TN_API int32_t tn_set_grad(Tensor* tensor, const Tensor* grad) {
  return tn::guarded([&] { tensor->mutable_grad() = grad == nullptr ? Tensor() : *grad; });
}

TN_API int32_t tn_detach(const Tensor* tensor, Tensor** result) {
  return tn::returning(result, [&] { return tensor->detach(); });
}

TN_API int32_t tn_backward(const Tensor* tensor, const Tensor* gradient, int32_t retain_graph, int32_t create_graph) {
  return tn::guarded([&] {
    std::vector<Tensor> gradients;
    if (gradient != nullptr) gradients.push_back(*gradient);
    torch::autograd::backward({*tensor}, gradients, retain_graph != 0, create_graph != 0);
  });
}

// Results are null for inputs that the outputs do not depend on (when allowed).
TN_API int32_t tn_autograd_grad(Tensor* const* outputs, int32_t output_count, Tensor* const* inputs, int32_t input_count,
                                Tensor* const* gradients, int32_t gradient_count, int32_t retain_graph,
                                int32_t create_graph, int32_t allow_unused, Tensor** results) {
  return tn::guarded([&] {
    auto computed = torch::autograd::grad(tn::list(outputs, output_count), tn::list(inputs, input_count),
                                          tn::list(gradients, gradient_count), retain_graph != 0, create_graph != 0,
                                          allow_unused != 0);
    for (size_t i = 0; i < computed.size(); ++i)
      results[i] = computed[i].defined() ? tn::own(std::move(computed[i])) : nullptr;
  });
}
