#ifndef TERN_TESTS_TESTING_EVENT_H_
#define TERN_TESTS_TESTING_EVENT_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "tern/lib/base/mutex.h"

namespace tern::testing {

// How long a test waits for what must happen, on a machine that has much else
// to do. Only a test that fails takes so long.
inline constexpr absl::Duration kPatience = absl::Seconds(40);

// Something that happens, perhaps more than once. Thread-safe.
class Event {
 public:
  void Notify() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.NotifyAll();
  }

  // Waits until it has happened `count` times in all; false when it has not
  // within `patience`.
  [[nodiscard]] bool Wait(int count = 1, absl::Duration patience = kPatience) {
    const MonotonicTime until = MonotonicTime::Now() + patience;
    MutexLock lock(mutex_);
    while (count_ < count && MonotonicTime::Now() < until) {
      changed_.WaitUntil(mutex_, until);
    }
    return count_ >= count;
  }

  int count() const {
    MutexLock lock(mutex_);
    return count_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_EVENT_H_
