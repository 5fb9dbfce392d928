#include "tern/lib/net/listener.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/status_macros.h"

namespace tern::net {
namespace {

// A descriptor that stands for nothing, to be closed when one is needed. (Not
// /dev/null, which a chroot may lack.)
FileDescriptor OpenReserve() { return FileDescriptor(eventfd(0, EFD_CLOEXEC)); }

struct Accepted {
  FileDescriptor socket;
  Address peer;
  int error = 0;  // When `socket` is not valid.
};

Accepted Accept(int listening) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  Accepted accepted;
  int fd;
  do {
    length = sizeof(storage);
    fd = accept4(listening, address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    accepted.error = errno;
  } else {
    accepted.socket = FileDescriptor(fd);
    accepted.peer = Address::FromSockaddr(address, length);
  }
  return accepted;
}

// Errors of one connection that failed before it was accepted: Linux passes on
// what is pending on it. The listener itself is well. See accept(2).
bool IsErrorOfOneConnection(int error) {
  switch (error) {
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ETIMEDOUT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EPERM:  // Forbidden by a firewall rule.
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(
    EventLoop* loop, const Address& address, int backlog, OnAccept on_accept) {
  TERN_ASSIGN_OR_RETURN(FileDescriptor socket, Listen(address, backlog));
  return StartOn(loop, std::move(socket), /*made_path=*/true,
                 std::move(on_accept));
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::StartOn(
    EventLoop* loop, FileDescriptor socket, OnAccept on_accept) {
  return StartOn(loop, std::move(socket), /*made_path=*/false,
                 std::move(on_accept));
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::StartOn(
    EventLoop* loop, FileDescriptor socket, bool made_path,
    OnAccept on_accept) {
  const Address address = LocalAddress(socket.get());
  FileDescriptor reserve = OpenReserve();
  if (!reserve.valid()) {
    return ErrnoToStatus(errno, "listen on " + address.ToString());
  }
  std::unique_ptr<Listener> listener(new Listener(
      loop, std::move(socket), std::move(reserve), std::move(on_accept)));
  if (made_path) listener->RememberUnixPath();
  absl::Status status;
  loop->PostAndWait([&] { status = listener->StartOnLoop(); });
  if (!status.ok()) {
    return absl::Status(status.code(), "listen on " + address.ToString() +
                                           ": " +
                                           std::string(status.message()));
  }
  return listener;
}

Listener::Listener(EventLoop* loop, FileDescriptor socket,
                   FileDescriptor reserve, OnAccept on_accept)
    : loop_(loop),
      address_(LocalAddress(socket.get())),
      socket_(std::move(socket)),
      reserve_(std::move(reserve)),
      on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  // First, while the bound socket keeps the inode from being used again.
  UnlinkUnixPath();
  loop_->PostAndWait([this] { StopOnLoop(); });
}

absl::Status Listener::StartOnLoop() {
  absl::Status status = loop_->Register(socket_.get(), EPOLLIN, this);
  if (status.ok()) resume_timer_.emplace(loop_, [this] { Resume(); });
  return status;
}

void Listener::StopOnLoop() {
  TERN_DCHECK(loop_->OnLoopThread());
  if (resume_timer_.has_value()) loop_->Unregister(socket_.get(), this);
  resume_timer_.reset();
  socket_.Close();
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void Listener::OnReady(uint32_t) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  // Called from a local, so that it outlives a Listener destroyed by it.
  OnAccept on_accept = std::move(on_accept_);
  for (int i = 0; i < kAcceptsPerTurn && !destroyed; ++i) {
    if (!AcceptOne(on_accept)) break;
  }
  if (destroyed) return;
  on_accept_ = std::move(on_accept);
  destroyed_ = nullptr;
}

bool Listener::AcceptOne(OnAccept& on_accept) {
  Accepted accepted = Accept(socket_.get());
  if (!accepted.socket.valid()) {
    if (IsErrorOfOneConnection(accepted.error)) return true;
    if (accepted.error != EAGAIN) Pause(accepted.error);
    return false;
  }
  pause_ = kMinPause;
  // A connection whose options can't be set is broken already.
  if (ConfigureAccepted(accepted.socket.get()).ok()) {
    on_accept(std::move(accepted.socket), accepted.peer);
  }
  return true;
}

void Listener::Pause(int error) {
  const uint64_t refused_before = refused();
  // Nothing else could be freed that way.
  if (error == EMFILE || error == ENFILE) CloseWaiting();
  uint64_t suppressed;
  if (log_limiter_.Allow(loop_->now(), &suppressed)) {
    TERN_LOG(kWarning) << "accept on " << address_.ToString() << ": "
                       << ErrnoText(error) << "; closed "
                       << refused() - refused_before
                       << " waiting connections, trying again in "
                       << absl::FormatDuration(pause_) << " (" << suppressed
                       << " such lines suppressed)";
  }
  loop_->Modify(socket_.get(), 0, this);
  resume_timer_->Set(loop_->now() + pause_);
  pause_ = std::min(2 * pause_, kMaxPause);
}

void Listener::CloseWaiting() {
  reserve_.Close();
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const Accepted accepted = Accept(socket_.get());
    if (!accepted.socket.valid()) break;
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
  reserve_ = OpenReserve();
}

void Listener::Resume() {
  if (!reserve_.valid()) reserve_ = OpenReserve();
  loop_->Modify(socket_.get(), EPOLLIN, this);
}

void Listener::RememberUnixPath() {
  const std::string path = address_.unix_path();
  struct stat file;
  if (path.empty() || path.front() == '@') return;
  if (lstat(path.c_str(), &file) == 0) {
    unix_file_ = File{.device = file.st_dev, .inode = file.st_ino};
  }
}

void Listener::UnlinkUnixPath() {
  const std::string path = address_.unix_path();
  struct stat file;
  if (!unix_file_.has_value() || lstat(path.c_str(), &file) != 0) return;
  if (file.st_dev == unix_file_->device && file.st_ino == unix_file_->inode) {
    unlink(path.c_str());
  }
}

}  // namespace tern::net
