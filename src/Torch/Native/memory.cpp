// Counts the bytes that tensors take on the CPU, as CUDA's allocator does on a GPU: two additions for each allocation.
#include "shim.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <atomic>
#include <cstring>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

std::atomic<int64_t> now{0};
std::atomic<int64_t> most{0};

// What the C library set aside, which is what the caller asked for and a few bytes; 0 where it does not tell.
int64_t size_of([[maybe_unused]] void* data) {
#ifdef __GLIBC__
  return static_cast<int64_t>(malloc_usable_size(data));
#else
  return 0;
#endif
}

void give_back(void* data) {
  if (data == nullptr) return;
  now.fetch_sub(size_of(data), std::memory_order_relaxed);
  c10::free_cpu(data);
}

class CountingAllocator : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    auto* const data = c10::alloc_cpu(bytes);
    if (data != nullptr) count(size_of(data));
    return {data, data, &give_back, at::Device(at::DeviceType::CPU)};
  }

  at::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  static void count(int64_t bytes) {
    const auto sum = now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    auto seen = most.load(std::memory_order_relaxed);
    while (sum > seen && !most.compare_exchange_weak(seen, sum, std::memory_order_relaxed)) {
    }
  }
};

// Never destroyed: tensors may outlive the statics of this library.
__attribute__((constructor)) void install() { c10::SetCPUAllocator(new CountingAllocator(), /*priority=*/1); }

}  // namespace

// Bytes of tensors on the CPU: now, and at most since the last time that `reset` was set.
TN_API void tn_cpu_memory(int64_t* figures, int32_t reset) {
  figures[0] = now.load(std::memory_order_relaxed);
  figures[1] = most.load(std::memory_order_relaxed);
  if (reset != 0) most.store(figures[0], std::memory_order_relaxed);
}
