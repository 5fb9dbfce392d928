#include "tern/testing/fake_clock.h"

#include <cstdint>

#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/timer_queue.h"

namespace tern {

class ClockJumps {
 public:
  // False: somebody else has them.
  static bool Take() { return !MonotonicTime::may_jump_.exchange(true); }
  static void GiveBack() { MonotonicTime::may_jump_ = false; }
  static void Jump(int64_t nanoseconds) {
    MonotonicTime::ahead_ns_ += nanoseconds;
  }
};

namespace testing {

FakeClock::FakeClock() {
  TERN_CHECK(ClockJumps::Take()) << "there is a FakeClock already";
}

FakeClock::~FakeClock() { ClockJumps::GiveBack(); }

void FakeClock::Advance(absl::Duration duration) {
  TERN_CHECK(duration >= absl::ZeroDuration() &&
             duration < absl::Hours(24 * 365 * 100))
      << "Advance(" << duration << ")";
  ClockJumps::Jump(absl::ToInt64Nanoseconds(duration));
}

bool FakeClock::WaitForSleepers(int count, absl::Duration patience) {
  const absl::StatusOr<TimerQueue*> queue = TimerQueue::Get();
  TERN_CHECK(queue.ok()) << queue.status();
  return (*queue)->WaitForSleepers(static_cast<size_t>(count),
                                   MonotonicTime::Now() + patience);
}

}  // namespace testing
}  // namespace tern
