#include "tern/lib/wire/stream_table.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/base/recycling_allocator.h"

namespace tern::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(StreamTable, FindsWhatWasAddedAndNotRemoved) {
  StreamTable table;
  EXPECT_EQ(table.Find(1), nullptr);
  Stream* const one = table.Add(1);
  Stream* const five = table.Add(5);
  EXPECT_EQ(one->id(), 1u);
  EXPECT_EQ(table.Find(1), one);
  EXPECT_EQ(table.Find(5), five);
  EXPECT_EQ(table.Find(3), nullptr);
  EXPECT_THAT(table.Ids(), ElementsAre(1, 5));
  table.Remove(one);
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_THAT(table.Ids(), ElementsAre(5));
  EXPECT_EQ(table.size(), 1u);
}

// Callers up the stack look whether their stream is gone.
TEST(StreamTable, RemovedStreamsLiveUntilTheyAreReclaimed) {
  StreamTable table;
  int mark = 0;
  Stream* const one = table.Add(1);
  one->user = &mark;
  table.Remove(one);
  Stream* const three = table.Add(3);
  EXPECT_NE(three, one);
  EXPECT_EQ(one->user, &mark);
  table.Reclaim();
}

TEST(StreamTable, StreamsThatAreUsedAgainAreAsNew) {
  StreamTable table;
  for (StreamId id = 1; id < 100; id += 2) {
    Stream* const stream = table.Add(id);
    EXPECT_EQ(stream->id(), id);
    EXPECT_EQ(stream->user, nullptr);
    EXPECT_TRUE(stream->deadline().is_infinite());
    stream->user = &table;
    table.Remove(stream);
    table.Reclaim();
  }
}

TEST(StreamTable, MayHoldMoreThanIsKeptForUse) {
  StreamTable table;
  const auto fill_and_empty = [&table](StreamId first) {
    std::vector<Stream*> streams;
    constexpr size_t kMostKept =
        (FreeBatches::kMaxBatches + 2) * FreeBlock::kBatch;
    for (size_t i = 0; i < kMostKept + 10; ++i) {
      streams.push_back(table.Add(first + 2 * static_cast<StreamId>(i)));
    }
    for (Stream* stream : streams) table.Remove(stream);
    table.Reclaim();
  };
  fill_and_empty(1);  // What is left, and what is freed twice, is ASan's case.
  fill_and_empty(100'001);
  EXPECT_TRUE(table.empty());
}

TEST(StreamTable, BehavesAsAMapDoes) {
  std::mt19937 random(1);
  StreamTable table;
  std::map<StreamId, Stream*> model;
  for (int step = 0; step < 50'000; ++step) {
    const StreamId id = 1 + 2 * (random() % 500);
    const auto found = model.find(id);
    ASSERT_EQ(table.Find(id), found == model.end() ? nullptr : found->second);
    if (found == model.end()) {
      model[id] = table.Add(id);
    } else {
      table.Remove(found->second);
      model.erase(found);
    }
    if (random() % 4 == 0) table.Reclaim();
    if (random() % 1000 == 0) {
      table.Reclaim();
      table.ReleaseMemory();
    }
    ASSERT_EQ(table.size(), model.size());
  }
  size_t seen = 0;
  table.ForEach([&](Stream& stream) {
    ++seen;
    EXPECT_EQ(model[stream.id()], &stream);
  });
  EXPECT_EQ(seen, model.size());
}

// R26: ids that would all meet in a table of their lowest or highest bits.
TEST(StreamTable, NoChoiceOfIdsMakesLongChains) {
  constexpr StreamId kStreams = 1000;
  for (StreamId stride = 2; stride < (1u << 21); stride *= 2) {
    for (const StreamId more : {0, 2, 6}) {
      StreamTable table;
      for (StreamId i = 0; i < kStreams; ++i) {
        table.Add(1 + i * (stride + more));
      }
      // Of 1,000 at random in 1,024 places, 20 meet once in 10^15.
      EXPECT_LT(table.LongestChain(), 20u) << stride << " + " << more;
    }
  }
}

TEST(StreamTable, HashesFromANumberOn) {
  const auto longest_chain = [](size_t streams, StreamId first) {
    StreamTable table;
    for (size_t i = 0; i < streams; ++i) {
      table.Add(first + 2 * static_cast<StreamId>(i));
    }
    EXPECT_EQ(table.Ids().size(), streams);
    return table.LongestChain();
  };
  constexpr size_t kLimit = StreamTable::kMaxUnhashed;
  EXPECT_EQ(longest_chain(kLimit, 1), kLimit);
  // Now and then (one in 100) most of a few do meet.
  size_t shortest = kLimit + 1;
  for (StreamId first = 1; first < 1000; first += 100) {
    shortest = std::min(shortest, longest_chain(kLimit + 1, first));
  }
  EXPECT_LT(shortest, kLimit);
}

TEST(StreamTable, IsEmptyAgainAfterReleasingItsMemory) {
  StreamTable table;
  table.ReleaseMemory();
  Stream* const one = table.Add(1);
  table.ReleaseMemory();
  EXPECT_EQ(table.Find(1), one);
  table.Remove(one);
  table.Reclaim();
  table.ReleaseMemory();
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_THAT(table.Ids(), IsEmpty());
  EXPECT_EQ(table.Add(1)->id(), 1u);
}

}  // namespace
}  // namespace tern::wire
