#ifndef TERN_SERVER_RUN_TIMES_H_
#define TERN_SERVER_RUN_TIMES_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/base/optimization.h"
#include "tern/lib/base/monotonic_time.h"

namespace tern {

// How long the handlers of one method have taken of late, and so where the next
// is to run: on the thread that has read its request, which saves two hand-offs
// and their wake-ups (some 10 us together), or on a worker, which keeps that
// thread free.
//
// Thread-safe. What is read for each call is written to only when there is
// news: in the steady state all threads share one cache line that nobody
// changes.
class RunTimes {
 public:
  enum class Place : uint8_t {
    kHere,
    kHereIfLast,  // Of the requests that were read together.
    kWorker,
  };

  // Up to here a hand-off costs more than the handler.
  static constexpr int64_t kTinyNs = 5'000;
  // Above it, even one request is too long to let connections wait.
  static constexpr int64_t kShortNs = 100'000;
  // Above it, no request: see ChooseForLong.
  static constexpr int64_t kLongNs = 500'000;
  // From here on a handler has held up its loop: StandbyDrivers.
  static constexpr int64_t kStallNs = 1'000'000;
  // No longer one is forgiven, however rare it is.
  static constexpr int64_t kMaxForgivenNs = 20'000'000;
  // Runs here are noted by so many of all that a thread has: a prime, so that
  // it is not always the same method's turn where several are called in turns.
  static constexpr int64_t kRunsNoted = 61;

  // `worker_idle`: one would begin at once. When all are at work, perhaps
  // blocked, a handler that is short by all that is known waits for none of
  // them, even if it has stalled lately.
  Place Choose(MonotonicTime now, bool worker_idle) const {
    const int64_t estimate = estimate_ns_.load(std::memory_order_relaxed);
    if (estimate > kShortNs) return Place::kWorker;
    if (!worker_idle) return Place::kHere;
    if (now.nanoseconds() < not_here_before_.load(std::memory_order_relaxed)) {
      return Place::kWorker;
    }
    return estimate <= kTinyNs ? Place::kHere : Place::kHereIfLast;
  }

  // For a request of several frames, which is parsed where it runs. Nothing is
  // dearer for it than to be read into one processor's cache and parsed with
  // another's; but only where no other connection waits meanwhile
  // (`loop_for_one`).
  Place ChooseForLong(MonotonicTime now, bool loop_for_one) const {
    const bool here =
        loop_for_one &&
        estimate_ns_.load(std::memory_order_relaxed) <= kLongNs &&
        now.nanoseconds() >= not_here_before_.load(std::memory_order_relaxed);
    return here ? Place::kHereIfLast : Place::kWorker;
  }

  // A handler has run on a worker for so long.
  void OnWorkerRun(int64_t run_ns) { Learn(run_ns); }

  // A handler has run where its request was read. One that stalls sends the
  // method to the workers for a while, which grows with each such stall: a
  // handler that is mostly short and sometimes blocks is worth little here.
  // Not so where it cost less than a hand-off of every run since the last stall
  // would have: then it is rare, and if it is no longer than some time slices,
  // it mostly means that others had the processor.
  void OnRunHere(int64_t run_ns, MonotonicTime now) {
    CountRunHere();
    const int64_t estimate = estimate_ns_.load(std::memory_order_relaxed);
    if (run_ns <= kShortNs && run_ns <= 2 * estimate + kTinyNs / 2 &&
        estimate <= 2 * run_ns + kTinyNs / 2) {
      return;
    }
    if (run_ns < kStallNs) {
      // One long run alone sends no short method away: it is what the loss of
      // the processor looks like, and on the workers the method might wait for
      // handlers that block. The second in a row does.
      return Learn(run_ns, estimate < kShortNs ? kShortNs : kAnyTimeNs);
    }
    const int64_t runs = runs_here_.exchange(0, std::memory_order_relaxed);
    if (run_ns > kMaxForgivenNs || runs * kTinyNs < run_ns) OnStall(now);
  }

 private:
  void CountRunHere() {
    thread_local constinit int64_t unnoted = 0;
    if (++unnoted < kRunsNoted) return;
    unnoted = 0;
    runs_here_.fetch_add(kRunsNoted, std::memory_order_relaxed);
  }

  // The first penalty is as short as a thread's time slice: on a busy machine
  // the stall may only have been that somebody else had the processor.
  static constexpr int64_t kFirstPenaltyNs = 10'000'000;
  static constexpr int64_t kMaxPenaltyNs = 10'000'000'000;

  static constexpr int64_t kAnyTimeNs = std::numeric_limits<int64_t>::max();

  // A moving average over some four runs, `most_ns` at the most. Runs that are
  // learned at the same moment may overwrite each other: it is an estimate.
  void Learn(int64_t run_ns, int64_t most_ns = kAnyTimeNs) {
    const int64_t estimate = estimate_ns_.load(std::memory_order_relaxed);
    estimate_ns_.store(std::min(estimate + (run_ns - estimate) / 4, most_ns),
                       std::memory_order_relaxed);
  }

  void OnStall(MonotonicTime now) {
    const int64_t last = penalty_ns_.load(std::memory_order_relaxed);
    const int64_t until = not_here_before_.load(std::memory_order_relaxed);
    // Good behaviour for as long again as the penalty is rewarded.
    const bool again = now.nanoseconds() < until + std::max(last, kStallNs);
    const int64_t penalty =
        again ? std::min(4 * last, kMaxPenaltyNs) : kFirstPenaltyNs;
    penalty_ns_.store(penalty, std::memory_order_relaxed);
    not_here_before_.store(now.nanoseconds() + penalty,
                           std::memory_order_relaxed);
  }

  // Begins long: a method shows on the workers that it is short.
  std::atomic<int64_t> estimate_ns_{1'000'000};
  std::atomic<int64_t> not_here_before_{0};
  std::atomic<int64_t> penalty_ns_{0};
  // Since the last stall, about. Away from what is read for each call.
  alignas(ABSL_CACHELINE_SIZE) std::atomic<int64_t> runs_here_{0};
};

}  // namespace tern

#endif  // TERN_SERVER_RUN_TIMES_H_
