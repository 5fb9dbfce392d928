#ifndef TERN_LIB_CALL_SPAWN_H_
#define TERN_LIB_CALL_SPAWN_H_

#include <coroutine>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/task.h"

// From functions to tasks: how the outermost task of a chain is started.
namespace tern {
namespace task_internal {

// A task that nobody awaits, with what is called at its end.
template <typename T, typename Done>
class Spawned final : private TaskEnd {
 public:
  static void Start(Task<T> task, Done done) {
    // Owns itself until the end, which may be on another thread, now.
    auto* const self = new Spawned(std::move(task), std::move(done));
    self->task_.Start(self->call_.ambient(), self);
  }

 private:
  Spawned(Task<T> task, Done done)
      : call_(CurrentAmbientCall()),
        task_(std::move(task)),
        done_(std::move(done)) {}
  ~Spawned() = default;

  // noexcept: like one that leaves a thread, an exception here ends the
  // process.
  std::coroutine_handle<> OnTaskEnd() noexcept override {
    Done done = std::move(done_);
    if constexpr (std::is_void_v<T>) {
      task_.TakeResult();
      delete this;
      std::move(done)();
    } else {
      T result = task_.TakeResult();
      delete this;
      std::move(done)(std::move(result));
    }
    return std::noop_coroutine();
  }

  const HandedDownCall call_;
  Task<T> task_;
  Done done_;
};

class BlockedThread final : public TaskEnd {
 public:
  void Wait() {
    MutexLock lock(mutex_);
    while (!ended_) changed_.Wait(mutex_);
  }

 private:
  std::coroutine_handle<> OnTaskEnd() noexcept override {
    MutexLock lock(mutex_);
    ended_ = true;
    changed_.NotifyAll();  // With the lock: then this object may go.
    return std::noop_coroutine();
  }

  Mutex mutex_;
  CondVar changed_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace task_internal

// Starts `task` on this thread, and returns when it has to wait. `done` is
// called with what it returned (for Task<void>: with nothing), once, on the
// thread where it has ended; perhaps before this returns. It must not block.
// An exception that leaves the task ends the process.
//
// The task inherits from the call that is being handled, and may outlast it.
template <typename T, typename Done>
void Spawn(Task<T> task, Done done) {
  task_internal::Spawned<T, Done>::Start(std::move(task), std::move(done));
}

// Starts `task` on this thread, and blocks the thread until it has ended: for
// main() and tests. Rethrows what it threw. Never on a thread that must not
// block, such as where tasks are resumed.
template <typename T>
T BlockOn(Task<T> task) {
  task_internal::BlockedThread thread;
  task.Start(CurrentAmbientCall(), &thread);
  thread.Wait();
  return task.TakeResult();
}

}  // namespace tern

#endif  // TERN_LIB_CALL_SPAWN_H_
