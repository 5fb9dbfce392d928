#ifndef TERN_LIB_NET_LISTENER_H_
#define TERN_LIB_NET_LISTENER_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "lib/net/address.h"
#include "lib/net/event_loop.h"
#include "lib/net/socket.h"

namespace tern::net {

// Accepts connections on one address and hands each to a callback on the loop's thread.
//
// Survives what accept can say: ECONNABORTED, EPROTO and their like are skipped; without free
// descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM) it pauses with backoff (10 ms to 1 s), and a descriptor held in
// reserve closes the connection that is waiting instead of leaving it to hang. At most kAcceptsPerTurn
// (64) connections a turn, so that a storm of them cannot starve the others.
//
// Created and destroyed on any thread; lives on its loop: the destructor waits for the loop's thread (or runs
// at once when on it). The loop outlives it. Unlinks its Unix path when destroyed.
class Listener {
 public:
  // The socket is accepted, configured (non-blocking, TCP_NODELAY, close-on-exec), unregistered.
  using OnAccept = absl::AnyInvocable<void(FileDescriptor socket, const Address& peer)>;

  // Bound and listening when this returns OK; accepting starts with it.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(EventLoop* loop, const Address& address,
                                                        int backlog, OnAccept on_accept);
  ~Listener();

  const Address& address() const;  // With the port that was chosen for port 0.
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_LISTENER_H_
