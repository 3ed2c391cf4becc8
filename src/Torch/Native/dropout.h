// Dropout whose choices are computed where they are needed, forward and backward, and stored nowhere.
//
// A number is dropped or not by its place alone: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a
// function of a counter and a key, whose key is a seed and whose counter the number's coordinates. Threads have no generator to share,
// and any of them finds the same choices. Shapes: rows (T) of W numbers, in lists: (B, T, W) has B of them, (B, H, T, W) B·H.
#pragma once

#include "vector_math.h"

#include <bit>
#include <cstdint>
#include <vector>

namespace tn {

// As src/Torch/KeyedDropout.cs lays it out.
struct KeyedDropout {
  double probability;
  int64_t seed;
  int64_t first;  // of these sequences among all that the seed is for
  int64_t place;  // tells the uses of a seed apart

  // For a record that keeps integers.
  std::vector<int64_t> numbers() const { return {std::bit_cast<int64_t>(probability), seed, first, place}; }
  static KeyedDropout of(const std::vector<int64_t>& numbers) {
    return {std::bit_cast<double>(numbers[0]), numbers[1], numbers[2], numbers[3]};
  }
};

class Dropout {
 public:
  static constexpr int64_t kBlock = 64;  // numbers of a row that are drawn together

  explicit Dropout(const KeyedDropout& d)
      : low_(static_cast<uint32_t>(d.seed)),
        high_(static_cast<uint32_t>(static_cast<uint64_t>(d.seed) >> 32)),
        place_(static_cast<uint32_t>(d.place)),
        dropped_(static_cast<uint32_t>(d.probability * 4294967296.0)),
        factor_(static_cast<float>(1.0 / (1.0 - d.probability))),
        first_(d.first) {}

  bool drops() const { return dropped_ != 0; }

  // The list of head h, of H, of sequence b.
  uint32_t list(int64_t b, int64_t heads, int64_t h) const { return static_cast<uint32_t>((first_ + b) * heads + h); }

  // What the numbers [64·block, 64·block + 64) of a row are multiplied with: 0, or 1 / (1 − probability).
  __attribute__((always_inline)) inline void factors(uint32_t list, uint32_t row, uint32_t block, float* to) const {
    const uint64_t place = place_, low = low_, high = high_, dropped = dropped_;
    const float kept = factor_;
#pragma omp simd
    for (uint64_t lane = 0; lane < 16; ++lane) {
      uint64_t a = uint64_t{block} * 16 + lane, b = row, c = list, e = place;
      turn<10>(a, b, c, e, low, high);
      to[lane] = a < dropped ? 0.0f : kept;
      to[16 + lane] = b < dropped ? 0.0f : kept;
      to[32 + lane] = c < dropped ? 0.0f : kept;
      to[48 + lane] = e < dropped ? 0.0f : kept;
    }
  }

 private:
  // So many rounds, written out: a loop within the loop over lanes would keep that from becoming vector instructions. The numbers have 32 bits each, and
  // room for their products.
  template <int Rounds>
  static __attribute__((always_inline)) inline void turn(uint64_t& a, uint64_t& b, uint64_t& c, uint64_t& e, uint64_t low, uint64_t high) {
    constexpr uint64_t kLow = 0xFFFFFFFF;
    const uint64_t first = 0xD2511F53 * a, second = 0xCD9E8D57 * c;
    a = (second >> 32) ^ b ^ low;
    b = second & kLow;
    c = (first >> 32) ^ e ^ high;
    e = first & kLow;
    if constexpr (Rounds > 1) turn<Rounds - 1>(a, b, c, e, (low + 0x9E3779B9) & kLow, (high + 0xBB67AE85) & kLow);
  }

  uint32_t low_, high_, place_, dropped_;
  float factor_;
  int64_t first_;
};

}  // namespace tn
