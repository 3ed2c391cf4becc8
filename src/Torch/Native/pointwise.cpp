// Element by element: arithmetic, comparison, activation, selection.
#include "shim.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/where.h>

#define TN_UNARY(name) \
  TN_API int32_t tn_##name(const Tensor* x, Tensor** result) { return tn::returning(result, [&] { return x->name(); }); }

TN_UNARY(abs)
TN_UNARY(neg)
TN_UNARY(exp)
TN_UNARY(log)
TN_UNARY(log1p)
TN_UNARY(sqrt)
TN_UNARY(rsqrt)
TN_UNARY(reciprocal)
TN_UNARY(square)
TN_UNARY(sin)
TN_UNARY(cos)
TN_UNARY(tanh)
TN_UNARY(sigmoid)
TN_UNARY(relu)
TN_UNARY(erf)
TN_UNARY(floor)
TN_UNARY(ceil)
TN_UNARY(round)
TN_UNARY(sign)
TN_UNARY(isfinite)
TN_UNARY(isnan)
TN_UNARY(isinf)
TN_UNARY(logical_not)

TN_API int32_t tn_silu(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return at::silu(*x); });
}

TN_API int32_t tn_softplus(const Tensor* x, double beta, double threshold, Tensor** result) {
  return tn::returning(result, [&] { return at::softplus(*x, beta, threshold); });
}

TN_API int32_t tn_gelu(const Tensor* x, int32_t tanh_approximation, Tensor** result) {
  return tn::returning(result, [&] { return at::gelu(*x, tanh_approximation ? "tanh" : "none"); });
}

#define TN_BINARY(name)                                                                     \
  TN_API int32_t tn_##name(const Tensor* a, const Tensor* b, Tensor** result) {             \
    return tn::returning(result, [&] { return a->name(*b); });                              \
  }                                                                                         \
  TN_API int32_t tn_##name##_scalar(const Tensor* a, tn::Scalar b, Tensor** result) {       \
    return tn::returning(result, [&] { return a->name(b.value()); });                       \
  }

TN_BINARY(mul)
TN_BINARY(div)
TN_BINARY(pow)
TN_BINARY(remainder)
TN_BINARY(eq)
TN_BINARY(ne)
TN_BINARY(lt)
TN_BINARY(le)
TN_BINARY(gt)
TN_BINARY(ge)

#define TN_SUM(name)                                                                                           \
  TN_API int32_t tn_##name(const Tensor* a, const Tensor* b, tn::Scalar alpha, Tensor** result) {              \
    return tn::returning(result, [&] { return a->name(*b, alpha.value()); });                                  \
  }                                                                                                            \
  TN_API int32_t tn_##name##_scalar(const Tensor* a, tn::Scalar b, Tensor** result) {                          \
    return tn::returning(result, [&] { return a->name(b.value()); });                                          \
  }                                                                                                            \
  TN_API int32_t tn_##name##_(Tensor* a, const Tensor* b, tn::Scalar alpha) {                                  \
    return tn::guarded([&] { a->name##_(*b, alpha.value()); });                                                \
  }                                                                                                            \
  TN_API int32_t tn_##name##__scalar(Tensor* a, tn::Scalar b) {                                                \
    return tn::guarded([&] { a->name##_(b.value()); });                                                        \
  }

TN_SUM(add)
TN_SUM(sub)

#define TN_IN_PLACE(name)                                                                                        \
  TN_API int32_t tn_##name##_(Tensor* a, const Tensor* b) { return tn::guarded([&] { a->name##_(*b); }); }       \
  TN_API int32_t tn_##name##__scalar(Tensor* a, tn::Scalar b) {                                                  \
    return tn::guarded([&] { a->name##_(b.value()); });                                                          \
  }

TN_IN_PLACE(mul)
TN_IN_PLACE(div)

#define TN_PAIR(name)                                                                    \
  TN_API int32_t tn_##name(const Tensor* a, const Tensor* b, Tensor** result) {          \
    return tn::returning(result, [&] { return a->name(*b); });                           \
  }

TN_PAIR(maximum)
TN_PAIR(minimum)
TN_PAIR(logical_and)
TN_PAIR(logical_or)

TN_API int32_t tn_relu_(Tensor* x) {
  return tn::guarded([&] { at::relu_(*x); });
}

TN_API int32_t tn_silu_(Tensor* x) {
  return tn::guarded([&] { at::silu_(*x); });
}

TN_API int32_t tn_gelu_(Tensor* x) {
  return tn::guarded([&] { at::gelu_(*x, "none"); });
}

TN_API int32_t tn_zero_(Tensor* x) {
  return tn::guarded([&] { x->zero_(); });
}

TN_API int32_t tn_fill_(Tensor* x, tn::Scalar value) {
  return tn::guarded([&] { x->fill_(value.value()); });
}

TN_API int32_t tn_copy_(Tensor* x, const Tensor* source, int32_t non_blocking) {
  return tn::guarded([&] { x->copy_(*source, non_blocking != 0); });
}

TN_API int32_t tn_clamp(const Tensor* x, const tn::Scalar* low, const tn::Scalar* high, Tensor** result) {
  return tn::returning(result, [&] {
    std::optional<at::Scalar> minimum, maximum;
    if (low != nullptr) minimum = low->value();
    if (high != nullptr) maximum = high->value();
    return x->clamp(minimum, maximum);
  });
}

TN_API int32_t tn_where(const Tensor* condition, const Tensor* a, const Tensor* b, Tensor** result) {
  return tn::returning(result, [&] { return at::where(*condition, *a, *b); });
}

TN_API int32_t tn_masked_fill(const Tensor* x, const Tensor* mask, tn::Scalar value, Tensor** result) {
  return tn::returning(result, [&] { return x->masked_fill(*mask, value.value()); });
}

TN_API int32_t tn_masked_fill_(Tensor* x, const Tensor* mask, tn::Scalar value) {
  return tn::guarded([&] { x->masked_fill_(*mask, value.value()); });
}
