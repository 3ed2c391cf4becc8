// Rows of a tensor (B, N, T, D) picked by tiles of indices (c, m): gathered, put back, or added up.
//
// On the CPU plain loops, because libtorch's own operations along an inner dimension cost a call for each index; sums are
// taken in the order of the indices, so that they come out the same on every run. Anywhere else libtorch's operations.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>

namespace tn {

// (B, N, T, D), (c, m) -> (c, B, N, m, D)
inline at::Tensor gather_rows(const at::Tensor& source, const at::Tensor& index) {
  const auto batch = source.size(0), heads = source.size(1), width = source.size(3);
  const auto tiles = index.size(0), rows = index.size(1);
  if (!source.is_cpu()) {
    return source.index_select(2, index.flatten())
        .view({batch, heads, tiles, rows, width})
        .permute({2, 0, 1, 3, 4})
        .contiguous();
  }
  const auto x = source.stride(3) == 1 ? source : source.contiguous();
  auto result = at::empty({tiles, batch, heads, rows, width}, x.options());
  const auto size = x.element_size();
  const auto* from = static_cast<const char*>(x.const_data_ptr());
  auto* to = static_cast<char*>(result.mutable_data_ptr());
  const auto* picked = index.const_data_ptr<int64_t>();
  const auto bytes = static_cast<size_t>(width) * size;
  at::parallel_for(0, tiles * batch * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const auto tile = task / (batch * heads), b = task / heads % batch, n = task % heads;
      const auto* base = from + (b * x.stride(0) + n * x.stride(1)) * static_cast<int64_t>(size);
      auto* target = to + static_cast<size_t>(task * rows) * bytes;
      for (int64_t row = 0; row < rows; ++row) {
        const auto* line = base + picked[tile * rows + row] * x.stride(2) * static_cast<int64_t>(size);
        std::memcpy(target + static_cast<size_t>(row) * bytes, line, bytes);
      }
    }
  });
  return result;
}

// (c, B, N, m, D) -> (B, N, c·m, D), the order libtorch's indexed operations take.
inline at::Tensor rows_of_tiles(const at::Tensor& tiles) {
  return tiles.permute({1, 2, 0, 3, 4}).reshape({tiles.size(1), tiles.size(2), -1, tiles.size(4)});
}

// target (B, N, T, D) at the indices (c, m) becomes source (c, B, N, m, D).
inline void put_rows(at::Tensor& target, const at::Tensor& index, const at::Tensor& source) {
  target.index_copy_(2, index.flatten(), rows_of_tiles(source));
}

// target (B, N, T, D), contiguous, at the indices (c, m) grows by source (c, B, N, m, D).
inline void add_rows(at::Tensor& target, const at::Tensor& index, const at::Tensor& source) {
  if (!target.is_cpu() || target.scalar_type() != at::kFloat) {
    target.index_add_(2, index.flatten(), rows_of_tiles(source));
    return;
  }
  const auto x = source.contiguous();
  const auto tiles = index.size(0), rows = index.size(1);
  const auto lists = target.size(0) * target.size(1), length = target.size(2), width = target.size(3);
  const auto* from = x.const_data_ptr<float>();
  auto* to = target.mutable_data_ptr<float>();
  const auto* picked = index.const_data_ptr<int64_t>();
  // One thread takes all tiles of a head: no two threads write the same row.
  at::parallel_for(0, lists, 1, [&](int64_t begin, int64_t end) {
    for (int64_t list = begin; list < end; ++list) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        for (int64_t row = 0; row < rows; ++row) {
          const auto* line = from + ((tile * lists + list) * rows + row) * width;
          auto* sum = to + (list * length + picked[tile * rows + row]) * width;
#pragma omp simd
          for (int64_t i = 0; i < width; ++i) sum[i] += line[i];
        }
      }
    }
  });
}

}  // namespace tn
