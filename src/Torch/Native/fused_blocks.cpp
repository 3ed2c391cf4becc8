// Matrices in blocks of 8 bits: made, widened, and multiplied with rows of float32.
//
// A few rows meet the blocks as they are, which takes the time of reading them: a quarter of what float32 takes. For many rows the
// processor's float32 product is faster, of parts of the matrix that are widened for it and stay in the cache.
//
// Shapes: numbers (…, K) float32, K a multiple of 32; blocks (…, K / 32 · 34) int8, a row's blocks one after the other. CPU, not recorded.
#include "blocks.h"
#include "matrix_product.h"
#include "shim.h"
#include "token_kernels.h"
#include "vector_math.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>

namespace tn {

namespace {

// Up to so many rows are multiplied with the blocks themselves.
constexpr int64_t kFewRows = 8;
// Numbers that are widened at once, 1 MiB.
constexpr int64_t kWidened = 1 << 18;
// Blocks that one thread takes at least.
constexpr int64_t kGrain = 1024;

TN_INLINE void pack(const float* x, Block& block) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < kBlockLength; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = largest / 127;
  const float inverse = std::isfinite(1 / scale) ? 1 / scale : 0;  // what is smaller than that is 0 in float16, too
  block.scale = c10::detail::fp16_ieee_from_fp32_value(scale);
#pragma omp simd
  for (int64_t i = 0; i < kBlockLength; ++i) {
    const float y = x[i] * inverse;
    // Half of one less the smallest step, so that what lies just below a half does not become a whole.
    block.numbers[i] = static_cast<int8_t>(static_cast<int32_t>(y + std::copysign(0.49999997f, y)));
  }
}

TN_INLINE void unpack(const Block& block, float* x) {
  const float scale = c10::detail::fp16_ieee_to_fp32_value(block.scale);
#pragma omp simd
  for (int64_t i = 0; i < kBlockLength; ++i) x[i] = scale * static_cast<float>(block.numbers[i]);
}

}  // namespace

TN_VECTOR_CLONES
void pack_blocks(const float* x, Block* blocks, int64_t count) {
  for (int64_t i = 0; i < count; ++i) pack(x + i * kBlockLength, blocks[i]);
}

TN_VECTOR_CLONES
void unpack_blocks(const Block* blocks, float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) unpack(blocks[i], x + i * kBlockLength);
}

}  // namespace tn

namespace {

const tn::Block* blocks_of(const Tensor& tensor) { return static_cast<const tn::Block*>(tensor.const_data_ptr()); }

Tensor plain(const Tensor& blocks) {
  TORCH_CHECK(blocks.is_cpu() && blocks.scalar_type() == at::kChar && blocks.dim() > 0 && blocks.size(-1) % static_cast<int64_t>(sizeof(tn::Block)) == 0,
              "blocks are int8 on the CPU, ", sizeof(tn::Block), " bytes each, not ", blocks.sizes(), " ", blocks.scalar_type(), " on ", blocks.device());
  return blocks.contiguous();
}

int64_t width_of(const Tensor& blocks) { return blocks.size(-1) / static_cast<int64_t>(sizeof(tn::Block)) * tn::kBlockLength; }

void widen(const tn::Block* blocks, float* numbers, int64_t count) {
  at::parallel_for(0, count, tn::kGrain, [&](int64_t begin, int64_t end) {
    tn::unpack_blocks(blocks + begin, numbers + begin * tn::kBlockLength, end - begin);
  });
}

// rows (M, K) times the matrix of blocks (N, K), into result (M, N).
void multiply_widened(const Tensor& rows, const Tensor& blocks, const Tensor& result) {
  const auto outputs = blocks.size(0), width = rows.size(1), length = width / tn::kBlockLength;
  const auto part = std::min(outputs, std::max<int64_t>(tn::kBlockLength, tn::kWidened / width));
  const auto wide = at::empty({part, width}, rows.options());
  for (int64_t row = 0; row < outputs; row += part) {
    const auto count = std::min(part, outputs - row);
    widen(blocks_of(blocks) + row * length, wide.mutable_data_ptr<float>(), count * length);
    tn::multiply_into(result.narrow(1, row, count), rows, wide.narrow(0, 0, count).t(), false);
  }
}

}  // namespace

TN_API int32_t tn_blocks_pack(const Tensor* numbers, Tensor** result) {
  return tn::returning(result, [&] {
    TORCH_CHECK(numbers->is_cpu() && numbers->scalar_type() == at::kFloat && numbers->dim() > 0 && numbers->size(-1) % tn::kBlockLength == 0,
                "rows that become blocks are float32 on the CPU and multiples of ", tn::kBlockLength, " long, not ", numbers->sizes(), " ",
                numbers->scalar_type(), " on ", numbers->device());
    const auto from = numbers->contiguous();
    auto sizes = from.sizes().vec();
    sizes.back() = sizes.back() / tn::kBlockLength * static_cast<int64_t>(sizeof(tn::Block));
    const auto blocks = at::empty(sizes, from.options().dtype(at::kChar));
    auto* to = static_cast<tn::Block*>(blocks.mutable_data_ptr());
    const auto* x = from.const_data_ptr<float>();
    at::parallel_for(0, from.numel() / tn::kBlockLength, tn::kGrain, [&](int64_t begin, int64_t end) {
      tn::pack_blocks(x + begin * tn::kBlockLength, to + begin, end - begin);
    });
    return blocks;
  });
}

TN_API int32_t tn_blocks_unpack(const Tensor* blocks, Tensor** result) {
  return tn::returning(result, [&] {
    const auto from = plain(*blocks);
    auto sizes = from.sizes().vec();
    sizes.back() = width_of(from);
    const auto numbers = at::empty(sizes, from.options().dtype(at::kFloat));
    widen(blocks_of(from), numbers.mutable_data_ptr<float>(), numbers.numel() / tn::kBlockLength);
    return numbers;
  });
}

// x (…, K) float32, blocks (N, …) of K numbers, bias (N) or null.
TN_API int32_t tn_blocks_linear(const Tensor* x, const Tensor* blocks, const Tensor* bias, Tensor** result) {
  return tn::returning(result, [&] {
    const auto matrix = plain(*blocks);
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(matrix.dim() == 2 && x->is_cpu() && x->scalar_type() == at::kFloat && x->dim() > 0 && x->size(-1) == width_of(matrix) &&
                    (!shift || (shift->scalar_type() == at::kFloat && shift->is_contiguous() && shift->numel() == matrix.size(0))),
                "blocks ", matrix.sizes(), " take rows of ", width_of(matrix), " float32 numbers on the CPU, not ", x->sizes(), " ", x->scalar_type(), " on ",
                x->device());
    TORCH_CHECK(!c10::GradMode::is_enabled() || !x->requires_grad(), "a matrix in blocks has no backward pass: it is for inference");
    const auto rows = x->reshape({-1, x->size(-1)}).contiguous();
    const auto outputs = matrix.size(0);
    const auto sums = at::empty({rows.size(0), outputs}, rows.options());
    if (rows.size(0) <= tn::kFewRows) {
      tn::token_linear({matrix.const_data_ptr(), shift ? shift->const_data_ptr<float>() : nullptr, rows.const_data_ptr(), sums.mutable_data_ptr<float>(),
                        rows.size(0), rows.size(1), outputs, tn::MatrixFormat::blocks, false});
    } else {
      multiply_widened(rows, matrix, sums);
      if (shift) sums.add_(*shift);
    }
    auto sizes = x->sizes().vec();
    sizes.back() = outputs;
    return sums.view(sizes);
  });
}
