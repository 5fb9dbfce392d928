#ifndef TERN_LIB_WIRE_FAULT_BUDGET_H_
#define TERN_LIB_WIRE_FAULT_BUDGET_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"

namespace tern::wire {

// The limits on a peer's behaviour of PROTOCOL.md, sections 9 and 10. Value
// types, fed with the time.

// A budget of 100 faults that refills by 10 a second.
class FaultBudget {
 public:
  static constexpr int kCapacity = 100;
  static constexpr int kRefillPerSecond = 10;

  // False when nothing is left.
  bool Spend(MonotonicTime now);

 private:
  int left_ = kCapacity;
  MonotonicTime refilled_at_;
};

// More than 500 calls begun within a second, of which the client has cancelled
// more than half before their deadlines.
class RapidCancelDetector {
 public:
  static constexpr uint32_t kMaxCalls = 500;

  void OnCall(MonotonicTime now);
  // False when the limit is passed. A cancel of a call that was begun (at
  // `begun_at`) before this second does not count.
  bool OnCancel(MonotonicTime begun_at, MonotonicTime now);

 private:
  void Roll(MonotonicTime now);
  MonotonicTime window_start_;
  uint32_t calls_ = 0;
  uint32_t cancels_ = 0;
};

// Answers PINGs no more often than the announced interval.
class PingThrottle {
 public:
  static constexpr int kMaxStrikes = 2;

  enum class Verdict { kAnswerNow, kAnswerLater, kAbuse };
  Verdict OnPing(uint64_t payload, absl::Duration min_interval,
                 MonotonicTime now);
  // When the pending answer is due; InfiniteFuture() when there is none.
  MonotonicTime due() const { return due_; }
  // Takes the pending answer.
  uint64_t TakePending();

 private:
  std::optional<MonotonicTime> last_ping_;
  uint64_t pending_ = 0;
  MonotonicTime due_ = MonotonicTime::InfiniteFuture();
  int strikes_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_FAULT_BUDGET_H_
