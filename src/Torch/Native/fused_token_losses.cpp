// The cross entropy of each row of logits by itself, and whether the target has the highest: what measuring needs, without gradients.
//
// libtorch's operations pass over a row of logits five times, two of them writing as much again; here two passes read it. Shapes: logits
// (N, V) float32, target (N) int64, −100 for none; losses (N), 0 where there is no target. CPU.
#include "fused.h"
#include "shim.h"
#include "vector_math.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <atomic>
#include <cmath>

namespace {

constexpr int64_t kGrain = 16384;  // logits that one thread takes at least

struct Row {
  float loss;
  bool hit;  // of several that are highest the first counts
};

TN_VECTOR_CLONES
Row token_loss(const float* z, int64_t width, int64_t target) {
  float highest = z[0];
#pragma omp simd reduction(max : highest)
  for (int64_t i = 0; i < width; ++i) highest = z[i] > highest ? z[i] : highest;
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < width; ++i) total += tn::vector_exp(z[i] - highest);
  const double aimed = static_cast<double>(z[target]) - highest;
  const bool hit = z[target] == highest && std::find(z, z + target, highest) == z + target;
  return {static_cast<float>(std::log(static_cast<double>(total)) - aimed), hit};
}

}  // namespace

TN_API int32_t tn_fused_token_losses(const Tensor* logits, const Tensor* target, Tensor** losses_result, Tensor** hits_result) {
  return tn::guarded([&] {
    TORCH_CHECK(logits->is_cpu() && logits->scalar_type() == at::kFloat && logits->dim() == 2 && logits->size(1) > 0 && target->is_cpu() &&
                    target->scalar_type() == at::kLong && target->dim() == 1 && target->size(0) == logits->size(0),
                "losses of tokens need logits (N, V) float32 and targets (N) int64 on the CPU, not ", logits->sizes(), " ", logits->scalar_type(), " on ",
                logits->device(), " and ", target->sizes(), " ", target->scalar_type());
    const auto z = logits->contiguous(), aims = target->contiguous();
    const auto rows = z.size(0), width = z.size(1);
    const auto* wanted = aims.const_data_ptr<int64_t>();
    const auto losses = at::empty({rows}, z.options());
    auto* to = losses.mutable_data_ptr<float>();
    const auto* from = z.const_data_ptr<float>();
    std::atomic<int64_t> found{0};
    at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
      int64_t here = 0;
      for (auto row = begin; row < end; ++row) {
        const auto one = tn::is_target(wanted[row], width) ? token_loss(from + row * width, width, wanted[row]) : Row{0, false};
        to[row] = one.loss;
        here += one.hit;
      }
      found += here;
    });
    auto hits = at::scalar_tensor(found.load(), aims.options());
    *losses_result = tn::own(Tensor(losses));
    *hits_result = tn::own(std::move(hits));
  });
}
