// Lifetime, properties and data of one tensor.
#include "shim.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/variable.h>

#include <atomic>
#include <cstring>
#include <new>
#include <string>

namespace tn {

namespace {
thread_local std::string last_error;
std::atomic<int64_t> live{0};
constexpr int32_t kFailed = 1, kOutOfMemory = 2;
}  // namespace

void set_error(const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
}

int32_t describe_current_exception() noexcept {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    set_error(error.what_without_backtrace());
    return kOutOfMemory;
  } catch (const c10::Error& error) {
    set_error(error.what_without_backtrace());
    // The CPU's allocator has no exception of its own.
    return last_error.find("DefaultCPUAllocator: ") == std::string::npos ? kFailed : kOutOfMemory;
  } catch (const std::bad_alloc& error) {
    set_error(error.what());
    return kOutOfMemory;
  } catch (const std::exception& error) {
    set_error(error.what());
  } catch (...) {
    set_error("unknown exception in libtorch");
  }
  return kFailed;
}

Tensor* own(Tensor&& tensor) {
  auto* owned = new Tensor(std::move(tensor));
  live.fetch_add(1, std::memory_order_relaxed);
  return owned;
}

}  // namespace tn

TN_API const char* tn_last_error() { return tn::last_error.c_str(); }

TN_API int64_t tn_live_tensors() { return tn::live.load(std::memory_order_relaxed); }

TN_API void tn_tensor_free(Tensor* tensor) {
  delete tensor;
  tn::live.fetch_sub(1, std::memory_order_relaxed);
}

TN_API int32_t tn_tensor_alias(const Tensor* tensor, Tensor** result) {
  return tn::returning(result, [&] { return Tensor(*tensor); });
}

TN_API int32_t tn_tensor_defined(const Tensor* tensor) { return tensor->defined(); }

TN_API int32_t tn_tensor_dim(const Tensor* tensor, int64_t* result) {
  return tn::guarded([&] { *result = tensor->dim(); });
}

TN_API int32_t tn_tensor_numel(const Tensor* tensor, int64_t* result) {
  return tn::guarded([&] { *result = tensor->numel(); });
}

TN_API int32_t tn_tensor_size(const Tensor* tensor, int64_t dim, int64_t* result) {
  return tn::guarded([&] { *result = tensor->size(dim); });
}

// Writes min(rank, capacity) sizes and strides; the rank comes back too, so one call serves ranks up to the capacity.
TN_API int32_t tn_tensor_geometry(const Tensor* tensor, int64_t* sizes, int64_t* strides, int64_t capacity, int64_t* rank) {
  return tn::guarded([&] {
    *rank = tensor->dim();
    const auto count = static_cast<size_t>(std::min(*rank, capacity));
    std::memcpy(sizes, tensor->sizes().data(), count * sizeof(int64_t));
    if (strides != nullptr) std::memcpy(strides, tensor->strides().data(), count * sizeof(int64_t));
  });
}

TN_API int32_t tn_tensor_type(const Tensor* tensor, int32_t* result) {
  return tn::guarded([&] { *result = static_cast<int32_t>(tensor->scalar_type()); });
}

TN_API int32_t tn_tensor_device(const Tensor* tensor, int32_t* type, int32_t* index) {
  return tn::guarded([&] {
    const auto device = tensor->device();
    *type = static_cast<int32_t>(device.type());
    *index = device.index();
  });
}

TN_API int32_t tn_tensor_storage_offset(const Tensor* tensor, int64_t* result) {
  return tn::guarded([&] { *result = tensor->storage_offset(); });
}

TN_API int32_t tn_tensor_is_contiguous(const Tensor* tensor, int32_t* result) {
  return tn::guarded([&] { *result = tensor->is_contiguous(); });
}

TN_API int32_t tn_tensor_element_size(const Tensor* tensor, int64_t* result) {
  return tn::guarded([&] { *result = static_cast<int64_t>(tensor->element_size()); });
}

TN_API int32_t tn_tensor_data(const Tensor* tensor, void** result) {
  return tn::guarded([&] { *result = tensor->data_ptr(); });
}

TN_API int32_t tn_tensor_same_storage(const Tensor* left, const Tensor* right, int32_t* result) {
  return tn::guarded([&] { *result = left->is_alias_of(*right); });
}

// The value of a one-element tensor; waits for a GPU.
TN_API int32_t tn_tensor_item(const Tensor* tensor, tn::Scalar* result) {
  return tn::guarded([&] {
    const auto scalar = tensor->item();
    result->kind = scalar.isFloatingPoint() ? 1 : scalar.isBoolean() ? 2 : 0;
    result->real = scalar.isFloatingPoint() ? scalar.toDouble() : 0;
    result->integer = scalar.isFloatingPoint() ? 0 : scalar.toLong();
  });
}

TN_API int32_t tn_tensor_version(const Tensor* tensor, int64_t* result) {
  // Tensors made in inference mode do not count.
  return tn::guarded([&] { *result = tensor->is_inference() ? -1 : static_cast<int64_t>(tensor->_version()); });
}

TN_API int32_t tn_tensor_to(const Tensor* tensor, int32_t device_type, int32_t device_index, int32_t type,
                            int32_t non_blocking, int32_t copy, Tensor** result) {
  return tn::returning(result, [&] {
    auto options = at::TensorOptions();
    if (device_type >= 0) options = options.device(tn::device(device_type, device_index));
    if (type >= 0) options = options.dtype(static_cast<at::ScalarType>(type));
    return tensor->to(options, non_blocking != 0, copy != 0);
  });
}

TN_API int32_t tn_tensor_pin_memory(const Tensor* tensor, Tensor** result) {
  return tn::returning(result, [&] { return tensor->pin_memory(); });
}

// Replaces what the tensor points to: whoever holds this tensor sees the new memory.
TN_API int32_t tn_tensor_set_data(Tensor* tensor, const Tensor* data) {
  return tn::guarded([&] { tensor->set_data(*data); });
}
