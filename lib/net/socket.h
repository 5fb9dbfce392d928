#ifndef TERN_LIB_NET_SOCKET_H_
#define TERN_LIB_NET_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/lib/net/address.h"

namespace tern::net {

// Owns a file descriptor. Move-only; closes once.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

// What one system call on a socket did that does not block, whatever the
// socket's mode. EINTR is retried inside; SIGPIPE cannot happen (MSG_NOSIGNAL).
// No bytes asked for is kOk with none.
struct IoResult {
  enum Kind { kOk, kWouldBlock, kEndOfStream, kError };
  Kind kind = kOk;
  size_t bytes = 0;  // kOk.
  int error = 0;     // kError: errno.
};
// Of pieces, one after the other, only the first 16 are used.
IoResult ReadSome(int fd, char* buffer, size_t size);
IoResult ReadPieces(int fd, std::span<const std::span<char>> pieces);
IoResult WriteSome(int fd, std::string_view bytes);
IoResult WritePieces(int fd, std::span<const std::string_view> pieces);

// For WaitAndReadSome, once.
absl::Status PrepareToWait(int fd, absl::Duration timeout);
// ReadSome, but waits for something to read; kWouldBlock after the timeout.
IoResult WaitAndReadSome(int fd, char* buffer, size_t size);

// poll and epoll tell of input from so many bytes on, or when no more can come;
// 1 unless this was called. (TCP makes its buffer large enough for that, and
// keeps it. Without effect on a Unix socket.)
void SetLowWater(int fd, size_t bytes);

// Adds to an eventfd's counter; a full one (never, in practice) is as good as
// with `value` more. Async-signal-safe, but for errno.
void AddToEventFd(int fd, uint64_t value);

// The text of an errno, as in "connection refused".
std::string ErrnoText(int error);

// An errno as a Status whose code tells a caller what to do, with `what` before
// the text: "connect to 10.0.0.7:7117: connection refused".
//   UNAVAILABLE          may work later: the peer or the network is not there
//                        (refused, reset, unreachable, timed out, no such Unix
//                        path, no local port left, ...)
//   RESOURCE_EXHAUSTED   this system lacks descriptors, memory or buffers
//   PERMISSION_DENIED    EACCES, EPERM, EROFS
//   FAILED_PRECONDITION  the address is in use
//   INVALID_ARGUMENT     the address can never work
//   INTERNAL             anything else: our own mistake
absl::Status ErrnoToStatus(int error, std::string_view what);

// A socket on its way to `peer`: non-blocking, close-on-exec and with the
// options of ConfigureStream. Writable when the outcome is known; then
// FinishConnect(). The errors of both name the peer: "10.0.0.7:7117: connection
// refused".
absl::StatusOr<FileDescriptor> StartConnect(const Address& peer);
// The outcome of a connect that was in progress: SO_ERROR as a Status.
absl::Status FinishConnect(int fd, const Address& peer);

// What both ends set on a connection. TCP only: TCP_NODELAY, and keep-alive and
// TCP_USER_TIMEOUT such that the kernel ends a connection whose peer is gone,
// or reads nothing, after kDeadPeerTimeoutSeconds and at most 5 s more. A no-op
// for Unix sockets.
inline constexpr int kDeadPeerTimeoutSeconds = 30;
absl::Status ConfigureStream(int fd);
// For what accept gave: non-blocking, close-on-exec, and ConfigureStream().
absl::Status ConfigureAccepted(int fd);

// Bound and listening, non-blocking, close-on-exec, SO_REUSEADDR; IPV6_V6ONLY
// is off for "::", which serves IPv4 too, and on for other IPv6 addresses. A
// stale Unix socket (nobody listens behind it) is removed first; a live one, or
// a file of another kind, is in use. The error names the address and errno's
// text: "listen on [::]:7117: address already in use".
absl::StatusOr<FileDescriptor> Listen(const Address& address, int backlog);

// One more descriptor, non-blocking (for all that share the socket) and
// close-on-exec, of the stream socket `fd` that listens already: as inherited
// from whoever started this process. `fd` stays as it is, and the caller's.
// INVALID_ARGUMENT when there is no such socket: "fd:3: bad file descriptor".
absl::StatusOr<FileDescriptor> ShareListening(int fd);

// Unspecified when the kernel has none to tell.
Address LocalAddress(int fd);
Address PeerAddress(int fd);

}  // namespace tern::net

#endif  // TERN_LIB_NET_SOCKET_H_
