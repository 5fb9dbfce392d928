#ifndef TERN_LIB_CALL_SLEEP_H_
#define TERN_LIB_CALL_SLEEP_H_

#include <coroutine>
#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/deadline.h"

namespace tern {

class TimerQueue;

// Awaited by a task, ends at a time; holds no thread meanwhile. (A value; what
// co_await makes of it is what costs memory, in the coroutine: 100 bytes, and
// the same again for the registration with the call's Cancellation.)
//
//   if (absl::Status status = co_await tern::SleepFor(absl::Seconds(1));
//       !status.ok()) {
//     co_return status;
//   }
//
// OK when the time has come. It ends early with the call that is being handled:
// CANCELLED when that is cancelled, DEADLINE_EXCEEDED at its deadline.
// (Unqualified, the name is also absl::SleepFor's, which blocks.)
// RESOURCE_EXHAUSTED when the timer thread cannot be started,
// FAILED_PRECONDITION in the child of a fork().
//
// Unless the time has passed already, the task goes on on the timer thread,
// one for the whole process: it must not block there (a blocking call is
// refused), and should not compute for more than some 100 us.
class [[nodiscard]] Sleep {
 public:
  explicit Sleep(Deadline until) : until_(until.time()) {}

  class Awaiter;
  Awaiter operator co_await() const;

 private:
  const MonotonicTime until_;
};

inline Sleep SleepUntil(Deadline until) { return Sleep(until); }
inline Sleep SleepFor(absl::Duration duration) {
  return Sleep(Deadline::After(duration));
}

// True on the timer thread.
bool OnTimerThread();

class Sleep::Awaiter {
 public:
  explicit Awaiter(MonotonicTime until);
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;

  bool await_ready();
  bool await_suspend(std::coroutine_handle<> waiter);
  absl::Status await_resume();

 private:
  friend class TimerQueue;

  const MonotonicTime until_;
  // Nobody waits for longer: the deadline of the call.
  const MonotonicTime at_the_latest_;
  std::coroutine_handle<> waiter_;
  absl::Status error_;  // There is no timer.

  std::shared_ptr<Cancellation> cancellation_;  // Outlives the registration.
  Cancellation::Registration registration_;

  // Guarded by the queue's lock.
  size_t place_ = static_cast<size_t>(-1);
  bool cancelled_ = false;
};

inline Sleep::Awaiter Sleep::operator co_await() const {
  return Awaiter(until_);
}

}  // namespace tern

#endif  // TERN_LIB_CALL_SLEEP_H_
