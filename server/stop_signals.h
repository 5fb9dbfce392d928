#ifndef TERN_SERVER_STOP_SIGNALS_H_
#define TERN_SERVER_STOP_SIGNALS_H_

#include <signal.h>

#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/net/socket.h"

namespace tern {

// Catches SIGTERM and SIGINT while it exists, and puts back what was there
// before. A thread that has them blocked lets them through meanwhile: whoever
// blocks them before Server::Start() and then says that it serves misses none.
// One at a time in a process: an inactive one (see active()) catches
// nothing. Create and destroy on one thread; Wait() and Wake() on any.
class StopSignals {
 public:
  // `catch_signals` false: only Wake() ends a wait.
  explicit StopSignals(bool catch_signals);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool active() const { return active_; }

  // Waits for a signal that has not been waited for yet (true), for Wake(), or
  // for the time (false).
  bool Wait(MonotonicTime until);
  void Wake();

 private:
  net::FileDescriptor signalled_;  // eventfds.
  net::FileDescriptor woken_;
  bool active_ = false;
  struct sigaction previous_term_ = {};
  struct sigaction previous_int_ = {};
  sigset_t previous_mask_ = {};  // Of the thread that created it.
};

}  // namespace tern

#endif  // TERN_SERVER_STOP_SIGNALS_H_
