#include "tern/lib/wire/output_blocks.h"

#include <cstring>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"

namespace tern::wire {
namespace {

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

// On a thread of its own: one that keeps nothing yet.
template <typename Body>
void OnNewThread(const Body& body) {
  std::thread(body).join();
}

char* TakeFilled() {
  char* const block = OutputBlocks::Take();
  std::memset(block, 'x', OutputBlocks::kBytes);
  return block;
}

TEST(OutputBlocks, GivesOutWhatTheThreadHasGivenBack) {
  OnNewThread([] {
    char* const first = TakeFilled();
    char* const second = TakeFilled();
    EXPECT_NE(first, second);
    OutputBlocks::Give(first);
    OutputBlocks::Give(second);
    char* const again[] = {TakeFilled(), TakeFilled()};
    if (kKeeps) {
      EXPECT_EQ(again[0], second);
      EXPECT_EQ(again[1], first);
    }
    for (char* const block : again) OutputBlocks::Give(block);
  });
}

TEST(OutputBlocks, KeepsUpToANumber) {
  OnNewThread([] {
    constexpr size_t kMaxKept = OutputBlocks::kMaxKept;
    std::vector<char*> blocks(kMaxKept + 1);
    for (char*& block : blocks) block = TakeFilled();
    for (char* const block : blocks) OutputBlocks::Give(block);
    // Last in, first out: the last one, above the limit, has gone to the heap.
    for (size_t i = 0; kKeeps && i < kMaxKept; ++i) {
      EXPECT_EQ(OutputBlocks::Take(), blocks[kMaxKept - 1 - i]);
    }
    for (size_t i = 0; kKeeps && i < kMaxKept; ++i) {
      OutputBlocks::Give(blocks[i]);
    }
  });
}

TEST(OutputBlocks, TakesWhatOtherThreadsHaveTaken) {
  char* block = nullptr;
  OnNewThread([&] { block = TakeFilled(); });
  OnNewThread([&] { OutputBlocks::Give(block); });
}

// Other objects of the thread may end later than its blocks. (What is then left
// behind is LeakSanitizer's case.)
TEST(OutputBlocks, IsUsableWhileItsThreadEnds) {
  struct Late {
    char* block = nullptr;
    ~Late() {
      OutputBlocks::Give(block);
      OutputBlocks::Give(TakeFilled());
    }
  };
  OnNewThread([] {
    thread_local Late late;
    late.block = TakeFilled();
    OutputBlocks::Give(TakeFilled());
  });
}

}  // namespace
}  // namespace tern::wire
