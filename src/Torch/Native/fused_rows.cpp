// Rows in another order, each of them as often as it is wanted.
//
// libtorch's own selection adds every gradient row to a place that others may be added to: one row after the other on the
// CPU, with atomic additions, so in any order, on a GPU. Here it is known where each copy of a row went, and the backward
// pass fetches them from there. Shapes: x (N, …), order and inverse (N·K), result (N·K, …). Any type and device.
#include "fused.h"
#include "shim.h"

#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class FusedRows : public torch::autograd::Function<FusedRows> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& order, const Tensor& inverse,
                        int64_t copies) {
    context->save_for_backward({inverse});
    context->saved_data["copies"] = copies;
    return x.index_select(0, copies == 1 ? order : order.floor_divide(copies));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto copies = context->saved_data["copies"].toInt();
    auto rows = gradients[0].index_select(0, context->get_saved_variables()[0]);
    if (copies == 1) return {rows, Tensor(), Tensor(), Tensor()};
    auto sizes = rows.sizes().vec();
    sizes[0] /= copies;
    sizes.insert(sizes.begin() + 1, copies);
    return {rows.view(sizes).sum(1), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

// Row i of the result is row order[i] / copies of x; inverse[order[i]] is i.
TN_API int32_t tn_fused_rows(const Tensor* x, const Tensor* order, const Tensor* inverse, int64_t copies, Tensor** result) {
  return tn::returning(result, [&] {
    TORCH_CHECK(copies > 0 && order->dim() == 1 && order->sizes() == inverse->sizes() && x->dim() > 0 &&
                    order->size(0) == x->size(0) * copies,
                "rows ", x->sizes(), " times ", copies, " need an order and its inverse of that length, not ", order->sizes(),
                " and ", inverse->sizes());
    return FusedRows::apply(*x, *order, *inverse, copies);
  });
}
