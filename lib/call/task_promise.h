#ifndef TERN_LIB_CALL_TASK_PROMISE_H_
#define TERN_LIB_CALL_TASK_PROMISE_H_

#include <atomic>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include "tern/lib/call/ambient_call.h"

// The inside of tern::Task: what a coroutine's frame holds beside its locals.
namespace tern::task_internal {

// Who is told of a task's end, once, on the thread where it has ended. The task
// may be destroyed in here. Returns what that thread goes on with.
class TaskEnd {
 public:
  virtual std::coroutine_handle<> OnTaskEnd() noexcept = 0;

 protected:
  ~TaskEnd() = default;
};

// Two threads that meet: who starts something, and who ends it. The second one
// goes on, and may then destroy what both have used.
//
// This is also why a task that ends before its start has returned costs no
// stack: the starter goes on, instead of being resumed in there. (A transfer to
// the handle that await_suspend returns costs none either, but only where it
// is a tail call, which it is not in gcc's builds without optimisation and
// with sanitizers.)
class Rendezvous {
 public:
  // True for the second one.
  [[nodiscard]] bool Arrive() {
    return arrived_.exchange(true, std::memory_order_acq_rel);
  }

 private:
  std::atomic<bool> arrived_{false};
};

class PromiseBase;

// What `awaitable` is awaited by, as the language says.
template <typename Awaitable>
decltype(auto) AwaiterOf(Awaitable&& awaitable) {
  if constexpr (requires {
                  std::forward<Awaitable>(awaitable).operator co_await();
                }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else if constexpr (requires {
                         operator co_await(std::forward<Awaitable>(awaitable));
                       }) {
    return operator co_await(std::forward<Awaitable>(awaitable));
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}
template <typename Awaitable>
using AwaiterType = decltype(AwaiterOf(std::declval<Awaitable>()));
// What `co_await awaitable` gives.
template <typename Awaitable>
using AwaitResult =
    decltype(std::declval<AwaiterType<Awaitable>&>().await_resume());

// Not so: a Status, which a blocking call returns.
template <typename Awaitable>
concept CanBeAwaited = requires(AwaiterType<Awaitable>& awaiter) {
  awaiter.await_ready();
  awaiter.await_resume();
};

// In the place of an awaiter, so that the compiler has nothing else to say.
template <typename T>
struct NoAwaiter {
  bool await_ready();
  void await_suspend(std::coroutine_handle<>);
  T await_resume();
};

// An awaiter, and the ambient call that follows the coroutine over it.
template <typename Awaiter>
class AmbientAwaiter {
 public:
  template <typename Awaitable>
  AmbientAwaiter(Awaitable&& awaitable, PromiseBase* promise)
      : promise_(promise),
        awaiter_(AwaiterOf(std::forward<Awaitable>(awaitable))) {}
  AmbientAwaiter(const AmbientAwaiter&) = delete;
  AmbientAwaiter& operator=(const AmbientAwaiter&) = delete;

  bool await_ready() { return awaiter_.await_ready(); }

  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> coroutine);

  decltype(auto) await_resume();

 private:
  PromiseBase* const promise_;
  bool suspended_ = false;
  Awaiter awaiter_;  // A reference, where what is awaited awaits itself.
};

// What the promises of all tasks have in common.
class PromiseBase {
 public:
  // Runs the coroutine on this thread until it suspends or ends.
  void Start(std::coroutine_handle<> coroutine, const AmbientCall* ambient,
             TaskEnd* end) {
    ambient_ = ambient;
    end_ = end;
    coroutine.resume();
  }

  // On a thread that begins to run the coroutine, and that ceases to.
  void Enter() { outer_ = ExchangeAmbientCall(ambient_); }
  const AmbientCall* outer() const { return outer_; }
  bool started() const { return end_ != nullptr; }

  auto initial_suspend() noexcept {
    struct AwaitStart {
      PromiseBase* promise;
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<>) noexcept {}
      void await_resume() noexcept { promise->Enter(); }
    };
    return AwaitStart{this};
  }
  auto final_suspend() noexcept {
    struct TellEnd {
      PromiseBase* promise;
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
        ExchangeAmbientCall(promise->outer_);
        return promise->end_->OnTaskEnd();
      }
      void await_resume() noexcept {}
    };
    return TellEnd{this};
  }
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable) {
    constexpr bool can_be_awaited = CanBeAwaited<Awaitable>;
    if constexpr (can_be_awaited) {
      return AmbientAwaiter<AwaiterType<Awaitable>>(
          std::forward<Awaitable>(awaitable), this);
    } else {
      static_assert(can_be_awaited,
                    "this cannot be awaited: a call that can is made by "
                    "stub.Co().Method(request) instead of stub.Method(request),"
                    " and on a stream by CoRead(), CoWrite() or CoFinish()");
      return NoAwaiter<Awaitable>();
    }
  }

 private:
  const AmbientCall* ambient_ = nullptr;
  const AmbientCall* outer_ = nullptr;  // Of the thread, around this coroutine.
  TaskEnd* end_ = nullptr;
};

template <typename Awaiter>
template <typename Promise>
auto AmbientAwaiter<Awaiter>::await_suspend(
    std::coroutine_handle<Promise> coroutine) {
  suspended_ = true;
  // From the inner await_suspend on, the coroutine may run on another thread,
  // and this object be gone.
  const AmbientCall* const outer = promise_->outer();
  if constexpr (std::is_void_v<decltype(awaiter_.await_suspend(coroutine))>) {
    awaiter_.await_suspend(coroutine);
    ExchangeAmbientCall(outer);
  } else {
    const auto next = awaiter_.await_suspend(coroutine);
    ExchangeAmbientCall(outer);
    return next;
  }
}

template <typename Awaiter>
decltype(auto) AmbientAwaiter<Awaiter>::await_resume() {
  if (suspended_) promise_->Enter();
  return awaiter_.await_resume();
}

// What a task has ended with.
template <typename T>
class Promise : public PromiseBase {
 public:
  template <typename Value = T>
  void return_value(Value&& value) {
    outcome_.template emplace<1>(std::forward<Value>(value));
  }
  void unhandled_exception() noexcept {
    outcome_.template emplace<2>(std::current_exception());
  }
  T TakeResult() {
    if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(outcome_));
    return std::move(std::get<1>(outcome_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> outcome_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  void return_void() noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void TakeResult() {
    if (exception_ != nullptr) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace tern::task_internal

#endif  // TERN_LIB_CALL_TASK_PROMISE_H_
