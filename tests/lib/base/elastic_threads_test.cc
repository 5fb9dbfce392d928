#include "tern/lib/base/elastic_threads.h"

#include <atomic>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gtest/gtest.h"
#include "tests/testing/event.h"

namespace tern {
namespace {

class FunctionTask final : public ThreadPool::Task {
 public:
  explicit FunctionTask(absl::AnyInvocable<void()> run)
      : run_(std::move(run)) {}
  void Run() override { run_(); }
  void OnDropped(ThreadPool::Drop) override { ADD_FAILURE() << "dropped"; }

 private:
  absl::AnyInvocable<void()> run_;
};

TEST(ElasticThreads, HasAThreadForEachAndNoMoreThanAllowed) {
  ElasticThreads threads({.max_threads = 3});
  EXPECT_EQ(threads.threads(), 0);
  testing::Event entered;
  std::latch go(1);
  FunctionTask task([&] {
    entered.Notify();
    go.wait();
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(threads.TryRun(&task), std::nullopt);
  EXPECT_TRUE(entered.Wait(3));
  EXPECT_EQ(threads.threads(), 3);
  EXPECT_EQ(threads.busy(), 3);
  EXPECT_EQ(threads.TryRun(&task), ThreadPool::Drop::kFull);
  go.count_down();
  threads.Stop();
  EXPECT_EQ(entered.count(), 3);
}

TEST(ElasticThreads, UsesAnIdleThreadAgain) {
  ElasticThreads threads({.max_threads = 1, .idle_time = absl::Hours(1)});
  testing::Event ran;
  FunctionTask task([&] { ran.Notify(); });
  for (int i = 1; i <= 100; ++i) {
    // Full until the thread has come back.
    while (threads.TryRun(&task).has_value()) {
    }
    ASSERT_TRUE(ran.Wait(i));
  }
  while (threads.busy() != 0) {
  }
  EXPECT_EQ(threads.threads(), 1);
}

TEST(ElasticThreads, EndsThreadsThatHaveNothingToDo) {
  ElasticThreads threads({.idle_time = absl::Milliseconds(1)});
  testing::Event ran;
  FunctionTask task([&] { ran.Notify(); });
  ASSERT_EQ(threads.TryRun(&task), std::nullopt);
  ASSERT_TRUE(ran.Wait());
  const MonotonicTime until = MonotonicTime::Now() + absl::Seconds(30);
  while (threads.threads() != 0 && MonotonicTime::Now() < until) {
  }
  EXPECT_EQ(threads.threads(), 0);
  ASSERT_EQ(threads.TryRun(&task), std::nullopt);  // A new one.
  ASSERT_TRUE(ran.Wait(2));
}

TEST(ElasticThreads, StopWaitsForWhatRunsAndTakesNothingMore) {
  ElasticThreads threads({});
  std::atomic<bool> done{false};
  testing::Event entered;
  std::latch go(1);
  FunctionTask task([&] {
    entered.Notify();
    go.wait();
    done = true;
  });
  ASSERT_EQ(threads.TryRun(&task), std::nullopt);
  ASSERT_TRUE(entered.Wait());
  FunctionTask release([&] { go.count_down(); });
  ASSERT_EQ(threads.TryRun(&release), std::nullopt);
  threads.Stop();
  EXPECT_TRUE(done);
  EXPECT_EQ(threads.TryRun(&task), ThreadPool::Drop::kStopped);
  threads.Stop();
}

TEST(ElasticThreads, AreSafeToUseFromManyThreads) {
  ElasticThreads threads(
      {.max_threads = 4, .idle_time = absl::Milliseconds(1)});
  std::atomic<int> ran{0};
  std::atomic<int> taken{0};
  FunctionTask task([&] { ++ran; });
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int n = 0; n < 500; ++n) {
        if (!threads.TryRun(&task).has_value()) ++taken;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  threads.Stop();
  EXPECT_EQ(ran, taken);
  EXPECT_GT(ran, 0);
}

}  // namespace
}  // namespace tern
