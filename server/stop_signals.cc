#include "tern/server/stop_signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tern/lib/base/log.h"

namespace tern {
namespace {

// What the handler writes to; -1 while nobody catches. Process-wide, because
// signal handlers are.
std::atomic<int> handler_fd{-1};

void HandleSignal(int) {
  const int saved = errno;
  const int fd = handler_fd.load();
  if (fd >= 0) net::AddToEventFd(fd, 1);
  errno = saved;
}

}  // namespace

StopSignals::StopSignals(bool catch_signals)
    // A semaphore: each signal is one success of Wait().
    : signalled_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)),
      woken_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  TERN_CHECK(signalled_.valid() && woken_.valid()) << "no eventfd";
  int none = -1;
  if (!catch_signals ||
      !handler_fd.compare_exchange_strong(none, signalled_.get())) {
    return;
  }
  active_ = true;
#ifdef __SANITIZE_THREAD__
  // gcc 12's ThreadSanitizer loses a signal that comes in the middle of a
  // thread's first blocking call: let this be that call.
  poll(nullptr, 0, 0);
#endif
  struct sigaction action = {};
  action.sa_handler = HandleSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &previous_term_);
  sigaction(SIGINT, &action, &previous_int_);
  sigset_t caught;
  sigemptyset(&caught);
  sigaddset(&caught, SIGTERM);
  sigaddset(&caught, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &caught, &previous_mask_);
}

StopSignals::~StopSignals() {
  if (!active_) return;
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
  sigaction(SIGTERM, &previous_term_, nullptr);
  sigaction(SIGINT, &previous_int_, nullptr);
  handler_fd.store(-1);
}

bool StopSignals::Wait(MonotonicTime until) {
  while (true) {
    uint64_t value = 0;
    if (read(signalled_.get(), &value, sizeof(value)) > 0) return true;
    int timeout_ms = -1;
    if (!until.is_infinite()) {
      const absl::Duration left = until - MonotonicTime::Now();
      if (left <= absl::ZeroDuration()) return false;
      // Rounded up, and at most a minute: the loop goes on.
      constexpr int64_t kMillisecond = 1'000'000;
      const int64_t wait_ns = MonotonicTime::WaitNanoseconds(
          std::min(60'000 * kMillisecond, absl::ToInt64Nanoseconds(left)));
      timeout_ms =
          static_cast<int>((wait_ns + kMillisecond - 1) / kMillisecond);
    }
    pollfd fds[] = {{.fd = signalled_.get(), .events = POLLIN, .revents = 0},
                    {.fd = woken_.get(), .events = POLLIN, .revents = 0}};
    const int ready = poll(fds, 2, timeout_ms);
    if (ready > 0 && fds[1].revents != 0 && fds[0].revents == 0) {
      // Taken back, so that the next wait waits again.
      if (read(woken_.get(), &value, sizeof(value)) > 0) return false;
    }
  }
}

void StopSignals::Wake() { net::AddToEventFd(woken_.get(), 1); }

}  // namespace tern
