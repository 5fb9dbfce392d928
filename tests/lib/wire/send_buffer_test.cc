#include "tern/lib/wire/send_buffer.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tern/lib/wire/output_blocks.h"

namespace tern::wire {
namespace {

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr bool kBlocksAreKept = false;
#else
constexpr bool kBlocksAreKept = true;
#endif

std::string Waiting(const SendBuffer& buffer) {
  std::string bytes;
  for (const std::string_view piece : buffer.pieces()) {
    EXPECT_NE(piece, "");
    bytes += piece;
  }
  return bytes;
}

TEST(SendBuffer, GivesBytesInTheirOrder) {
  SendBuffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(Waiting(buffer), "");
  buffer.Append("one");
  buffer.Append("");
  buffer.Append("two");
  EXPECT_EQ(Waiting(buffer), "onetwo");
  buffer.Take(4);
  EXPECT_EQ(Waiting(buffer), "wo");
  buffer.Append("three");
  EXPECT_EQ(Waiting(buffer), "wothree");
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
  EXPECT_EQ(Waiting(buffer), "bytes");
  buffer.Take(5);
  buffer.ReleaseIfEmpty();
  buffer.Append("more");
  EXPECT_EQ(Waiting(buffer), "more");
  EXPECT_EQ(buffer.total_appended(), 9u);
}

// With a block for each, 2,000 connections that had made a call left 2 MB
// of holes in the heap.
TEST(SendBuffer, HoldsNoBlockWhileItIsEmpty) {
  SendBuffer buffers[2];
  const char* const block = buffers[0].Append(10);
  buffers[0].Take(10);
  const char* const other = buffers[1].Append(10);
  if (kBlocksAreKept) {
    EXPECT_EQ(other, block);
  }
  EXPECT_NE(buffers[0].Append(OutputBlocks::kBytes), other);
  EXPECT_EQ(Waiting(buffers[0]).size(), OutputBlocks::kBytes);
}

TEST(SendBuffer, GrowsBeyondItsFirstBlock) {
  for (const size_t size : {OutputBlocks::kBytes, OutputBlocks::kBytes + 1}) {
    SendBuffer buffer;
    const std::string bytes(size, 'x');
    buffer.Append(bytes);
    buffer.Append("y");
    EXPECT_EQ(Waiting(buffer), bytes + "y");
    buffer.Take(size + 1);
    buffer.Append("z");
    EXPECT_EQ(Waiting(buffer), "z");
  }
}

TEST(SendBuffer, ClearForgetsWhatWasNotTaken) {
  SendBuffer buffer;
  buffer.Append("abc");
  buffer.Take(1);
  buffer.Clear();
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.total_taken(), 1u);
  buffer.Append("xyz");
  EXPECT_EQ(Waiting(buffer), "xyz");
}

// A message of `size` bytes somewhere in memory.
std::shared_ptr<const char[]> Message(size_t size, char fill) {
  const auto bytes = std::make_shared<char[]>(size);
  std::fill_n(bytes.get(), size, fill);
  return bytes;
}

TEST(SendBuffer, SharedBytesStayWhereTheyAre) {
  SendBuffer buffer;
  std::shared_ptr<const char[]> message = Message(3, 'm');
  const std::weak_ptr<const char[]> watch = message;
  const char* const place = message.get();
  buffer.Append("one");
  buffer.AppendShared({place, 3}, std::move(message));
  buffer.Append("two");
  ASSERT_EQ(buffer.pieces().size(), 3u);
  EXPECT_EQ(buffer.pieces()[1].data(), place);
  EXPECT_EQ(Waiting(buffer), "onemmmtwo");
  EXPECT_EQ(buffer.size(), 9u);
  EXPECT_EQ(buffer.total_appended(), 9u);
  buffer.Take(5);
  EXPECT_EQ(Waiting(buffer), "mtwo");
  EXPECT_EQ(buffer.size(), 4u);
  EXPECT_FALSE(watch.expired());
  buffer.Take(1);
  EXPECT_TRUE(watch.expired()) << "kept no longer than needed";
  EXPECT_EQ(Waiting(buffer), "two");
}

TEST(SendBuffer, ClearingLetsGoOfSharedBytes) {
  SendBuffer buffer;
  std::shared_ptr<const char[]> message = Message(3, 'm');
  const std::weak_ptr<const char[]> watch = message;
  const char* const place = message.get();
  buffer.AppendShared({place, 3}, std::move(message));
  buffer.Clear();
  EXPECT_TRUE(watch.expired());
  EXPECT_TRUE(buffer.empty());
}

TEST(SendBuffer, LentBytesStayWhereTheyAreUntilTheyAreWanted) {
  SendBuffer buffer;
  std::string first = "first";
  std::string second = "second";
  std::string third = "third";
  buffer.Append("1");
  buffer.AppendLent(first, /*lender=*/1);
  buffer.AppendLent(second, /*lender=*/2);
  buffer.AppendLent(third, /*lender=*/1);
  buffer.Append("2");
  ASSERT_EQ(buffer.pieces().size(), 5u);
  EXPECT_EQ(buffer.pieces()[1].data(), first.data());
  EXPECT_EQ(buffer.pieces()[2].data(), second.data());
  EXPECT_EQ(buffer.pieces()[3].data(), third.data());

  buffer.Take(3);
  buffer.CopyLent(1);
  first = "-----";
  third = "-----";
  EXPECT_EQ(Waiting(buffer), "rstsecondthird2");
  EXPECT_EQ(buffer.pieces()[1].data(), second.data()) << "not asked for";
  buffer.CopyLent(1);
  buffer.CopyLent(3);
  EXPECT_EQ(buffer.size(), 15u);
  EXPECT_EQ(buffer.total_appended(), 18u);
  buffer.Take(8);
  EXPECT_EQ(Waiting(buffer), "dthird2");
}

TEST(SendBuffer, GivesNoMoreThanSixteenPiecesAtOnce) {
  const std::shared_ptr<const char[]> message = Message(1, 'm');
  for (int pairs = 6; pairs < 20; ++pairs) {
    for (const std::string_view end : {"", "t"}) {
      SendBuffer buffer;
      std::string all;
      for (int i = 0; i < pairs; ++i) {
        buffer.Append("h");
        buffer.AppendShared({message.get(), 1}, message);
        all += "hm";
      }
      buffer.Append(end);
      all += end;
      EXPECT_EQ(buffer.pieces().size(), std::min<size_t>(all.size(), 16));
      std::string got;
      while (!buffer.empty()) {
        const std::string some = Waiting(buffer);
        buffer.Take(some.size());
        got += some;
      }
      EXPECT_EQ(got, all);
    }
  }
}

// Without copied bytes between them: at the limit, and on both of its sides.
TEST(SendBuffer, GivesNoMoreThanSixteenSharedPiecesAtOnce) {
  const std::shared_ptr<const char[]> message = Message(1, 'm');
  for (const size_t shared : {14, 15, 16, 17}) {
    SendBuffer buffer;
    for (size_t i = 0; i < shared; ++i) {
      buffer.AppendShared({message.get(), 1}, message);
    }
    buffer.Append("t");
    EXPECT_LE(buffer.pieces().size(), OutputPieces::kMax);
    EXPECT_GE(buffer.pieces().size(), 15u);
    std::string got;
    while (!buffer.empty()) {
      const std::string some = Waiting(buffer);
      buffer.Take(some.size());
      got += some;
    }
    EXPECT_EQ(got, std::string(shared, 'm') + "t");
  }
}

TEST(SendBuffer, BehavesAsAStringDoes) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    SendBuffer buffer;
    std::string model;
    uint64_t taken = 0;
    std::map<uint32_t, std::list<std::string>> lent;
    for (int step = 0; step < 400; ++step) {
      const std::string bytes(random() % (step % 10 == 0 ? 9000 : 300),
                              static_cast<char>(random()));
      switch (random() % 6) {
        case 0:
          buffer.Append(bytes);
          model += bytes;
          break;
        case 1: {
          const auto message = Message(bytes.size(), static_cast<char>(step));
          buffer.AppendShared({message.get(), bytes.size()}, message);
          model.append(message.get(), bytes.size());
          break;
        }
        case 2: {
          const auto lender = static_cast<uint32_t>(1 + random() % 3);
          std::string& message =
              lent[lender].emplace_back(bytes.size(), static_cast<char>(step));
          buffer.AppendLent(message, lender);
          model += message;
          if (random() % 3 != 0) break;
          buffer.CopyLent(lender);
          for (std::string& gone : lent[lender]) gone.assign(gone.size(), '!');
          lent[lender].clear();
          break;
        }
        default: {
          const size_t size = random() % (model.size() + 1);
          buffer.Take(size);
          model.erase(0, size);
          taken += size;
        }
      }
      if (random() % 20 == 0) buffer.ReleaseIfEmpty();
      const std::string waiting = Waiting(buffer);
      ASSERT_EQ(waiting, model.substr(0, waiting.size()));
      ASSERT_EQ(waiting.empty(), model.empty());
      ASSERT_EQ(buffer.size(), model.size());
      ASSERT_EQ(buffer.total_taken(), taken);
    }
  }
}

}  // namespace
}  // namespace tern::wire
