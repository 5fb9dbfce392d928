#ifndef TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_
#define TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/config.h"

namespace tern {

// For objects that come and go with every call: std::allocate_shared with it
// takes the memory from those that this thread has given back, up to
// kMaxKept of each type. A thread that only gives back passes the rest on to
// the heap. (Under AddressSanitizer nothing is kept, so that it sees uses after
// the end.)
//
// Thread-safe, as the default allocator is.
template <typename T>
class RecyclingAllocator {
 public:
  using value_type = T;
  static constexpr size_t kMaxKept = 1024;

  RecyclingAllocator() = default;
  template <typename U>
  RecyclingAllocator(const RecyclingAllocator<U>&) {}  // NOLINT: as required.

  T* allocate(size_t count) {
    if (count == 1) {
      std::vector<T*>& kept = Kept().blocks;
      if (!kept.empty()) {
        T* const block = kept.back();
        kept.pop_back();
        return block;
      }
    }
    return std::allocator<T>().allocate(count);
  }

  void deallocate(T* block, size_t count) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER
    if (count == 1) {
      std::vector<T*>& kept = Kept().blocks;
      if (kept.size() < kMaxKept && !Kept().over) return kept.push_back(block);
    }
#endif
    std::allocator<T>().deallocate(block, count);
  }

  friend bool operator==(RecyclingAllocator, RecyclingAllocator) {
    return true;
  }

 private:
  struct Blocks {
    std::vector<T*> blocks;
    bool over = false;  // The thread ends: other destructors may still come.
    ~Blocks() {
      over = true;
      for (T* const block : blocks) std::allocator<T>().deallocate(block, 1);
      std::vector<T*>().swap(blocks);
    }
  };
  static Blocks& Kept() {
    thread_local Blocks kept;
    return kept;
  }
};

}  // namespace tern

#endif  // TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_
