// Matrices in 8 bits: each 32 consecutive numbers of a row as one scale and 32 integers, GGUF's Q8_0.
#pragma once

#include <cstdint>

namespace tn {

struct Block {
  uint16_t scale;  // float16
  int8_t numbers[32];
};

constexpr int64_t kBlockLength = 32;
static_assert(sizeof(Block) == 34, "blocks stand without gaps");

// The scale is the largest magnitude / 127, a number is x / scale rounded to the nearest, halves away from zero, as ggml's reference has it.
void pack_blocks(const float* x, Block* blocks, int64_t count);

void unpack_blocks(const Block* blocks, float* x, int64_t count);

}  // namespace tn
