#include "tern/testing/fake_clock.h"

#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/timer_queue.h"

namespace tern::testing {

FakeClock::FakeClock() {
  TERN_CHECK(!MonotonicTime::may_jump_.exchange(true))
      << "there is a FakeClock already";
}

FakeClock::~FakeClock() { MonotonicTime::may_jump_ = false; }

void FakeClock::Advance(absl::Duration duration) {
  TERN_CHECK(duration >= absl::ZeroDuration() &&
             duration < absl::Hours(24 * 365 * 100))
      << "Advance(" << duration << ")";
  MonotonicTime::ahead_ns_ += absl::ToInt64Nanoseconds(duration);
}

bool FakeClock::WaitForSleepers(int count, absl::Duration patience) {
  const absl::StatusOr<TimerQueue*> queue = TimerQueue::Get();
  TERN_CHECK(queue.ok()) << queue.status();
  return (*queue)->WaitForSleepers(static_cast<size_t>(count),
                                   MonotonicTime::Now() + patience);
}

}  // namespace tern::testing
