#include "tern/lib/call/sleep.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/when.h"
#include "tests/testing/event.h"
#include "tests/testing/fork.h"

namespace tern {
namespace {

using ::tern::testing::Event;

Task<absl::Status> SleepThrough(absl::Duration duration) {
  co_return co_await tern::SleepFor(duration);
}

TEST(Sleep, EndsWhenItsTimeHasCome) {
  const MonotonicTime before = MonotonicTime::Now();
  EXPECT_TRUE(BlockOn(SleepThrough(absl::Milliseconds(20))).ok());
  EXPECT_GE(MonotonicTime::Now() - before, absl::Milliseconds(20));
}

TEST(Sleep, UntilATimeThatHasPassedDoesNotWait) {
  const std::thread::id here = std::this_thread::get_id();
  const auto task = []() -> Task<std::thread::id> {
    EXPECT_TRUE((co_await tern::SleepFor(absl::ZeroDuration())).ok());
    EXPECT_TRUE((co_await tern::SleepFor(-absl::InfiniteDuration())).ok());
    EXPECT_TRUE((co_await SleepUntil(Deadline(MonotonicTime()))).ok());
    co_return std::this_thread::get_id();
  };
  EXPECT_EQ(BlockOn(task()), here);
}

TEST(Sleep, GoesOnOnTheTimerThread) {
  const auto task = []() -> Task<bool> {
    EXPECT_FALSE(OnTimerThread());
    (void)co_await tern::SleepFor(absl::Milliseconds(1));
    co_return OnTimerThread();
  };
  EXPECT_TRUE(BlockOn(task()));
}

TEST(Sleep, ComeInTheOrderOfTheirTimes) {
  std::vector<int> order;  // On the timer thread.
  Event over;
  const Deadline start = Deadline::After(absl::Milliseconds(30));
  const auto sleeper = [&](int number) -> Task<> {
    (void)co_await SleepUntil(
        Deadline(start.time() + absl::Milliseconds(number)));
    order.push_back(number);
    over.Notify();
  };
  for (const int number : {5, 3, 4, 1, 2}) Spawn(sleeper(number), [] {});
  ASSERT_TRUE(over.Wait(5));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST(Sleep, EndsWhenTheCallIsCancelled) {
  CancellablePart call(nullptr);
  std::optional<absl::Status> status;
  Event over;
  {
    const AmbientCallScope scope(call.ambient());
    Spawn(SleepThrough(absl::InfiniteDuration()), [&](absl::Status ended) {
      status = std::move(ended);
      over.Notify();
    });
  }
  EXPECT_EQ(over.count(), 0);
  call.Cancel();
  ASSERT_TRUE(over.Wait());
  EXPECT_EQ(status->code(), absl::StatusCode::kCancelled);
}

TEST(Sleep, DoesNotBeginInACancelledCall) {
  CancellablePart call(nullptr);
  call.Cancel();
  const AmbientCallScope scope(call.ambient());
  EXPECT_EQ(BlockOn(SleepThrough(absl::InfiniteDuration())).code(),
            absl::StatusCode::kCancelled);
}

TEST(Sleep, EndsAtTheCallsDeadline) {
  AmbientCall call;
  call.deadline = Deadline::After(absl::Milliseconds(10));
  const AmbientCallScope scope(&call);
  EXPECT_EQ(BlockOn(SleepThrough(absl::Hours(1))).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(call.deadline.HasPassed());
  // And does not begin behind it.
  EXPECT_EQ(BlockOn(SleepThrough(absl::Hours(1))).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(Sleep, EndsOnceWhereCancellationAndTimeMeet) {
  for (int i = 0; i < 500; ++i) {
    CancellablePart call(nullptr);
    std::thread canceller([&] { call.Cancel(); });
    {
      const AmbientCallScope scope(call.ambient());
      const absl::Status status =
          BlockOn(SleepThrough(absl::Microseconds(i % 100)));
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    }
    canceller.join();
  }
}

TEST(Sleep, ManyAtATime) {
  constexpr int kSleeps = 100'000;
  CancellablePart call(nullptr);
  std::atomic<int> slept = 0;
  std::atomic<int> cancelled = 0;
  Event over;
  const auto sleeper = [&](absl::Duration duration) -> Task<> {
    const absl::Status status = co_await tern::SleepFor(duration);
    ++(status.ok() ? slept : cancelled);
  };
  {
    const AmbientCallScope scope(call.ambient());
    std::vector<Task<>> tasks;
    for (int i = 0; i < kSleeps; ++i) {
      // In no order, and half of them never.
      tasks.push_back(sleeper(i % 2 == 0
                                  ? absl::InfiniteDuration()
                                  : absl::Microseconds(i * 7919 % 50'000)));
    }
    Spawn(WhenAll(std::move(tasks)), [&](const auto&) { over.Notify(); });
  }
  const auto half = [&]() -> Task<> {
    while (slept < kSleeps / 2) {
      (void)co_await tern::SleepFor(absl::Milliseconds(1));
    }
  };
  BlockOn(half());
  EXPECT_EQ(cancelled, 0);
  call.Cancel();
  ASSERT_TRUE(over.Wait());
  EXPECT_EQ(slept, kSleeps / 2);
  EXPECT_EQ(cancelled, kSleeps / 2);
}

TEST(Sleep, InTheChildOfAForkFails) {
  ASSERT_TRUE(BlockOn(SleepThrough(absl::Milliseconds(1))).ok());
  const pid_t child = testing::ForkWhileOthersSleep();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const absl::Status status = BlockOn(SleepThrough(absl::Hours(1)));
    _exit(absl::IsFailedPrecondition(status) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tern
