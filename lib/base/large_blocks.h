#ifndef TERN_LIB_BASE_LARGE_BLOCKS_H_
#define TERN_LIB_BASE_LARGE_BLOCKS_H_

#include <cstddef>
#include <memory>

namespace tern {

// Memory for what is large: messages of 64 KiB and more. Blocks that are given
// back are kept, a few of them, and the last one is taken first: its bytes are
// still in the processor's cache, and its pages are there. malloc gives large
// blocks back to the kernel, if they are its last; to get a mebibyte page by
// page again takes longer than to send it.
//
// Thread-safe. One lock for all is cheap beside the bytes that a block is for.
struct LargeBlock {
  char* data = nullptr;
  size_t size = 0;
};

// Kept by all threads together.
inline constexpr size_t kMaxKeptBlockBytes = size_t{16} << 20;
inline constexpr size_t kMinLargeBlockBytes = size_t{64} << 10;

// What to ask malloc for instead of `size` bytes: messages that differ by
// little can then have each other's.
constexpr size_t LargeBlockSize(size_t size) {
  constexpr size_t kStep = 4096;
  return (size + kStep - 1) / kStep * kStep;
}

// One that is kept, of `least` bytes or more (but not of many more). Its data
// is nullptr when there is none.
LargeBlock TakeKeptBlock(size_t least);
// Keeps or frees what malloc has made.
void GiveBlock(LargeBlock block);
// Frees all that are kept.
void ReleaseKeptBlocks();

// `size` bytes, not cleared, that are given back with their last owner.
std::shared_ptr<char[]> MakeSharedBytes(size_t size);

}  // namespace tern

#endif  // TERN_LIB_BASE_LARGE_BLOCKS_H_
