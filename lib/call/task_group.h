#ifndef TERN_LIB_CALL_TASK_GROUP_H_
#define TERN_LIB_CALL_TASK_GROUP_H_

#include <array>
#include <atomic>
#include <coroutine>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/task.h"

namespace tern {

// What stands for the result of a Task<void> among others.
template <typename T>
using NonVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

}  // namespace tern

// The inside of WhenAll and WhenAny (lib/call/when.h).
namespace tern::task_internal {

template <typename T>
Task<T> AsTask(Task<T>&& task) {
  return std::move(task);
}
template <typename Awaitable>
Task<AwaitResult<Awaitable>> AwaitLater(Awaitable awaitable) {
  co_return co_await std::move(awaitable);
}
template <typename Awaitable>
auto AsTask(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).AsTask(); }) {
    return std::forward<Awaitable>(awaitable).AsTask();
  } else {
    return AwaitLater<std::decay_t<Awaitable>>(
        std::forward<Awaitable>(awaitable));
  }
}

template <typename T>
NonVoid<T> TakeNonVoid(Task<T>& task) {
  if constexpr (std::is_void_v<T>) {
    task.TakeResult();
    return {};
  } else {
    return task.TakeResult();
  }
}

// Told of the ends of several tasks; awaited, it waits for them all. Start them
// first.
class Countdown final : public TaskEnd {
 public:
  explicit Countdown(size_t tasks) : left_(tasks + 1) {}
  Countdown(const Countdown&) = delete;
  Countdown& operator=(const Countdown&) = delete;

  std::coroutine_handle<> OnTaskEnd() noexcept override {
    return IsLast() ? waiter_ : std::noop_coroutine();
  }
  // Instead of a task's start, by whoever starts them.
  void Skip() { left_.fetch_sub(1, std::memory_order_relaxed); }

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    return !IsLast();
  }
  void await_resume() {}

 private:
  bool IsLast() { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  std::atomic<size_t> left_;  // Tasks, and whoever waits for them.
  std::coroutine_handle<> waiter_;
};

// Tasks that run until one of them has ended.
class Race {
 public:
  // Told of one task's end.
  class Runner final : public TaskEnd {
   public:
    Runner() = default;
    Runner(Race* race, size_t index) : race_(race), index_(index) {}
    std::coroutine_handle<> OnTaskEnd() noexcept override {
      return race_->OnEnd(index_);
    }

   private:
    Race* race_ = nullptr;
    size_t index_ = 0;
  };

  Race(const AmbientCall* ambient, size_t tasks)
      : part_(ambient), countdown_(tasks) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  // `runner` is as long at its place as the race.
  template <typename T>
  void Start(Task<T>& task, Runner* runner) {
    if (first_.load(std::memory_order_relaxed) != kNone) {
      return countdown_.Skip();
    }
    task.Start(part_.ambient(), runner);
  }
  Countdown& all_ended() { return countdown_; }
  // REQUIRES: one has ended.
  size_t first() const { return first_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  std::coroutine_handle<> OnEnd(size_t index) {
    size_t none = kNone;
    if (first_.compare_exchange_strong(none, index)) part_.Cancel();
    return countdown_.OnTaskEnd();
  }

  CancellablePart part_;
  Countdown countdown_;
  std::atomic<size_t> first_{kNone};
};

template <typename... T>
Task<std::tuple<NonVoid<T>...>> AllOf(std::tuple<Task<T>...> tasks) {
  Countdown countdown(sizeof...(T));
  const auto start = [&countdown](auto&... task) {
    (task.Start(CurrentAmbientCall(), &countdown), ...);
  };
  std::apply(start, tasks);
  co_await countdown;
  const auto take = [](auto&... task) {
    return std::tuple<NonVoid<T>...>{TakeNonVoid(task)...};
  };
  co_return std::apply(take, tasks);
}

// The result of the task at `index`, as the variant's alternative.
template <size_t kIndex, typename Variant, typename Tasks>
Variant TakeAt(size_t index, Tasks& tasks) {
  if constexpr (kIndex + 1 < std::variant_size_v<Variant>) {
    if (index != kIndex) return TakeAt<kIndex + 1, Variant>(index, tasks);
  }
  return Variant(std::in_place_index<kIndex>,
                 TakeNonVoid(std::get<kIndex>(tasks)));
}

template <typename... T>
Task<std::variant<NonVoid<T>...>> AnyOf(std::tuple<Task<T>...> tasks) {
  Race race(CurrentAmbientCall(), sizeof...(T));
  std::array<Race::Runner, sizeof...(T)> runners;
  const auto start = [&race, &runners](auto&... task) {
    size_t next = 0;
    const auto start_one = [&](auto& one) {
      runners[next] = Race::Runner(&race, next);
      race.Start(one, &runners[next]);
      ++next;
    };
    (start_one(task), ...);
  };
  std::apply(start, tasks);
  co_await race.all_ended();
  co_return TakeAt<0, std::variant<NonVoid<T>...>>(race.first(), tasks);
}

}  // namespace tern::task_internal

#endif  // TERN_LIB_CALL_TASK_GROUP_H_
