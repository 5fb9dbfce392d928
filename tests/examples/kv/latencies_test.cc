#include "examples/kv/latencies.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

TEST(Latencies, TakesPercentilesOfAllCalls) {
  Latencies latencies;
  for (int i = 100; i >= 1; --i) latencies.Add(absl::Milliseconds(i));
  EXPECT_EQ(latencies.Percentile(1), absl::Milliseconds(1));
  EXPECT_EQ(latencies.Percentile(50), absl::Milliseconds(50));
  EXPECT_EQ(latencies.Percentile(99), absl::Milliseconds(99));
  EXPECT_EQ(latencies.Percentile(100), absl::Milliseconds(100));
  latencies.Add(absl::Milliseconds(101));
  EXPECT_EQ(latencies.Percentile(100), absl::Milliseconds(101));
}

TEST(Latencies, OfFewCallsTheP99IsTheSlowest) {
  Latencies latencies;
  latencies.Add(absl::Milliseconds(3));
  EXPECT_EQ(latencies.Percentile(50), absl::Milliseconds(3));
  latencies.Add(absl::Milliseconds(7));
  EXPECT_EQ(latencies.Percentile(50), absl::Milliseconds(3));
  EXPECT_EQ(latencies.Percentile(99), absl::Milliseconds(7));
}

}  // namespace
}  // namespace kv
