#include "tern/lib/base/monotonic_time.h"

#include <limits>

#include "gtest/gtest.h"

namespace tern {
namespace {

constexpr int64_t kMaxFinite = std::numeric_limits<int64_t>::max() - 1;

TEST(MonotonicTime, NowIsAfterTheEpochAndDoesNotGoBack) {
  const MonotonicTime first = MonotonicTime::Now();
  const MonotonicTime second = MonotonicTime::Now();
  EXPECT_LT(MonotonicTime(), first);
  EXPECT_LE(first, second);
  EXPECT_LT(second, MonotonicTime::InfiniteFuture());
}

TEST(MonotonicTime, AddsAndSubtractsDurations) {
  const MonotonicTime start = MonotonicTime::FromNanoseconds(1'000);
  EXPECT_EQ((start + absl::Nanoseconds(5)).nanoseconds(), 1'005);
  EXPECT_EQ((start + absl::Nanoseconds(-5)).nanoseconds(), 995);
  EXPECT_EQ(start + absl::Seconds(2) - start, absl::Seconds(2));
  EXPECT_EQ(start - (start + absl::Seconds(2)), absl::Seconds(-2));
}

TEST(MonotonicTime, SumSaturatesAtTheInfiniteFuture) {
  const MonotonicTime last = MonotonicTime::FromNanoseconds(kMaxFinite);
  EXPECT_FALSE(last.is_infinite());
  EXPECT_TRUE((last + absl::Nanoseconds(1)).is_infinite());
  EXPECT_TRUE((last + absl::Nanoseconds(2)).is_infinite());
  EXPECT_TRUE((last + absl::Hours(1)).is_infinite());
  EXPECT_TRUE((MonotonicTime() + absl::InfiniteDuration()).is_infinite());
}

TEST(MonotonicTime, SumSaturatesAtTheEpoch) {
  const MonotonicTime start = MonotonicTime::FromNanoseconds(5);
  EXPECT_EQ(start + absl::Nanoseconds(-5), MonotonicTime());
  EXPECT_EQ(start + absl::Nanoseconds(-6), MonotonicTime());
  EXPECT_EQ(start + -absl::InfiniteDuration(), MonotonicTime());
}

TEST(MonotonicTime, InfiniteFutureStaysInfinite) {
  const MonotonicTime future = MonotonicTime::InfiniteFuture();
  EXPECT_TRUE((future + absl::Hours(-1)).is_infinite());
  EXPECT_TRUE((future + -absl::InfiniteDuration()).is_infinite());
  EXPECT_EQ(future - MonotonicTime(), absl::InfiniteDuration());
  EXPECT_EQ(future - future, absl::InfiniteDuration());
  EXPECT_EQ(MonotonicTime() - future, -absl::InfiniteDuration());
}

TEST(MonotonicTime, DifferenceOfFarInstantsDoesNotWrap) {
  const MonotonicTime early =
      MonotonicTime::FromNanoseconds(std::numeric_limits<int64_t>::min());
  const MonotonicTime late = MonotonicTime::FromNanoseconds(kMaxFinite);
  EXPECT_GT(late - early, absl::Hours(24 * 365 * 500));
}

}  // namespace
}  // namespace tern
