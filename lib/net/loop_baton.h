#ifndef TERN_LIB_NET_LOOP_BATON_H_
#define TERN_LIB_NET_LOOP_BATON_H_

#include <atomic>
#include <cstdint>

namespace tern::net {

// Who drives an event loop: exactly one thread, at every moment.
//
// The driver lends the loop out while it runs something that may stall. Nobody
// touches the loop then, and a watcher that finds it lent for too long takes
// it. Reclaim and Take change the same number from the same mark, so of the two
// exactly one succeeds; and the number never comes back, so a late Take fails,
// however often the loop was lent meanwhile.
//
//   driver                              watcher
//   mark = baton.Lend();                mark = baton.Look();
//   RunSomebodysHandler();              Wait(for some time);
//   if (!baton.Reclaim(mark)) return;   if (baton.Take(mark)) DriveTheLoop();
//
// What the driver wrote before Lend is seen by who takes the loop.
class LoopBaton {
 public:
  using Mark = uint64_t;
  static constexpr bool IsLent(Mark mark) { return mark % 2 == 1; }

  // Driver: the loop may be taken from now on. A locked instruction, so that
  // what the driver reads after it is not older than the loan: see
  // StandbyDrivers::OnLent.
  Mark Lend() {
    // Nobody else changes an even number.
    const Mark mark = number_.load(std::memory_order_relaxed) + 1;
    number_.exchange(mark, std::memory_order_seq_cst);
    return mark;
  }

  // Driver: whether it still is. When not, it must not touch the loop again.
  [[nodiscard]] bool Reclaim(Mark mark) { return Advance(mark); }

  // Any thread: what Take needs. It has changed when the loop was lent, or
  // reclaimed, meanwhile.
  Mark Look() const { return number_.load(std::memory_order_seq_cst); }

  // Any thread: true makes the caller the driver. False when the loop was not
  // lent, or has been reclaimed or taken since Look().
  [[nodiscard]] bool Take(Mark mark) { return IsLent(mark) && Advance(mark); }

 private:
  bool Advance(Mark mark) {
    return number_.compare_exchange_strong(
        mark, mark + 1, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  std::atomic<Mark> number_{0};  // Odd while lent.
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_LOOP_BATON_H_
