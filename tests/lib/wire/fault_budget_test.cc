#include "tern/lib/wire/fault_budget.h"

#include "gtest/gtest.h"

namespace tern::wire {
namespace {

constexpr MonotonicTime kStart = MonotonicTime::FromNanoseconds(5'000'000'000);

int SpendAll(FaultBudget& budget, MonotonicTime now) {
  int spent = 0;
  while (budget.Spend(now)) ++spent;
  return spent;
}

TEST(FaultBudget, HasAHundredPoints) {
  FaultBudget budget;
  EXPECT_EQ(SpendAll(budget, kStart), 100);
  FaultBudget at_the_epoch;
  EXPECT_EQ(SpendAll(at_the_epoch, MonotonicTime()), 100);
}

TEST(FaultBudget, RefillsByTenASecond) {
  FaultBudget budget;
  SpendAll(budget, kStart);
  EXPECT_EQ(SpendAll(budget, kStart + absl::Milliseconds(99)), 0);
  EXPECT_EQ(SpendAll(budget, kStart + absl::Milliseconds(100)), 1);
  EXPECT_EQ(SpendAll(budget, kStart + absl::Milliseconds(1100)), 10);
  EXPECT_EQ(SpendAll(budget, kStart + absl::Hours(1)), 100);
}

// A fault every 150 ms is under the rate: nothing of the time between is lost
// to rounding.
TEST(FaultBudget, CountsFractionsOfAPoint) {
  FaultBudget budget;
  MonotonicTime now = kStart;
  SpendAll(budget, now);
  int spent = 0;
  for (int i = 0; i < 1000; ++i) {
    now = now + absl::Milliseconds(150);
    spent += SpendAll(budget, now);
  }
  EXPECT_EQ(spent, 1500);
}

// R7.
TEST(RapidCancelDetector, AllowsHalfOfManyCalls) {
  RapidCancelDetector detector;
  for (int i = 0; i < 501; ++i) detector.OnCall(kStart);
  for (int i = 0; i < 250; ++i) EXPECT_TRUE(detector.OnCancel(kStart, kStart));
  EXPECT_FALSE(detector.OnCancel(kStart, kStart));
}

TEST(RapidCancelDetector, AllowsAllOfFiveHundred) {
  RapidCancelDetector detector;
  for (int i = 0; i < 500; ++i) {
    detector.OnCall(kStart);
    EXPECT_TRUE(detector.OnCancel(kStart, kStart));
  }
  detector.OnCall(kStart);
  EXPECT_FALSE(detector.OnCancel(kStart, kStart));
}

TEST(RapidCancelDetector, CountsASecondAtATime) {
  RapidCancelDetector detector;
  for (int second = 0; second < 10; ++second) {
    const MonotonicTime now = kStart + absl::Seconds(second);
    for (int i = 0; i < 500; ++i) {
      detector.OnCall(now);
      EXPECT_TRUE(detector.OnCancel(now, now));
    }
  }
}

TEST(RapidCancelDetector, DoesNotCountCallsBegunBefore) {
  RapidCancelDetector detector;
  const MonotonicTime now = kStart + absl::Seconds(2);
  for (int i = 0; i < 600; ++i) detector.OnCall(now);
  for (int i = 0; i < 600; ++i) EXPECT_TRUE(detector.OnCancel(kStart, now));
}

// R9.
TEST(PingThrottle, AnswersAtOnceWithinTheRate) {
  PingThrottle throttle;
  MonotonicTime now = kStart;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(throttle.OnPing(i, absl::Seconds(10), now),
              PingThrottle::Verdict::kAnswerNow);
    EXPECT_TRUE(throttle.due().is_infinite());
    now = now + absl::Seconds(10);
  }
}

TEST(PingThrottle, AnswersLateAndOnceAboveTheRate) {
  PingThrottle throttle;
  throttle.OnPing(1, absl::Seconds(10), kStart);
  EXPECT_EQ(throttle.OnPing(2, absl::Seconds(10), kStart + absl::Seconds(1)),
            PingThrottle::Verdict::kAnswerLater);
  EXPECT_EQ(throttle.due(), kStart + absl::Seconds(10));
  EXPECT_EQ(throttle.OnPing(3, absl::Seconds(10), kStart + absl::Seconds(2)),
            PingThrottle::Verdict::kAnswerLater);
  EXPECT_EQ(throttle.due(), kStart + absl::Seconds(10));
  EXPECT_EQ(throttle.TakePending(), 3u);
  EXPECT_TRUE(throttle.due().is_infinite());
}

TEST(PingThrottle, TheThirdInARowThatIsTooSoonIsAbuse) {
  PingThrottle throttle;
  MonotonicTime now = kStart;
  throttle.OnPing(0, absl::Seconds(10), now);
  for (int i = 0; i < 2; ++i) {
    now = now + absl::Milliseconds(9'999);
    EXPECT_EQ(throttle.OnPing(1, absl::Seconds(10), now),
              PingThrottle::Verdict::kAnswerLater);
    if (throttle.due() <= now) throttle.TakePending();
  }
  now = now + absl::Milliseconds(9'999);
  EXPECT_EQ(throttle.OnPing(1, absl::Seconds(10), now),
            PingThrottle::Verdict::kAbuse);
}

TEST(PingThrottle, OneInTimeForgivesThoseBefore) {
  PingThrottle throttle;
  throttle.OnPing(0, absl::Seconds(10), kStart);
  MonotonicTime now = kStart;
  for (int i = 0; i < 20; ++i) {
    now = now + (i % 3 == 2 ? absl::Seconds(10) : absl::Seconds(1));
    EXPECT_NE(throttle.OnPing(1, absl::Seconds(10), now),
              PingThrottle::Verdict::kAbuse);
    if (throttle.due() <= now) throttle.TakePending();
  }
}

}  // namespace
}  // namespace tern::wire
