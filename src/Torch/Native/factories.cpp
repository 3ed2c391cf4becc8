// Tensors out of nothing, and random numbers.
#include "shim.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>

#include <mutex>

namespace {

std::optional<at::Generator> optional_generator(const at::Generator* generator) {
  if (generator == nullptr || !generator->defined()) return std::nullopt;
  return *generator;
}

// requires_grad is set afterwards: the factories refuse it in their options when a generator is given.
Tensor with_grad(Tensor tensor, int32_t requires_grad) {
  return requires_grad ? tensor.set_requires_grad(true) : tensor;
}

}  // namespace

#define TN_FACTORY(name)                                                                                            \
  TN_API int32_t tn_##name(const int64_t* sizes, int32_t rank, int32_t type, int32_t device_type,                   \
                           int32_t device_index, int32_t requires_grad, Tensor** result) {                          \
    return tn::returning(result, [&] {                                                                              \
      return with_grad(at::name(tn::dims(sizes, rank), tn::options(type, device_type, device_index, 0)),            \
                       requires_grad);                                                                              \
    });                                                                                                             \
  }

TN_FACTORY(empty)
TN_FACTORY(zeros)
TN_FACTORY(ones)

#define TN_RANDOM_FACTORY(name)                                                                                     \
  TN_API int32_t tn_##name(const int64_t* sizes, int32_t rank, int32_t type, int32_t device_type,                   \
                           int32_t device_index, int32_t requires_grad, const at::Generator* generator,             \
                           Tensor** result) {                                                                       \
    return tn::returning(result, [&] {                                                                              \
      return with_grad(at::name(tn::dims(sizes, rank), optional_generator(generator),                               \
                                tn::options(type, device_type, device_index, 0)),                                   \
                       requires_grad);                                                                              \
    });                                                                                                             \
  }

TN_RANDOM_FACTORY(rand)
TN_RANDOM_FACTORY(randn)

TN_API int32_t tn_full(const int64_t* sizes, int32_t rank, tn::Scalar value, int32_t type, int32_t device_type,
                       int32_t device_index, int32_t requires_grad, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(at::full(tn::dims(sizes, rank), value.value(), tn::options(type, device_type, device_index, 0)),
                     requires_grad);
  });
}

TN_API int32_t tn_arange(tn::Scalar start, tn::Scalar stop, tn::Scalar step, int32_t type, int32_t device_type,
                         int32_t device_index, int32_t requires_grad, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(
        at::arange(start.value(), stop.value(), step.value(), tn::options(type, device_type, device_index, 0)),
        requires_grad);
  });
}

TN_API int32_t tn_linspace(double start, double end, int64_t steps, int32_t type, int32_t device_type,
                           int32_t device_index, int32_t requires_grad, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(at::linspace(start, end, steps, tn::options(type, device_type, device_index, 0)), requires_grad);
  });
}

TN_API int32_t tn_eye(int64_t rows, int64_t columns, int32_t type, int32_t device_type, int32_t device_index,
                      int32_t requires_grad, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(at::eye(rows, columns, tn::options(type, device_type, device_index, 0)), requires_grad);
  });
}

TN_API int32_t tn_randint(int64_t low, int64_t high, const int64_t* sizes, int32_t rank, int32_t type,
                          int32_t device_type, int32_t device_index, int32_t requires_grad,
                          const at::Generator* generator, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(at::randint(low, high, tn::dims(sizes, rank), optional_generator(generator),
                                 tn::options(type, device_type, device_index, 0)),
                     requires_grad);
  });
}

TN_API int32_t tn_randperm(int64_t count, int32_t type, int32_t device_type, int32_t device_index,
                           int32_t requires_grad, const at::Generator* generator, Tensor** result) {
  return tn::returning(result, [&] {
    return with_grad(
        at::randperm(count, optional_generator(generator), tn::options(type, device_type, device_index, 0)),
        requires_grad);
  });
}

TN_API int32_t tn_normal_(Tensor* tensor, double mean, double deviation, const at::Generator* generator) {
  return tn::guarded([&] { tensor->normal_(mean, deviation, optional_generator(generator)); });
}

TN_API int32_t tn_uniform_(Tensor* tensor, double from, double to, const at::Generator* generator) {
  return tn::guarded([&] { tensor->uniform_(from, to, optional_generator(generator)); });
}

TN_API int32_t tn_bernoulli_(Tensor* tensor, double probability, const at::Generator* generator) {
  return tn::guarded([&] { tensor->bernoulli_(probability, optional_generator(generator)); });
}

TN_API int32_t tn_multinomial(const Tensor* tensor, int64_t samples, int32_t replacement,
                              const at::Generator* generator, Tensor** result) {
  return tn::returning(result, [&] {
    return at::multinomial(*tensor, samples, replacement != 0, optional_generator(generator));
  });
}

// Generators. The default ones belong to libtorch; the handle is a reference to them.

TN_API int32_t tn_generator_new(int32_t device_type, int32_t device_index, at::Generator** result) {
  return tn::guarded([&] {
    const auto& shared = at::globalContext().defaultGenerator(tn::device(device_type, device_index));
    *result = new at::Generator(shared.clone());
  });
}

TN_API int32_t tn_generator_default(int32_t device_type, int32_t device_index, at::Generator** result) {
  return tn::guarded([&] {
    *result = new at::Generator(at::globalContext().defaultGenerator(tn::device(device_type, device_index)));
  });
}

TN_API void tn_generator_free(at::Generator* generator) { delete generator; }

TN_API int32_t tn_generator_seed(at::Generator* generator, int64_t seed) {
  return tn::guarded([&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    generator->set_current_seed(static_cast<uint64_t>(seed));
  });
}

TN_API int32_t tn_generator_initial_seed(const at::Generator* generator, int64_t* result) {
  return tn::guarded([&] { *result = static_cast<int64_t>(generator->current_seed()); });
}

TN_API int32_t tn_generator_state(const at::Generator* generator, Tensor** result) {
  return tn::returning(result, [&] { return generator->get_state(); });
}

TN_API int32_t tn_generator_set_state(at::Generator* generator, const Tensor* state) {
  return tn::guarded([&] { generator->set_state(*state); });
}

// Seeds every generator, as torch.manual_seed does.
TN_API int32_t tn_manual_seed(int64_t seed) {
  return tn::guarded([&] { at::manual_seed(static_cast<uint64_t>(seed)); });
}
