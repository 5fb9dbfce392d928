#ifndef TERN_LIB_CALL_DEADLINE_H_
#define TERN_LIB_CALL_DEADLINE_H_

#include <algorithm>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"

namespace tern {

// The instant by which a call ends. Absolute, on the monotonic clock: setting
// the wall clock ends no call early or late. Arithmetic saturates.
//
// A value type; safe to copy between threads.
class Deadline {
 public:
  // Never. No call gets it from a user: see ChannelOptions::default_timeout.
  constexpr Deadline() : time_(MonotonicTime::InfiniteFuture()) {}
  explicit constexpr Deadline(MonotonicTime time) : time_(time) {}

  static Deadline After(absl::Duration timeout) {
    return Deadline(MonotonicTime::Now() + timeout);
  }

  MonotonicTime time() const { return time_; }
  bool is_infinite() const { return time_.is_infinite(); }
  // Zero once it has passed, never negative.
  absl::Duration Remaining() const {
    return std::max(absl::ZeroDuration(), time_ - MonotonicTime::Now());
  }
  bool HasPassed() const { return MonotonicTime::Now() >= time_; }

  friend constexpr auto operator<=>(Deadline, Deadline) = default;

 private:
  MonotonicTime time_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_DEADLINE_H_
