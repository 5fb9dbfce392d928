#include "tern/server/run_times.h"

#include <algorithm>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"

namespace tern {
namespace {

using Place = RunTimes::Place;

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kFirstPenalty = 10 * kMillisecond;
constexpr int64_t kMaxPenalty = 10'000 * kMillisecond;
constexpr int64_t kStart = 5'000 * kMillisecond;

class RunTimesTest : public ::testing::Test {
 protected:
  Place ChooseAt(int64_t now) {
    return times_.Choose(MonotonicTime::FromNanoseconds(now), worker_idle_);
  }
  Place Choose() { return ChooseAt(kStart); }
  void RunHere(int64_t run_ns, int64_t now = kStart) {
    times_.OnRunHere(run_ns, MonotonicTime::FromNanoseconds(now));
  }
  // Until the estimate is just that. (It comes down from above, in quarters of
  // the difference, and stays where such a quarter is less than 1 ns.)
  void Estimate(int64_t estimate_ns) {
    times_.OnWorkerRun(1'000'000'000);
    for (int i = 0; i < 200; ++i) times_.OnWorkerRun(estimate_ns - 3);
  }
  // The runs are so short that they would be chosen for here, but for a
  // penalty: which ends at the returned time.
  int64_t PenaltyEndsAfter(int64_t from) {
    int64_t low = from;
    int64_t high = from + 2 * kMaxPenalty;
    while (low + 1 < high) {
      const int64_t middle = low + (high - low) / 2;
      (ChooseAt(middle) == Place::kWorker ? low : high) = middle;
    }
    return high;
  }

  RunTimes times_;
  bool worker_idle_ = true;
};

TEST_F(RunTimesTest, AMethodBeginsOnTheWorkers) {
  EXPECT_EQ(Choose(), Place::kWorker);
}

TEST_F(RunTimesTest, AFewShortRunsShowThatItIsShort) {
  int runs = 0;
  for (; Choose() == Place::kWorker; ++runs) times_.OnWorkerRun(1'000);
  EXPECT_LE(runs, 10);
}

TEST_F(RunTimesTest, TheEstimateDecidesAtItsLimits) {
  Estimate(RunTimes::kTinyNs);
  EXPECT_EQ(Choose(), Place::kHere);
  Estimate(RunTimes::kTinyNs + 1);
  EXPECT_EQ(Choose(), Place::kHereIfLast);
  Estimate(RunTimes::kShortNs);
  EXPECT_EQ(Choose(), Place::kHereIfLast);
  Estimate(RunTimes::kShortNs + 1);
  EXPECT_EQ(Choose(), Place::kWorker);
}

TEST_F(RunTimesTest, ALongRequestMayTakeLongerWhereItKeepsNobodyWaiting) {
  const auto choose = [this](bool loop_for_one) {
    return times_.ChooseForLong(MonotonicTime::FromNanoseconds(kStart),
                                loop_for_one);
  };
  Estimate(RunTimes::kLongNs);
  EXPECT_EQ(choose(true), Place::kHereIfLast);
  EXPECT_EQ(choose(false), Place::kWorker);
  Estimate(RunTimes::kLongNs + 1);
  EXPECT_EQ(choose(true), Place::kWorker);
  Estimate(1'000);
  EXPECT_EQ(choose(true), Place::kHereIfLast);
  EXPECT_EQ(choose(false), Place::kWorker) << "parsing takes time, too";
  RunHere(RunTimes::kStallNs);
  EXPECT_EQ(choose(true), Place::kWorker) << "it has stalled";
}

TEST_F(RunTimesTest, LongRunsOnWorkersKeepItThere) {
  Estimate(1'000);
  for (int i = 0; i < 4; ++i) times_.OnWorkerRun(kMillisecond);
  EXPECT_EQ(Choose(), Place::kWorker);
}

// What is read is written to only when there is news: up to about twice, or
// half, is none.
TEST_F(RunTimesTest, RunsLikeTheOthersAreNoNews) {
  Estimate(4'000);
  for (int i = 0; i < 100; ++i) RunHere(2 * 4'000 + RunTimes::kTinyNs / 2);
  EXPECT_EQ(Choose(), Place::kHere);
  for (int i = 0; i < 100; ++i) RunHere(2 * 4'000 + RunTimes::kTinyNs / 2 + 1);
  EXPECT_EQ(Choose(), Place::kHereIfLast);

  Estimate(RunTimes::kTinyNs + 2);
  const int64_t half = RunTimes::kTinyNs / 4 + 1;
  for (int i = 0; i < 100; ++i) RunHere(half);
  EXPECT_EQ(Choose(), Place::kHereIfLast);
  for (int i = 0; i < 100; ++i) RunHere(half - 1);
  EXPECT_EQ(Choose(), Place::kHere);
}

TEST_F(RunTimesTest, LongRunsHereSendItToTheWorkersByTheEstimate) {
  Estimate(1'000);
  RunHere(RunTimes::kStallNs - 1);
  RunHere(RunTimes::kShortNs + 4);
  EXPECT_EQ(Choose(), Place::kWorker);
  // Which they alone decide: no penalty.
  Estimate(1'000);
  EXPECT_EQ(Choose(), Place::kHere);
}

// Whatever the estimate was, and however often: a machine that is busy takes
// the processor from it now and then.
TEST_F(RunTimesTest, OneLongRunHereAloneSendsItNowhere) {
  Estimate(RunTimes::kShortNs - 1);
  for (int i = 0; i < 10; ++i) {
    RunHere(RunTimes::kStallNs - 1);
    EXPECT_EQ(Choose(), Place::kHereIfLast);
    RunHere(1'000);
    EXPECT_EQ(Choose(), Place::kHereIfLast);
  }
  RunHere(RunTimes::kStallNs - 1);
  RunHere(RunTimes::kShortNs);  // That is short.
  EXPECT_EQ(Choose(), Place::kHereIfLast);
}

TEST_F(RunTimesTest, AStallHereIsPunishedWhateverTheEstimate) {
  Estimate(1'000);
  RunHere(RunTimes::kStallNs);
  EXPECT_EQ(Choose(), Place::kWorker);
  EXPECT_EQ(PenaltyEndsAfter(kStart), kStart + kFirstPenalty);
  EXPECT_EQ(ChooseAt(kStart + kFirstPenalty - 1), Place::kWorker);
  EXPECT_EQ(ChooseAt(kStart + kFirstPenalty), Place::kHere);
}

TEST_F(RunTimesTest, AStallOnAWorkerIsNone) {
  Estimate(1'000);
  times_.OnWorkerRun(RunTimes::kStallNs);
  Estimate(1'000);
  EXPECT_EQ(Choose(), Place::kHere);
}

TEST_F(RunTimesTest, PenaltiesGrowUpToALimit) {
  Estimate(1'000);
  int64_t now = kStart;
  int64_t expected = kFirstPenalty;
  for (int i = 0; i < 10; ++i) {
    RunHere(RunTimes::kStallNs, now);
    const int64_t end = PenaltyEndsAfter(now);
    EXPECT_EQ(end, now + expected);
    now = end;  // It stalls again as soon as it may.
    expected = std::min(4 * expected, kMaxPenalty);
  }
  EXPECT_EQ(expected, kMaxPenalty);
}

TEST_F(RunTimesTest, PenaltiesAreForgivenAfterAsLongAgain) {
  Estimate(1'000);
  RunHere(RunTimes::kStallNs, kStart);
  int64_t now = PenaltyEndsAfter(kStart) + kFirstPenalty - 1;
  RunHere(RunTimes::kStallNs, now);
  EXPECT_EQ(PenaltyEndsAfter(now), now + 4 * kFirstPenalty);
  now += 2 * 4 * kFirstPenalty;
  RunHere(RunTimes::kStallNs, now);
  EXPECT_EQ(PenaltyEndsAfter(now), now + kFirstPenalty);
}

// For so many runs a hand-off each would have cost more than the stall did. (On
// a thread of its own, that has noted all its runs.)
TEST_F(RunTimesTest, ARareStallHereIsForgiven) {
  std::thread([this] {
    constexpr int64_t kRuns = 10 * RunTimes::kRunsNoted;
    constexpr int64_t kForgiven = kRuns * RunTimes::kTinyNs;
    static_assert(kForgiven > RunTimes::kStallNs);
    const auto run = [this] {
      for (int64_t i = 0; i < kRuns - 1; ++i) RunHere(1'000);
    };
    Estimate(1'000);
    run();
    RunHere(kForgiven);
    EXPECT_EQ(Choose(), Place::kHere);
    // Those runs are used up by it.
    run();
    RunHere(kForgiven + 1);
    EXPECT_EQ(Choose(), Place::kWorker);
    EXPECT_EQ(PenaltyEndsAfter(kStart), kStart + kFirstPenalty);
  }).join();
}

TEST_F(RunTimesTest, NoLongStallIsForgiven) {
  const auto run = [this] {
    for (int64_t i = 0; i < 10'000; ++i) RunHere(1'000);
  };
  static_assert(10'000 * RunTimes::kTinyNs > 2 * RunTimes::kMaxForgivenNs);
  Estimate(1'000);
  run();
  RunHere(RunTimes::kMaxForgivenNs);
  EXPECT_EQ(Choose(), Place::kHere);
  run();
  RunHere(RunTimes::kMaxForgivenNs + 1);
  EXPECT_EQ(Choose(), Place::kWorker);
}

TEST_F(RunTimesTest, RunsBeforeAnotherStallForgiveNoSecondOne) {
  Estimate(1'000);
  for (int64_t i = 0; i < 1'000; ++i) RunHere(1'000);
  RunHere(RunTimes::kStallNs);
  EXPECT_EQ(Choose(), Place::kHere);
  RunHere(RunTimes::kStallNs);
  EXPECT_EQ(Choose(), Place::kWorker);
}

TEST_F(RunTimesTest, LeavesShortHandlersHereWhileNoWorkerIsIdle) {
  worker_idle_ = false;
  EXPECT_EQ(Choose(), Place::kWorker);  // Nothing is known of it.
  worker_idle_ = true;
  while (Choose() == Place::kWorker) times_.OnWorkerRun(50'000);
  EXPECT_EQ(Choose(), Place::kHereIfLast);
  worker_idle_ = false;
  EXPECT_EQ(Choose(), Place::kHere);
  // It has stalled: a blocked worker would hold it up for longer.
  times_.OnRunHere(RunTimes::kStallNs, MonotonicTime::FromNanoseconds(kStart));
  EXPECT_EQ(Choose(), Place::kHere);
  worker_idle_ = true;
  EXPECT_EQ(Choose(), Place::kWorker);
}

}  // namespace
}  // namespace tern
