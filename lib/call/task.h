#ifndef TERN_LIB_CALL_TASK_H_
#define TERN_LIB_CALL_TASK_H_

#include <coroutine>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/task_promise.h"

namespace tern {

// The result of a coroutine that awaits things, instead of blocking a thread:
//
//   tern::Task<absl::StatusOr<int>> Count(KeyValue::Stub& stub) {
//     auto reply = co_await stub.Co().Count(CountRequest());
//     if (!reply.ok()) co_return reply.status();
//     co_return reply->count();
//   }
//
// It does nothing until it is awaited, from another task or by Spawn() and
// BlockOn() (lib/call/spawn.h), once. It then runs on that thread until it has
// to wait, and goes on wherever what it waits for happens: a call's reply on an
// I/O thread of the client, a sleep's end on the timer thread. (When that has
// happened before the task could wait, it goes on where it is.) Those threads
// serve others, too: between two awaits, do not block, and do not compute for
// long.
//
// An exception that leaves the coroutine comes out of the co_await.
//
// The call that is being handled (AmbientCall) is inherited from whoever
// awaits, and follows the task from thread to thread: calls and sleeps in it
// end with that call. (So an AmbientCallScope of one's own does not last over a
// co_await.) Whoever starts a task keeps that call until the task has ended.
//
// Parameters of a coroutine that are references refer to what must live until
// the task has ended; in `co_await Function(Temporary())` it does. A lambda
// that is a coroutine must outlive its task, because its captures stay in it.
//
// Not thread-safe: one thread at a time has it. T: movable, or void; no
// reference.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  class promise_type final : public task_internal::Promise<T> {
   public:
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  Task(Task&& other) noexcept
      : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  // One that was never started is dropped. REQUIRES: not in the middle.
  ~Task() { Destroy(); }

  class Awaiter;
  Awaiter operator co_await() && { return Awaiter(std::move(*this)); }

  // For those that combine tasks. Runs it on this thread, as part of `ambient`
  // (not inherited), until it has to wait or has ended; `end` is told then. All
  // three live until it has ended.
  void Start(const AmbientCall* ambient, task_internal::TaskEnd* end) {
    TERN_CHECK(coroutine_ != nullptr) << "a task is awaited once";
    coroutine_.promise().Start(coroutine_, ambient, end);
  }
  // What it has ended with, once; rethrows what it threw.
  T TakeResult() { return coroutine_.promise().TakeResult(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine)
      : coroutine_(coroutine) {}
  void Destroy() {
    if (coroutine_ == nullptr) return;
    TERN_DCHECK(coroutine_.done() || !coroutine_.promise().started());
    coroutine_.destroy();
  }

  std::coroutine_handle<promise_type> coroutine_;
};

template <typename T>
class Task<T>::Awaiter final : private task_internal::TaskEnd {
 public:
  explicit Awaiter(Task task) : task_(std::move(task)) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    task_.Start(CurrentAmbientCall(), this);
    return !both_.Arrive();
  }
  T await_resume() { return task_.TakeResult(); }

 private:
  std::coroutine_handle<> OnTaskEnd() noexcept override {
    return both_.Arrive() ? waiter_ : std::noop_coroutine();
  }

  Task task_;
  std::coroutine_handle<> waiter_;
  task_internal::Rendezvous both_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_TASK_H_
