#include "tern/lib/base/large_blocks.h"

#include <cstdlib>
#include <cstring>

#include "absl/base/config.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

constexpr size_t kSize = 200'000;

LargeBlock NewBlock(size_t size) {
  return {.data = static_cast<char*>(std::malloc(size)), .size = size};
}

class LargeBlocks : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    GTEST_SKIP() << "nothing is kept under ASan";
#endif
    ReleaseKeptBlocks();
  }
  void TearDown() override { ReleaseKeptBlocks(); }
};

TEST_F(LargeBlocks, TheLastOneGivenIsTakenFirst) {
  const LargeBlock first = NewBlock(kSize), second = NewBlock(kSize);
  GiveBlock(first);
  GiveBlock(second);
  EXPECT_EQ(TakeKeptBlock(kSize).data, second.data);
  EXPECT_EQ(TakeKeptBlock(kSize).data, first.data);
  EXPECT_EQ(TakeKeptBlock(kSize).data, nullptr);
  GiveBlock(first);
  GiveBlock(second);
}

TEST_F(LargeBlocks, OneIsNeverTooSmallAndNotFarTooLarge) {
  const LargeBlock block = NewBlock(kSize);
  GiveBlock(block);
  EXPECT_EQ(TakeKeptBlock(kSize + 1).data, nullptr);
  EXPECT_EQ(TakeKeptBlock(kSize / 8 - 1).data, nullptr);
  EXPECT_EQ(TakeKeptBlock(kSize / 8 + 1).data, block.data);
  GiveBlock(block);
}

TEST_F(LargeBlocks, KeepsNoMoreThanItsLimit) {
  constexpr size_t kQuarter = kMaxKeptBlockBytes / 4;
  for (int i = 0; i < 5; ++i) GiveBlock(NewBlock(kQuarter));
  int kept = 0;
  while (true) {
    const LargeBlock block = TakeKeptBlock(kQuarter);
    if (block.data == nullptr) break;
    ++kept;
    std::free(block.data);
  }
  EXPECT_EQ(kept, 4);
}

// Else blocks of a size that nobody asks for would fill the room for good.
TEST_F(LargeBlocks, TheOldestMakeRoom) {
  constexpr size_t kQuarter = kMaxKeptBlockBytes / 4;
  const LargeBlock oldest = NewBlock(kQuarter);
  GiveBlock(oldest);
  for (int i = 0; i < 3; ++i) GiveBlock(NewBlock(kQuarter / 16));
  const LargeBlock newest = NewBlock(kMaxKeptBlockBytes - kQuarter / 4);
  GiveBlock(newest);  // At the limit without the oldest; past it with it.
  const LargeBlock small = TakeKeptBlock(kQuarter / 16);
  EXPECT_NE(small.data, nullptr);
  std::free(small.data);
  EXPECT_EQ(TakeKeptBlock(newest.size).data, newest.data);
  EXPECT_EQ(TakeKeptBlock(kQuarter).data, nullptr);
  std::free(newest.data);
}

TEST_F(LargeBlocks, SmallOnesAreFreed) {
  GiveBlock(NewBlock(kMinLargeBlockBytes - 1));
  EXPECT_EQ(TakeKeptBlock(kMinLargeBlockBytes / 2).data, nullptr);
}

TEST_F(LargeBlocks, SharedBytesComeBackWithTheirLastOwner) {
  const char* place = nullptr;
  {
    std::shared_ptr<char[]> bytes = MakeSharedBytes(kSize);
    std::memset(bytes.get(), 'x', kSize);
    place = bytes.get();
    const std::shared_ptr<char[]> another = bytes;
    bytes.reset();
    EXPECT_EQ(TakeKeptBlock(kSize).data, nullptr);
  }
  EXPECT_EQ(MakeSharedBytes(kSize).get(), place);
}

}  // namespace
}  // namespace tern
