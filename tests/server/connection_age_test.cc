#include "tern/server/connection_age.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(JitteredAge, IsWithinTenPercentAndSpread) {
  constexpr int kConnections = 1000;
  absl::Duration least = absl::InfiniteDuration();
  absl::Duration most;
  int above = 0;
  for (uint64_t seed = 0; seed < kConnections; ++seed) {
    const absl::Duration age = JitteredAge(absl::Seconds(100), seed);
    least = std::min(least, age);
    most = std::max(most, age);
    if (age > absl::Seconds(100)) ++above;
  }
  EXPECT_GE(least, absl::Seconds(90));
  EXPECT_LE(least, absl::Seconds(91));
  EXPECT_LE(most, absl::Seconds(110));
  EXPECT_GE(most, absl::Seconds(109));
  EXPECT_NEAR(above, kConnections / 2, kConnections / 10);
}

TEST(JitteredAge, OfForeverIsForever) {
  EXPECT_EQ(JitteredAge(absl::InfiniteDuration(), 0), absl::InfiniteDuration());
}

}  // namespace
}  // namespace tern
