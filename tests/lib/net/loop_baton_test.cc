#include "tern/lib/net/loop_baton.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "gtest/gtest.h"

namespace tern::net {
namespace {

TEST(LoopBaton, IsTakenOnlyWhileItIsLent) {
  LoopBaton baton;
  EXPECT_FALSE(baton.Take(baton.Look()));
  const LoopBaton::Mark mark = baton.Lend();
  EXPECT_TRUE(LoopBaton::IsLent(mark));
  EXPECT_EQ(baton.Look(), mark);
  EXPECT_TRUE(baton.Take(mark));
  EXPECT_FALSE(baton.Take(mark));
  EXPECT_FALSE(baton.Reclaim(mark));
}

TEST(LoopBaton, IsNotTakenOnceItHasBeenReclaimed) {
  LoopBaton baton;
  const LoopBaton::Mark mark = baton.Lend();
  EXPECT_TRUE(baton.Reclaim(mark));
  EXPECT_FALSE(baton.Take(mark));
  EXPECT_FALSE(baton.Take(baton.Look()));
}

// The watcher has slept: the loan that it has seen is over, this is another.
TEST(LoopBaton, IsNotTakenForAnEarlierLoan) {
  LoopBaton baton;
  const LoopBaton::Mark earlier = baton.Lend();
  ASSERT_TRUE(baton.Reclaim(earlier));
  const LoopBaton::Mark mark = baton.Lend();
  EXPECT_FALSE(baton.Take(earlier));
  EXPECT_TRUE(baton.Reclaim(mark));
}

// Nor does a driver that has lost it get it back when the next one lends it.
TEST(LoopBaton, IsNotReclaimedForAnEarlierLoan) {
  LoopBaton baton;
  const LoopBaton::Mark lost = baton.Lend();
  ASSERT_TRUE(baton.Take(lost));
  const LoopBaton::Mark mark = baton.Lend();
  EXPECT_FALSE(baton.Reclaim(lost));
  EXPECT_TRUE(baton.Reclaim(mark));
}

// ---- Every interleaving

// A loop with a queue of tasks, and threads that drive it or watch it as
// EventLoop and StandbyDrivers do, cut into steps each of which does one thing
// that others can see. The first thread drives at the beginning.
class Model {
 public:
  static constexpr size_t kMaxThreads = 3;
  static constexpr int kMaxTasks = 4;

  // `looks`: of each thread, while it watches, until it gives up.
  Model(size_t threads, int tasks, int looks)
      : thread_count_(threads), task_count_(tasks) {
    for (size_t i = 0; i < thread_count_; ++i) threads_[i].looks_left = looks;
    threads_[0].next = Step::kPickTask;
  }
  Model(const Model& other)
      : thread_count_(other.thread_count_),
        task_count_(other.task_count_),
        threads_(other.threads_),
        next_task_(other.next_task_),
        ends_(other.ends_),
        runs_(other.runs_) {
    // A real one, brought to the same number.
    while (baton_.Look() + 1 < other.baton_.Look()) {
      EXPECT_TRUE(baton_.Reclaim(baton_.Lend()));
    }
    if (baton_.Look() < other.baton_.Look()) baton_.Lend();
  }

  bool CanStep(size_t thread) const {
    return thread < thread_count_ && threads_[thread].next != Step::kDone;
  }

  // Runs the thread's next step. Not empty: what has gone wrong.
  std::string Run(size_t index) {
    Thread& thread = threads_[index];
    switch (thread.next) {
      case Step::kPickTask:
        // The loop's own state: nobody else may be at it now.
        if (next_task_ == task_count_) {
          ++ends_;
          thread.next = Step::kDone;
        } else {
          thread.task = next_task_++;
          thread.next = Step::kLend;
        }
        break;
      case Step::kLend:
        thread.mark = baton_.Lend();
        thread.next = Step::kRunTask;
        break;
      case Step::kRunTask:
        ++runs_[static_cast<size_t>(thread.task)];
        thread.next = Step::kReclaim;
        break;
      case Step::kReclaim:
        thread.next = baton_.Reclaim(thread.mark) ? Step::kPickTask
                      : thread.looks_left > 0     ? Step::kLook
                                                  : Step::kDone;
        break;
      case Step::kLook:
        thread.mark = baton_.Look();
        thread.next = Step::kLookAgain;
        break;
      case Step::kLookAgain: {
        const LoopBaton::Mark before = thread.mark;
        thread.mark = baton_.Look();
        --thread.looks_left;
        if (thread.mark == before) {
          thread.next = Step::kTake;
        } else if (thread.looks_left == 0) {
          thread.next = Step::kDone;
        }
        break;
      }
      case Step::kTake:
        thread.next = baton_.Take(thread.mark) ? Step::kPickTask
                      : thread.looks_left > 0  ? Step::kLookAgain
                                               : Step::kDone;
        break;
      case Step::kDone:
        return "a thread that is done runs";
    }
    return Check();
  }

  // When no thread can run any more.
  std::string CheckEnd() const {
    for (int i = 0; i < task_count_; ++i) {
      if (runs_[static_cast<size_t>(i)] != 1) return "a task was not run once";
    }
    return ends_ == 1 ? "" : "the loop has not ended once";
  }

  // All that decides what can still happen.
  std::string State() const {
    std::string state;
    const auto add = [&state](auto value) {
      state += static_cast<char>(value);
    };
    add(baton_.Look());
    add(next_task_);
    add(ends_);
    for (const int runs : runs_) add(runs);
    for (const Thread& thread : threads_) {
      add(thread.next);
      add(thread.mark);
      add(thread.task);
      add(thread.looks_left);
    }
    return state;
  }

 private:
  enum class Step {
    kPickTask,  // Drives.
    kLend,      // Drives.
    kRunTask,
    kReclaim,
    kLook,
    kLookAgain,
    kTake,
    kDone,
  };
  struct Thread {
    Step next = Step::kLook;
    LoopBaton::Mark mark = 0;
    int task = 0;
    int looks_left = 0;
  };

  std::string Check() const {
    int drivers = 0;
    for (size_t i = 0; i < thread_count_; ++i) {
      const Step next = threads_[i].next;
      if (next == Step::kPickTask || next == Step::kLend) ++drivers;
    }
    if (drivers > 1) return "two threads drive";
    for (const int runs : runs_) {
      if (runs > 1) return "a task was run twice";
    }
    return "";
  }

  const size_t thread_count_;
  const int task_count_;
  LoopBaton baton_;
  std::array<Thread, kMaxThreads> threads_;
  int next_task_ = 0;
  int ends_ = 0;
  std::array<int, kMaxTasks> runs_{};
};

using Schedule = std::vector<size_t>;

std::string ToString(const Schedule& schedule) {
  std::string text;
  for (const size_t thread : schedule) text += std::to_string(thread);
  return text;
}

// Visits all that can follow, depth first. With `seen`, only once from each
// state; without, by every path. Returns the number of ends reached, or -1 once
// something has gone wrong. `schedule` is how it has come to here.
int64_t Explore(const Model& model, Schedule& schedule,
                std::unordered_set<std::string>* seen) {
  int64_t ends = 0;
  bool could_step = false;
  std::string wrong;
  for (size_t thread = 0; thread < Model::kMaxThreads; ++thread) {
    if (!model.CanStep(thread)) continue;
    could_step = true;
    Model next(model);
    schedule.push_back(thread);
    wrong = next.Run(thread);
    if (!wrong.empty()) break;
    if (seen == nullptr || seen->insert(next.State()).second) {
      const int64_t more = Explore(next, schedule, seen);
      if (more < 0) return -1;
      ends += more;
    }
    schedule.pop_back();
  }
  if (!could_step) wrong = model.CheckEnd();
  if (wrong.empty()) return could_step ? ends : 1;
  ADD_FAILURE() << wrong << " after " << ToString(schedule);
  return -1;
}

TEST(LoopBatonSchedules, OneDriverAndOneWatcherByEveryPath) {
  Schedule schedule;
  const int64_t ends = Explore(Model(/*threads=*/2, /*tasks=*/2, /*looks=*/3),
                               schedule, nullptr);
  EXPECT_GT(ends, 1'000);
  RecordProperty("schedules", static_cast<int>(ends));
}

TEST(LoopBatonSchedules, OneDriverAndTwoWatchersFromEveryState) {
  Schedule schedule;
  std::unordered_set<std::string> seen;
  const int64_t ends =
      Explore(Model(/*threads=*/3, /*tasks=*/3, /*looks=*/3), schedule, &seen);
  EXPECT_GT(ends, 100);
  EXPECT_GT(seen.size(), 10'000u);
  RecordProperty("states", static_cast<int>(seen.size()));
}

// ---- Real threads

// What a loop is to its drivers: not atomic, so that TSan sees whether what one
// has written is there for the next.
struct Loop {
  LoopBaton baton;
  int next_task = 0;
  std::vector<int> runs;
  std::atomic<bool> ended{false};
};

// True when it was the one to end it.
bool Drive(Loop& loop, std::atomic<int>& lost) {
  while (loop.next_task < static_cast<int>(loop.runs.size())) {
    const int task = loop.next_task++;
    const LoopBaton::Mark mark = loop.baton.Lend();
    // Some stall, until somebody takes the loop.
    if (task % 3 == 0) {
      while (loop.baton.Look() == mark) std::this_thread::yield();
    }
    ++loop.runs[static_cast<size_t>(task)];
    if (loop.baton.Reclaim(mark)) continue;
    ++lost;
    return false;
  }
  loop.ended = true;
  return true;
}

TEST(LoopBaton, ThreadsThatTakeItFromEachOtherRunEachTaskOnce) {
  constexpr int kTasks = 3'000;
  Loop loop;
  loop.runs.resize(kTasks);
  std::atomic<int> lost{0};
  std::atomic<int> taken{0};
  std::atomic<int> ends{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, drives = i == 0]() mutable {
      LoopBaton::Mark mark = 0;
      while (!loop.ended) {
        if (drives && Drive(loop, lost)) ++ends;
        const LoopBaton::Mark before = mark;
        mark = loop.baton.Look();
        drives = mark == before && loop.baton.Take(mark);
        if (drives) {
          ++taken;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(loop.next_task, kTasks);
  for (const int runs : loop.runs) ASSERT_EQ(runs, 1);
  EXPECT_GE(taken, kTasks / 3);
  EXPECT_EQ(lost, taken);
}

}  // namespace
}  // namespace tern::net
