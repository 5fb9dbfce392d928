#ifndef TERN_LIB_CALL_TIMER_QUEUE_H_
#define TERN_LIB_CALL_TIMER_QUEUE_H_

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "tern/lib/base/deadline_heap.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/sleep.h"

namespace tern {

// All the sleeps of the process, and the thread that ends them, in order of
// their times. O(log n) each; as many as there are tasks to wait.
//
// Thread-safe. Made by the first sleep, and never destroyed.
class TimerQueue {
 public:
  // The error that Sleep documents.
  static absl::StatusOr<TimerQueue*> Get();

  // Resumes sleep->waiter_ on the timer thread at or after `when`: at once when
  // it has been cancelled.
  void Set(Sleep::Awaiter* sleep, MonotonicTime when);
  // Its time is now.
  void Cancel(Sleep::Awaiter* sleep);

  // For tests: whether so many sleep, in all, before `until`.
  bool WaitForSleepers(size_t count, MonotonicTime until);

 private:
  using Heap = DeadlineHeap<Sleep::Awaiter, &Sleep::Awaiter::place_>;

  TimerQueue() = default;
  // nullptr: no thread.
  static TimerQueue* Start();
  [[noreturn]] void ThreadMain();
  // Waits for the earliest, and takes as many as are due and fit. How many.
  size_t TakeDue(Sleep::Awaiter** due, size_t max)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeIfFirst(const Sleep::Awaiter* sleep)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  Heap heap_ ABSL_GUARDED_BY(mutex_);
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  size_t awaited_sleepers_ ABSL_GUARDED_BY(mutex_) = static_cast<size_t>(-1);
  CondVar awaited_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_TIMER_QUEUE_H_
