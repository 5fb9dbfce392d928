#include "tern/lib/wire/byte_buffer.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tern/lib/base/large_blocks.h"

namespace tern::wire {
namespace {

TEST(ByteBuffer, GrowsAndKeepsItsBytes) {
  ByteBuffer buffer;
  EXPECT_EQ(buffer.view(), "");
  std::string model;
  for (int i = 0; i < 1000; ++i) {
    const std::string more(i, static_cast<char>('a' + i % 26));
    buffer.Reserve(buffer.size() + more.size());
    buffer.Append(more);
    model += more;
  }
  EXPECT_EQ(buffer.view(), model);
  buffer.Truncate(10);
  EXPECT_EQ(buffer.view(), model.substr(0, 10));
}

// A frame is read into the room before it counts.
TEST(ByteBuffer, KeepsWhatStandsInTheRoomWhenItGrows) {
  ByteBuffer buffer;
  buffer.Reserve(10);
  buffer.Append("12345");
  std::memcpy(buffer.end(), "67890", 5);
  buffer.Reserve(100'000);
  buffer.Extend(5);
  EXPECT_EQ(buffer.view(), "1234567890");
}

TEST(ByteBuffer, MovesAndResets) {
  ByteBuffer from;
  from.Reserve(3);
  from.Append("abc");
  ByteBuffer to = std::move(from);
  EXPECT_EQ(to.view(), "abc");
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(from.capacity(), 0u);
  from = std::move(to);
  EXPECT_EQ(from.view(), "abc");
  from.Reset();
  EXPECT_EQ(from.view(), "");
  EXPECT_EQ(from.capacity(), 0u);
}

TEST(ByteBuffer, TakesMoreOnlyWhenItLiesReady) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  GTEST_SKIP() << "nothing is kept under ASan";
#endif
  ReleaseKeptBlocks();
  {
    ByteBuffer buffer;
    buffer.Reserve(100'000, 1'000'000);
    EXPECT_EQ(buffer.capacity(), LargeBlockSize(100'000));
    buffer.Reserve(1'200'000);
  }
  ByteBuffer buffer;
  buffer.Reserve(100'000, 1'000'000);
  EXPECT_EQ(buffer.capacity(), LargeBlockSize(1'200'000));
}

}  // namespace
}  // namespace tern::wire
