// Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): what a segment of the computation keeps for its backward
// pass is dropped, and made anew by running the segment again when that pass comes to it.
//
// The record of the first run stays as it is and only what its nodes saved is replaced: gradients flow, and add up,
// exactly as without it, through weights, inputs and whatever else the segment reads. libtorch asks its engine for hooks
// whenever a node saves a tensor; Python's engine answers with Python's hooks, ours with these.
#include "shim.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <mutex>
#include <utility>

namespace {

using torch::autograd::Engine;
using torch::autograd::SavedVariableHooks;

constexpr int32_t kMessage = 1024;

// What a node saved: how it looks, and once it has been made anew, its value.
struct Slot {
  std::vector<int64_t> sizes;
  at::ScalarType type;
  Tensor value;
};

class Segment;

// The segment whose nodes save on this thread, for the first time or again.
struct Recording {
  std::shared_ptr<Segment> segment;
  bool again = false;
  size_t next = 0;
};

thread_local Recording* recording = nullptr;

class Segment {
 public:
  using Run = int32_t (*)(void* state, char* message, int32_t capacity);
  using Release = void (*)(void* state);

  Segment(void* run, void* release, void* state)
      : run_(reinterpret_cast<Run>(run)), release_(reinterpret_cast<Release>(release)), state_(state) {}
  Segment(const Segment&) = delete;
  ~Segment() { release_(state_); }

  void add(const std::shared_ptr<Slot>& slot) { slots_.push_back(slot); }

  // Nodes save in the same order in every run. A slot may be gone: its node needed no gradient, or is done with it.
  void refill(size_t index, const Tensor& tensor) {
    TORCH_CHECK(index < slots_.size(), "recomputing keeps more tensors than the first run did: it is not deterministic");
    const auto slot = slots_[index].lock();
    if (!slot) return;
    TORCH_CHECK(tensor.sizes() == at::IntArrayRef(slot->sizes) && tensor.scalar_type() == slot->type,
                "recomputing keeps a tensor of shape ", tensor.sizes(), " where the first run kept one of shape ",
                at::IntArrayRef(slot->sizes), ": it is not deterministic");
    // Detached, for the record of the second run is not needed.
    slot->value = tensor.detach();
  }

  void run_again(const std::shared_ptr<Segment>& self) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Recording again{self, true, 0};
    auto* outer = std::exchange(recording, &again);
    char message[kMessage] = "";
    const auto failed = run_(state_, message, kMessage);
    recording = outer;
    TORCH_CHECK(failed == 0, "recomputing for the backward pass failed: ", message);
    TORCH_CHECK(again.next == slots_.size(), "recomputing keeps ", again.next, " tensors where the first run kept ",
                slots_.size(), ": it is not deterministic");
  }

 private:
  Run run_;
  Release release_;
  void* state_;
  std::vector<std::weak_ptr<Slot>> slots_;
  std::mutex mutex_;
};

// In the place of a tensor that a node would have saved.
class Dropped : public SavedVariableHooks {
 public:
  explicit Dropped(std::shared_ptr<Segment> segment) : segment_(std::move(segment)) {}

  void call_pack_hook(const Tensor& tensor) override {
    slot_->sizes = tensor.sizes().vec();
    slot_->type = tensor.scalar_type();
    // A weight is there anyway. A view that was made unrecorded passes for a leaf that requires what its base requires.
    if (tensor.is_leaf() && tensor.requires_grad() && !tensor.is_view()) slot_->value = tensor;
    segment_->add(slot_);
  }

  Tensor call_unpack_hook() override {
    if (!slot_->value.defined()) segment_->run_again(segment_);
    TORCH_CHECK(slot_->value.defined(), "recomputing has not made a tensor that the backward pass needs");
    return slot_->value;
  }

 private:
  std::shared_ptr<Segment> segment_;
  std::shared_ptr<Slot> slot_ = std::make_shared<Slot>();
};

// Hands what a node of the second run would save to the node of the first.
class Refilling : public SavedVariableHooks {
 public:
  void call_pack_hook(const Tensor& tensor) override { recording->segment->refill(recording->next++, tensor); }
  Tensor call_unpack_hook() override { TORCH_CHECK(false, "the record of a recomputation has no backward pass of its own"); }
};

class RecomputingEngine : public Engine {
 public:
  std::unique_ptr<SavedVariableHooks> get_default_saved_variable_hooks() override {
    if (recording == nullptr) return nullptr;
    if (recording->again) return std::make_unique<Refilling>();
    return std::make_unique<Dropped>(recording->segment);
  }
};

// Never destroyed: its threads may outlive the statics of this library. A process has one engine, so it is there from the start.
Engine& engine() {
  static auto* const instance = new RecomputingEngine();
  return *instance;
}

__attribute__((constructor)) void install() { torch::autograd::set_default_engine_stub(engine); }

}  // namespace

// From here on this thread's nodes drop what they would save; `run` makes it anew, with gradients recorded, and returns 0 or,
// with a message, 1; `release` gives `state` back when no node needs it any more, or when this fails.
TN_API int32_t tn_recompute_begin(void* run, void* release, void* state, void** guard) {
  return tn::guarded([&] {
    auto segment = std::make_shared<Segment>(run, release, state);
    TORCH_CHECK(recording == nullptr, "a segment that is recomputed cannot hold another");
    *guard = recording = new Recording{std::move(segment)};
  });
}

TN_API void tn_recompute_end(void* guard) {
  recording = nullptr;
  delete static_cast<Recording*>(guard);
}

// Until resumed with what this gives, nodes save as usual: for what several segments share, which none of them makes again.
TN_API void tn_recompute_pause(void** paused) { *paused = std::exchange(recording, nullptr); }

TN_API void tn_recompute_resume(void* paused) { recording = static_cast<Recording*>(paused); }
