#include "tern/lib/base/thread_pool.h"

#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using Strings = std::vector<std::string>;

// What happened, in order, from any thread.
class Journal {
 public:
  void Add(std::string line) {
    MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.NotifyAll();
  }
  Strings WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (lines_.size() < count) changed_.Wait(mutex_);
    return lines_;
  }
  Strings Now() { return WaitFor(0); }

 private:
  Mutex mutex_;
  CondVar changed_;
  Strings lines_ ABSL_GUARDED_BY(mutex_);
};

std::string NameOf(ThreadPool::Drop why) {
  switch (why) {
    case ThreadPool::Drop::kExpired:
      return "expired";
    case ThreadPool::Drop::kFull:
      return "full";
    case ThreadPool::Drop::kStopped:
      return "stopped";
  }
  return "?";
}

class FunctionTask final : public ThreadPool::Task {
 public:
  explicit FunctionTask(
      absl::AnyInvocable<void()> run,
      absl::AnyInvocable<void(ThreadPool::Drop)> on_dropped =
          [](ThreadPool::Drop) { ADD_FAILURE() << "dropped"; })
      : run_(std::move(run)), on_dropped_(std::move(on_dropped)) {}
  void Run() override { run_(); }
  void OnDropped(ThreadPool::Drop why) override { on_dropped_(why); }

 private:
  absl::AnyInvocable<void()> run_;
  absl::AnyInvocable<void(ThreadPool::Drop)> on_dropped_;
};

// A pool of one worker, which is kept busy until Release(), so that what a test
// submits is queued.
class ThreadPoolTest : public testing::Test {
 protected:
  static constexpr size_t kMaxQueuedTasks = 3;

  ThreadPoolTest() {
    pool_.Submit(&blocker_, MonotonicTime::InfiniteFuture());
    blocked_.wait();
  }
  ~ThreadPoolTest() override {
    if (!std::exchange(released_, true)) release_.count_down();
    pool_.Stop();
  }

  // "a" in the journal once it ran, "a: why" once it was dropped.
  ThreadPool::Task* NewTask(const std::string& name) {
    tasks_.push_back(std::make_unique<FunctionTask>(
        [this, name] { journal_.Add(name); },
        [this, name](ThreadPool::Drop why) {
          journal_.Add(name + ": " + NameOf(why));
        }));
    return tasks_.back().get();
  }
  ThreadPool::Task* Submit(const std::string& name,
                           MonotonicTime deadline = In(1),
                           unsigned priority = 0) {
    ThreadPool::Task* const task = NewTask(name);
    pool_.Submit(task, deadline, priority);
    return task;
  }
  static MonotonicTime In(int hours) {
    return MonotonicTime::Now() + absl::Hours(hours);
  }
  static MonotonicTime Passed() { return MonotonicTime(); }
  void Release() {
    released_ = true;
    release_.count_down();
  }

  std::latch blocked_{1};
  std::latch release_{1};
  bool released_ = false;
  Journal journal_;
  FunctionTask blocker_{[this] {
    blocked_.count_down();
    release_.wait();
  }};
  std::vector<std::unique_ptr<FunctionTask>> tasks_;
  ThreadPool pool_{{.threads = 1, .max_queued_tasks = kMaxQueuedTasks}};
};

TEST_F(ThreadPoolTest, RunsTheHighestPriorityFirst) {
  Submit("bulk", In(1), 0);
  Submit("most urgent", In(3), 7);
  Submit("urgent", In(2), 3);
  Release();
  EXPECT_EQ(journal_.WaitFor(3), (Strings{"most urgent", "urgent", "bulk"}));
}

TEST_F(ThreadPoolTest, RunsTheEarliestDeadlineOfOnePriorityFirst) {
  Submit("late", In(2), 3);
  Submit("bulk", In(1), 0);
  Submit("early", In(1), 3);
  Release();
  EXPECT_EQ(journal_.WaitFor(3), (Strings{"early", "late", "bulk"}));
}

TEST_F(ThreadPoolTest, DropsTheLowestPriorityWhenFull) {
  Submit("early", In(1), 2);
  Submit("late", In(9), 2);
  Submit("bulk", In(1), 1);
  Submit("more bulk", In(2), 1);
  EXPECT_EQ(journal_.Now(), (Strings{"more bulk: full"}));
  Submit("as urgent", In(3), 2);
  EXPECT_EQ(journal_.Now().back(), "bulk: full");
  Submit("urgent", In(4), 3);
  EXPECT_EQ(journal_.Now().back(), "late: full");
  Submit("bulk again", In(1), 0);
  EXPECT_EQ(journal_.Now().back(), "bulk again: full");
  Release();
  EXPECT_EQ(journal_.WaitFor(7).back(), "as urgent");
}

TEST_F(ThreadPoolTest, DropsTheExpiredWhateverItsPriority) {
  Submit("dead", Passed(), 7);
  Submit("bulk", In(1), 0);
  Submit("more bulk", In(1), 0);
  Submit("bulk again", In(1), 0);
  EXPECT_EQ(journal_.Now(), (Strings{"dead: expired"}));
}

TEST_F(ThreadPoolTest, WithdrawsOfAnyPriority) {
  ThreadPool::Task* const urgent = Submit("urgent", In(1), 5);
  Submit("bulk", In(1), 0);
  EXPECT_TRUE(pool_.Withdraw(urgent));
  EXPECT_FALSE(pool_.Withdraw(urgent));
  EXPECT_EQ(pool_.queued(), 1u);
  Release();
  EXPECT_EQ(journal_.WaitFor(1), (Strings{"bulk"}));
}

// Every ninth turn is another's.
TEST(ThreadPoolPriority, LetsBulkGetOn) {
  Journal journal;
  std::latch blocked(1), release(1);
  FunctionTask blocker([&] {
    blocked.count_down();
    release.wait();
  });
  std::vector<std::unique_ptr<FunctionTask>> tasks;
  ThreadPool pool({.threads = 1, .max_queued_tasks = 100});
  pool.Submit(&blocker, MonotonicTime::InfiniteFuture());
  blocked.wait();
  for (const unsigned priority : {0u, 4u}) {
    for (int i = 0; i < 20; ++i) {
      tasks.push_back(std::make_unique<FunctionTask>(
          [&journal, priority] { journal.Add(std::to_string(priority)); }));
      pool.Submit(tasks.back().get(), MonotonicTime::InfiniteFuture(),
                  priority);
    }
  }
  release.count_down();
  std::string order;
  for (const std::string& line : journal.WaitFor(40)) order += line;
  EXPECT_EQ(order,
            "444444440"
            "444444440"
            "4444" +
                std::string(18, '0'));
}

TEST_F(ThreadPoolTest, RunsTheEarliestDeadlineFirst) {
  Submit("late", In(3));
  Submit("early", In(1));
  Submit("middle", In(2));
  Release();
  EXPECT_EQ(journal_.WaitFor(3), (Strings{"early", "middle", "late"}));
}

TEST_F(ThreadPoolTest, RunsEqualDeadlinesInOrderOfSubmission) {
  const MonotonicTime deadline = In(1);
  for (const char* name : {"a", "b", "c"}) Submit(name, deadline);
  Release();
  EXPECT_EQ(journal_.WaitFor(3), (Strings{"a", "b", "c"}));
}

TEST_F(ThreadPoolTest, QueuesAsManyTasksAsItsLimit) {
  for (const char* name : {"a", "b", "c"}) Submit(name);
  EXPECT_EQ(pool_.queued(), kMaxQueuedTasks);
  EXPECT_EQ(journal_.Now(), Strings());
}

TEST_F(ThreadPoolTest, DropsTheNewcomerOnePastTheLimitWhenItsDeadlineIsLatest) {
  for (const char* name : {"a", "b", "c"}) Submit(name, In(1));
  Submit("newcomer", In(2));
  EXPECT_EQ(journal_.Now(), Strings{"newcomer: full"});
  EXPECT_EQ(pool_.queued(), kMaxQueuedTasks);
}

TEST_F(ThreadPoolTest, DropsTheNewcomerOfEqualDeadlines) {
  for (const char* name : {"a", "b", "c"}) {
    Submit(name, MonotonicTime::InfiniteFuture());
  }
  Submit("newcomer", MonotonicTime::InfiniteFuture());
  EXPECT_EQ(journal_.Now(), Strings{"newcomer: full"});
}

TEST_F(ThreadPoolTest, EvictsTheLatestDeadlineForAnEarlierOne) {
  Submit("a", In(3));
  Submit("latest", In(9));
  Submit("b", In(5));
  Submit("newcomer", In(4));
  EXPECT_EQ(journal_.Now(), Strings{"latest: full"});
  Release();
  EXPECT_EQ(journal_.WaitFor(4),
            (Strings{"latest: full", "a", "newcomer", "b"}));
}

TEST_F(ThreadPoolTest, DropsWhatExpiredInTheQueueWithoutRunningIt) {
  Submit("expired", Passed());
  Submit("live");
  Release();
  EXPECT_EQ(journal_.WaitFor(2), (Strings{"expired: expired", "live"}));
}

TEST_F(ThreadPoolTest, FullQueueDropsAnExpiredTaskBeforeALiveOne) {
  Submit("expired", Passed());
  Submit("a", In(1));
  Submit("b", In(1));
  Submit("newcomer", In(2));
  EXPECT_EQ(journal_.Now(), Strings{"expired: expired"});
}

TEST_F(ThreadPoolTest, FullQueueMakesNoRoomForAnExpiredNewcomer) {
  for (const char* name : {"a", "b", "c"}) Submit(name);
  Submit("newcomer", Passed());
  EXPECT_EQ(journal_.Now(), Strings{"newcomer: expired"});
}

TEST_F(ThreadPoolTest, WithdrawnTaskNeitherRunsNorIsDropped) {
  ThreadPool::Task* const withdrawn = Submit("withdrawn", In(1));
  Submit("other", In(2));
  EXPECT_TRUE(pool_.Withdraw(withdrawn));
  EXPECT_FALSE(pool_.Withdraw(withdrawn));
  EXPECT_EQ(pool_.queued(), 1u);
  Release();
  EXPECT_EQ(journal_.WaitFor(1), Strings{"other"});
}

TEST_F(ThreadPoolTest, WithdrawnTaskMayBeSubmittedAgain) {
  ThreadPool::Task* const task = Submit("task");
  ASSERT_TRUE(pool_.Withdraw(task));
  pool_.Submit(task, In(1));
  Release();
  EXPECT_EQ(journal_.WaitFor(1), Strings{"task"});
}

TEST_F(ThreadPoolTest, RunningTaskCannotBeWithdrawn) {
  EXPECT_FALSE(pool_.Withdraw(&blocker_));
}

TEST_F(ThreadPoolTest, StopDropsWhatIsQueuedAndWaitsForWhatRuns) {
  std::atomic<bool> dropped{false};
  // The running task ends only after the queued one was dropped.
  FunctionTask queued([] { ADD_FAILURE() << "ran"; },
                      [&](ThreadPool::Drop why) {
                        EXPECT_EQ(why, ThreadPool::Drop::kStopped);
                        dropped = true;
                        Release();
                      });
  pool_.Submit(&queued, In(1));
  EXPECT_EQ(pool_.busy(), 1);
  pool_.Stop();
  EXPECT_TRUE(dropped);
  EXPECT_EQ(pool_.busy(), 0);
  EXPECT_EQ(pool_.queued(), 0u);
}

TEST_F(ThreadPoolTest, DropsWhatIsSubmittedAfterStop) {
  Release();
  pool_.Stop();
  Submit("late");
  EXPECT_EQ(journal_.Now(), Strings{"late: stopped"});
}

TEST_F(ThreadPoolTest, StopReturnsOnEachOfManyThreadsAfterTheLastTask) {
  std::atomic<bool> ran{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      pool_.Stop();
      EXPECT_TRUE(ran);
    });
  }
  ran = true;
  Release();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ThreadPoolTest, DroppedTaskMaySubmitAnother) {
  for (const char* name : {"a", "b", "c"}) Submit(name, In(1));
  FunctionTask dropped([] { ADD_FAILURE() << "ran"; },
                       [&](ThreadPool::Drop) { Submit("second", In(3)); });
  pool_.Submit(&dropped, In(2));
  EXPECT_EQ(journal_.Now(), Strings{"second: full"});
}

TEST_F(ThreadPoolTest, TaskMayDestroyItself) {
  struct Suicidal final : ThreadPool::Task {
    explicit Suicidal(Journal* journal) : journal(journal) {}
    ~Suicidal() override { journal->Add("destroyed"); }
    void Run() override { delete this; }
    void OnDropped(ThreadPool::Drop) override { delete this; }
    Journal* journal;
  };
  pool_.Submit(new Suicidal(&journal_), In(1));
  pool_.Submit(new Suicidal(&journal_), Passed());
  Release();
  EXPECT_EQ(journal_.WaitFor(2), (Strings{"destroyed", "destroyed"}));
}

TEST_F(ThreadPoolTest, KnowsItsWorkers) {
  EXPECT_FALSE(ThreadPool::OnWorker());
  std::latch done(1);
  FunctionTask task([&] {
    EXPECT_TRUE(ThreadPool::OnWorker());
    done.count_down();
  });
  pool_.Submit(&task, In(1));
  Release();
  done.wait();
}

// Also says that no wake-up is lost: a task that waits for the others would
// wait for ever.
TEST(ThreadPool, RunsOnAllItsWorkersAtOnce) {
  constexpr int kThreads = 4;
  ThreadPool pool({.threads = kThreads});
  EXPECT_EQ(pool.threads(), kThreads);
  for (int round = 0; round < 100; ++round) {
    std::latch all_started(kThreads);
    std::latch all_done(kThreads);
    std::vector<std::unique_ptr<FunctionTask>> tasks;
    for (int i = 0; i < kThreads; ++i) {
      tasks.push_back(std::make_unique<FunctionTask>([&] {
        all_started.arrive_and_wait();
        all_done.count_down();
      }));
      pool.Submit(tasks.back().get(), MonotonicTime::InfiniteFuture());
    }
    all_done.wait();
  }
}

TEST(ThreadPool, WakesTheWorkerThatWasLastAtWork) {
  struct Held {
    std::latch started{1};
    std::latch release{1};
    std::thread::id id;
    FunctionTask task{[this] {
      id = std::this_thread::get_id();
      started.count_down();
      release.wait();
    }};
  };
  std::vector<Held> held(4);
  ThreadPool pool({.threads = 4});
  for (Held& each : held) {
    pool.Submit(&each.task, MonotonicTime::InfiniteFuture());
    each.started.wait();
  }
  const auto wait_until_busy = [&pool](int workers) {
    while (pool.queued() != 0 || pool.busy() != workers) {
      std::this_thread::yield();
    }
  };
  int busy = 4;
  for (const int next : {2, 0, 3, 1}) {
    held[next].release.count_down();
    wait_until_busy(--busy);
    for (int i = 0; i < 3; ++i) {
      std::thread::id id;
      FunctionTask task([&id] { id = std::this_thread::get_id(); });
      pool.Submit(&task, MonotonicTime::InfiniteFuture());
      wait_until_busy(busy);
      EXPECT_EQ(id, held[next].id);
    }
  }
}

TEST(ThreadPool, BlockedWorkerLeavesTheOthersToWork) {
  ThreadPool pool({.threads = 2});
  std::latch release(1);
  FunctionTask blocked([&] { release.wait(); });
  pool.Submit(&blocked, MonotonicTime::InfiniteFuture());
  for (int i = 0; i < 100; ++i) {
    std::latch ran(1);
    FunctionTask task([&] { ran.count_down(); });
    pool.Submit(&task, MonotonicTime::InfiniteFuture());
    ran.wait();
  }
  release.count_down();
  pool.Stop();
}

// Submitted, withdrawn, evicted and expired at random from many threads, each
// task ends exactly once.
TEST(ThreadPool, EndsEachTaskExactlyOnceUnderContention) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 2'000;
  struct CountingTask final : ThreadPool::Task {
    void Run() override { ++ends; }
    void OnDropped(ThreadPool::Drop) override { ++ends; }
    std::atomic<int> ends{0};
  };
  std::vector<std::vector<CountingTask>> tasks;
  for (int i = 0; i < kThreads; ++i) tasks.emplace_back(kTasks);
  ThreadPool pool({.threads = 3, .max_queued_tasks = 16});
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      for (CountingTask& task : tasks[i]) {
        const int microseconds = static_cast<int>(random() % 2'000) - 100;
        pool.Submit(&task,
                    MonotonicTime::Now() + absl::Microseconds(microseconds));
        if (random() % 4 == 0 && pool.Withdraw(&task)) ++task.ends;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  pool.Stop();
  for (const auto& of_one_thread : tasks) {
    for (const CountingTask& task : of_one_thread) ASSERT_EQ(task.ends, 1);
  }
}

TEST_F(ThreadPoolTest, KnowsWhetherAWorkerIsFree) {
  EXPECT_FALSE(pool_.has_free_worker());
  FunctionTask task([] {});
  pool_.Submit(&task, MonotonicTime::InfiniteFuture());
  EXPECT_TRUE(pool_.Withdraw(&task));
  EXPECT_FALSE(pool_.has_free_worker());
  Release();
  while (!pool_.has_free_worker()) std::this_thread::yield();
  std::latch entered(1);
  std::latch let_go(1);
  FunctionTask again([&] {
    entered.count_down();
    let_go.wait();
  });
  pool_.Submit(&again, MonotonicTime::InfiniteFuture());
  EXPECT_FALSE(pool_.has_free_worker());  // It is meant for the task.
  entered.wait();
  EXPECT_FALSE(pool_.has_free_worker());
  let_go.count_down();
  while (!pool_.has_free_worker()) std::this_thread::yield();
}

}  // namespace
}  // namespace tern
