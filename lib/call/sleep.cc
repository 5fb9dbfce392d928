#include "tern/lib/call/sleep.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/base/thread.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/timer_queue.h"

namespace tern {
namespace {

thread_local bool is_timer_thread = false;
std::atomic<bool> forked{false};

// Taken with one locking. Who is cancelled meanwhile is told a little later.
constexpr size_t kMaxDue = 64;

}  // namespace

bool OnTimerThread() { return is_timer_thread; }

// --- TimerQueue --------------------------------------------------------------

absl::StatusOr<TimerQueue*> TimerQueue::Get() {
  static TimerQueue* const queue = Start();
  if (queue == nullptr) {
    return absl::ResourceExhaustedError("no thread for timers");
  }
  if (forked.load(std::memory_order_relaxed)) {
    return absl::FailedPreconditionError(
        "the timer thread belongs to the parent of this process, which was "
        "forked without exec");
  }
  return queue;
}

TimerQueue* TimerQueue::Start() {
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
  auto* const queue = new TimerQueue;
  absl::StatusOr<std::thread> thread =
      StartThread("tern-timer", [queue] { queue->ThreadMain(); });
  if (!thread.ok()) {
    TERN_LOG(kError) << "no timers: " << thread.status();
    delete queue;
    return nullptr;
  }
  thread->detach();
  return queue;
}

void TimerQueue::WakeIfFirst(const Sleep::Awaiter* sleep) {
  if (waiting_ && heap_.front().item == sleep) {
    waiting_ = false;
    changed_.NotifyOne();
  }
}

void TimerQueue::Set(Sleep::Awaiter* sleep, MonotonicTime when) {
  MutexLock lock(mutex_);
  heap_.Set(sleep, sleep->cancelled_ ? MonotonicTime() : when);
  WakeIfFirst(sleep);
  if (heap_.size() >= awaited_sleepers_) awaited_.NotifyAll();
}

bool TimerQueue::WaitForSleepers(size_t count, MonotonicTime until) {
  MutexLock lock(mutex_);
  awaited_sleepers_ = count;
  while (heap_.size() < count && awaited_.WaitUntil(mutex_, until)) {
  }
  awaited_sleepers_ = static_cast<size_t>(-1);
  return heap_.size() >= count;
}

void TimerQueue::Cancel(Sleep::Awaiter* sleep) {
  MutexLock lock(mutex_);
  sleep->cancelled_ = true;
  if (sleep->place_ == Heap::kNotInHeap) return;  // Not yet, or due already.
  heap_.Set(sleep, MonotonicTime());
  WakeIfFirst(sleep);
}

size_t TimerQueue::TakeDue(Sleep::Awaiter** due, size_t max) {
  size_t taken = 0;
  while (taken == 0) {
    const MonotonicTime now = MonotonicTime::Now();
    while (taken < max && !heap_.empty() && heap_.front().time <= now) {
      due[taken] = heap_.front().item;
      heap_.Remove(due[taken]);
      ++taken;
    }
    if (taken > 0) break;
    waiting_ = true;
    changed_.WaitUntil(mutex_, heap_.empty() ? MonotonicTime::InfiniteFuture()
                                             : heap_.front().time);
    waiting_ = false;
  }
  return taken;
}

void TimerQueue::ThreadMain() {
  is_timer_thread = true;
  std::array<Sleep::Awaiter*, kMaxDue> due;
  for (;;) {
    size_t count = 0;
    {
      MutexLock lock(mutex_);
      count = TakeDue(due.data(), due.size());
    }
    // (Each is gone once it goes on.)
    for (size_t i = 0; i < count; ++i) due[i]->waiter_.resume();
  }
}

// --- Sleep -------------------------------------------------------------------

Sleep::Awaiter::Awaiter(MonotonicTime until)
    : until_(until),
      at_the_latest_(CurrentAmbientCall() == nullptr
                         ? MonotonicTime::InfiniteFuture()
                         : CurrentAmbientCall()->deadline.time()) {}

bool Sleep::Awaiter::await_ready() {
  const AmbientCall* const call = CurrentAmbientCall();
  if (call != nullptr && call->cancellation != nullptr) {
    cancellation_ = call->cancellation->ShareCancellation();
    cancelled_ = cancellation_->cancelled();
  }
  return cancelled_ || MonotonicTime::Now() >= std::min(until_, at_the_latest_);
}

bool Sleep::Awaiter::await_suspend(std::coroutine_handle<> waiter) {
  absl::StatusOr<TimerQueue*> queue = TimerQueue::Get();
  if (!queue.ok()) {
    error_ = std::move(queue).status();
    return false;
  }
  waiter_ = waiter;
  if (cancellation_ != nullptr) {
    registration_ = cancellation_->OnCancel(
        [this, queue = *queue] { queue->Cancel(this); });
  }
  // Last: it may be over at once.
  (*queue)->Set(this, std::min(until_, at_the_latest_));
  return true;
}

absl::Status Sleep::Awaiter::await_resume() {
  registration_.Reset();  // From here on nobody sets cancelled_.
  if (!error_.ok()) return std::move(error_);
  if (cancelled_) return absl::CancelledError("the call was cancelled");
  if (until_ <= at_the_latest_) return absl::OkStatus();
  return absl::DeadlineExceededError("the call's deadline has passed");
}

}  // namespace tern
