// Attention of a sequence to itself within a band, from the one tensor that a projection makes of queries, keys and values.
//
// There is nothing to split, and the gradient is written as the tensor was read; rotary positions turn queries and keys where they
// lie. In float32 by band_attention.h; bfloat16, where the processor multiplies it, by rounded_band_attention.h. Shapes: packed
// (B, T, H + 2·G, D) = [H queries | G keys | G values] of each token, contiguous; result (B, T, H, D); G divides H. CPU.
#include "band_tasks.h"
#include "fused.h"
#include "processor.h"
#include "rotary_turn.h"
#include "rounded_band_attention.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#ifdef TN_BAND_ATTENTION

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tn::Dropout;
using tn::KeyedDropout;
using tn::Turn;
using tn::band::Band;

struct Shape {
  int64_t batch, length, heads, groups, width;

  static Shape of(const Tensor& packed, int64_t groups) {
    return {packed.size(0), packed.size(1), packed.size(2) - 2 * groups, groups, packed.size(3)};
  }

  int64_t row() const { return (heads + 2 * groups) * width; }
  // Where a list of rows begins: queries first, then keys, then values.
  int64_t query(int64_t b, int64_t h) const { return b * length * row() + h * width; }
  int64_t key(int64_t b, int64_t g) const { return query(b, heads + g); }
  int64_t value(int64_t b, int64_t g) const { return query(b, heads + groups + g); }
  int64_t result(int64_t b, int64_t h) const { return (b * length * heads + h) * width; }
  int64_t result_row() const { return heads * width; }
  int64_t log(int64_t b, int64_t h) const { return (b * heads + h) * length; }
  int64_t group_of(int64_t h) const { return h / (heads / groups); }
};

// What is put on the scores and taken from the weights.
struct Weighting {
  float scale;
  Band band;
  tn::band::Spans documents;
  Dropout dropout;
};

// What differs between the types: float32 ...
struct Full {
  using Number = float;
  static int64_t forward_room(int64_t length, int64_t width) { return tn::band::forward_room(length, width); }

  static tn::band::Head head(const Shape& s, const float* x, int64_t b, int64_t h, const Weighting& w) {
    const auto g = s.group_of(h);
    return {{x + s.query(b, h), s.row()}, {x + s.key(b, g), s.row()}, {x + s.value(b, g), s.row()}, s.length, s.length, s.width, w.scale,
            w.documents.within(w.band, b), tn::band::dropout_of(w.dropout, b, s.heads, h)};
  }

  static void forward(const Shape& s, const float* x, int64_t b, int64_t h, const Weighting& w, int64_t begin, int64_t end, float* out,
                      float* log, float* scratch) {
    tn::band::forward(head(s, x, b, h, w), begin, end, {out + s.result(b, h), s.result_row()}, log + s.log(b, h), scratch);
  }

  static int64_t backward_room(const Shape& s) { return tn::band::backward_room(s.length, s.width); }

  // The gradients of a key head and of all the query heads that read it; dx is 0 before.
  static void backward(const Shape& s, const float* x, int64_t b, int64_t g, const Weighting& w, const float* out, const float* dout,
                       const float* log, float* dx, const Turn& turn, float* scratch) {
    const auto sharing = s.heads / s.groups;
    for (auto h = g * sharing; h < (g + 1) * sharing; ++h) {
      tn::band::backward(head(s, x, b, h, w), {out + s.result(b, h), s.result_row()}, {dout + s.result(b, h), s.result_row()},
                         log + s.log(b, h), {dx + s.query(b, h), s.row()}, {dx + s.key(b, g), s.row()}, {dx + s.value(b, g), s.row()}, scratch);
      turn_back(s, turn, b, dx + s.query(b, h));
    }
    turn_back(s, turn, b, dx + s.key(b, g));
  }

  static void turn_back(const Shape& s, const Turn& turn, int64_t b, float* rows) {
    if (turn.table == nullptr) return;
    for (int64_t t = 0; t < s.length; ++t) turn.apply(rows + t * s.row(), turn.at(b, t), true);
  }
};

// ... and bfloat16, whose gradients are added up in float32 before they are rounded.
struct Rounded {
  using Number = uint16_t;
  static int64_t forward_room(int64_t length, int64_t width) { return tn::rounded_band::forward_room(length, width); }

  static tn::rounded_band::Head head(const Shape& s, const uint16_t* x, int64_t b, int64_t h, const Weighting& w) {
    const auto g = s.group_of(h);
    return {{x + s.query(b, h), s.row()}, {x + s.key(b, g), s.row()}, {x + s.value(b, g), s.row()}, s.length, s.length, s.width, w.scale,
            w.documents.within(w.band, b), tn::band::dropout_of(w.dropout, b, s.heads, h)};
  }

  static void forward(const Shape& s, const uint16_t* x, int64_t b, int64_t h, const Weighting& w, int64_t begin, int64_t end,
                      uint16_t* out, float* log, float* scratch) {
    tn::rounded_band::forward(head(s, x, b, h, w), begin, end, {out + s.result(b, h), s.result_row()}, log + s.log(b, h), scratch);
  }

  static int64_t backward_room(const Shape& s) {
    return 3 * s.length * s.width + tn::rounded_band::backward_room(s.length, s.width);
  }

  static void backward(const Shape& s, const uint16_t* x, int64_t b, int64_t g, const Weighting& w, const uint16_t* out,
                       const uint16_t* dout, const float* log, uint16_t* dx, const Turn& turn, float* scratch) {
    const auto sharing = s.heads / s.groups, all = s.length * s.width;
    float *dq = scratch, *dk = dq + all, *dv = dk + all;
    std::fill(dk, dv + all, 0.0f);
    for (auto h = g * sharing; h < (g + 1) * sharing; ++h) {
      std::fill(dq, dk, 0.0f);
      tn::rounded_band::backward(head(s, x, b, h, w), {out + s.result(b, h), s.result_row()},
                                 {dout + s.result(b, h), s.result_row()}, log + s.log(b, h), {dq, s.width}, {dk, s.width}, {dv, s.width}, dv + all);
      turn_back(s, turn, b, dq);
      round(s, dq, dx + s.query(b, h));
    }
    turn_back(s, turn, b, dk);
    round(s, dk, dx + s.key(b, g));
    round(s, dv, dx + s.value(b, g));
  }

  static void turn_back(const Shape& s, const Turn& turn, int64_t b, float* rows) {
    if (turn.table == nullptr) return;
    for (int64_t t = 0; t < s.length; ++t) turn.apply(rows + t * s.width, turn.at(b, t), true);
  }

  static void round(const Shape& s, const float* rows, uint16_t* to) {
    for (int64_t t = 0; t < s.length; ++t) tn::rounded_band::round_scaled(rows + t * s.width, 1.0f, to + t * s.row(), s.width);
  }
};

// Queries and keys, in place.
template <class Number>
void turn_all(const Shape& s, const Turn& turn, Number* packed) {
  at::parallel_for(0, s.batch * s.length, 32, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      const auto* angles = turn.at(token / s.length, token % s.length);
      for (int64_t h = 0; h < s.heads + s.groups; ++h) turn.apply(packed + token * s.row() + h * s.width, angles, false);
    }
  });
}

template <class Kind>
void attend(const Shape& s, const Tensor& packed, const Turn& turn, const Weighting& w, const Tensor& out, const Tensor& log) {
  using Number = typename Kind::Number;
  if (turn.table != nullptr) turn_all(s, turn, static_cast<Number*>(packed.mutable_data_ptr()));
  const auto rows = tn::band::rows_of_task(s.batch * s.heads, s.length), parts = (s.length + rows - 1) / rows;
  at::parallel_for(0, s.batch * s.heads * parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(Kind::forward_room(s.length, s.width)));
    for (int64_t task = begin; task < end; ++task) {
      const auto list = task / parts, first = task % parts * rows;
      Kind::forward(s, static_cast<const Number*>(packed.const_data_ptr()), list / s.heads, list % s.heads, w, first,
                    std::min(s.length, first + rows), static_cast<Number*>(out.mutable_data_ptr()), log.mutable_data_ptr<float>(), scratch.data());
    }
  });
}

template <class Kind>
void differentiate(const Shape& s, const Tensor& packed, const Weighting& w, const Tensor& out, const Tensor& dout, const Tensor& log,
                   const Turn& turn, const Tensor& dpacked) {
  using Number = typename Kind::Number;
  // One thread takes all the query heads that share a key head: no two threads write the same gradient.
  at::parallel_for(0, s.batch * s.groups, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(Kind::backward_room(s)));
    for (int64_t task = begin; task < end; ++task) {
      Kind::backward(s, static_cast<const Number*>(packed.const_data_ptr()), task / s.groups, task % s.groups, w,
                     static_cast<const Number*>(out.const_data_ptr()), static_cast<const Number*>(dout.const_data_ptr()),
                     log.const_data_ptr<float>(), static_cast<Number*>(dpacked.mutable_data_ptr()), turn, scratch.data());
    }
  });
}

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& packed, const std::optional<Tensor>& table,
                        const std::optional<Tensor>& documents, int64_t groups, double scale, int64_t before, int64_t after, int64_t turned, bool interleaved, const KeyedDropout& dropout) {
    const auto s = Shape::of(packed, groups);
    const auto spans = documents.value_or(Tensor());
    const Weighting weighting{static_cast<float>(scale), {before, after}, tn::band::Spans(spans), Dropout(dropout)};
    auto out = at::empty({s.batch, s.length, s.heads, s.width}, packed.options());
    auto log = at::empty({s.batch, s.heads, s.length}, packed.options().dtype(at::kFloat));
    const auto angles = table.value_or(Tensor());
    const auto turn = turn_of(angles, turned, interleaved);
    if (packed.scalar_type() == at::kFloat) attend<Full>(s, packed, turn, weighting, out, log);
    else attend<Rounded>(s, packed, turn, weighting, out, log);
    context->save_for_backward({packed, out, log, angles, spans});
    context->saved_data["turned"] = turned;
    context->saved_data["interleaved"] = interleaved;
    context->saved_data["groups"] = groups;
    context->saved_data["scale"] = scale;
    context->saved_data["before"] = before;
    context->saved_data["after"] = after;
    context->saved_data["dropout"] = dropout.numbers();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto &packed = saved[0], &out = saved[1], &log = saved[2];
    const auto s = Shape::of(packed, context->saved_data["groups"].toInt());
    const Weighting weighting{static_cast<float>(context->saved_data["scale"].toDouble()),
                              {context->saved_data["before"].toInt(), context->saved_data["after"].toInt()},
                              tn::band::Spans(saved[4]),
                              Dropout(KeyedDropout::of(context->saved_data["dropout"].toIntVector()))};
    const auto turn = turn_of(saved[3], context->saved_data["turned"].toInt(), context->saved_data["interleaved"].toBool());
    const auto dout = gradients[0].contiguous();
    Tensor dpacked;
    if (packed.scalar_type() == at::kFloat) {
      dpacked = at::zeros_like(packed);
      differentiate<Full>(s, packed, weighting, out, dout, log, turn, dpacked);
    } else {
      dpacked = at::empty_like(packed);
      differentiate<Rounded>(s, packed, weighting, out, dout, log, turn, dpacked);
    }
    return {dpacked, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }

 private:
  static Turn turn_of(const Tensor& angles, int64_t turned, bool interleaved) {
    if (!angles.defined()) return {nullptr, 0, 0, 0, false};
    return {angles.const_data_ptr<float>(), angles.dim() == 3 ? angles.stride(0) : 0, angles.stride(-2), turned, interleaved};
  }
};

// Angles of every position, enough for what is turned.
bool is_table(const Tensor& angles, const Tensor& packed, int64_t turned, bool interleaved) {
  return angles.is_cpu() && angles.scalar_type() == at::kFloat && (angles.dim() == 2 || (angles.dim() == 3 && angles.size(0) == packed.size(0))) &&
         angles.size(-2) == packed.size(1) && angles.stride(-1) == 1 && angles.size(-1) == (interleaved ? turned : 2 * turned) && turned > 0 &&
         turned % 2 == 0 && turned <= packed.size(3);
}

}  // namespace

#endif

// Whether the processor allows it for heads of that width, in bfloat16 or else in float32.
TN_API int32_t tn_packed_attention_runs(int64_t width, int32_t rounded) {
#ifdef TN_BAND_ATTENTION
  return width > 0 && width % (rounded != 0 ? 2 * tn::band::kLanes : tn::band::kLanes) == 0 && (rounded != 0 ? tn::has_avx512_bf16() : tn::has_avx512());
#else
  (void)width, (void)rounded;
  return 0;
#endif
}

// Key j is visible to query i where i - before < j <= i + after. angles, (T, W) or (B, T, W) of rotary_turn.h, may be null; else packed is
// turned in place. documents, (B, T, 2) of band_tasks.h, may be null.
TN_API int32_t tn_packed_attention(const Tensor* packed, const Tensor* angles, int64_t turned, int32_t interleaved, const Tensor* documents, int64_t groups,
                                   double scale, int64_t before, int64_t after, const tn::KeyedDropout* dropout, Tensor** result) {
  return tn::returning(result, [&]() -> Tensor {
    TORCH_CHECK(before > 0 && after >= 0, "a band that hides a query's own key: before ", before, ", after ", after);
    tn::require_probability(*dropout);
#ifdef TN_BAND_ATTENTION
    const bool rounded = packed->scalar_type() == at::kBFloat16;
    const auto table = tn::optional_tensor(angles);
    TORCH_CHECK(!table || is_table(*table, *packed, turned, interleaved != 0), "angles ", table->sizes(), " do not turn ", turned, " numbers of ",
                packed->sizes());
    const auto spans = tn::optional_tensor(documents);
    TORCH_CHECK(!spans || tn::band::are_spans(*spans, packed->size(0), packed->size(1)), "documents ", spans->sizes(), " are not those of ", packed->sizes());
    if (packed->is_cpu() && packed->dim() == 4 && packed->numel() > 0 && packed->is_contiguous() && (rounded || packed->scalar_type() == at::kFloat) &&
        groups > 0 && packed->size(2) > 2 * groups && (packed->size(2) - 2 * groups) % groups == 0 &&
        tn_packed_attention_runs(packed->size(3), rounded) != 0) {
      return PackedAttention::apply(*packed, table, spans, groups, scale, before, after, turned, interleaved != 0, *dropout);
    }
#endif
    TORCH_CHECK(false, "attention within a band cannot run here with queries, keys and values ", packed->sizes(), " ", packed->scalar_type(), " on ",
                packed->device(), ", ", groups, " heads of keys");
  });
}
