#include "tern/lib/net/connector.h"

#include <sys/epoll.h>

#include <utility>

#include "tern/lib/base/string_view.h"

namespace tern::net {
namespace {

// More would not help a person who reads the error.
constexpr size_t kMaxListedFailures = 8;

}  // namespace

Connector::Connector(EventLoop* loop, std::vector<Address> addresses,
                     absl::Duration attempt_timeout, Done done)
    : loop_(loop),
      addresses_(std::move(addresses)),
      attempt_timeout_(attempt_timeout),
      done_(std::move(done)),
      timer_(loop, [this] { OnTimer(); }) {
  // From a timer, as the first attempt can fail at once and `done` must not be
  // called in here.
  timer_.Set(loop_->now());
}

Connector::~Connector() {
  TERN_DCHECK(loop_->OnLoopThread());
  EndAttempt();
}

void Connector::OnTimer() {
  if (socket_.valid()) {
    EndAttempt();
    NoteFailure(absl::UnavailableError(addresses_[next_ - 1].ToString() +
                                       ": timed out after " +
                                       absl::FormatDuration(attempt_timeout_)));
  }
  TryNext();
}

void Connector::OnReady(uint32_t) {
  const Address& peer = addresses_[next_ - 1];
  const absl::Status status = FinishConnect(socket_.get(), peer);
  if (!status.ok()) {
    EndAttempt();
    NoteFailure(status);
    return TryNext();
  }
  loop_->Unregister(socket_.get(), this);
  const Address local = LocalAddress(socket_.get());
  Finish(Connected{.socket = std::move(socket_), .local = local, .peer = peer});
}

void Connector::TryNext() {
  while (next_ < addresses_.size()) {
    ++next_;
    const absl::Status status = StartAttempt();
    if (status.ok()) return;
    NoteFailure(status);
  }
  if (addresses_.empty()) failures_ = "no address";
  if (addresses_.size() > kMaxListedFailures) {
    failures_ += "; and " +
                 std::to_string(addresses_.size() - kMaxListedFailures) +
                 " more";
  }
  Finish(absl::Status(code_, "connect to " + failures_));
}

absl::Status Connector::StartAttempt() {
  const Address& peer = addresses_[next_ - 1];
  absl::StatusOr<FileDescriptor> socket = StartConnect(peer);
  if (!socket.ok()) return socket.status();
  const absl::Status status = loop_->Register(socket->get(), EPOLLOUT, this);
  if (!status.ok()) return status;
  socket_ = *std::move(socket);
  timer_.Set(loop_->now() + attempt_timeout_);
  return absl::OkStatus();
}

void Connector::EndAttempt() {
  timer_.Cancel();
  if (!socket_.valid()) return;
  loop_->Unregister(socket_.get(), this);
  socket_.Close();
}

void Connector::NoteFailure(const absl::Status& status) {
  if (code_ != absl::StatusCode::kUnavailable) code_ = status.code();
  if (next_ > kMaxListedFailures) return;
  if (!failures_.empty()) failures_ += "; ";
  failures_ += ToStd(status.message());
}

void Connector::Finish(absl::StatusOr<Connected> result) {
  timer_.Cancel();
  // From a local: `done` may destroy this.
  Done done = std::move(done_);
  std::move(done)(std::move(result));
}

}  // namespace tern::net
