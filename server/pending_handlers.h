#ifndef TERN_SERVER_PENDING_HANDLERS_H_
#define TERN_SERVER_PENDING_HANDLERS_H_

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern {

// How many handlers have started and not ended that need no thread meanwhile: a
// server that stops has no threads to wait for, and waits for these.
//
// Thread-safe. With a lock, so that the last one to leave touches nothing that
// whoever waited may have destroyed since.
class PendingHandlers {
 public:
  void Enter() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void Leave() {
    MutexLock lock(mutex_);
    if (--count_ == 0) none_.NotifyAll();
  }
  void WaitForNone() {
    MutexLock lock(mutex_);
    while (count_ > 0) none_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_PENDING_HANDLERS_H_
