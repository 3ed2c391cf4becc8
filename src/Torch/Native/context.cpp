// What this libtorch is and how it runs: versions, threads, determinism.
#include "shim.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <omp.h>
#include <torch/version.h>

#include <string>

TN_API const char* tn_version() { return TORCH_VERSION; }

TN_API const char* tn_configuration() {
  static const std::string text = at::show_config() + "\n" + at::get_parallel_info();
  return text.c_str();
}

TN_API int32_t tn_cpu_capability(const char** result) {
  return tn::guarded([&] {
    static const std::string text = at::get_cpu_capability();
    *result = text.c_str();
  });
}

TN_API int32_t tn_num_threads() { return at::get_num_threads(); }

TN_API int32_t tn_set_num_threads(int32_t count) {
  return tn::guarded([&] { at::set_num_threads(count); });
}

TN_API int32_t tn_deterministic() { return at::globalContext().deterministicAlgorithms(); }

TN_API void tn_set_deterministic(int32_t enabled) {
  at::globalContext().setDeterministicAlgorithms(enabled != 0, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(enabled != 0);
  // libtorch would also fill every new tensor with NaN, a pass over all memory that changes no result.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

TN_API void tn_set_float32_matmul_precision(const char* precision) {
  at::globalContext().setFloat32MatmulPrecision(precision);
  // A switch of its own, which libtorch leaves on: float32 convolutions would lose 13 bits where products keep them.
  at::globalContext().setAllowTF32CuDNN(std::string(precision) != "highest");
}

TN_API int32_t tn_set_flush_denormal(int32_t enabled) { return at::globalContext().setFlushDenormal(enabled != 0); }

// Operations that this thread starts use so many threads from now on; other threads, and at::set_num_threads(), are not
// touched. For threads that each do a part of the work by themselves.
TN_API int32_t tn_limit_thread(int32_t count) {
  return tn::guarded([&] {
    TORCH_CHECK(count > 0, "a thread cannot use ", count, " threads");
    // Threads are set up on their first question, which would undo what follows. libtorch and this library have a flag
    // for that each, because the function that holds it is inline and hidden here.
    at::get_num_threads();
    at::internal::lazy_init_num_threads();
    omp_set_num_threads(count);
  });
}
