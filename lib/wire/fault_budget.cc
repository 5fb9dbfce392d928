#include "tern/lib/wire/fault_budget.h"

namespace tern::wire {

bool FaultBudget::Spend(MonotonicTime now) {
  constexpr int64_t kNanosecondsPerPoint = 1'000'000'000 / kRefillPerSecond;
  const int64_t points =
      (now.nanoseconds() - refilled_at_.nanoseconds()) / kNanosecondsPerPoint;
  if (left_ + points >= kCapacity) {
    left_ = kCapacity;
    refilled_at_ = now;
  } else if (points > 0) {
    left_ += static_cast<int>(points);
    refilled_at_ = MonotonicTime::FromNanoseconds(
        refilled_at_.nanoseconds() + points * kNanosecondsPerPoint);
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

void RapidCancelDetector::Roll(MonotonicTime now) {
  constexpr int64_t kWindowNanoseconds = 1'000'000'000;
  if (now < window_start_.After(kWindowNanoseconds)) return;
  window_start_ = now;
  calls_ = cancels_ = 0;
}

void RapidCancelDetector::OnCall(MonotonicTime now) {
  Roll(now);
  ++calls_;
}

bool RapidCancelDetector::OnCancel(MonotonicTime begun_at, MonotonicTime now) {
  Roll(now);
  if (begun_at < window_start_) return true;
  ++cancels_;
  return calls_ <= kMaxCalls || cancels_ * 2 <= calls_;
}

PingThrottle::Verdict PingThrottle::OnPing(uint64_t payload,
                                           absl::Duration min_interval,
                                           MonotonicTime now) {
  const bool soon = last_ping_.has_value() && now - *last_ping_ < min_interval;
  if (soon && ++strikes_ > kMaxStrikes) return Verdict::kAbuse;
  if (!soon) strikes_ = 0;
  if (!soon && due_.is_infinite()) {
    last_ping_ = now;
    return Verdict::kAnswerNow;
  }
  pending_ = payload;
  if (due_.is_infinite()) due_ = *last_ping_ + min_interval;
  last_ping_ = now;
  return Verdict::kAnswerLater;
}

uint64_t PingThrottle::TakePending() {
  due_ = MonotonicTime::InfiniteFuture();
  return pending_;
}

}  // namespace tern::wire
