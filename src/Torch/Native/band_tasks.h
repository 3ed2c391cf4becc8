// How the work of attention within a band is shared out to threads, and what each task drops.
#pragma once

#include "band_attention.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

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

// (B, T, 2) int32: the span of each query. Undefined where no documents are kept apart.
struct Spans {
  const Span* first;
  int64_t queries;

  explicit Spans(const at::Tensor& documents)
      : first(documents.defined() ? reinterpret_cast<const Span*>(documents.const_data_ptr<int32_t>()) : nullptr),
        queries(documents.defined() ? documents.size(1) : 0) {}

  // The band within the documents of a sequence.
  Band within(Band band, int64_t b) const {
    if (first != nullptr) band.spans = first + b * queries;
    return band;
  }
};

inline bool are_spans(const at::Tensor& documents, int64_t batch, int64_t queries) {
  return documents.is_cpu() && documents.scalar_type() == at::kInt && documents.dim() == 3 && documents.is_contiguous() && documents.size(0) == batch &&
         documents.size(1) == queries && documents.size(2) == 2;
}

}  // namespace tn::band

#endif
