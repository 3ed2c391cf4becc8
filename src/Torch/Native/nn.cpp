// Layers and losses.
#include "shim.h"

#include <ATen/ops/conv1d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/rms_norm.h>

TN_API int32_t tn_linear(const Tensor* x, const Tensor* weight, const Tensor* bias, Tensor** result) {
  return tn::returning(result, [&] { return at::linear(*x, *weight, tn::optional_tensor(bias)); });
}

TN_API int32_t tn_conv1d(const Tensor* x, const Tensor* weight, const Tensor* bias, int64_t stride, int64_t padding,
                         int64_t dilation, int64_t groups, Tensor** result) {
  return tn::returning(result, [&] {
    return at::conv1d(*x, *weight, tn::optional_tensor(bias), {stride}, {padding}, {dilation}, groups);
  });
}

TN_API int32_t tn_embedding(const Tensor* weight, const Tensor* indices, int64_t padding, Tensor** result) {
  return tn::returning(result, [&] { return at::embedding(*weight, *indices, padding); });
}

TN_API int32_t tn_layer_norm(const Tensor* x, const int64_t* shape, int32_t rank, const Tensor* weight,
                             const Tensor* bias, double eps, Tensor** result) {
  return tn::returning(result, [&] {
    return at::layer_norm(*x, tn::dims(shape, rank), tn::optional_tensor(weight), tn::optional_tensor(bias), eps);
  });
}

TN_API int32_t tn_rms_norm(const Tensor* x, const int64_t* shape, int32_t rank, const Tensor* weight, double eps,
                           Tensor** result) {
  return tn::returning(
      result, [&] { return at::rms_norm(*x, tn::dims(shape, rank), tn::optional_tensor(weight), eps); });
}

TN_API int32_t tn_dropout(const Tensor* x, double probability, int32_t training, Tensor** result) {
  return tn::returning(result, [&] { return at::dropout(*x, probability, training != 0); });
}

TN_API int32_t tn_dropout_(Tensor* x, double probability, int32_t training) {
  return tn::guarded([&] { at::dropout_(*x, probability, training != 0); });
}

// reduction: 0 none, 1 mean, 2 sum
TN_API int32_t tn_cross_entropy(const Tensor* x, const Tensor* target, const Tensor* weight, int64_t reduction,
                                int64_t ignore_index, double label_smoothing, Tensor** result) {
  return tn::returning(result, [&] {
    return at::cross_entropy_loss(*x, *target, tn::optional_tensor(weight), reduction, ignore_index, label_smoothing);
  });
}

TN_API int32_t tn_nll_loss(const Tensor* x, const Tensor* target, const Tensor* weight, int64_t reduction,
                           int64_t ignore_index, Tensor** result) {
  return tn::returning(result, [&] {
    return at::nll_loss(*x, *target, tn::optional_tensor(weight), reduction, ignore_index);
  });
}

TN_API int32_t tn_one_hot(const Tensor* x, int64_t classes, Tensor** result) {
  return tn::returning(result, [&] { return at::one_hot(*x, classes); });
}
