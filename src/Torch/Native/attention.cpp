// Scaled dot-product attention, with the choice and the report of the kernel that computes it.
#include "shim.h"

#include <ATen/Context.h>
#include <ATen/SDPBackend.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/util/Exception.h>

#include <string>

namespace {

// Mirrors the C# enum AttentionBackend, which follows at::SDPBackend.
constexpr int32_t kAny = -2;
constexpr int32_t kFused = -3;

// Leaves only one backend enabled while it lives. The switches are process-wide: attention is called from one thread.
class OnlyBackend {
 public:
  explicit OnlyBackend(int32_t backend) : context_(at::globalContext()) {
    if (backend == kAny || backend == kFused) return;
    active_ = true;
    flash_ = context_.userEnabledFlashSDP();
    efficient_ = context_.userEnabledMemEfficientSDP();
    math_ = context_.userEnabledMathSDP();
    cudnn_ = context_.userEnabledCuDNNSDP();
    set(backend == static_cast<int32_t>(at::SDPBackend::flash_attention),
        backend == static_cast<int32_t>(at::SDPBackend::efficient_attention),
        backend == static_cast<int32_t>(at::SDPBackend::math),
        backend == static_cast<int32_t>(at::SDPBackend::cudnn_attention));
  }

  ~OnlyBackend() {
    if (active_) set(flash_, efficient_, math_, cudnn_);
  }

  OnlyBackend(const OnlyBackend&) = delete;
  OnlyBackend& operator=(const OnlyBackend&) = delete;

 private:
  void set(bool flash, bool efficient, bool math, bool cudnn) {
    context_.setSDPUseFlash(flash);
    context_.setSDPUseMemEfficient(efficient);
    context_.setSDPUseMath(math);
    context_.setSDPUseCuDNN(cudnn);
  }

  at::Context& context_;
  bool active_ = false, flash_ = true, efficient_ = true, math_ = true, cudnn_ = true;
};

// Collects libtorch's reasons against its kernels, which it gives as warnings.
class Reasons : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { text += "; " + warning.msg(); }

  std::string text;
};

struct Call {
  const Tensor &q, &k, &v;
  std::optional<Tensor> mask;
  double dropout;
  bool causal;
  std::optional<double> scale;
  bool gqa;

  // The backend that libtorch takes among those enabled, or error where it refuses them all.
  at::SDPBackend choice(Reasons& reasons) const {
    c10::WarningUtils::WarningHandlerGuard guard(&reasons);
    try {
      return static_cast<at::SDPBackend>(at::_fused_sdp_choice(q, k, v, mask, dropout, causal, scale, gqa));
    } catch (const c10::Error&) {
      return at::SDPBackend::error;
    }
  }
};

std::optional<double> optional_scale(double scale) {
  return scale > 0 ? std::optional<double>(scale) : std::nullopt;
}

}  // namespace

// Which backend libtorch would take: an at::SDPBackend, or -1 where none can.
TN_API int32_t tn_sdpa_backend(const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* mask, double dropout,
                               int32_t causal, double scale, int32_t gqa, int32_t only, int32_t* result) {
  return tn::guarded([&] {
    OnlyBackend guard(only);
    Reasons reasons;
    const Call call{*q, *k, *v, tn::optional_tensor(mask), dropout, causal != 0, optional_scale(scale), gqa != 0};
    *result = static_cast<int32_t>(call.choice(reasons));
  });
}

// backend -2 lets libtorch choose, -3 too, but not its math kernel, which keeps every weight in memory; any other is
// required, and it is an error where it cannot run.
TN_API int32_t tn_sdpa(const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* mask, double dropout,
                       int32_t causal, double scale, int32_t gqa, int32_t backend, Tensor** result) {
  return tn::returning(result, [&] {
    const auto bias = tn::optional_tensor(mask);
    const auto factor = optional_scale(scale);
    if (backend == static_cast<int32_t>(at::SDPBackend::math)) {
      return std::get<0>(at::_scaled_dot_product_attention_math(*q, *k, *v, bias, dropout, causal != 0, std::nullopt,
                                                                factor, gqa != 0));
    }
    OnlyBackend guard(backend);
    if (backend != kAny) {
      Reasons reasons;
      const auto chosen = Call{*q, *k, *v, bias, dropout, causal != 0, factor, gqa != 0}.choice(reasons);
      const auto allowed = backend == kFused
                               ? chosen != at::SDPBackend::math && chosen != at::SDPBackend::error
                               : static_cast<int32_t>(chosen) == backend;
      TORCH_CHECK(allowed, "the required attention backend cannot run with these inputs (query ", q->sizes(),
                  " ", q->scalar_type(), " on ", q->device(), ", key ", k->sizes(), ", mask ",
                  bias ? "given" : "none", ", dropout ", dropout, ", enable_gqa ", gqa != 0, ")", reasons.text);
    }
    return at::scaled_dot_product_attention(*q, *k, *v, bias, dropout, causal != 0, factor, gqa != 0);
  });
}
