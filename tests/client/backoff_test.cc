#include "tern/client/backoff.h"

#include "gtest/gtest.h"

namespace tern {
namespace {

// The pauses without their variation of 20 % either way.
TEST(Backoff, GrowsToItsMaximumAndStartsAgain) {
  Backoff backoff(absl::Milliseconds(100), absl::Milliseconds(300), 7);
  for (int round = 0; round < 3; ++round) {
    for (const double expected_ms : {100., 160., 256., 300., 300., 300.}) {
      const double ms = absl::ToDoubleMilliseconds(backoff.Next());
      EXPECT_GE(ms, 0.8 * expected_ms - 1e-6);
      EXPECT_LE(ms, 1.2 * expected_ms + 1e-6);
    }
    backoff.Reset();
  }
}

TEST(Backoff, DiffersBetweenClients) {
  Backoff one(absl::Seconds(1), absl::Seconds(1), 1);
  Backoff other(absl::Seconds(1), absl::Seconds(1), 2);
  EXPECT_NE(one.Next(), other.Next());
  absl::Duration least = absl::InfiniteDuration();
  absl::Duration most = absl::ZeroDuration();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration pause = one.Next();
    least = std::min(least, pause);
    most = std::max(most, pause);
  }
  EXPECT_LT(least, absl::Milliseconds(820));
  EXPECT_GT(most, absl::Milliseconds(1180));
}

}  // namespace
}  // namespace tern
