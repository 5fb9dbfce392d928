#include "tern/lib/base/mutex.h"

#include <algorithm>

namespace tern {
namespace {

// libstdc++'s steady_clock is CLOCK_MONOTONIC, the clock of MonotonicTime.
std::chrono::steady_clock::time_point ToSteadyClock(MonotonicTime time) {
  return std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(time.kernel_nanoseconds()));
}

}  // namespace

void CondVar::Wait(Mutex& mutex) {
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  condition_.wait(lock);
  lock.release();  // The caller still holds the mutex.
}

bool CondVar::WaitUntil(Mutex& mutex, MonotonicTime deadline) {
  if (deadline.is_infinite()) {
    Wait(mutex);
    return true;
  }
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  MonotonicTime until = deadline;
  if (MonotonicTime::MayJump()) {
    until = std::min(until,
                     MonotonicTime::Now().After(MonotonicTime::kJumpCheckNs));
  }
  const std::cv_status status =
      condition_.wait_until(lock, ToSteadyClock(until));
  lock.release();
  return status == std::cv_status::no_timeout ||
         (until < deadline && MonotonicTime::Now() < deadline);
}

}  // namespace tern
