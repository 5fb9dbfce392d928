#ifndef TERN_LIB_NET_DRIVER_ROLE_H_
#define TERN_LIB_NET_DRIVER_ROLE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"

namespace tern::net {

// Who drives a connection: at most one thread at a time.
//
// Unlike with a lock, a thread that has only brought work need not wait: it
// announces the work, and whoever holds the role does it before letting go. So
// under load one thread's system call carries the work of many.
//
//   queue.Push(work);                     // Visible before the announcement.
//   if (!role.AcquireOrAnnounce()) return;  // The holder will see it.
//   do { take all from the queue, work } while (!role.TryRelease());
//
// All announced work is seen: AcquireOrAnnounce and TryRelease are changes of
// one atomic word, so an announcement comes either before a release, which then
// fails, or after it, and then acquires.
//
// Who waits in Acquire gets the role next, work that was announced included:
// the loop is not kept from its connection by threads that take turns.
class ABSL_LOCKABLE DriverRole {
 public:
  DriverRole() = default;
  DriverRole(const DriverRole&) = delete;
  DriverRole& operator=(const DriverRole&) = delete;

  // True: this thread has the role now. False: its holder has been told, or the
  // thread that is about to be.
  bool AcquireOrAnnounce() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    uint32_t state = state_.load(std::memory_order_relaxed);
    while (true) {
      const bool free = (state & (kHeld | kWaiting)) == 0;
      if (state_.compare_exchange_weak(state, state | (free ? kHeld : kWork),
                                       std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
        return free;
      }
    }
  }

  // Waits for the role. The caller then does what has been announced, too.
  void Acquire() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    uint32_t state = state_.load(std::memory_order_relaxed);
    while (true) {
      if ((state & kHeld) == 0) {
        if (state_.compare_exchange_weak(state, kHeld,
                                         std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
          return;
        }
      } else if ((state & kWaiting) != 0 ||
                 state_.compare_exchange_weak(state, state | kWaiting,
                                              std::memory_order_relaxed)) {
        state_.wait(state | kWaiting, std::memory_order_relaxed);
        state = state_.load(std::memory_order_relaxed);
      }
    }
  }

  // False: work was announced meanwhile, and the caller still has the role.
  // (Not for the checker: a release that can fail has no annotation.)
  bool TryRelease() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    uint32_t state = state_.load(std::memory_order_relaxed);
    while (true) {
      const bool waiting = (state & kWaiting) != 0;
      const bool work = (state & kWork) != 0 && !waiting;
      const uint32_t next = work ? state & ~kWork : state & ~kHeld;
      if (!state_.compare_exchange_weak(state, next, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
        continue;
      }
      if (work) return false;
      if (waiting) state_.notify_all();
      return true;
    }
  }

  // Lets the role go whatever was announced: the caller has seen to it that
  // some thread acquires it soon.
  void Release() ABSL_UNLOCK_FUNCTION() {
    const uint32_t state = state_.fetch_and(~kHeld, std::memory_order_acq_rel);
    if ((state & kWaiting) != 0) state_.notify_all();
  }

  // Tells the checker that the role is held here.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kWork = 2;
  static constexpr uint32_t kWaiting = 4;
  std::atomic<uint32_t> state_{0};
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_DRIVER_ROLE_H_
