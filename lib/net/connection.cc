#include "tern/lib/net/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"

namespace tern::net {
namespace {

// Turns of one driver before it lets others have their share of its thread.
constexpr int kMaxTurns = 16;
// Reads of one turn: the other connections of the loop wait meanwhile.
constexpr int kMaxReadsPerTurn = 4;
// How long a connection that has said everything waits for the peer's FIN.
// Closing at once could make the kernel send RST, which destroys what the peer
// has not read yet: our GOAWAY.
constexpr absl::Duration kShutdownTimeout = absl::Seconds(1);
// A connection without calls then gives back the memory that it kept for speed.
constexpr absl::Duration kIdleTime = absl::Seconds(5);

std::string Describe(const char* what, int error) {
  return std::string(ToStd(ErrnoToStatus(error, what).message()));
}

}  // namespace

Connection::Connection(EventLoop* loop, FileDescriptor socket,
                       const Address& peer, const ConnectionOptions& options)
    : loop_(loop),
      options_(options),
      peer_(peer.ToString()),
      local_(LocalAddress(socket.get()).ToString()),
      timer_(loop, [this] { OnTimer(); }),
      socket_(std::move(socket)),
      session_(options.session, this, MonotonicTime::Now()) {}

Connection::~Connection() = default;

void Connection::Start() {
  TERN_DCHECK(loop_->OnLoopThread());
  role_.Acquire();
  registration_ = shared_from_this();
  interest_ = EPOLLERR | EPOLLIN;
  if (absl::Status status = loop_->Register(socket_.get(), interest_, this);
      !status.ok()) {
    interest_ = 0;
    broken_ = true;
    session_.OnTransportClosed(ToStd(status.message()), MonotonicTime::Now());
  }
  DriveAndRelease();
}

void Connection::CloseSoon(wire::ErrorCode code, std::string_view reason) {
  loop_->Post([self = shared_from_this(), code, reason = std::string(reason)] {
    self->role_.Acquire();
    self->session_.Close(code, reason);
    self->DriveAndRelease();
  });
}

void Connection::Abandon() {
  TERN_DCHECK(loop_->OnLoopThread());
  const std::shared_ptr<Connection> self = shared_from_this();
  role_.Acquire();
  broken_ = true;
  session_.OnTransportClosed("abandoned", MonotonicTime::Now());
  DriveAndRelease();
}

void Connection::Drive() {
  if (loop_->IsDrivenHere()) {
    if (flush_share_ != nullptr) return;
    flush_share_ = shared_from_this();
    return loop_->FlushSoon(this);
  }
  if (role_.AcquireOrAnnounce()) DriveAndRelease();
}

void Connection::Flush() {
  const std::shared_ptr<Connection> self = std::move(flush_share_);
  if (role_.AcquireOrAnnounce()) DriveAndRelease();
}

void Connection::OnReady(uint32_t events) {
  // The last reference may be dropped on the way.
  const std::shared_ptr<Connection> self = shared_from_this();
  role_.Acquire();
  if ((events & ~uint32_t{EPOLLOUT}) != 0) ReadInput();
  // When handlers are about to run here, what they answer is written with the
  // rest.
  if (loop_->has_errands() && deferred_.empty() && !broken_) {
    Drive();
    if (role_.TryRelease()) return;
  }
  DriveAndRelease();
}

void Connection::OnTimer() {
  const std::shared_ptr<Connection> self = shared_from_this();
  role_.Acquire();
  timer_set_to_ = MonotonicTime::InfiniteFuture();
  const MonotonicTime now = loop_->now();
  session_.OnTime(now);
  OnHostTime(now);
  if (write_failed_ && now >= write_blocked_since_ + kShutdownTimeout) {
    broken_ = true;
    session_.OnTransportClosed("the transport takes no more bytes", now);
  }
  if (write_blocked_ && now >= write_blocked_since_ + options_.write_timeout) {
    broken_ = true;
    session_.OnTransportClosed(
        absl::StrCat("the peer has taken no byte for ",
                     absl::FormatDuration(options_.write_timeout)),
        now);
  }
  if (shut_down_ && now >= shut_down_at_ + kShutdownTimeout) broken_ = true;
  if (now >= idle_check_at_) {
    const bool idle = session_.open_streams() == 0;
    idle_check_at_ = idle ? MonotonicTime::InfiniteFuture() : now + kIdleTime;
    if (idle) {
      session_.ReleaseMemory();
      OnIdle();
    }
  }
  DriveAndRelease();
}

void Connection::DriveAndRelease() {
  std::shared_ptr<Connection> registration;  // Dropped last.
  std::vector<std::shared_ptr<Deferred>> deferred;
  bool tell_disconnected = false;
  wire::ErrorCode code = wire::ErrorCode::kNoError;
  std::string reason;
  bool released = false;
  for (int turn = 0; turn < kMaxTurns && !released; ++turn) {
    TakeSubmissions();
    WriteOutput();
    OnTurnEnd();
    UpdateClosing();
    UpdateInterest();
    const bool was_disconnected = disconnected_;
    UpdateLoop();
    if (disconnected_ && !was_disconnected) {
      tell_disconnected = true;
      registration = std::move(registration_);
      code = close_code_;
      reason = close_reason_;
    }
    if (deferred.empty()) {
      deferred.swap(deferred_);
    } else {
      std::move(deferred_.begin(), deferred_.end(),
                std::back_inserter(deferred));
      deferred_.clear();
    }
    released = role_.TryRelease();
  }
  // Its last try has taken note of work, which is then nobody's.
  if (!released && !role_.Release()) PostUpdate();
  for (const std::shared_ptr<Deferred>& item : deferred) item->RunDeferred();
  if (tell_disconnected) OnDisconnected(code, reason);
}

void Connection::ReadInput() {
  const std::span<char> buffer = loop_->read_buffer();
  if (idle_check_at_.is_infinite()) {
    idle_check_at_ = loop_->now() + kIdleTime;
  }
  for (int i = 0; i < kMaxReadsPerTurn && !broken_; ++i) {
    const IoResult result =
        ReadSome(socket_.get(), buffer.data(), buffer.size());
    switch (result.kind) {
      case IoResult::kOk:
        // After its end the session takes no more: what still comes is read
        // only to reach the peer's FIN.
        session_.Receive(std::string_view(buffer.data(), result.bytes),
                         loop_->now());
        if (result.bytes < buffer.size()) return;
        break;
      case IoResult::kWouldBlock:
        return;
      case IoResult::kEndOfStream:
        broken_ = true;
        session_.OnTransportClosed("the peer closed the connection",
                                   loop_->now());
        return;
      case IoResult::kError:
        broken_ = true;
        session_.OnTransportClosed(Describe("read", result.error),
                                   loop_->now());
        return;
    }
  }
}

void Connection::WriteOutput() {
  if (disconnected_ || shut_down_) return;
  while (!broken_ && !write_failed_) {
    const std::string_view output = session_.Output();
    if (output.empty()) {
      write_blocked_ = false;
      return;
    }
    const IoResult result = WriteSome(socket_.get(), output);
    if (result.kind == IoResult::kOk) {
      session_.Sent(result.bytes);
      write_blocked_ = false;
      continue;
    }
    if (result.kind == IoResult::kWouldBlock) {
      if (!std::exchange(write_blocked_, true)) {
        write_blocked_since_ = MonotonicTime::Now();
      }
      return;
    }
    // What the peer had sent before may still be there to be read, and says
    // more: its answers, its GOAWAY. Reading then finds the end.
    write_failed_ = true;
    write_blocked_ = false;
    write_blocked_since_ = MonotonicTime::Now();
  }
}

// When the session is over and all is said: FIN now, close when the peer's
// comes.
void Connection::UpdateClosing() {
  if (!session_.closed() || broken_ || shut_down_ || write_blocked_) return;
  if (write_failed_) {
    broken_ = true;
    return;
  }
  shut_down_ = true;
  shut_down_at_ = MonotonicTime::Now();
  ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::UpdateInterest() {
  if (interest_ == 0 || broken_) return;
  const size_t unsent = session_.output_bytes();
  const size_t limit = reading_paused_ ? options_.max_unsent_bytes / 2
                                       : options_.max_unsent_bytes;
  const bool pause = !shut_down_ && !write_failed_ && unsent > limit;
  if (std::exchange(reading_paused_, pause) != pause) {
    session_.PauseReceiving(pause, MonotonicTime::Now());
  }
  uint32_t next = EPOLLERR;  // Always told: 0 would mean "not registered".
  if (!reading_paused_) next |= EPOLLIN;
  if (write_blocked_) next |= EPOLLOUT;
  if (next == interest_) return;
  interest_ = next;
  loop_->Modify(socket_.get(), interest_, this);
}

MonotonicTime Connection::NextTimeout() const {
  MonotonicTime next =
      std::min({session_.NextTimeout(), NextHostTimeout(), idle_check_at_});
  if (write_blocked_) {
    next = std::min(next, write_blocked_since_ + options_.write_timeout);
  }
  if (write_failed_) {
    next = std::min(next, write_blocked_since_ + kShutdownTimeout);
  }
  if (shut_down_) next = std::min(next, shut_down_at_ + kShutdownTimeout);
  return next;
}

void Connection::UpdateLoop() {
  if (disconnected_) return;
  const MonotonicTime next = NextTimeout();
  if (!broken_ && next >= timer_set_to_) return;
  if (!loop_->OnLoopThread()) {
    if (!std::exchange(update_posted_, true)) PostUpdate();
    return;
  }
  if (broken_) {
    disconnected_ = true;
    timer_.Cancel();
    if (interest_ != 0) loop_->Unregister(socket_.get(), this);
    interest_ = 0;
    socket_.Close();
    return;
  }
  timer_.Set(next);
  timer_set_to_ = next;
}

// Has the loop's thread drive, soon.
void Connection::PostUpdate() {
  loop_->Post([weak = weak_from_this()] {
    const std::shared_ptr<Connection> self = weak.lock();
    if (self == nullptr) return;
    self->role_.Acquire();
    self->update_posted_ = false;
    self->DriveAndRelease();
  });
}

void Connection::OnClosed(wire::ErrorCode code, std::string_view reason) {
  role_.AssertHeld();
  close_code_ = code;
  close_reason_ = std::string(reason);
}

}  // namespace tern::net
