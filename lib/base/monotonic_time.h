#ifndef TERN_LIB_BASE_MONOTONIC_TIME_H_
#define TERN_LIB_BASE_MONOTONIC_TIME_H_

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace tern {

// A point on the monotonic clock (CLOCK_MONOTONIC), in nanoseconds. (In tests,
// so much ahead of that as a testing::FakeClock has been advanced.)
//
// Everything that Tern waits for is measured on this clock, so that a jump of
// the wall clock ends no call early or late. Arithmetic saturates: an instant
// that is too far away becomes InfiniteFuture() and never wraps into the past.
//
// A value type; safe to copy between threads.
class MonotonicTime {
 public:
  // The epoch of the clock: earlier than every Now().
  constexpr MonotonicTime() = default;

  static constexpr MonotonicTime FromNanoseconds(int64_t nanoseconds) {
    return MonotonicTime(nanoseconds);
  }
  static constexpr MonotonicTime InfiniteFuture() {
    return MonotonicTime(std::numeric_limits<int64_t>::max());
  }
  // The current time: one clock_gettime (about 20 ns).
  static MonotonicTime Now();

  // For whoever waits in a system call for a time that is `nanoseconds` away:
  // how long to, and then to look again. The same, but where a test may advance
  // the clock meanwhile.
  static int64_t WaitNanoseconds(int64_t nanoseconds) {
    return MayJump() ? std::min(nanoseconds, kJumpCheckNs) : nanoseconds;
  }
  // Whether a test may advance the clock.
  static bool MayJump() { return may_jump_.load(std::memory_order_relaxed); }
  static constexpr int64_t kJumpCheckNs = 1'000'000;
  // What the kernel's clock shows at this time.
  int64_t kernel_nanoseconds() const {
    return nanoseconds_ - ahead_ns_.load(std::memory_order_relaxed);
  }

  constexpr int64_t nanoseconds() const { return nanoseconds_; }
  constexpr bool is_infinite() const { return *this == InfiniteFuture(); }

  // This and `nanoseconds` (at least 0) more; saturates. For where a call
  // passes: absl::Duration's arithmetic costs some sixty instructions.
  constexpr MonotonicTime After(int64_t nanoseconds) const {
    int64_t sum = 0;
    return __builtin_add_overflow(nanoseconds_, nanoseconds, &sum)
               ? InfiniteFuture()
               : MonotonicTime(sum);
  }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;

 private:
  explicit constexpr MonotonicTime(int64_t nanoseconds)
      : nanoseconds_(nanoseconds) {}

  friend class ClockJumps;                // Of testing::FakeClock.
  static std::atomic<int64_t> ahead_ns_;  // Of the kernel's clock. Grows.
  static std::atomic<bool> may_jump_;

  int64_t nanoseconds_ = 0;
};

// Saturates at the clock's epoch and at InfiniteFuture(), which stays infinite
// whatever is added to it.
MonotonicTime operator+(MonotonicTime time, absl::Duration duration);

// InfiniteDuration() when `end` is the infinite future; else minus that when
// only `start` is.
absl::Duration operator-(MonotonicTime end, MonotonicTime start);

}  // namespace tern

#endif  // TERN_LIB_BASE_MONOTONIC_TIME_H_
