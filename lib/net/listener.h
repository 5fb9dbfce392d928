#ifndef TERN_LIB_NET_LISTENER_H_
#define TERN_LIB_NET_LISTENER_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/lib/base/log.h"
#include "tern/lib/net/address.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/socket.h"

namespace tern::net {

// Accepts connections on one address and hands each to a callback on the loop's
// thread.
//
// Survives what accept can say. ECONNABORTED, EPROTO and their like, which are
// about one connection, are skipped. After all others (EMFILE, ENFILE, ENOBUFS,
// ENOMEM, ...) it pauses: 10 ms, twice as long each time, at most 1 s. Without
// free descriptors it first closes the connections that wait, with the help of
// one held in reserve, so that their clients hear of it instead of hanging. At
// most kAcceptsPerTurn connections a turn, so that a storm of them can't starve
// the others.
//
// Created and destroyed on any thread; lives on its loop: the destructor waits
// for the loop's thread (or runs at once when on it). The loop outlives it.
// Unlinks its Unix path when destroyed, if it has made it and it is still its
// own.
class Listener final : private EventLoop::IoHandler {
 public:
  static constexpr int kAcceptsPerTurn = 64;
  static constexpr absl::Duration kMinPause = absl::Milliseconds(10);
  static constexpr absl::Duration kMaxPause = absl::Seconds(1);

  // The socket is accepted, configured (ConfigureAccepted()) and registered
  // nowhere. May destroy the Listener.
  using OnAccept =
      absl::AnyInvocable<void(FileDescriptor socket, const Address& peer)>;

  // Bound and listening when this returns OK; accepting starts with it, so
  // `on_accept` may be called before. The error names the address and errno's
  // text.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(EventLoop* loop,
                                                         const Address& address,
                                                         int backlog,
                                                         OnAccept on_accept);
  // The same on a socket that listens already, non-blocking. Others may accept
  // from it, too, at the same time and later: what waits there when this is
  // destroyed waits for them, and a Unix path stays.
  static absl::StatusOr<std::unique_ptr<Listener>> StartOn(
      EventLoop* loop, FileDescriptor socket, OnAccept on_accept);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // With the port that was chosen for port 0. Any thread.
  const Address& address() const { return address_; }

  // Connections closed unserved for want of descriptors. Any thread.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  struct File {
    dev_t device;
    ino_t inode;
  };

  static absl::StatusOr<std::unique_ptr<Listener>> StartOn(
      EventLoop* loop, FileDescriptor socket, bool made_path,
      OnAccept on_accept);
  Listener(EventLoop* loop, FileDescriptor socket, FileDescriptor reserve,
           OnAccept on_accept);

  // All on the loop's thread.
  absl::Status StartOnLoop();
  void StopOnLoop();
  void OnReady(uint32_t events) override;
  // False when there is nothing more to accept for now.
  bool AcceptOne(OnAccept& on_accept);
  void CloseWaiting();
  void Pause(int error);
  void Resume();

  void RememberUnixPath();
  void UnlinkUnixPath();

  EventLoop* const loop_;
  const Address address_;
  std::optional<File> unix_file_;  // What stands at our Unix path.

  // Owned by the loop's thread.
  FileDescriptor socket_;
  FileDescriptor reserve_;  // Invalid when another thread was quicker.
  OnAccept on_accept_;
  std::optional<EventLoop::Timer> resume_timer_;
  absl::Duration pause_ = kMinPause;  // The next one.
  bool* destroyed_ = nullptr;         // Set by the destructor during OnReady().
  LogRateLimiter log_limiter_;

  std::atomic<uint64_t> refused_{0};
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_LISTENER_H_
