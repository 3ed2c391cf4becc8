// What the fused kernels' backward passes share.
#pragma once

#include "dropout.h"

#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

namespace tn {

// Their gradients are computed, not recorded: a second derivative would silently be zero.
inline void require_first_derivative() {
  TORCH_CHECK(!c10::GradMode::is_enabled(), "a fused kernel has no second derivative; leave create_graph out");
}

inline void require_probability(const KeyedDropout& dropout) {
  TORCH_CHECK(dropout.probability >= 0 && dropout.probability < 1, "a probability of dropout is in [0, 1), and ", dropout.probability, " is not");
}

}  // namespace tn
