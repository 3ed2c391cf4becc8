// Views, copies and selections.
#include "shim.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>

#define TN_DIMS(name)                                                                                    \
  TN_API int32_t tn_##name(const Tensor* x, const int64_t* values, int32_t count, Tensor** result) {     \
    return tn::returning(result, [&] { return x->name(tn::dims(values, count)); });                      \
  }

TN_DIMS(view)
TN_DIMS(reshape)
TN_DIMS(permute)
TN_DIMS(expand)
TN_DIMS(repeat)
TN_DIMS(flip)

#define TN_DIM(name)                                                                    \
  TN_API int32_t tn_##name(const Tensor* x, int64_t dim, Tensor** result) {             \
    return tn::returning(result, [&] { return x->name(dim); });                         \
  }

TN_DIM(unsqueeze)
TN_DIM(squeeze)
TN_DIM(tril)
TN_DIM(triu)

TN_API int32_t tn_squeeze_all(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return x->squeeze(); });
}

TN_API int32_t tn_transpose(const Tensor* x, int64_t dim0, int64_t dim1, Tensor** result) {
  return tn::returning(result, [&] { return x->transpose(dim0, dim1); });
}

TN_API int32_t tn_flatten(const Tensor* x, int64_t start, int64_t end, Tensor** result) {
  return tn::returning(result, [&] { return x->flatten(start, end); });
}

TN_API int32_t tn_contiguous(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return x->contiguous(); });
}

TN_API int32_t tn_clone(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return x->clone(); });
}

TN_API int32_t tn_narrow(const Tensor* x, int64_t dim, int64_t start, int64_t length, Tensor** result) {
  return tn::returning(result, [&] { return x->narrow(dim, start, length); });
}

TN_API int32_t tn_select(const Tensor* x, int64_t dim, int64_t index, Tensor** result) {
  return tn::returning(result, [&] { return x->select(dim, index); });
}

TN_API int32_t tn_slice(const Tensor* x, int64_t dim, int64_t start, int64_t end, int64_t step, Tensor** result) {
  return tn::returning(result, [&] { return x->slice(dim, start, end, step); });
}

TN_API int32_t tn_index_select(const Tensor* x, int64_t dim, const Tensor* index, Tensor** result) {
  return tn::returning(result, [&] { return x->index_select(dim, *index); });
}

TN_API int32_t tn_index_copy_(Tensor* x, int64_t dim, const Tensor* index, const Tensor* source) {
  return tn::guarded([&] { x->index_copy_(dim, *index, *source); });
}

TN_API int32_t tn_gather(const Tensor* x, int64_t dim, const Tensor* index, Tensor** result) {
  return tn::returning(result, [&] { return x->gather(dim, *index); });
}

TN_API int32_t tn_scatter(const Tensor* x, int64_t dim, const Tensor* index, const Tensor* source, Tensor** result) {
  return tn::returning(result, [&] { return x->scatter(dim, *index, *source); });
}

TN_API int32_t tn_index(const Tensor* x, const Tensor* index, Tensor** result) {
  return tn::returning(result, [&] { return x->index({*index}); });
}

TN_API int32_t tn_repeat_interleave(const Tensor* x, int64_t repeats, int64_t dim, Tensor** result) {
  return tn::returning(result, [&] { return x->repeat_interleave(repeats, dim); });
}

TN_API int32_t tn_roll(const Tensor* x, int64_t shift, int64_t dim, Tensor** result) {
  return tn::returning(result, [&] { return x->roll(shift, dim); });
}

TN_API int32_t tn_view_as_complex(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return at::view_as_complex(*x); });
}

TN_API int32_t tn_view_as_real(const Tensor* x, Tensor** result) {
  return tn::returning(result, [&] { return at::view_as_real(*x); });
}

TN_API int32_t tn_cat(Tensor* const* tensors, int32_t count, int64_t dim, Tensor** result) {
  return tn::returning(result, [&] { return at::cat(tn::list(tensors, count), dim); });
}

TN_API int32_t tn_stack(Tensor* const* tensors, int32_t count, int64_t dim, Tensor** result) {
  return tn::returning(result, [&] { return at::stack(tn::list(tensors, count), dim); });
}

// The caller knows how many pieces there are and gives room for them.
TN_API int32_t tn_split(const Tensor* x, const int64_t* sizes, int32_t count, int64_t dim, Tensor** results) {
  return tn::guarded([&] {
    auto pieces = x->split_with_sizes(tn::dims(sizes, count), dim);
    for (size_t i = 0; i < pieces.size(); ++i) results[i] = tn::own(std::move(pieces[i]));
  });
}

TN_API int32_t tn_unbind(const Tensor* x, int64_t dim, Tensor** results) {
  return tn::guarded([&] {
    auto pieces = x->unbind(dim);
    for (size_t i = 0; i < pieces.size(); ++i) results[i] = tn::own(std::move(pieces[i]));
  });
}
