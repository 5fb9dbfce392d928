#ifndef TERN_TESTS_TESTING_GATE_H_
#define TERN_TESTS_TESTING_GATE_H_

#include <coroutine>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern::testing {

// What tasks wait for until a test opens it; they go on on the thread that
// does. Stays open. Thread-safe.
class Gate {
 public:
  auto operator co_await() {
    struct Awaiter {
      Gate& gate;
      bool await_ready() { return false; }
      bool await_suspend(std::coroutine_handle<> waiter) {
        MutexLock lock(gate.mutex_);
        if (!gate.open_) gate.waiters_.push_back(waiter);
        return !gate.open_;
      }
      void await_resume() {}
    };
    return Awaiter{*this};
  }

  void Open() {
    std::vector<std::coroutine_handle<>> waiters;
    {
      MutexLock lock(mutex_);
      open_ = true;
      waiters.swap(waiters_);
    }
    for (const std::coroutine_handle<> waiter : waiters) waiter.resume();
  }

  size_t waiters() const {
    MutexLock lock(mutex_);
    return waiters_.size();
  }

 private:
  mutable Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::coroutine_handle<>> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_GATE_H_
