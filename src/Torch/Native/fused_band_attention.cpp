// Attention within a band on the CPU (band_attention.h), where the processor has AVX-512.
//
// libtorch's own flash kernel for CPUs multiplies tiles by BLAS, a call for each, and computes in full what a window would hide; it
// takes two to three times as long. Shapes: q (B, H, T, D), k, v (B, G, S, D) with G dividing H; result (B, H, T, D), laid out with
// the heads of a token side by side. float32.
#include "band_tasks.h"
#include "fused.h"
#include "processor.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#ifdef TN_BAND_ATTENTION

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tn::Dropout;
using tn::KeyedDropout;
using tn::band::Band;

Tensor lined_up(const Tensor& heads) { return heads.stride(3) == 1 ? heads : heads.contiguous(); }

// Heads of a token side by side, as the residual stream wants them: (B, N, T, D) seen, (B, T, N, D) in memory.
Tensor side_by_side(const Tensor& like, bool cleared) {
  const std::vector<int64_t> sizes{like.size(0), like.size(2), like.size(1), like.size(3)};
  return (cleared ? at::zeros(sizes, like.options()) : at::empty(sizes, like.options())).transpose(1, 2);
}

tn::band::Source rows_of(const Tensor& heads, int64_t batch, int64_t head) {
  return {heads.const_data_ptr<float>() + batch * heads.stride(0) + head * heads.stride(1), heads.stride(2)};
}

tn::band::Target target_of(const Tensor& heads, int64_t batch, int64_t head) {
  return {heads.mutable_data_ptr<float>() + batch * heads.stride(0) + head * heads.stride(1), heads.stride(2)};
}

tn::band::Head head_of(const Tensor& q, const Tensor& k, const Tensor& v, int64_t batch, int64_t head, double scale,
                       Band band, const tn::band::Spans& documents, const Dropout& dropout) {
  const auto group = head / (q.size(1) / k.size(1));
  return {rows_of(q, batch, head), rows_of(k, batch, group), rows_of(v, batch, group), q.size(2), k.size(2), q.size(3),
          static_cast<float>(scale), documents.within(band, batch), tn::band::dropout_of(dropout, batch, q.size(1), head)};
}

class BandAttention : public torch::autograd::Function<BandAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& value,
                        const std::optional<Tensor>& documents, double scale, int64_t before, int64_t after, const KeyedDropout& dropout) {
    const auto q = lined_up(query), k = lined_up(key), v = lined_up(value);
    auto out = side_by_side(q, false);
    auto log = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
    const auto heads = q.size(1);
    const Band band{before, after};
    const auto kept_apart = documents.value_or(Tensor());
    const tn::band::Spans spans(kept_apart);
    const Dropout choices(dropout);
    const auto queries = q.size(2), rows = tn::band::rows_of_task(q.size(0) * heads, queries), parts = (queries + rows - 1) / rows;
    at::parallel_for(0, q.size(0) * heads * parts, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(static_cast<size_t>(tn::band::forward_room(k.size(2), q.size(3))));
      for (int64_t task = begin; task < end; ++task) {
        const auto list = task / parts, b = list / heads, h = list % heads, first = task % parts * rows;
        tn::band::forward(head_of(q, k, v, b, h, scale, band, spans, choices), first, std::min(queries, first + rows), target_of(out, b, h),
                          log.mutable_data_ptr<float>() + list * queries, scratch.data());
      }
    });
    context->save_for_backward({q, k, v, out, log, kept_apart});
    context->saved_data["scale"] = scale;
    context->saved_data["before"] = before;
    context->saved_data["after"] = after;
    context->saved_data["dropout"] = dropout.numbers();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &log = saved[4];
    const auto dout = lined_up(gradients[0]);
    const auto scale = context->saved_data["scale"].toDouble();
    const Band band{context->saved_data["before"].toInt(), context->saved_data["after"].toInt()};
    const tn::band::Spans spans(saved[5]);
    const Dropout choices(KeyedDropout::of(context->saved_data["dropout"].toIntVector()));
    const auto dq = side_by_side(q, true), dk = side_by_side(k, true), dv = side_by_side(v, true);
    const auto groups = k.size(1), sharing = q.size(1) / groups;
    // One thread takes all the query heads that share a key head: no two threads write the same gradient.
    at::parallel_for(0, q.size(0) * groups, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(static_cast<size_t>(tn::band::backward_room(q.size(2), q.size(3))));
      for (int64_t task = begin; task < end; ++task) {
        const auto b = task / groups, g = task % groups;
        for (int64_t h = g * sharing; h < (g + 1) * sharing; ++h) {
          tn::band::backward(head_of(q, k, v, b, h, scale, band, spans, choices), rows_of(out, b, h), rows_of(dout, b, h),
                             log.const_data_ptr<float>() + (b * q.size(1) + h) * q.size(2), target_of(dq, b, h),
                             target_of(dk, b, g), target_of(dv, b, g), scratch.data());
        }
      }
    });
    return {dq, dk, dv, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

bool fits(const Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 && x.numel() > 0; }

bool runs_here(const Tensor& q, const Tensor& k, const Tensor& v) {
  return tn::has_avx512() && fits(q) && fits(k) && fits(v) && q.size(3) % tn::band::kLanes == 0 &&
         k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(3) == k.size(3) && q.size(1) % k.size(1) == 0;
}

}  // namespace

#endif

TN_API int32_t tn_band_attention_runs(const Tensor* q, const Tensor* k, const Tensor* v, int32_t* result) {
  return tn::guarded([&] {
#ifdef TN_BAND_ATTENTION
    *result = runs_here(*q, *k, *v);
#else
    *result = 0;
    (void)q, (void)k, (void)v;
#endif
  });
}

// Key j is visible to query i where i - before < j <= i + after. documents, (B, T, 2) of band_tasks.h, may be null.
TN_API int32_t tn_band_attention(const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* documents, double scale, int64_t before, int64_t after,
                                 const tn::KeyedDropout* dropout, Tensor** result) {
  return tn::returning(result, [&]() -> Tensor {
    TORCH_CHECK(before > 0 && after >= 0, "a band that hides a query's own key: before ", before, ", after ", after);
    tn::require_probability(*dropout);
#ifdef TN_BAND_ATTENTION
    const auto spans = tn::optional_tensor(documents);
    TORCH_CHECK(!spans || tn::band::are_spans(*spans, q->size(0), q->size(2)), "documents ", spans->sizes(), " are not those of ", q->sizes());
    if (runs_here(*q, *k, *v)) return BandAttention::apply(*q, *k, *v, spans, scale, before, after, *dropout);
#endif
    TORCH_CHECK(false, "attention within a band cannot run here with query ", q->sizes(), " ", q->scalar_type(), " on ",
                q->device(), ", key ", k->sizes(), " and value ", v->sizes(), " and scale ", scale);
  });
}
