// The C ABI between libtorch and .NET. Every function that can fail returns 0, or 1 with the message in
// tn_last_error(), or 2 where memory ran out; results come back through the last pointer. Integers have fixed sizes, booleans are int32_t,
// tensors cross as owned pointers to at::Tensor which tn_tensor_free() gives back.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

#define TN_API extern "C" __attribute__((visibility("default")))

using Tensor = at::Tensor;

namespace tn {

void set_error(const char* message) noexcept;
// The status that the exception in flight stands for; its message becomes the last error.
int32_t describe_current_exception() noexcept;

// Counts what .NET owns, so that a leak shows as a number that grows.
Tensor* own(Tensor&& tensor);

template <class F>
int32_t guarded(F&& body) noexcept {
  try {
    body();
    return 0;
  } catch (...) {
    return describe_current_exception();
  }
}

template <class F>
int32_t returning(Tensor** result, F&& body) noexcept {
  return guarded([&] { *result = own(body()); });
}

// Mirrors the C# struct Scalar: kind 0 is an integer, 1 a real number, 2 a truth value.
struct Scalar {
  int64_t integer;
  double real;
  int32_t kind;

  at::Scalar value() const {
    if (kind == 1) return at::Scalar(real);
    if (kind == 2) return at::Scalar(integer != 0);
    return at::Scalar(integer);
  }
};

inline at::IntArrayRef dims(const int64_t* values, int32_t count) {
  return at::IntArrayRef(values, static_cast<size_t>(count));
}

inline at::OptionalIntArrayRef optional_dims(const int64_t* values, int32_t count) {
  if (values == nullptr) return std::nullopt;
  return dims(values, count);
}

inline std::optional<at::ScalarType> optional_type(int32_t type) {
  if (type < 0) return std::nullopt;
  return static_cast<at::ScalarType>(type);
}

// Undefined where .NET passed none.
inline std::optional<Tensor> optional_tensor(const Tensor* tensor) {
  if (tensor == nullptr || !tensor->defined()) return std::nullopt;
  return *tensor;
}

inline std::vector<Tensor> list(Tensor* const* tensors, int32_t count) {
  std::vector<Tensor> result;
  result.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) result.push_back(*tensors[i]);
  return result;
}

inline c10::Device device(int32_t type, int32_t index) {
  return {static_cast<c10::DeviceType>(type), static_cast<c10::DeviceIndex>(index)};
}

inline at::TensorOptions options(int32_t type, int32_t device_type, int32_t device_index, int32_t requires_grad) {
  return at::TensorOptions()
      .dtype(static_cast<at::ScalarType>(type))
      .device(device(device_type, device_index))
      .requires_grad(requires_grad != 0);
}

}  // namespace tn
