#ifndef TERN_LIB_WIRE_OUTPUT_BLOCKS_H_
#define TERN_LIB_WIRE_OUTPUT_BLOCKS_H_

#include <cstddef>
#include <cstring>

namespace tern::wire {

// The memory in which send buffers begin: blocks of one size, of which each
// thread keeps some that it has been given back for those that take one next.
// (RecyclingAllocator does the same for objects of any type, and would cost a
// call four times as many instructions.) Under AddressSanitizer nothing is
// kept, so that it sees uses after the end.
//
// Thread-safe; a block may be given back on another thread.
class OutputBlocks {
 public:
  static constexpr size_t kBytes = 1024;
  static constexpr size_t kMaxKept = 64;  // By a thread.

  static char* Take() {
    if (kept_.first != nullptr) return TakeKept();
    return new char[kBytes];
  }
  // nullptr: the thread has none.
  static char* TakeKept() {
    char* const block = kept_.first;
    if (block == nullptr) return nullptr;
    std::memcpy(&kept_.first, block, sizeof(kept_.first));
    ++kept_.room;
    return block;
  }
  static void Give(char* block) {
    if (kept_.room == 0) return GiveToHeap(block);
    std::memcpy(block, &kept_.first, sizeof(kept_.first));
    kept_.first = block;
    --kept_.room;
  }

 private:
  enum class Phase { kUnused, kUsed, kOver };
  struct Kept {
    char* first;  // Each block begins with the address of the next.
    size_t room;  // For so many more; none before the first and when kOver.
    Phase phase;  // kOver: the thread ends; other destructors may still come.
  };
  struct AtThreadEnd {
    ~AtThreadEnd();
  };
  // Or has the thread keep blocks from now on.
  static void GiveToHeap(char* block);

  static constinit thread_local Kept kept_;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_OUTPUT_BLOCKS_H_
