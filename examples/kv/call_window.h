#ifndef TERN_EXAMPLES_KV_CALL_WINDOW_H_
#define TERN_EXAMPLES_KV_CALL_WINDOW_H_

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace kv {

// Bounds how many callback calls one thread has in flight: Open() before each
// call, Close() at the end of its callback, WaitUntilEmpty() before what the
// callbacks use goes away. Thread-safe.
class CallWindow {
 public:
  explicit CallWindow(int max_calls) : max_calls_(max_calls) {}
  ~CallWindow() { WaitUntilEmpty(); }
  CallWindow(const CallWindow&) = delete;
  CallWindow& operator=(const CallWindow&) = delete;

  // Waits while there are `max_calls` of them.
  void Open() {
    tern::MutexLock lock(mutex_);
    while (calls_ == max_calls_) closed_.Wait(mutex_);
    ++calls_;
  }
  void Close() {
    tern::MutexLock lock(mutex_);
    --calls_;
    closed_.NotifyAll();
  }
  void WaitUntilEmpty() {
    tern::MutexLock lock(mutex_);
    while (calls_ > 0) closed_.Wait(mutex_);
  }

 private:
  const int max_calls_;
  tern::Mutex mutex_;
  tern::CondVar closed_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CALL_WINDOW_H_
