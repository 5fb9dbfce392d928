#ifndef TERN_LIB_NET_CONNECTOR_H_
#define TERN_LIB_NET_CONNECTOR_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "lib/net/address.h"
#include "lib/net/event_loop.h"
#include "lib/net/socket.h"

namespace tern::net {

// Tries addresses in order until one accepts a connection.
//
// Loop thread only. Destroying it gives up; `done` is then not called.
class Connector {
 public:
  struct Connected {
    FileDescriptor socket;  // Non-blocking, not registered anywhere.
    Address local;
    Address peer;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<Connected>) &&>;

  // An attempt gets `attempt_timeout` before the next address is started beside it is not
  // done: one at a time. The error when all failed lists each address with its reason
  // ("connect to kv.prod: 10.0.0.7:7117: connection refused; [fd00::7]:7117: timed out after 5s").
  // `done` may destroy the Connector. Never called from inside the constructor.
  Connector(EventLoop* loop, std::vector<Address> addresses,
            absl::Duration attempt_timeout, Done done);
  ~Connector();
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_CONNECTOR_H_
