// How the C library gives memory to tensors.
//
// A training step frees nearly everything it allocated. By default glibc hands large blocks back to the kernel at once and
// gets them back zeroed, page by page, in the next step: some 3,000 page faults a step for a model of 0.8 M
// parameters. Keeping the memory costs nothing: the next step needs it again. In pages of 2 MiB it takes fewer faults at first and
// fewer look-ups later; libtorch asks for them if told to.
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>

namespace {

// Bytes: what may lie free at the top of the heap, the largest block that is taken from it, and the most that older
// versions of glibc allow for the latter.
constexpr int kKeep = 1 << 30;
constexpr int kLargestOnHeap = 1 << 30;
constexpr int kLargestAllowed = 1 << 25;

__attribute__((constructor)) void keep_memory_between_steps() {
  // Respect a user who tunes malloc by the environment, and THP_MEM_ALLOC_ENABLE=0.
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr || std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr ||
      std::getenv("GLIBC_TUNABLES") != nullptr) {
    return;
  }
  // One heap for all threads: what one frees another can use, and the heaps of threads are given back whole.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, kKeep);
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
  if (mallopt(M_MMAP_THRESHOLD, kLargestOnHeap) == 0) mallopt(M_MMAP_THRESHOLD, kLargestAllowed);
}

}  // namespace
#endif
