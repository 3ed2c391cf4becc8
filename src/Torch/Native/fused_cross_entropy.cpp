// A linear layer and the cross entropy of its softmax, summed, without ever holding the logits of all rows: those of a few rows at a
// time are made, and turned at once into the gradients of the layer's input, weight and bias, as Liger's kernel does (Hsu et al. 2024,
// arXiv 2410.10989). The gradient of the sum is a number that the backward pass multiplies with. Rows without a target cost nothing.
//
// Shapes: x (N, C), weight (V, C), rounded (V, C) bfloat16, bias (V), target (N) int64, result (); L rows have a target. Each row's loss
// has a place of its own and rows are added up in order: the result does not depend on the timing of threads.
#include "fused.h"
#include "matrix_product.h"
#include "shim.h"
#include "vector_math.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;  // logits that one thread takes at least

struct Shaping {
  float scale;      // logits are multiplied with it,
  float cap;        // and then become cap·tanh(logit / cap), where it is not 0
  float smoothing;  // the share of each target that is spread over all tokens
};

struct Logits {
  float* values;        // (rows, V): on return the gradient, where it is wanted
  const float* bias;    // may be null
  const int64_t* target;
  double* loss;
  int64_t width;
  Shaping shape;
  bool differentiate;
};

// What the layer gives becomes the logits, and slopes (V) the derivative of each, where there is a cap.
TN_INLINE void shape_row(float* z, const Logits& r, float* slopes) {
  const int64_t width = r.width;
  const float scale = r.shape.scale, cap = r.shape.cap;
  if (r.bias != nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) z[i] = (z[i] + r.bias[i]) * scale;
  } else if (scale != 1.0f) {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) z[i] *= scale;
  }
  if (cap == 0.0f) return;
  const float doubled = 2.0f / cap;
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) {
    const float tanh = 1.0f - 2.0f / (tn::vector_exp(z[i] * doubled) + 1.0f);
    z[i] = cap * tanh;
    slopes[i] = scale * (1.0f - tanh * tanh);
  }
}

// loss = log Σ e^z − (1 − ε)·z[target] − ε·mean(z); its gradient is softmax(z) − ε/V, less 1 − ε at the target.
TN_VECTOR_CLONES
void cross_entropy_rows(const Logits& r, float* slopes, int64_t begin, int64_t end) {
  const int64_t width = r.width;
  const float scale = r.shape.scale, smoothing = r.shape.smoothing, kept = 1.0f - smoothing;
  const float spread = smoothing / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    float* z = r.values + row * width;
    const int64_t target = r.target[row];
    shape_row(z, r, slopes);
    float highest = z[0];
#pragma omp simd reduction(max : highest)
    for (int64_t i = 0; i < width; ++i) highest = z[i] > highest ? z[i] : highest;
    double mean = 0;
    if (smoothing != 0.0f) {
      float above = 0;
#pragma omp simd reduction(+ : above)
      for (int64_t i = 0; i < width; ++i) above += z[i] - highest;
      mean = static_cast<double>(above) / static_cast<double>(width);
    }
    const double aimed = static_cast<double>(z[target]) - highest;
    float total = 0;
    if (!r.differentiate) {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) total += tn::vector_exp(z[i] - highest);
    } else {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) {
        z[i] = tn::vector_exp(z[i] - highest);
        total += z[i];
      }
    }
    r.loss[row] = std::log(static_cast<double>(total)) - (1.0 - smoothing) * aimed - smoothing * mean;
    if (!r.differentiate) continue;
    const float inverse = 1.0f / total;
    if (r.shape.cap != 0.0f) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) z[i] = (z[i] * inverse - spread) * slopes[i];
      z[target] -= kept * slopes[target];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) z[i] = (z[i] * inverse - spread) * scale;
      z[target] -= kept * scale;
    }
  }
}

void cross_entropy(const Logits& r, int64_t rows) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / r.width), [&](int64_t begin, int64_t end) {
    std::vector<float> slopes(r.shape.cap != 0.0f ? r.width : 0);
    cross_entropy_rows(r, slopes.data(), begin, end);
  });
}

struct Problem {
  Tensor x, weight;  // (L, C), (V, C): both float32 or both bfloat16
  Tensor bias;       // may be undefined
  std::vector<int64_t> target;
  Shaping shape;
  int64_t at_once;  // rows whose logits are held
};

struct Wanted {
  bool x, weight, bias;
  bool any() const { return x || weight || bias; }
};

struct Solution {
  double loss;
  Tensor dx, dweight, dbias;
};

Solution solve(const Problem& p, Wanted wanted) {
  const auto rows = p.x.size(0), width = p.weight.size(0), channels = p.weight.size(1);
  const auto options = p.weight.options().dtype(at::kFloat);
  std::vector<double> losses(static_cast<size_t>(rows));
  Solution s{0, wanted.x ? at::empty({rows, channels}, options) : Tensor(),
             wanted.weight ? (rows > 0 ? at::empty({width, channels}, options) : at::zeros({width, channels}, options)) : Tensor(), wanted.bias ? at::zeros({width}, options) : Tensor()};
  const auto step = std::min(rows, p.at_once);
  const auto buffer = at::empty({step, width}, options);
  const auto transposed = p.weight.t();
  for (int64_t first = 0; first < rows; first += step) {
    const auto count = std::min(step, rows - first);
    const auto x = p.x.narrow(0, first, count), logits = buffer.narrow(0, 0, count);
    tn::multiply_into(logits, x, transposed, false);
    cross_entropy({logits.mutable_data_ptr<float>(), p.bias.defined() ? p.bias.const_data_ptr<float>() : nullptr, p.target.data() + first,
                   losses.data() + first, width, p.shape, wanted.any()},
                  count);
    if (wanted.bias) s.dbias.add_(logits.sum(0));
    const auto dlogits = wanted.x || wanted.weight ? logits.to(p.weight.scalar_type()) : logits;
    if (wanted.x) tn::multiply_into(s.dx.narrow(0, first, count), dlogits, p.weight, false);
    if (wanted.weight) tn::multiply_into(s.dweight, dlogits.t(), x, first > 0);
  }
  s.loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  return s;
}

// Indices of the rows that have a target.
std::vector<int64_t> targeted(const Tensor& target, int64_t width) {
  const auto* values = target.const_data_ptr<int64_t>();
  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(target.numel()));
  for (int64_t i = 0; i < target.numel(); ++i) {
    if (tn::is_target(values[i], width)) rows.push_back(i);
  }
  return rows;
}

class FusedCrossEntropy : public torch::autograd::Function<FusedCrossEntropy> {
 public:
  // weight is here for its gradient, where there is a rounded one.
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight, const std::optional<Tensor>& rounded,
                        const std::optional<Tensor>& bias, const Tensor& target, Shaping shape, int64_t at_once,
                        Wanted wanted) {
    const auto given = target.contiguous();
    const auto rows = targeted(given, weight.size(0));
    const auto places = static_cast<int64_t>(rows.size()) == input.size(0) ? Tensor() : at::tensor(rows, at::kLong);
    const auto& factor = rounded ? *rounded : weight;
    Problem problem{(places.defined() ? input.index_select(0, places) : input).to(factor.scalar_type()), factor,
                    bias ? bias->contiguous() : Tensor(), {}, shape, at_once};
    problem.target.reserve(rows.size());
    for (const auto row : rows) problem.target.push_back(given.const_data_ptr<int64_t>()[row]);

    auto solution = solve(problem, wanted);
    context->saved_data["rows"] = input.size(0);
    context->saved_data["type"] = static_cast<int64_t>(input.scalar_type());
    context->save_for_backward({solution.dx, solution.dweight, solution.dbias, places});
    return at::full({}, solution.loss, weight.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const bool again = torch::autograd::get_current_graph_task_keep_graph();
    // What nobody will ask for again is multiplied where it is: the weight's gradient may be the largest tensor of all.
    const auto multiplied = [&](const Tensor& gradient) {
      if (!gradient.defined()) return gradient;
      return again ? gradient.mul(gradients[0]) : gradient.mul_(gradients[0]);
    };
    auto dx = multiplied(saved[0]);
    if (dx.defined() && saved[3].defined()) {
      dx = at::zeros({context->saved_data["rows"].toInt(), dx.size(1)}, dx.options()).index_copy_(0, saved[3], dx);
    }
    if (dx.defined()) dx = dx.to(static_cast<at::ScalarType>(context->saved_data["type"].toInt()));
    return {dx, multiplied(saved[1]), Tensor(), multiplied(saved[2]), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

bool is_matrix(const Tensor& tensor, at::ScalarType type) {
  return tensor.is_cpu() && tensor.dim() == 2 && tensor.scalar_type() == type && tensor.size(0) > 0 && tensor.size(1) > 0;
}

}  // namespace

// rounded and bias may be null; cap is 0 for none; the logits of so many rows are held at once.
TN_API int32_t tn_fused_cross_entropy(const Tensor* x, const Tensor* weight, const Tensor* rounded, const Tensor* bias, const Tensor* target,
                                      double scale, double cap, double smoothing, int64_t rows_at_once, Tensor** result) {
  return tn::returning(result, [&] {
    const auto coarse = tn::optional_tensor(rounded), shift = tn::optional_tensor(bias);
    TORCH_CHECK(is_matrix(*weight, at::kFloat) && (!coarse || (is_matrix(*coarse, at::kBFloat16) && coarse->sizes() == weight->sizes())) &&
                    (!shift || (shift->is_cpu() && shift->scalar_type() == at::kFloat && shift->dim() == 1 && shift->size(0) == weight->size(0))),
                "a fused cross entropy needs a weight (V, C) on the CPU in float32, with its like in bfloat16 or none and a bias (V) or none, not ",
                weight->sizes(), " ", weight->scalar_type(), " on ", weight->device());
    TORCH_CHECK(x->is_cpu() && x->dim() == 2 && x->size(1) == weight->size(1) && target->is_cpu() && target->dim() == 1 &&
                    target->scalar_type() == at::kLong && target->size(0) == x->size(0),
                "a fused cross entropy needs rows (N, ", weight->size(1), ") and targets (N) on the CPU, not ", x->sizes(), " and ",
                target->sizes(), " ", target->scalar_type());
    const bool recorded = c10::GradMode::is_enabled();
    const Wanted wanted{recorded && x->requires_grad(), recorded && weight->requires_grad(), recorded && shift && shift->requires_grad()};
    const Shaping shape{static_cast<float>(scale), static_cast<float>(cap), static_cast<float>(smoothing)};
    return FusedCrossEntropy::apply(*x, *weight, coarse, shift, *target, shape, std::max<int64_t>(1, rows_at_once), wanted);
  });
}
