// CUDA's devices and their memory. Everything here compiles without CUDA too, and then says so.
#include "shim.h"

#include <c10/util/Exception.h>
#include <torch/cuda.h>

#include <string>

#ifdef TRAINER_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#endif

namespace {

#ifndef TRAINER_CUDA
[[noreturn]] void no_cuda() {
  TORCH_CHECK(false, "this build has no CUDA; build against a CUDA libtorch (LIBTORCH=/path, see setup.sh --gpu)");
}
#endif

}  // namespace

TN_API int32_t tn_built_with_cuda() {
#ifdef TRAINER_CUDA
  return 1;
#else
  return 0;
#endif
}

TN_API int32_t tn_cuda_device_count(int64_t* result) {
  return tn::guarded([&] { *result = static_cast<int64_t>(torch::cuda::device_count()); });
}

TN_API int32_t tn_cuda_synchronize(int64_t device) {
  return tn::guarded([&] { torch::cuda::synchronize(device); });
}

// From now on this thread's "current" device, which index -1 means, is this one.
TN_API int32_t tn_cuda_set_device(int32_t device) {
  return tn::guarded([&] {
#ifdef TRAINER_CUDA
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
#else
    (void)device;
    no_cuda();
#endif
  });
}

// Compute capability (major, minor), multiprocessors, bytes of memory in all, bytes free now; the driver's and the
// runtime's version, 1000 times the major plus 10 times the minor number. The name stays valid on this thread until the
// next call.
TN_API int32_t tn_cuda_device(int32_t device, int64_t* figures, const char** name) {
  return tn::guarded([&] {
#ifdef TRAINER_CUDA
    static thread_local std::string text;
    cudaDeviceProp properties{};
    C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
    text = properties.name;
    *name = text.c_str();
    int driver = 0, runtime = 0;
    C10_CUDA_CHECK(cudaDriverGetVersion(&driver));
    C10_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    const auto previous = c10::cuda::current_device();
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
    size_t free = 0, total = 0;
    const auto status = cudaMemGetInfo(&free, &total);
    c10::cuda::set_device(previous);
    C10_CUDA_CHECK(status);
    const int64_t values[] = {properties.major,            properties.minor,           properties.multiProcessorCount,
                              static_cast<int64_t>(total), static_cast<int64_t>(free), driver, runtime};
    std::copy(std::begin(values), std::end(values), figures);
#else
    (void)device;
    (void)figures;
    (void)name;
    no_cuda();
#endif
  });
}

// Bytes: allocated now, allocated at most, reserved now, reserved at most.
TN_API int32_t tn_cuda_memory(int32_t device, int64_t* figures) {
  return tn::guarded([&] {
#ifdef TRAINER_CUDA
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
    const auto& allocated = stats.allocated_bytes[0];
    const auto& reserved = stats.reserved_bytes[0];
    figures[0] = allocated.current;
    figures[1] = allocated.peak;
    figures[2] = reserved.current;
    figures[3] = reserved.peak;
#else
    (void)device;
    (void)figures;
    no_cuda();
#endif
  });
}

// The peaks count anew from what is held now.
TN_API int32_t tn_cuda_reset_peak_memory(int32_t device) {
  return tn::guarded([&] {
#ifdef TRAINER_CUDA
    c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(device));
#else
    (void)device;
    no_cuda();
#endif
  });
}
