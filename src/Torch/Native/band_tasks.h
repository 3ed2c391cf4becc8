// How the work of attention within a band is shared out to threads, and what each task drops.
#pragma once

#include "band_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>

#ifdef TN_BAND_ATTENTION

namespace tn::band {

// Queries that one task takes: all of a head, or fewer where there are not enough heads, over all sequences, for all threads.
inline int64_t rows_of_task(int64_t heads, int64_t queries) {
  constexpr int64_t kFewest = 4 * kRows;  // each task turns keys over again
  if (heads >= 2 * at::get_num_threads()) return queries;
  const auto parts = (2 * at::get_num_threads() + heads - 1) / heads;
  const auto rows = (queries + parts - 1) / parts;
  return std::max(kFewest, (rows + kRows - 1) / kRows * kRows);
}

// Dropout of the weights of head h, of H, of sequence b.
inline WeightDropout dropout_of(const Dropout& dropout, int64_t b, int64_t heads, int64_t h) {
  return {dropout.drops() ? &dropout : nullptr, dropout.list(b, heads, h)};
}

}  // namespace tn::band

#endif
