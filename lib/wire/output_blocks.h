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
    char* const block = kept_.first;
    if (block == nullptr) return new char[kBytes];
    std::memcpy(&kept_.first, block, sizeof(kept_.first));
    --kept_.count;
    return block;
  }
  static void Give(char* block) {
    if (kept_.count >= kept_.max_count) return GiveToHeap(block);
    std::memcpy(block, &kept_.first, sizeof(kept_.first));
    kept_.first = block;
    ++kept_.count;
  }

 private:
  struct Kept {
    char* first;  // Each block begins with the address of the next.
    size_t count;
    size_t max_count;  // 0 until something is given, and when `over`.
    bool over;         // The thread ends: other destructors may still come.
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
