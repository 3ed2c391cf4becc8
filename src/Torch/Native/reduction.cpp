// Sums, extremes, orders, and products of matrices.
#include "shim.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>

TN_API int32_t tn_sum(const Tensor* x, const int64_t* axes, int32_t count, int32_t keepdim, int32_t type, Tensor** result) {
  return tn::returning(result, [&] {
    if (axes == nullptr) return x->sum(tn::optional_type(type));
    return x->sum(tn::dims(axes, count), keepdim != 0, tn::optional_type(type));
  });
}

TN_API int32_t tn_mean(const Tensor* x, const int64_t* axes, int32_t count, int32_t keepdim, int32_t type, Tensor** result) {
  return tn::returning(result, [&] {
    if (axes == nullptr) return x->mean(tn::optional_type(type));
    return x->mean(tn::dims(axes, count), keepdim != 0, tn::optional_type(type));
  });
}

TN_API int32_t tn_var(const Tensor* x, const int64_t* axes, int32_t count, int32_t unbiased, int32_t keepdim, Tensor** result) {
  return tn::returning(result, [&] {
    return x->var(tn::optional_dims(axes, count), std::optional<at::Scalar>(unbiased ? 1 : 0), keepdim != 0);
  });
}

TN_API int32_t tn_norm(const Tensor* x, double order, const int64_t* axes, int32_t count, int32_t keepdim, Tensor** result) {
  return tn::returning(
      result, [&] { return at::linalg_vector_norm(*x, order, tn::optional_dims(axes, count), keepdim != 0); });
}

#define TN_WHOLE(name) \
  TN_API int32_t tn_##name(const Tensor* x, Tensor** result) { return tn::returning(result, [&] { return x->name(); }); }

TN_WHOLE(max)
TN_WHOLE(min)
TN_WHOLE(all)
TN_WHOLE(any)

TN_API int32_t tn_max_dim(const Tensor* x, int64_t dim, int32_t keepdim, Tensor** values, Tensor** indices) {
  return tn::guarded([&] {
    auto [value, index] = x->max(dim, keepdim != 0);
    *values = tn::own(std::move(value));
    *indices = tn::own(std::move(index));
  });
}

TN_API int32_t tn_min_dim(const Tensor* x, int64_t dim, int32_t keepdim, Tensor** values, Tensor** indices) {
  return tn::guarded([&] {
    auto [value, index] = x->min(dim, keepdim != 0);
    *values = tn::own(std::move(value));
    *indices = tn::own(std::move(index));
  });
}

TN_API int32_t tn_argmax(const Tensor* x, int64_t dim, int32_t keepdim, Tensor** result) {
  return tn::returning(result, [&] { return x->argmax(dim, keepdim != 0); });
}

TN_API int32_t tn_argmax_all(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return x->argmax(); });
}

TN_API int32_t tn_topk(const Tensor* x, int64_t k, int64_t dim, int32_t largest, int32_t sorted, Tensor** values,
                       Tensor** indices) {
  return tn::guarded([&] {
    auto [value, index] = x->topk(k, dim, largest != 0, sorted != 0);
    *values = tn::own(std::move(value));
    *indices = tn::own(std::move(index));
  });
}

TN_API int32_t tn_sort(const Tensor* x, int64_t dim, int32_t descending, int32_t stable, Tensor** values, Tensor** indices) {
  return tn::guarded([&] {
    auto [value, index] = x->sort(std::optional<bool>(stable != 0), dim, descending != 0);
    *values = tn::own(std::move(value));
    *indices = tn::own(std::move(index));
  });
}

TN_API int32_t tn_cumsum(const Tensor* x, int64_t dim, int32_t type, Tensor** result) {
  return tn::returning(result, [&] { return x->cumsum(dim, tn::optional_type(type)); });
}

TN_API int32_t tn_histc(const Tensor* x, int64_t bins, double low, double high, Tensor** result) {
  return tn::returning(result, [&] { return x->histc(bins, low, high); });
}

TN_API int32_t tn_bincount(const Tensor* x, const Tensor* weights, int64_t least, Tensor** result) {
  return tn::returning(result, [&] { return x->bincount(tn::optional_tensor(weights), least); });
}

TN_API int32_t tn_logsumexp(const Tensor* x, int64_t dim, int32_t keepdim, Tensor** result) {
  return tn::returning(result, [&] { return x->logsumexp(at::IntArrayRef(&dim, 1), keepdim != 0); });
}

TN_API int32_t tn_softmax(const Tensor* x, int64_t dim, int32_t type, Tensor** result) {
  return tn::returning(result, [&] { return x->softmax(dim, tn::optional_type(type)); });
}

TN_API int32_t tn_log_softmax(const Tensor* x, int64_t dim, int32_t type, Tensor** result) {
  return tn::returning(result, [&] { return x->log_softmax(dim, tn::optional_type(type)); });
}

TN_API int32_t tn_equal(const Tensor* a, const Tensor* b, int32_t* result) {
  return tn::guarded([&] { *result = a->equal(*b); });
}

TN_API int32_t tn_allclose(const Tensor* a, const Tensor* b, double relative, double absolute, int32_t equal_nan,
                           int32_t* result) {
  return tn::guarded([&] { *result = a->allclose(*b, relative, absolute, equal_nan != 0); });
}

TN_API int32_t tn_matmul(const Tensor* a, const Tensor* b, Tensor** result) {
  return tn::returning(result, [&] { return at::matmul(*a, *b); });
}

TN_API int32_t tn_mm(const Tensor* a, const Tensor* b, Tensor** result) {
  return tn::returning(result, [&] { return at::mm(*a, *b); });
}

TN_API int32_t tn_bmm(const Tensor* a, const Tensor* b, Tensor** result) {
  return tn::returning(result, [&] { return at::bmm(*a, *b); });
}

TN_API int32_t tn_einsum(const char* equation, Tensor* const* tensors, int32_t count, Tensor** result) {
  return tn::returning(result, [&] { return at::einsum(equation, tn::list(tensors, count)); });
}
