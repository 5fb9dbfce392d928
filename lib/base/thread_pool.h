#ifndef TERN_LIB_BASE_THREAD_POOL_H_
#define TERN_LIB_BASE_THREAD_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/deadline_heap.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/priority_turns.h"

namespace tern {

// A fixed set of worker threads behind one bounded queue: the highest priority
// first (but see PriorityTurns: every ninth turn is another's), and of one
// priority the earliest deadline. Tasks may block. Of the idle workers the one
// that was last at work is woken first: what it needs is still in its
// processor's cache.
//
// A task that is queued ends in exactly one of three ways: it is run, it is
// dropped (its deadline passed, or the pool stopped, or the queue was full of
// tasks that come before it), or it is withdrawn by whoever queued it.
// Nothing is lost silently.
//
// Thread-safe. A task must outlive its place in the queue, and may be destroyed
// in its Run() or OnDropped(); the pool must outlive the threads that call it.
class ThreadPool {
 public:
  enum class Drop {
    kExpired,  // Its deadline passed while it was queued.
    kFull,     // The queue was full of tasks that come before it.
    kStopped,  // Stop() was called.
  };

  // An intrusive task: queueing allocates nothing in the steady state.
  class Task {
   public:
    virtual ~Task() = default;
    // On a worker.
    virtual void Run() = 0;
    // Instead of Run(): on a worker, or on the thread that calls Submit() or
    // Stop().
    virtual void OnDropped(Drop why) = 0;

   private:
    friend class ThreadPool;
    // Guarded by the pool's mutex_.
    size_t place_ = static_cast<size_t>(-1);
    uint8_t priority_ = 0;
  };

  struct Options {
    int threads = 4;                 // At least 1.
    size_t max_queued_tasks = 1024;  // At least 1.
    std::string name = "tern-worker";
  };

  // When the system has too few threads left, the pool has fewer and an error
  // is logged; the process ends when there is none at all.
  explicit ThreadPool(const Options& options);
  ~ThreadPool();  // Stop().
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr unsigned kMaxPriority = PriorityTurns::kClasses - 1;

  // Queues `task` to run before its deadline. When the queue is full, the task
  // of the lowest priority with the latest deadline is dropped, be it this or
  // another; of equal deadlines, the one that came last. May call OnDropped
  // before it returns. REQUIRES: priority <= kMaxPriority.
  void Submit(Task* task, MonotonicTime deadline, unsigned priority = 0);

  // Takes a queued task back; false when it has been taken to be run or
  // dropped.
  bool Withdraw(Task* task);

  // Drops what is queued, waits for what runs, ends the threads. Idempotent.
  // Not from a worker.
  void Stop();

  // Whether a worker is idle that no queued task is for. A hint: without the
  // lock, others may be just about to change it.
  bool has_free_worker() const {
    return free_workers_.load(std::memory_order_relaxed) > 0;
  }

  size_t queued() const;
  int threads() const { return thread_count_; }
  // Workers that are running (or dropping) a task now.
  int busy() const;

  // True on a thread of any ThreadPool.
  static bool OnWorker();

 private:
  using Queue = DeadlineHeap<Task, &Task::place_>;

  // Its members are guarded by the pool's mutex_, but for `wake`.
  struct Worker {
    CondVar wake;
    bool woken = false;
    Worker* below = nullptr;  // In the stack of those that sleep.
  };

  void WorkerMain(Worker* self);
  // Blocks until there is a task; nullptr once the pool stops.
  Task* TakeNext(Worker* self, MonotonicTime* deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The worker that is to be notified, once mutex_ has been let go.
  Worker* PopSleeper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes a place for a task with `deadline` in the full queue, if it deserves
  // one. Returns the task to be dropped: another one, or `task` itself.
  Task* MakeRoom(Task* task, MonotonicTime deadline, unsigned priority,
                 Drop* why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeOut(Task* task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountFreeWorkers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_queued_tasks_;
  int thread_count_ = 0;
  // As long-lived as the pool: one may be notified after it has woken up.
  const std::unique_ptr<Worker[]> workers_;
  // Idle workers less queued tasks. Changed with mutex_ held.
  std::atomic<int64_t> free_workers_{0};

  mutable Mutex mutex_;
  CondVar stopped_;  // joined_.
  Queue queues_[PriorityTurns::kClasses] ABSL_GUARDED_BY(mutex_);
  uint8_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // A bit for each not empty.
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;    // In all of them.
  PriorityTurns turns_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  Worker* sleepers_ ABSL_GUARDED_BY(mutex_) = nullptr;  // The last comes first.
  // Workers that run nothing: those that sleep, and those that have been woken
  // and have not looked at the queue yet.
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t waking_ ABSL_GUARDED_BY(mutex_) = 0;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool joined_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tern

#endif  // TERN_LIB_BASE_THREAD_POOL_H_
