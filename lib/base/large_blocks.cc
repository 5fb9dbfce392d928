#include "tern/lib/base/large_blocks.h"

#include <cstdlib>
#include <iterator>
#include <new>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern {
namespace {

// A block is not taken for less than this part of it.
constexpr size_t kMostTimesLarger = 8;

struct Kept {
  Mutex mutex;
  std::vector<LargeBlock> blocks ABSL_GUARDED_BY(mutex);
  size_t bytes ABSL_GUARDED_BY(mutex) = 0;
};

// Never destroyed: other threads may outlive main().
Kept& TheKept() {
  static Kept* const kept = new Kept;
  return *kept;
}

// The oldest one, if `block` cannot be kept before that has gone.
[[maybe_unused]] LargeBlock KeepOrTakeOldest(LargeBlock block) {
  Kept& kept = TheKept();
  MutexLock lock(kept.mutex);
  if (kept.bytes + block.size <= kMaxKeptBlockBytes) {
    kept.bytes += block.size;
    kept.blocks.push_back(block);
    return {};
  }
  const LargeBlock oldest = kept.blocks.front();
  kept.bytes -= oldest.size;
  kept.blocks.erase(kept.blocks.begin());
  return oldest;
}

}  // namespace

LargeBlock TakeKeptBlock(size_t least) {
  Kept& kept = TheKept();
  MutexLock lock(kept.mutex);
  for (auto block = kept.blocks.rbegin(); block != kept.blocks.rend();
       ++block) {
    if (block->size < least || block->size / kMostTimesLarger > least) continue;
    const LargeBlock taken = *block;
    kept.bytes -= taken.size;
    kept.blocks.erase(std::next(block).base());
    return taken;
  }
  return {};
}

void GiveBlock(LargeBlock block) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER  // Which sees uses of what was freed.
  if (block.size >= kMinLargeBlockBytes && block.size <= kMaxKeptBlockBytes) {
    // What has lain longest makes room: nobody has wanted it.
    while (true) {
      const LargeBlock unwanted = KeepOrTakeOldest(block);
      if (unwanted.data == nullptr) return;
      std::free(unwanted.data);
    }
  }
#endif
  std::free(block.data);
}

void ReleaseKeptBlocks() {
  std::vector<LargeBlock> blocks;
  {
    Kept& kept = TheKept();
    MutexLock lock(kept.mutex);
    blocks.swap(kept.blocks);
    kept.bytes = 0;
  }
  for (const LargeBlock& block : blocks) std::free(block.data);
}

std::shared_ptr<char[]> MakeSharedBytes(size_t size) {
  if (size < kMinLargeBlockBytes) {
    return std::make_shared_for_overwrite<char[]>(size);
  }
  size = LargeBlockSize(size);
  LargeBlock block = TakeKeptBlock(size);
  if (block.data == nullptr) {
    block = {.data = static_cast<char*>(std::malloc(size)), .size = size};
    if (block.data == nullptr) throw std::bad_alloc();
  }
  return std::shared_ptr<char[]>(block.data, [size = block.size](char* data) {
    GiveBlock({.data = data, .size = size});
  });
}

}  // namespace tern
