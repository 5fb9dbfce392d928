#ifndef TERN_LIB_CALL_WHEN_H_
#define TERN_LIB_CALL_WHEN_H_

#include <array>
#include <atomic>
#include <coroutine>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tern/lib/base/log.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/task.h"
#include "tern/lib/call/task_group.h"

// Several tasks at a time. Each is started on the calling thread, one behind
// the other, and goes on wherever what it waits for happens: two of them may
// run at the same moment.
//
// Anything that can be awaited is taken where a task is: a call, a sleep. (A
// call then copies its request.)
namespace tern {

// Awaits all. Their results, in order; std::monostate for a Task<void>. When
// some have thrown, the exception of the first of those in order is thrown,
// once all have ended.
//
//   auto [user, items] = co_await tern::WhenAll(users.Co().Get(a),
//                                               shop.Co().List(b));
template <typename... Awaitables>
auto WhenAll(Awaitables&&... awaitables) {
  return task_internal::AllOf(std::tuple(
      task_internal::AsTask(std::forward<Awaitables>(awaitables))...));
}
template <typename T>
Task<std::vector<NonVoid<T>>> WhenAll(std::vector<Task<T>> tasks) {
  task_internal::Countdown countdown(tasks.size());
  for (Task<T>& task : tasks) task.Start(CurrentAmbientCall(), &countdown);
  co_await countdown;
  std::vector<NonVoid<T>> results;
  results.reserve(tasks.size());
  for (Task<T>& task : tasks) {
    results.push_back(task_internal::TakeNonVoid(task));
  }
  co_return results;
}

// Which task was the first to end, and its result.
template <typename T>
struct FirstResult {
  size_t index = 0;
  NonVoid<T> value;
};

// Awaits the first to end, and cancels the others: what they inherit from
// (AmbientCall) is cancelled, which ends their calls and sleeps, and those
// behind it are not started. Goes on when they have ended, too, so that none of
// them outlives what it refers to; their results and exceptions are dropped.
// The first one's exception is thrown.
//
//   auto first = co_await tern::WhenAny(stub.Co().Get(request),
//                                       tern::SleepFor(absl::Seconds(1)));
//   if (first.index() == 0) Use(std::get<0>(std::move(first)));
//
// The variant's index says which. A vector: at least one task.
template <typename... Awaitables>
auto WhenAny(Awaitables&&... awaitables) {
  static_assert(sizeof...(Awaitables) > 0, "nothing that could be the first");
  return task_internal::AnyOf(std::tuple(
      task_internal::AsTask(std::forward<Awaitables>(awaitables))...));
}
template <typename T>
Task<FirstResult<T>> WhenAny(std::vector<Task<T>> tasks) {
  TERN_CHECK(!tasks.empty()) << "nothing that could be the first";
  task_internal::Race race(CurrentAmbientCall(), tasks.size());
  std::vector<task_internal::Race::Runner> runners;
  runners.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    race.Start(tasks[i], &runners.emplace_back(&race, i));
  }
  co_await race.all_ended();
  Task<T>& first = tasks[race.first()];
  co_return FirstResult<T>{race.first(), task_internal::TakeNonVoid(first)};
}

}  // namespace tern

#endif  // TERN_LIB_CALL_WHEN_H_
