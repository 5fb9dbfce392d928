#ifndef TERN_LIB_NET_STANDBY_DRIVERS_H_
#define TERN_LIB_NET_STANDBY_DRIVERS_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/net/event_loop.h"

namespace tern::net {

// Threads that take over event loops whose driver is held up in an errand, so
// that no connection waits for somebody else's handler for longer than twice
// kStallTime.
//
// One of them watches: it looks at every loop each kStallTime, and takes one
// that has been on loan from one look to the next, for the same errand. It then
// drives that loop, and another thread watches; the thread that has lost it
// joins these when its errand is over. While nothing happens, the watcher
// sleeps without a timeout.
//
// While there are fewer of them than loops, no errand may stall: see
// CoverAllLoops().
//
// Thread-safe. Outlived by the loops.
class StandbyDrivers {
 public:
  // A look costs some 5 us: at 200 a second, nobody notices.
  static constexpr absl::Duration kStallTime = absl::Milliseconds(5);

  // Starts the first thread; more, up to `max_threads`, when that one is needed
  // elsewhere.
  static absl::StatusOr<std::unique_ptr<StandbyDrivers>> Create(
      std::vector<EventLoop*> loops, int max_threads);
  ~StandbyDrivers();  // Stop().

  // The loops: one has just been lent.
  void OnLent() {
    // Either we see that the watcher rests, or it sees, after it has said so,
    // that the loop is lent: all four accesses are in one order.
    if (resting_.load(std::memory_order_seq_cst)) WakeWatcher();
  }

  // The loops, before each errand: whether it may stall. A loop that is lent
  // after this has said so is taken over when it must be, whatever becomes of
  // the others meanwhile: each of those can stall once, then it asks again.
  bool CoverAllLoops() const {
    return spare_.load(std::memory_order_seq_cst) >= loops_.size();
  }

  // For a thread that has lost its loop. Returns after Stop().
  void StandBy();

  // Whether the watcher sleeps until a loop is lent.
  bool resting() const { return resting_.load(std::memory_order_relaxed); }

  // Once all loops have ended. Waits for errands that still run on these
  // threads.
  void Stop();

 private:
  StandbyDrivers(std::vector<EventLoop*> loops, int max_threads);
  absl::Status AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeWatcher();
  // Watches and drives until Stop().
  void Serve();
  void AddSpare();
  // nullptr after Stop().
  EventLoop* WaitForStalledLoop();
  EventLoop* Watch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a loop that is lent as it was at the last look: the caller is one
  // fewer to spare then. `*changed`: whether anything has happened since.
  EventLoop* Look(bool* changed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::vector<EventLoop*> loops_;

  std::atomic<bool> resting_{false};
  // Threads that can take over a loop, those that may yet be started included.
  // Changed with mutex_ held.
  std::atomic<size_t> spare_;

  Mutex mutex_;
  CondVar changed_;  // For the watcher: wake up, or stop.
  CondVar duty_;     // For the others: somebody must watch, or stop.
  std::vector<LoopBaton::Mark> marks_ ABSL_GUARDED_BY(mutex_);  // Of loops_.
  size_t max_threads_ ABSL_GUARDED_BY(mutex_);
  bool watched_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // Threads here, the watcher too.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_STANDBY_DRIVERS_H_
