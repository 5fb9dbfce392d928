#include "tern/lib/base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

#include "absl/status/status.h"

namespace tern {
namespace {

constexpr size_t kMaxThreadNameBytes = 15;  // The kernel's limit.

// A thread inherits its creator's mask: blocking here, around the creation,
// leaves the new thread no moment in which it could take a signal.
class AsynchronousSignalsBlocked {
 public:
  AsynchronousSignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int signal :
         {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF}) {
      sigdelset(&blocked, signal);
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  ~AsynchronousSignalsBlocked() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
};

}  // namespace

absl::StatusOr<std::thread> StartThread(std::string_view name,
                                        absl::AnyInvocable<void()> body) {
  const std::string shown(name.substr(0, kMaxThreadNameBytes));
  AsynchronousSignalsBlocked blocked;
  try {
    return std::thread([shown, body = std::move(body)]() mutable {
      pthread_setname_np(pthread_self(), shown.c_str());
      body();
    });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError("start thread " + shown + ": " +
                                        error.code().message());
  }
}

std::string ThreadName(std::string_view prefix, size_t index) {
  const std::string suffix = "-" + std::to_string(index);
  std::string name(prefix.substr(0, kMaxThreadNameBytes - suffix.size()));
  return name + suffix;
}

}  // namespace tern
