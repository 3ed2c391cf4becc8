// Activations of feed-forward layers and their slopes, one number at a time: loops over them become vector instructions.
#pragma once

#include "vector_math.h"

namespace tn {

struct Slope {
  float value, slope;
};

struct GatedSlopes {
  float value, gate_slope, up_slope;
};

constexpr float kInverseRoot2 = 0.70710678118654752f;
constexpr float kInverseRoot2Pi = 0.39894228040143268f;

// x·Φ(x)
TN_INLINE float gelu(float x) { return 0.5f * x * (1.0f + vector_erf(x * kInverseRoot2, vector_exp(-0.5f * x * x))); }

// d/dx x·Φ(x) = Φ(x) + x·φ(x)
TN_INLINE Slope gelu_and_slope(float x) {
  const float e = vector_exp(-0.5f * x * x);
  const float cumulative = 0.5f * (1.0f + vector_erf(x * kInverseRoot2, e));
  return {x * cumulative, cumulative + x * e * kInverseRoot2Pi};
}

// SiLU(gate)·up
TN_INLINE float swiglu(float gate, float up) { return gate * vector_sigmoid(gate) * up; }

TN_INLINE GatedSlopes swiglu_and_slopes(float gate, float up) {
  const float s = vector_sigmoid(gate);
  const float silu = gate * s;
  return {silu * up, up * (s + silu * (1.0f - s)), silu};
}

}  // namespace tn
