#include "tern/lib/base/monotonic_time.h"

#include <time.h>

#include <algorithm>

namespace tern {

std::atomic<int64_t> MonotonicTime::ahead_ns_{0};
std::atomic<bool> MonotonicTime::may_jump_{false};

MonotonicTime MonotonicTime::Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return MonotonicTime(int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec +
                       ahead_ns_.load(std::memory_order_relaxed));
}

MonotonicTime operator+(MonotonicTime time, absl::Duration duration) {
  if (time.is_infinite()) return time;
  // (To add as absl::Duration would cost a call another forty instructions.)
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);  // Saturates.
  if (nanoseconds >= 0) return time.After(nanoseconds);
  const int64_t sum = time.nanoseconds() + nanoseconds;
  return MonotonicTime::FromNanoseconds(std::max<int64_t>(sum, 0));
}

absl::Duration operator-(MonotonicTime end, MonotonicTime start) {
  if (end.is_infinite()) return absl::InfiniteDuration();
  if (start.is_infinite()) return -absl::InfiniteDuration();
  return absl::Nanoseconds(end.nanoseconds()) -
         absl::Nanoseconds(start.nanoseconds());
}

}  // namespace tern
