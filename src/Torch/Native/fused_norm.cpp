// Layer norm and RMS norm on the CPU, with the residual sum before it when there is one, in one pass over the data.
//
// Shapes: x, residual, sum, y (…, C); weight, bias (C). Backward adds up the weights' gradients per thread and then
// over threads in order, so that the result depends on the number of threads but never on their timing.
#include "fused.h"
#include "rounding.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;  // elements that one thread takes at least

struct Rows {
  const float* x;
  const float* residual;  // may be null
  float* sum;             // null where residual is
  const float* weight;
  const float* bias;  // may be null
  float* y;           // null where the result is rounded
  uint16_t* rounded;
  float* mean;
  float* scale;
  int64_t width;
  float epsilon;
  bool centred;
};

// y = (h − mean)·scale·weight + bias with h = x + residual; scale = 1/√(variance + ε). RMS norm takes the mean as 0.
TN_VECTOR_CLONES
void norm_forward(const Rows& r, int64_t begin, int64_t end) {
  const int64_t width = r.width;
  const float inverse = 1.0f / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    const float* h = r.x + row * width;
    if (r.residual != nullptr) {
      const float* a = h;
      const float* b = r.residual + row * width;
      float* s = r.sum + row * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) s[i] = a[i] + b[i];
      h = s;
    }
    float total = 0;
    if (r.centred) {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) total += h[i];
    }
    const float mean = total * inverse;
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) squares += (h[i] - mean) * (h[i] - mean);
    const float scale = 1.0f / std::sqrt(squares * inverse + r.epsilon);
    r.mean[row] = mean;
    r.scale[row] = scale;
    if (r.rounded != nullptr) {
      uint16_t* y = r.rounded + row * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        y[i] = tn::round_bfloat16((h[i] - mean) * scale * r.weight[i] + (r.bias == nullptr ? 0.0f : r.bias[i]));
      continue;
    }
    float* y = r.y + row * width;
    if (r.bias != nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) y[i] = (h[i] - mean) * scale * r.weight[i] + r.bias[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) y[i] = (h[i] - mean) * scale * r.weight[i];
    }
  }
}

struct Gradients {
  const float* h;
  const float* weight;
  const float* mean;
  const float* scale;
  const float* dy;       // null where it is rounded
  const uint16_t* rounded;
  const float* dsum;  // the gradient of the residual sum itself; may be null
  float* dh;
  int64_t width;
  bool centred;
};

// With n = (h − mean)·scale and g = dy·weight: dh = scale·(g − mean(g) − n·mean(g·n)); dweight = Σ dy·n; dbias = Σ dy.
TN_VECTOR_CLONES
void norm_backward(const Gradients& g, float* dweight, float* dbias, float* widened, int64_t begin, int64_t end) {
  const int64_t width = g.width;
  const float inverse = 1.0f / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    const float* h = g.h + row * width;
    const float* dy = g.dy + row * width;
    if (g.rounded != nullptr) {
      const uint16_t* coarse = g.rounded + row * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) widened[i] = tn::widen_bfloat16(coarse[i]);
      dy = widened;
    }
    float* dh = g.dh + row * width;
    const float mean = g.mean[row], scale = g.scale[row];
    float total = 0, projected = 0;
#pragma omp simd reduction(+ : total, projected)
    for (int64_t i = 0; i < width; ++i) {
      const float n = (h[i] - mean) * scale;
      const float weighted = dy[i] * g.weight[i];
      dweight[i] += dy[i] * n;
      total += weighted;
      projected += weighted * n;
    }
    if (dbias != nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) dbias[i] += dy[i];
    }
    const float shift = g.centred ? total * inverse : 0.0f;
    const float slope = projected * inverse;
    const float* dsum = g.dsum == nullptr ? nullptr : g.dsum + row * width;
    if (dsum != nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        dh[i] = dsum[i] + scale * (dy[i] * g.weight[i] - shift - (h[i] - mean) * scale * slope);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        dh[i] = scale * (dy[i] * g.weight[i] - shift - (h[i] - mean) * scale * slope);
    }
  }
}

struct Normalised {
  Tensor sum, y, mean, scale;
};

Normalised normalise(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, double epsilon,
                     bool centred, bool rounds) {
  const auto width = x.size(-1), rows = x.numel() / width;
  Normalised out{residual.defined() ? at::empty_like(x) : Tensor(), at::empty_like(x, x.options().dtype(rounds ? at::kBFloat16 : at::kFloat)), at::empty({rows}, x.options()),
                 at::empty({rows}, x.options())};
  const Rows r{x.const_data_ptr<float>(),
               residual.defined() ? residual.const_data_ptr<float>() : nullptr,
               residual.defined() ? out.sum.mutable_data_ptr<float>() : nullptr,
               weight.const_data_ptr<float>(),
               bias.defined() ? bias.const_data_ptr<float>() : nullptr,
               rounds ? nullptr : out.y.mutable_data_ptr<float>(),
               rounds ? tn::mutable_rounded_bits(out.y) : nullptr,
               out.mean.mutable_data_ptr<float>(),
               out.scale.mutable_data_ptr<float>(),
               width,
               static_cast<float>(epsilon),
               centred};
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                   [&](int64_t begin, int64_t end) { norm_forward(r, begin, end); });
  return out;
}

struct NormGradients {
  Tensor dh, dweight, dbias;
};

NormGradients differentiate(const Tensor& h, const Tensor& weight, const Tensor& mean, const Tensor& scale,
                            const Tensor& dy, const Tensor& dsum, bool with_bias, bool centred) {
  const auto width = h.size(-1), rows = h.numel() / width;
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const bool coarse = dy.scalar_type() == at::kBFloat16;
  auto dh = at::empty_like(h);
  auto dweights = at::zeros({threads, width}, h.options());
  auto dbiases = with_bias ? at::zeros({threads, width}, h.options()) : Tensor();
  const Gradients g{h.const_data_ptr<float>(),
                    weight.const_data_ptr<float>(),
                    mean.const_data_ptr<float>(),
                    scale.const_data_ptr<float>(),
                    coarse ? nullptr : dy.const_data_ptr<float>(),
                    coarse ? tn::rounded_bits(dy) : nullptr,
                    dsum.defined() ? dsum.const_data_ptr<float>() : nullptr,
                    dh.mutable_data_ptr<float>(),
                    width,
                    centred};
  auto* dweight = dweights.mutable_data_ptr<float>();
  auto* dbias = with_bias ? dbiases.mutable_data_ptr<float>() : nullptr;
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
    const auto offset = at::get_thread_num() * width;
    std::vector<float> widened(static_cast<size_t>(coarse ? width : 0));
    norm_backward(g, dweight + offset, dbias == nullptr ? nullptr : dbias + offset, widened.data(), begin, end);
  });
  return {dh, dweights.sum(0), with_bias ? dbiases.sum(0) : Tensor()};
}

class FusedNorm : public torch::autograd::Function<FusedNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight,
                        const std::optional<Tensor>& bias, double epsilon, bool centred, bool rounds) {
    const auto x = input.contiguous();
    auto out = normalise(x, Tensor(), weight, bias.value_or(Tensor()), epsilon, centred, rounds);
    context->save_for_backward({x, weight, out.mean, out.scale});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["centred"] = centred;
    return out.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto g = differentiate(saved[0], saved[1], saved[2], saved[3], gradients[0].contiguous(), Tensor(),
                                 context->saved_data["bias"].toBool(), context->saved_data["centred"].toBool());
    return {g.dh, g.dweight, g.dbias, Tensor(), Tensor(), Tensor()};
  }
};

class FusedResidualNorm : public torch::autograd::Function<FusedResidualNorm> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& input, const Tensor& branch,
                               const Tensor& weight, const std::optional<Tensor>& bias, double epsilon,
                               bool centred, bool rounds) {
    auto out = normalise(input.contiguous(), branch.contiguous(), weight, bias.value_or(Tensor()), epsilon, centred, rounds);
    context->save_for_backward({out.sum, weight, out.mean, out.scale});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["centred"] = centred;
    return {out.sum, out.y};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto dsum = gradients[0].defined() ? gradients[0].contiguous() : Tensor();
    const auto g = differentiate(saved[0], saved[1], saved[2], saved[3], gradients[1].contiguous(), dsum,
                                 context->saved_data["bias"].toBool(), context->saved_data["centred"].toBool());
    return {g.dh, g.dh, g.dweight, g.dbias, Tensor(), Tensor(), Tensor()};
  }
};

bool runs_here(const Tensor& x, const Tensor& weight) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat && x.numel() > 0 &&
         weight.dim() == 1 && x.dim() > 0 && weight.size(0) == x.size(-1) && weight.is_contiguous();
}

Tensor plain_norm(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, double epsilon,
                  bool centred, bool rounds) {
  const auto shape = weight.sizes();
  const auto y = centred ? at::layer_norm(x, shape, weight, bias, epsilon) : at::rms_norm(x, shape, weight, epsilon);
  return rounds ? y.to(at::kBFloat16) : y;
}

}  // namespace

// Elsewhere than on a CPU in float32: libtorch's own operations. bias may be null, and is for RMS norm (centred = 0). rounds: whether the
// norm is bfloat16.
TN_API int32_t tn_fused_norm(const Tensor* x, const Tensor* weight, const Tensor* bias, double epsilon,
                             int32_t centred, int32_t rounds, Tensor** result) {
  return tn::returning(result, [&] {
    const auto shift = tn::optional_tensor(bias);
    if (runs_here(*x, *weight)) return FusedNorm::apply(*x, *weight, shift, epsilon, centred != 0, rounds != 0);
    return plain_norm(*x, *weight, shift, epsilon, centred != 0, rounds != 0);
  });
}

// The sum of x and branch, and its norm.
TN_API int32_t tn_fused_residual_norm(const Tensor* x, const Tensor* branch, const Tensor* weight, const Tensor* bias,
                                      double epsilon, int32_t centred, int32_t rounds, Tensor** sum, Tensor** norm) {
  return tn::guarded([&] {
    const auto shift = tn::optional_tensor(bias);
    Tensor total, normed;
    if (runs_here(*x, *weight) && branch->scalar_type() == at::kFloat && x->sizes() == branch->sizes()) {
      auto both = FusedResidualNorm::apply(*x, *branch, *weight, shift, epsilon, centred != 0, rounds != 0);
      total = both[0];
      normed = both[1];
    } else {
      total = *x + *branch;
      normed = plain_norm(total, *weight, shift, epsilon, centred != 0, rounds != 0);
    }
    *sum = tn::own(std::move(total));
    *norm = tn::own(std::move(normed));
  });
}
