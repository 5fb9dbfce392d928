#ifndef TERN_TESTS_LIB_NET_SLOT_H_
#define TERN_TESTS_LIB_NET_SLOT_H_

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern::net {

// Hands values from callbacks to the test's thread, in order. Thread-safe.
template <typename T>
class Slot {
 public:
  void Put(T value) {
    MutexLock lock(mutex_);
    values_.push_back(std::move(value));
    changed_.NotifyAll();
  }

  // Waits for the next value.
  T Take() {
    MutexLock lock(mutex_);
    while (values_.empty()) changed_.Wait(mutex_);
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

  bool empty() const {
    MutexLock lock(mutex_);
    return values_.empty();
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<T> values_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::net

#endif  // TERN_TESTS_LIB_NET_SLOT_H_
