#include "tern/lib/wire/send_buffer.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace tern::wire {
namespace {

TEST(SendBuffer, GivesBytesInTheirOrder) {
  SendBuffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.view(), "");
  buffer.Append("one");
  buffer.Append("");
  buffer.Append("two");
  EXPECT_EQ(buffer.view(), "onetwo");
  buffer.Take(4);
  EXPECT_EQ(buffer.view(), "wo");
  buffer.Append("three");
  EXPECT_EQ(buffer.view(), "wothree");
  EXPECT_EQ(buffer.total_taken(), 4u);
  EXPECT_EQ(buffer.total_appended(), 11u);
  buffer.Take(7);
  EXPECT_TRUE(buffer.empty());
}

TEST(SendBuffer, ReleasesOnlyWhenEmpty) {
  SendBuffer buffer;
  buffer.ReleaseIfEmpty();
  buffer.Append("bytes");
  buffer.ReleaseIfEmpty();
  EXPECT_EQ(buffer.view(), "bytes");
  buffer.Take(5);
  buffer.ReleaseIfEmpty();
  buffer.Append("more");
  EXPECT_EQ(buffer.view(), "more");
  EXPECT_EQ(buffer.total_appended(), 9u);
}

TEST(SendBuffer, ClearForgetsWhatWasNotTaken) {
  SendBuffer buffer;
  buffer.Append("abc");
  buffer.Take(1);
  buffer.Clear();
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.total_taken(), 1u);
  buffer.Append("xyz");
  EXPECT_EQ(buffer.view(), "xyz");
}

TEST(SendBuffer, BehavesAsAStringDoes) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    SendBuffer buffer;
    std::string model;
    uint64_t taken = 0;
    for (int step = 0; step < 400; ++step) {
      if (random() % 2 == 0) {
        const std::string bytes(random() % (step % 10 == 0 ? 9000 : 300),
                                static_cast<char>(random()));
        buffer.Append(bytes);
        model += bytes;
      } else if (!model.empty()) {
        const size_t size = random() % (model.size() + 1);
        buffer.Take(size);
        model.erase(0, size);
        taken += size;
      }
      if (random() % 20 == 0) buffer.ReleaseIfEmpty();
      ASSERT_EQ(buffer.view(), model);
      ASSERT_EQ(buffer.total_taken(), taken);
    }
  }
}

}  // namespace
}  // namespace tern::wire
