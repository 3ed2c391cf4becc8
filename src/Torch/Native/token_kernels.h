// The loops of a token's way through a model (fused_token_kernels.cpp, fused_token_linear.cpp): everything is a vector.
#pragma once

#include <cstdint>

namespace tn {

// What one thread reads at least, of a matrix or of keys and values: less than this is done before a second thread has begun.
constexpr int64_t kBytesPerThread = 512 * 1024;

enum class MatrixFormat { float32, bfloat16, blocks, packed };  // blocks.h, exponent_packing.h

// y = W·x + bias for each of a few vectors, so that W is read once for all of them.
struct TokenLinear {
  const void* weight;  // (N, K)
  const float* bias;   // may be null
  const void* x;       // (B, K), bfloat16 if the weight is, packed or not, else float32
  float* y;            // (B, N)
  int64_t batch, inputs, outputs;
  MatrixFormat format;
  bool adds;  // y += instead of y =
  int64_t row_bytes = 0;  // of a packed matrix
};

// Some rows of W, from a multiple of four on; all of them, shared out among threads. Each row is added up in the same order, whichever way.
void token_linear(const TokenLinear& linear, int64_t begin, int64_t end);
void token_linear(const TokenLinear& linear);

// To the nearest bfloat16, ties to even. Of NaN it makes a number or NaN: one in, none useful out.
void token_round(const float* x, uint16_t* y, int64_t count);

struct TokenNorm {
  const float* weight;
  const float* bias;  // may be null
  int64_t width;
  float epsilon;
  bool centred;
};

// y may be x.
void token_norm(const TokenNorm& norm, const float* x, float* y);

// softmax(scale·q·Kᵀ)·V for one query over keys and values (S, D) without gaps; scores has room for S.
struct TokenAttention {
  const float* query;
  const float* keys;
  const float* values;
  float* scores;
  float* result;
  int64_t length, width;
  float scale;
};
void token_attention(const TokenAttention& attention);

// Pairs half a head apart, or side by side: (a, b) → (a·cos − b·sin, b·cos + a·sin).
void token_turn_halves(float* head, const float* cos, const float* sin, int64_t pairs);
void token_turn_neighbours(float* head, const float* cos_sin, int64_t pairs);

// The same numbers as the enumeration in TokenProgram.cs.
enum class TokenActivation : int32_t { relu, gelu, gelu_tanh, silu, squared_relu, sigmoid };

// y = f(x), or f(x)·up where up is given; y may be x.
void token_activation(TokenActivation kind, const float* x, const float* up, float* y, int64_t count);

// y = cap·tanh(x / cap), in place.
void token_cap(float* x, int64_t count, float cap);

// y += x·factor
void token_add(const float* x, float* y, int64_t count, float factor);

// y = x·factor; y may be x.
void token_scale(const float* x, float* y, int64_t count, float factor);

}  // namespace tn
