#ifndef TERN_TESTING_FAKE_CLOCK_H_
#define TERN_TESTING_FAKE_CLOCK_H_

#include "absl/time/time.h"

namespace tern::testing {

// Lets a test skip time: while one exists, Tern's clock can be set ahead.
//
//   FakeClock clock;
//   LocalServer local({&service});
//   ...                              // A handler sleeps for an hour.
//   ASSERT_TRUE(clock.WaitForSleepers(1));
//   clock.Advance(absl::Hours(1));   // It goes on.
//
// Whatever Tern does by the time is due as if the time had passed: deadlines
// and timeouts of calls, tern::SleepFor and SleepUntil, pings, the waits
// between attempts to connect, the grace of a drain. All of it, in this whole
// process, servers and channels alike; within some milliseconds. What has a
// time limit and is under way at that moment, such as a connection that is
// being made, misses it as it would miss any other: advance when such things
// are done.
//
// In between the clock goes on at its pace: choose times that are far longer
// than a test (hours cost nothing). Other clocks (absl::Now, absl::SleepFor,
// the kernel's) know nothing of this.
//
// One at a time. Made before servers, channels and sleeps whose times it is to
// advance, and destroyed behind them. (Afterwards the clock stays as far ahead
// as it was set.)
class FakeClock {
 public:
  FakeClock();
  ~FakeClock();
  FakeClock(const FakeClock&) = delete;
  FakeClock& operator=(const FakeClock&) = delete;

  // Any thread. `duration` is not negative; all of them together less than 100
  // years.
  void Advance(absl::Duration duration);

  // Waits until `count` tasks are in tern::SleepFor or SleepUntil, in the whole
  // process: what they were told is then measured from a time before the next
  // Advance(). False when that has not come within `patience` (of real time).
  [[nodiscard]] bool WaitForSleepers(
      int count, absl::Duration patience = absl::Seconds(30));
};

}  // namespace tern::testing

#endif  // TERN_TESTING_FAKE_CLOCK_H_
