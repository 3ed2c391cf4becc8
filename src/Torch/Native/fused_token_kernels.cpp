// The loops of a token's way through a model: everything is a vector, so each matrix is read once and that is the time it takes.
#include "token_kernels.h"

#include "vector_math.h"

#include <cmath>
#include <cstring>

namespace tn {

namespace {

TN_INLINE float vector_tanh(float x) { return 2.0f * vector_sigmoid(2.0f * x) - 1.0f; }

template <TokenActivation kind>
TN_INLINE float activated(float x) {
  switch (kind) {
    case TokenActivation::relu: return x > 0 ? x : 0.0f;
    case TokenActivation::gelu: return 0.5f * x * (1.0f + vector_erf(x * 0.70710678118654752f, vector_exp(-0.5f * x * x)));
    case TokenActivation::gelu_tanh: return x * vector_sigmoid(1.59576912160573081f * (x + 0.044715f * x * x * x));  // ½(1 + tanh u) = sigmoid(2u)
    case TokenActivation::silu: return x * vector_sigmoid(x);
    case TokenActivation::squared_relu: return x > 0 ? x * x : 0.0f;
    case TokenActivation::sigmoid: return vector_sigmoid(x);
  }
}

template <TokenActivation kind>
TN_INLINE void activate(const float* x, const float* up, float* y, int64_t count) {
  if (up == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = activated<kind>(x[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = activated<kind>(x[i]) * up[i];
  }
}

}  // namespace

TN_VECTOR_CLONES
void token_norm(const TokenNorm& norm, const float* x, float* y) {
  const float inverse = 1.0f / static_cast<float>(norm.width);
  float total = 0;
  if (norm.centred) {
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < norm.width; ++i) total += x[i];
  }
  const float mean = total * inverse;
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < norm.width; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float scale = 1.0f / std::sqrt(squares * inverse + norm.epsilon);
  if (norm.bias != nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < norm.width; ++i) y[i] = (x[i] - mean) * scale * norm.weight[i] + norm.bias[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < norm.width; ++i) y[i] = (x[i] - mean) * scale * norm.weight[i];
  }
}

TN_VECTOR_CLONES
static float softmax_numerators(float* scores, int64_t count, float scale) {
  float highest = scores[0];
#pragma omp simd reduction(max : highest)
  for (int64_t i = 0; i < count; ++i) highest = scores[i] > highest ? scores[i] : highest;
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = vector_exp((scores[i] - highest) * scale);
    total += scores[i];
  }
  return total;
}

// Four rows at a time, so that the result is read and written a quarter as often.
TN_VECTOR_CLONES
static void weighted_sum(const float* weights, const float* rows, int64_t count, int64_t width, float scale, float* result) {
  std::memset(result, 0, static_cast<size_t>(width) * sizeof(float));
  int64_t row = 0;
  for (; row + 4 <= count; row += 4) {
    const float *v0 = rows + row * width, *v1 = v0 + width, *v2 = v1 + width, *v3 = v2 + width;
    const float p0 = weights[row], p1 = weights[row + 1], p2 = weights[row + 2], p3 = weights[row + 3];
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) result[i] += p0 * v0[i] + p1 * v1[i] + p2 * v2[i] + p3 * v3[i];
  }
  for (; row < count; ++row) {
    const float* v = rows + row * width;
    const float p = weights[row];
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) result[i] += p * v[i];
  }
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) result[i] *= scale;
}

void token_attention(const TokenAttention& a) {
  token_linear({a.keys, nullptr, a.query, a.scores, 1, a.width, a.length, MatrixFormat::float32, false}, 0, a.length);
  const float total = softmax_numerators(a.scores, a.length, a.scale);
  weighted_sum(a.scores, a.values, a.length, a.width, 1.0f / total, a.result);
}

TN_VECTOR_CLONES
void token_turn_halves(float* head, const float* cos, const float* sin, int64_t pairs) {
#pragma omp simd
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = head[i], b = head[pairs + i];
    head[i] = a * cos[i] - b * sin[i];
    head[pairs + i] = b * cos[i] + a * sin[i];
  }
}

TN_VECTOR_CLONES
void token_turn_neighbours(float* head, const float* cos_sin, int64_t pairs) {
#pragma omp simd
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = head[2 * i], b = head[2 * i + 1], cos = cos_sin[2 * i], sin = cos_sin[2 * i + 1];
    head[2 * i] = a * cos - b * sin;
    head[2 * i + 1] = b * cos + a * sin;
  }
}

TN_VECTOR_CLONES
void token_activation(TokenActivation kind, const float* x, const float* up, float* y, int64_t count) {
  switch (kind) {
    case TokenActivation::relu: return activate<TokenActivation::relu>(x, up, y, count);
    case TokenActivation::gelu: return activate<TokenActivation::gelu>(x, up, y, count);
    case TokenActivation::gelu_tanh: return activate<TokenActivation::gelu_tanh>(x, up, y, count);
    case TokenActivation::silu: return activate<TokenActivation::silu>(x, up, y, count);
    case TokenActivation::squared_relu: return activate<TokenActivation::squared_relu>(x, up, y, count);
    case TokenActivation::sigmoid: return activate<TokenActivation::sigmoid>(x, up, y, count);
  }
}

TN_VECTOR_CLONES
void token_cap(float* x, int64_t count, float cap) {
  const float inverse = 1.0f / cap;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) x[i] = cap * vector_tanh(x[i] * inverse);
}

TN_VECTOR_CLONES
void token_add(const float* x, float* y, int64_t count, float factor) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] += x[i] * factor;
}

TN_VECTOR_CLONES
void token_scale(const float* x, float* y, int64_t count, float factor) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * factor;
}

}  // namespace tn
