// What the fused kernels' backward passes share.
#pragma once

#include "dropout.h"

#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <cstdint>

namespace tn {

// Their gradients are computed, not recorded: a second derivative would silently be zero.
inline void require_first_derivative() {
  TORCH_CHECK(!c10::GradMode::is_enabled(), "a fused kernel has no second derivative; leave create_graph out");
}

// Whether there is something to predict; -100 stands where nothing is.
inline bool is_target(int64_t target, int64_t tokens) {
  if (target == -100) return false;
  TORCH_CHECK_INDEX(target >= 0 && target < tokens, "Target ", target, " is out of bounds: there are ", tokens, " tokens.");
  return true;
}

inline void require_probability(const KeyedDropout& dropout) {
  TORCH_CHECK(dropout.probability >= 0 && dropout.probability < 1, "a probability of dropout is in [0, 1), and ", dropout.probability, " is not");
}

}  // namespace tn
