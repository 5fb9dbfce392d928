#include "tern/server/aborted_calls.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

AbortedCalls Aged(int from, int to) {
  AbortedCalls calls;
  for (int i = from; i < to; ++i) {
    calls.Add("kv.v1.KeyValue/Watch", "10.0.0.9:" + std::to_string(i),
              absl::Seconds(i));
  }
  return calls;
}

TEST(AbortedCalls, AreListedOldestFirst) {
  AbortedCalls calls;
  EXPECT_THAT(calls.Lines(), IsEmpty());
  calls.Add("a.B/C", "10.0.0.1:1", absl::Microseconds(1'999));
  calls.Add("a.B/D", "unix:", absl::Milliseconds(61'500));
  EXPECT_EQ(calls.count(), 2u);
  EXPECT_THAT(calls.Lines(), ElementsAre("a.B/D for unix:, 1m1.5s old",
                                         "a.B/C for 10.0.0.1:1, 1ms old"));
}

TEST(AbortedCalls, ListAllUpToTheLimit) {
  const int most = AbortedCalls::kMaxListed;
  const auto lines = Aged(0, most).Lines();
  ASSERT_EQ(lines.size(), AbortedCalls::kMaxListed);
  EXPECT_EQ(lines.back(), "kv.v1.KeyValue/Watch for 10.0.0.9:0, 0 old");
}

TEST(AbortedCalls, ListTheOldestAboveTheLimitAndCountTheRest) {
  const int most = AbortedCalls::kMaxListed;
  const AbortedCalls calls = Aged(0, most + 1);
  const auto lines = calls.Lines();
  EXPECT_EQ(calls.count(), AbortedCalls::kMaxListed + 1);
  ASSERT_EQ(lines.size(), AbortedCalls::kMaxListed + 1);
  EXPECT_EQ(lines.at(0), "kv.v1.KeyValue/Watch for 10.0.0.9:20, 20s old");
  EXPECT_EQ(lines.at(most - 1), "kv.v1.KeyValue/Watch for 10.0.0.9:1, 1s old");
  EXPECT_EQ(lines.back(), "and 1 more");
}

TEST(AbortedCalls, OfManyConnectionsAreOneList) {
  AbortedCalls calls = Aged(0, 30);
  calls.Add(Aged(100, 105));
  calls.Add(AbortedCalls());
  EXPECT_EQ(calls.count(), 35u);
  const auto lines = calls.Lines();
  EXPECT_EQ(lines.at(0), "kv.v1.KeyValue/Watch for 10.0.0.9:104, 1m44s old");
  EXPECT_EQ(lines.at(5), "kv.v1.KeyValue/Watch for 10.0.0.9:29, 29s old");
  EXPECT_EQ(lines.back(), "and 15 more");
}

}  // namespace
}  // namespace tern
