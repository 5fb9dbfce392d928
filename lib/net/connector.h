#ifndef TERN_LIB_NET_CONNECTOR_H_
#define TERN_LIB_NET_CONNECTOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/lib/net/address.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/socket.h"

namespace tern::net {

// Tries addresses, one at a time and in order, until one accepts a connection.
//
// Loop thread only. Destroying it gives up; `done` is then not called.
class Connector final : private EventLoop::IoHandler {
 public:
  struct Connected {
    FileDescriptor socket;  // Non-blocking, not registered anywhere.
    Address local;
    Address peer;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<Connected>) &&>;

  // An attempt that has not succeeded within `attempt_timeout` has failed, and
  // the next address is tried. When all have failed, the error lists each
  // address (up to 8) with its reason: "connect to 10.0.0.7:7117: connection
  // refused; [fd00::7]:7117: timed out after 5s". Its code is UNAVAILABLE when
  // any of the attempts may work later, else that of the last.
  //
  // `done` may destroy the Connector. Never called from inside the constructor.
  Connector(EventLoop* loop, std::vector<Address> addresses,
            absl::Duration attempt_timeout, Done done);
  ~Connector() override;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

 private:
  void OnReady(uint32_t events) override;
  void OnTimer();
  // Starts an attempt with the next address that has not failed at once, or
  // reports the failure of all.
  void TryNext();
  absl::Status StartAttempt();
  void EndAttempt();
  void NoteFailure(const absl::Status& status);
  void Finish(absl::StatusOr<Connected> result);  // May destroy this.

  EventLoop* const loop_;
  const std::vector<Address> addresses_;
  const absl::Duration attempt_timeout_;
  Done done_;
  size_t next_ = 0;         // Of addresses_: the next to try.
  FileDescriptor socket_;   // Of the attempt: valid while it is registered.
  EventLoop::Timer timer_;  // The first attempt's start, then its timeout.
  std::string failures_;
  absl::StatusCode code_ = absl::StatusCode::kInvalidArgument;
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_CONNECTOR_H_
