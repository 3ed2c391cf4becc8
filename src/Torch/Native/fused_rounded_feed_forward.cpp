// down(f(up(x))) on the CPU with products in bfloat16 and sums in float32: the feed-forward layer as one step of the record.
//
// The hidden layer is as wide as all the rest of a block. Here it is rounded where it is made, some rows at a time, so that its
// float32 sums never leave the cache; what the function read is kept in bfloat16, and what it gave is made again beside its slope.
//
// Shapes: x (…, C); up (W, C), rounded_up likewise in bfloat16, up_bias (W), with W = F, or 2F = [gate | up] for a gated function;
// down (C, F), rounded_down, down_bias (C); result (…, C) float32.
#include "activations.h"
#include "fused.h"
#include "matrix_product.h"
#include "rounding.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;  // elements that one thread takes at least

// What the function reads, rounded, and what it gives for that.
TN_VECTOR_CLONES
void gelu_rows(const float* sums, const float* bias, uint16_t* kept, uint16_t* result, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* h = sums + row * width;
    uint16_t *k = kept + row * width, *y = result + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const uint16_t coarse = tn::round_bfloat16(h[i] + bias[i]);
      k[i] = coarse;
      y[i] = tn::round_bfloat16(tn::gelu(tn::widen_bfloat16(coarse)));
    }
  }
}

// The gradient dy becomes that of what the function read, dh; y is what it gave. dbias may be null.
TN_VECTOR_CLONES
void gelu_slopes(const uint16_t* kept, const float* dy, uint16_t* y, uint16_t* dh, float* dbias, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t start = row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const auto f = tn::gelu_and_slope(tn::widen_bfloat16(kept[start + i]));
      y[start + i] = tn::round_bfloat16(f.value);
      dh[start + i] = tn::round_bfloat16(dy[start + i] * f.slope);
    }
    if (dbias == nullptr) continue;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) dbias[i] += tn::widen_bfloat16(dh[start + i]);
  }
}

TN_VECTOR_CLONES
void swiglu_rows(const float* sums, const float* bias, uint16_t* kept, uint16_t* result, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* h = sums + row * 2 * width;
    uint16_t *k = kept + row * 2 * width, *y = result + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const uint16_t gate = tn::round_bfloat16(h[i] + bias[i]);
      const uint16_t up = tn::round_bfloat16(h[width + i] + bias[width + i]);
      k[i] = gate;
      k[width + i] = up;
      y[i] = tn::round_bfloat16(tn::swiglu(tn::widen_bfloat16(gate), tn::widen_bfloat16(up)));
    }
  }
}

TN_VECTOR_CLONES
void swiglu_slopes(const uint16_t* kept, const float* dy, uint16_t* y, uint16_t* dh, float* dbias, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint16_t* k = kept + row * 2 * width;
    const float* d = dy + row * width;
    uint16_t *out = y + row * width, *dk = dh + row * 2 * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const auto f = tn::swiglu_and_slopes(tn::widen_bfloat16(k[i]), tn::widen_bfloat16(k[width + i]));
      out[i] = tn::round_bfloat16(f.value);
      dk[i] = tn::round_bfloat16(d[i] * f.gate_slope);
      dk[width + i] = tn::round_bfloat16(d[i] * f.up_slope);
    }
    if (dbias == nullptr) continue;
#pragma omp simd
    for (int64_t i = 0; i < 2 * width; ++i) dbias[i] += tn::widen_bfloat16(dk[i]);
  }
}

struct Function {
  int64_t inputs;  // numbers that it reads for each that it gives
  void (*rows)(const float*, const float*, uint16_t*, uint16_t*, int64_t, int64_t, int64_t);
  void (*slopes)(const uint16_t*, const float*, uint16_t*, uint16_t*, float*, int64_t, int64_t, int64_t);
};

// In the order of the enumeration in FusedKernels.
const Function kFunctions[] = {{1, gelu_rows, gelu_slopes}, {2, swiglu_rows, swiglu_slopes}};

struct Layer {
  const Tensor &up, &down;  // bfloat16
  const Function& function;
  int64_t rows_at_once;

  int64_t width() const { return down.size(1); }
};

// Rows (N, C) in bfloat16 → (N, C) float32, and for a backward pass what the function read, (N, W) bfloat16.
Tensor run(const Layer& layer, const Tensor& rows, const float* bias, Tensor& kept, bool keeps) {
  const auto count = rows.size(0), width = layer.width(), wide = layer.function.inputs * width, most = std::min(count, layer.rows_at_once);
  const auto full = rows.options().dtype(at::kFloat);
  const auto sums = at::empty({most, wide}, full), hidden = at::empty({most, width}, rows.options());
  kept = at::empty({keeps ? count : most, wide}, rows.options());
  auto result = at::empty({count, layer.down.size(0)}, full);
  for (int64_t first = 0; first < count; first += most) {
    const auto n = std::min(most, count - first);
    tn::multiply_into(sums.narrow(0, 0, n), rows.narrow(0, first, n), layer.up.t(), false);
    auto* read = tn::mutable_rounded_bits(kept) + (keeps ? first * wide : 0);
    at::parallel_for(0, n, std::max<int64_t>(1, kGrain / wide), [&](int64_t begin, int64_t end) {
      layer.function.rows(sums.const_data_ptr<float>(), bias, read, tn::mutable_rounded_bits(hidden), width, begin, end);
    });
    tn::multiply_into(result.narrow(0, first, n), hidden.narrow(0, 0, n), layer.down.t(), false);
  }
  return result;
}

struct Gradients {
  Tensor rows, up, up_bias, down;
};

// From dy (N, C) in bfloat16. The gradient of the rows is float32, or bfloat16 where `coarse`.
Gradients differentiate(const Layer& layer, const Tensor& rows, const Tensor& kept, const Tensor& dy, bool with_bias, bool coarse) {
  const auto count = rows.size(0), width = layer.width(), wide = layer.function.inputs * width, most = std::min(count, layer.rows_at_once);
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const auto full = rows.options().dtype(at::kFloat);
  const auto dhidden = at::empty({most, width}, full), hidden = at::empty({most, width}, rows.options());
  const auto dsums = at::empty({most, wide}, rows.options());
  const auto dbiases = with_bias ? at::zeros({threads, wide}, full) : Tensor();
  auto* dbias = with_bias ? dbiases.mutable_data_ptr<float>() : nullptr;
  Gradients g{at::empty(rows.sizes(), coarse ? rows.options() : full), at::empty(layer.up.sizes(), full), Tensor(),
              at::empty(layer.down.sizes(), full)};
  for (int64_t first = 0; first < count; first += most) {
    const auto n = std::min(most, count - first);
    const auto x = rows.narrow(0, first, n), d = dy.narrow(0, first, n), y = hidden.narrow(0, 0, n), dh = dsums.narrow(0, 0, n);
    tn::multiply_into(dhidden.narrow(0, 0, n), d, layer.down, false);
    const auto* read = tn::rounded_bits(kept) + first * wide;
    at::parallel_for(0, n, std::max<int64_t>(1, kGrain / wide), [&](int64_t begin, int64_t end) {
      layer.function.slopes(read, dhidden.const_data_ptr<float>(), tn::mutable_rounded_bits(y), tn::mutable_rounded_bits(dh),
                            dbias == nullptr ? nullptr : dbias + at::get_thread_num() * wide, width, begin, end);
    });
    tn::multiply_into(g.down, d.t(), y, first > 0);
    tn::multiply_into(g.up, dh.t(), x, first > 0);
    auto dx = g.rows.narrow(0, first, n);
    if (coarse) tn::multiply_rounded_into(dx, dh, layer.up, std::nullopt);
    else tn::multiply_into(dx, dh, layer.up, false);
  }
  if (with_bias) g.up_bias = dbiases.sum(0);
  return g;
}

class FusedRoundedFeedForward : public torch::autograd::Function<FusedRoundedFeedForward> {
 public:
  // up and down are here for their gradients.
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& /*up*/, const Tensor& rounded_up,
                        const std::optional<Tensor>& up_bias, const Tensor& /*down*/, const Tensor& rounded_down,
                        const std::optional<Tensor>& down_bias, int64_t function, int64_t rows_at_once, bool keeps) {
    const auto rows = tn::rounded(input.reshape({-1, input.size(-1)}));
    // Zeros where there is none: a loop that asks does not become vector instructions.
    const auto shift = up_bias ? up_bias->contiguous() : at::zeros({rounded_up.size(0)}, at::kFloat);
    Tensor kept;
    auto result = run({rounded_up, rounded_down, kFunctions[function], rows_at_once}, rows, shift.const_data_ptr<float>(), kept, keeps);
    if (down_bias) result.add_(*down_bias);
    if (keeps) context->save_for_backward({rows, kept, rounded_up, rounded_down});
    context->saved_data["function"] = function;
    context->saved_data["rowsAtOnce"] = rows_at_once;
    context->saved_data["upBias"] = up_bias.has_value();
    context->saved_data["downBias"] = down_bias.has_value();
    context->saved_data["coarse"] = input.scalar_type() == at::kBFloat16;
    auto sizes = input.sizes().vec();
    sizes.back() = rounded_down.size(0);
    return result.view(sizes);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    auto sizes = gradients[0].sizes().vec();
    const auto dy = gradients[0].reshape({-1, sizes.back()});
    const auto& function = kFunctions[context->saved_data["function"].toInt()];
    auto g = differentiate({saved[2], saved[3], function, context->saved_data["rowsAtOnce"].toInt()}, saved[0], saved[1], tn::rounded(dy),
                           context->saved_data["upBias"].toBool(), context->saved_data["coarse"].toBool());
    sizes.back() = saved[0].size(1);
    return {g.rows.view(sizes), g.up, Tensor(), g.up_bias, g.down, Tensor(), context->saved_data["downBias"].toBool() ? dy.sum(0) : Tensor(),
            Tensor(), Tensor(), Tensor()};
  }
};

bool is_weight(const Tensor& full, const Tensor& rounded) {
  return full.is_cpu() && full.dim() == 2 && (full.scalar_type() == at::kFloat || full.is_same(rounded)) && rounded.is_cpu() && rounded.scalar_type() == at::kBFloat16 &&
         rounded.is_contiguous() && full.sizes() == rounded.sizes() && full.numel() > 0;
}

}  // namespace

// function: 0 GELU, 1 SwiGLU; rows_at_once: of how many rows the hidden layer is held. The biases may be null.
TN_API int32_t tn_fused_rounded_feed_forward(const Tensor* x, const Tensor* up, const Tensor* rounded_up, const Tensor* up_bias, const Tensor* down,
                                             const Tensor* rounded_down, const Tensor* down_bias, int32_t function, int64_t rows_at_once, Tensor** result) {
  return tn::returning(result, [&] {
    TORCH_CHECK(function == 0 || function == 1, "no function ", function);
    TORCH_CHECK(rows_at_once > 0, "at least one row at once, not ", rows_at_once);
    TORCH_CHECK(x->is_cpu() && x->dim() > 0 && x->numel() > 0 && is_weight(*up, *rounded_up) && is_weight(*down, *rounded_down) &&
                    x->size(-1) == up->size(1) && up->size(0) == kFunctions[function].inputs * down->size(1),
                "a rounded feed-forward layer needs float32 weights on the CPU that fit together, and their like in bfloat16, not ", up->sizes(), " and ",
                down->sizes(), " for an input of ", x->sizes());
    const auto up_shift = tn::optional_tensor(up_bias), down_shift = tn::optional_tensor(down_bias);
    const auto wants = [](const std::optional<Tensor>& one) { return one && one->requires_grad(); };
    const bool keeps = c10::GradMode::is_enabled() && (x->requires_grad() || up->requires_grad() || down->requires_grad() || wants(up_shift) || wants(down_shift));
    return FusedRoundedFeedForward::apply(*x, *up, *rounded_up, up_shift, *down, *rounded_down, down_shift, function, rows_at_once, keeps);
  });
}
