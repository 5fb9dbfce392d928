#include "tern/lib/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <system_error>

#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/string_view.h"

namespace tern::net {
namespace {

constexpr int kStreamFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// Silence after which the kernel asks the peer whether it lives, and the time
// between two questions. It gives up at kDeadPeerTimeoutSeconds.
constexpr int kKeepAliveIdleSeconds = 20;
constexpr int kKeepAliveIntervalSeconds = 5;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENONET:
    case EPROTO:
    case EADDRNOTAVAIL:  // No local port left, or an interface is down.
    case EAGAIN:         // connect: a Unix listener's backlog is full.
    case ENOENT:         // connect: nobody has bound the Unix path yet.
      return absl::StatusCode::kUnavailable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:  // epoll_ctl: the limit on watches per user.
      return absl::StatusCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EADDRINUSE:
      return absl::StatusCode::kFailedPrecondition;
    case EINVAL:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EPROTOTYPE:
    case ENAMETOOLONG:
    case ENOTDIR:
    case ELOOP:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status WithPrefix(std::string_view prefix, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), ToAbsl(std::string(prefix) + ": " +
                                            std::string(status.message())));
}

absl::Status SetOption(int fd, int level, int option, int value,
                       std::string_view name) {
  if (setsockopt(fd, level, option, &value, sizeof(value)) == 0) {
    return absl::OkStatus();
  }
  return ErrnoToStatus(errno, "set " + std::string(name));
}

IoResult ToIoResult(ssize_t result) {
  if (result >= 0) {
    return {.kind = IoResult::kOk, .bytes = static_cast<size_t>(result)};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return {.kind = IoResult::kWouldBlock};
  }
  return {.kind = IoResult::kError, .error = errno};
}

// What `call` returns once no signal interrupts it.
template <typename Call>
ssize_t Uninterrupted(const Call& call) {
  ssize_t result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Of a read that was asked for at least one byte.
IoResult ToReadResult(ssize_t result) {
  if (result == 0) return {.kind = IoResult::kEndOfStream};
  return ToIoResult(result);
}

IoResult Receive(int fd, char* buffer, size_t size, int flags) {
  if (size == 0) return {};  // recv would say 0, as at the end of the stream.
  return ToReadResult(
      Uninterrupted([&] { return recv(fd, buffer, size, flags); }));
}

// Pieces as the kernel wants them.
struct Vectors {
  template <typename Piece>
  explicit Vectors(std::span<const Piece> pieces) {
    message.msg_iov = all;
    message.msg_iovlen = std::min(pieces.size(), std::size(all));
    for (size_t i = 0; i < message.msg_iovlen; ++i) {
      all[i] = {.iov_base = const_cast<char*>(pieces[i].data()),
                .iov_len = pieces[i].size()};
    }
  }
  Vectors(const Vectors&) = delete;

  iovec all[16];
  msghdr message = {};
};

absl::StatusOr<FileDescriptor> OpenStream(const Address& address) {
  FileDescriptor socket(::socket(address.family(), kStreamFlags, 0));
  if (socket.valid()) return socket;
  return ErrnoToStatus(errno, address.ToString() + ": open a socket");
}

// Starts to connect: 0 when that is done or in progress, or an errno.
int Connect(int fd, const Address& peer) {
  while (connect(fd, peer.sockaddr_ptr(), peer.length()) != 0) {
    switch (errno) {
      case EINTR:
        continue;  // Asked again, it says how far it has come.
      case EINPROGRESS:
      case EALREADY:
      case EISCONN:
        return 0;
      default:
        return errno;
    }
  }
  return 0;
}

// A TCP connect to a free port of this machine can be given that same port as
// its own, and is then connected to itself: nobody listens there.
bool IsConnectedToItself(int fd, const Address& peer) {
  return !peer.is_unix() && LocalAddress(fd) == PeerAddress(fd);
}

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Removes the socket at `address`'s path if nobody listens behind it. Returns
// whether the path is worth another try.
bool RemoveStaleUnixSocket(const Address& address) {
  const std::string path = address.unix_path();
  struct stat before;
  struct stat after;
  if (path.empty() || path.front() == '@') return false;
  if (lstat(path.c_str(), &before) != 0) return errno == ENOENT;
  // A connect to a file of another kind is refused too, and it is not ours.
  if (!S_ISSOCK(before.st_mode)) return false;
  absl::StatusOr<FileDescriptor> probe = OpenStream(address);
  if (!probe.ok()) return false;
  if (Connect(probe->get(), address) != ECONNREFUSED) return false;
  // Another starting server may have replaced it since.
  if (lstat(path.c_str(), &after) != 0) return errno == ENOENT;
  return SameFile(before, after) && unlink(path.c_str()) == 0;
}

bool IsAnyAddress(const Address& address) {
  const auto* v6 =
      reinterpret_cast<const sockaddr_in6*>(address.sockaddr_ptr());
  return address.family() == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

absl::Status ConfigureListening(int fd, const Address& address) {
  if (address.is_unix()) return absl::OkStatus();
  TERN_RETURN_IF_ERROR(
      SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (address.family() != AF_INET6) return absl::OkStatus();
  return SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, !IsAnyAddress(address),
                   "IPV6_V6ONLY");
}

// 0, or an errno.
int Bind(int fd, const Address& address) {
  if (bind(fd, address.sockaddr_ptr(), address.length()) == 0) return 0;
  if (errno != EADDRINUSE || !address.is_unix()) return errno;
  if (!RemoveStaleUnixSocket(address)) return EADDRINUSE;
  return bind(fd, address.sockaddr_ptr(), address.length()) == 0 ? 0 : errno;
}

template <int Get(int, sockaddr*, socklen_t*)>
Address AddressOf(int fd) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (Get(fd, address, &length) != 0) return Address();
  return Address::FromSockaddr(address, length);
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::Close() {
  // Not retried on EINTR: Linux has closed it, and another thread may have been
  // given the number since.
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

IoResult ReadSome(int fd, char* buffer, size_t size) {
  return Receive(fd, buffer, size, MSG_DONTWAIT);
}

absl::Status PrepareToWait(int fd, absl::Duration timeout) {
  const timeval limit = absl::ToTimeval(timeout);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
    return ErrnoToStatus(errno, "SO_RCVTIMEO");
  }
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return ErrnoToStatus(errno, "O_NONBLOCK");
  }
  return absl::OkStatus();
}

void SetLowWater(int fd, size_t bytes) {
  const int value = static_cast<int>(bytes);
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

IoResult WaitAndReadSome(int fd, char* buffer, size_t size) {
  return Receive(fd, buffer, size, 0);
}

IoResult WriteSome(int fd, std::string_view bytes) {
  if (bytes.empty()) return {};
  return ToIoResult(Uninterrupted([&] {
    return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }));
}

IoResult ReadPieces(int fd, std::span<const std::span<char>> pieces) {
  if (pieces.empty()) return {};
  if (pieces.size() == 1) {
    return ReadSome(fd, pieces.front().data(), pieces.front().size());
  }
  Vectors vectors(pieces);
  return ToReadResult(Uninterrupted(
      [&] { return recvmsg(fd, &vectors.message, MSG_DONTWAIT); }));
}

IoResult WritePieces(int fd, std::span<const std::string_view> pieces) {
  if (pieces.empty()) return {};
  if (pieces.size() == 1) return WriteSome(fd, pieces.front());
  Vectors vectors(pieces);
  return ToIoResult(Uninterrupted([&] {
    return sendmsg(fd, &vectors.message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }));
}

void AddToEventFd(int fd, uint64_t value) {
  [[maybe_unused]] const ssize_t written =
      Uninterrupted([&] { return write(fd, &value, sizeof(value)); });
}

std::string ErrnoText(int error) {
  std::string text = std::generic_category().message(error);
  // "Connection refused" stands in the middle of our sentences; all of glibc's
  // texts start with an ordinary word but for two of STREAMS and RFS.
  if (text.size() > 1 && !(text[1] >= 'A' && text[1] <= 'Z') &&
      text[0] >= 'A' && text[0] <= 'Z') {
    text[0] += 'a' - 'A';
  }
  return text;
}

absl::Status ErrnoToStatus(int error, std::string_view what) {
  return absl::Status(CodeOf(error),
                      ToAbsl(std::string(what) + ": " + ErrnoText(error)));
}

absl::StatusOr<FileDescriptor> StartConnect(const Address& peer) {
  TERN_ASSIGN_OR_RETURN(FileDescriptor socket, OpenStream(peer));
  TERN_RETURN_IF_ERROR(
      WithPrefix(peer.ToString(), ConfigureStream(socket.get())));
  if (const int error = Connect(socket.get(), peer); error != 0) {
    return ErrnoToStatus(error, peer.ToString());
  }
  return socket;
}

absl::Status FinishConnect(int fd, const Address& peer) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error == 0 && IsConnectedToItself(fd, peer)) error = ECONNREFUSED;
  if (error == 0) return absl::OkStatus();
  return ErrnoToStatus(error, peer.ToString());
}

absl::Status ConfigureStream(int fd) {
  int domain = 0;
  socklen_t length = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) {
    return ErrnoToStatus(errno, "get SO_DOMAIN");
  }
  if (domain == AF_UNIX) return absl::OkStatus();
  TERN_RETURN_IF_ERROR(
      SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"));
  TERN_RETURN_IF_ERROR(
      SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
  TERN_RETURN_IF_ERROR(SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE,
                                 kKeepAliveIdleSeconds, "TCP_KEEPIDLE"));
  TERN_RETURN_IF_ERROR(SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL,
                                 kKeepAliveIntervalSeconds, "TCP_KEEPINTVL"));
  return SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                   kDeadPeerTimeoutSeconds * 1000, "TCP_USER_TIMEOUT");
}

absl::Status ConfigureAccepted(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return ErrnoToStatus(errno, "set O_NONBLOCK and FD_CLOEXEC");
  }
  return ConfigureStream(fd);
}

absl::StatusOr<FileDescriptor> Listen(const Address& address, int backlog) {
  const std::string what = "listen on " + address.ToString();
  FileDescriptor socket(::socket(address.family(), kStreamFlags, 0));
  if (!socket.valid()) return ErrnoToStatus(errno, what);
  TERN_RETURN_IF_ERROR(
      WithPrefix(what, ConfigureListening(socket.get(), address)));
  if (const int error = Bind(socket.get(), address)) {
    return ErrnoToStatus(error, what);
  }
  // With SO_REUSEADDR and port 0, two sockets can be bound to one port, and
  // only the second to listen hears of it.
  if (listen(socket.get(), backlog) != 0) return ErrnoToStatus(errno, what);
  return socket;
}

absl::StatusOr<FileDescriptor> ShareListening(int fd) {
  const std::string what = "fd:" + std::to_string(fd);
  FileDescriptor socket(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  int listens = 0;
  int type = 0;
  socklen_t length = sizeof(int);
  if (!socket.valid() ||
      getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) !=
          0 ||
      getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
    return absl::InvalidArgumentError(what + ": " + ErrnoText(errno));
  }
  if (listens == 0 || type != SOCK_STREAM) {
    return absl::InvalidArgumentError(what +
                                      ": not a stream socket that listens");
  }
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoToStatus(errno, what + ": O_NONBLOCK");
  }
  return socket;
}

Address LocalAddress(int fd) { return AddressOf<getsockname>(fd); }
Address PeerAddress(int fd) { return AddressOf<getpeername>(fd); }

}  // namespace tern::net
