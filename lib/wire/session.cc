// The life of a session and of its streams: beginning, time, end.

#include "tern/lib/wire/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"

namespace tern::wire {
namespace {

constexpr absl::Duration kDrainPingTimeout = absl::Seconds(1);

}  // namespace

Session::Session(const SessionOptions* options, SessionVisitor* visitor,
                 MonotonicTime now)
    : options_(*options),
      visitor_(visitor),
      now_(now),
      is_client_(options->role == Role::kClient),
      started_at_(now),
      last_receive_(now),
      receive_window_(options->hello.connection_window_bytes) {
  NotePeerLimits(Hello());
  if (is_client()) AppendGreeting();
}

Session::~Session() = default;

ByteBuffer IncomingMessage::TakeBytes() {
  if (storage != nullptr) return std::move(*storage);
  ByteBuffer copy;
  copy.Reserve(bytes.size() + attachment.size());
  copy.Append(bytes);
  copy.Append(attachment);
  return copy;
}

// --- Streams ----------------------------------------------------------------

Stream* Session::Open(StreamId id, MonotonicTime deadline) {
  // A peer that has said nothing since the last calls began still owes that.
  if (streams_.empty() && last_receive_ >= busy_since_) busy_since_ = now_;
  Stream* const stream = streams_.Add(id);
  stream->deadline_ = deadline;
  stream->opened_at_ = now_;
  last_opened_ = CoarseTime(now_);
  stream->send_window_ = peer_.stream_window_bytes;
  stream->receive_window_ = options_.hello.stream_window_bytes;
  earliest_deadline_ = std::min(earliest_deadline_, deadline);
  return stream;
}

void Session::Remove(Stream& stream) {
  DropSendQueue(stream);
  DropAssembly(stream);
  if (std::exchange(stream.lends_, false)) out_.CopyLent(stream.id_);
  stream.wire_ended_ = true;
  if (std::exchange(stream.ready_, false)) LoseTurn(stream);
  streams_.Remove(&stream);
}

void Session::Erase(Stream& stream) {
  Remove(stream);
  MaybeFinishDrain();
}

void Session::DropAssembly(Stream& stream) {
  if (stream.assembly_ == nullptr) return;
  if (direct_ == &stream) LeaveDirect();
  assembling_bytes_ -= stream.assembly_->length;
  stream.assembly_.reset();
}

void Session::FailStream(Stream& stream, absl::StatusCode code,
                         std::string_view message, bool peer_at_fault) {
  StatusHeader status = {.code = code, .message = message};
  if (is_client()) {
    if (!stream.status_received_) {
      AppendStatusFrame(stream.id_, FrameType::kCancel, status);
    }
    EndClientStream(stream, status, EndCause::kFault);
  } else {
    // A unary handler starts with the complete request, a streaming one with
    // the call.
    if (!stream.shape_.client_streaming && !stream.receive_ended_) {
      status.certainty = Certainty::kNotStarted;
    }
    AppendStatusFrame(stream.id_, FrameType::kStatus, status);
    TellCancelled(stream, CancelCause::kFault);
  }
  if (peer_at_fault) Fault("faults on streams");
}

void Session::RefuseCall(StreamId id, absl::StatusCode code,
                         std::string_view message) {
  AppendStatusFrame(
      id, FrameType::kStatus,
      {.code = code, .message = message, .certainty = Certainty::kNotStarted});
}

// Out of the table first: OnEnd may begin a call in its place, or end the
// session.
void Session::EndClientStream(Stream& stream, const StatusHeader& status,
                              EndCause cause) {
  Remove(stream);
  visitor_->OnEnd(stream, status, cause);
  MaybeFinishDrain();
}

void Session::TellCancelled(Stream& stream, CancelCause cause) {
  if (cause != CancelCause::kDeadline) {
    stream.wire_ended_ = true;
    DropSendQueue(stream);
    DropAssembly(stream);
    if (stream.host_done_) return Erase(stream);
  }
  if (std::exchange(stream.cancel_told_, true) || stream.host_done_) return;
  visitor_->OnCancel(stream, cause);
}

// --- Time -------------------------------------------------------------------

MonotonicTime Session::NextTimeout() const {
  if (closed_) return MonotonicTime::InfiniteFuture();
  MonotonicTime next = std::min(earliest_deadline_, KeepaliveTime());
  if (oddities_ != nullptr) {
    next = std::min(next, oddities_->pings.due());
    if (!oddities_->bulk.held.empty()) {
      next = std::min(next, oddities_->bulk.held_until);
    }
  }
  if (draining()) next = std::min(next, drain_->final_at);
  if (!has_peer_hello_) {
    next = std::min(next, started_at_ + options_.hello_timeout);
  }
  if (in_frame() && !receiving_paused_) {
    next = std::min(next, frame_since_ + options_.frame_timeout);
  }
  return next;
}

MonotonicTime Session::KeepaliveTime() const {
  if (receiving_paused_) return MonotonicTime::InfiniteFuture();
  if (!ping_sent_at_.is_infinite()) {
    return ping_sent_at_ + options_.keepalive_timeout;
  }
  if (streams_.empty() || !has_peer_hello_) {
    return MonotonicTime::InfiniteFuture();
  }
  return std::max(last_receive_, busy_since_).After(keepalive_interval_ns_);
}

void Session::PauseReceiving(bool paused, MonotonicTime now) {
  if (std::exchange(receiving_paused_, paused) && !paused) {
    frame_since_ = now;
    last_receive_ = now;
    if (!ping_sent_at_.is_infinite()) ping_sent_at_ = now;
  }
}

void Session::OnTime(MonotonicTime now) {
  const Entry entry(this);
  now_ = now;
  if (closed_) return;
  ExpireStreams();
  if (closed_) return;
  if (!has_peer_hello_ && now >= started_at_ + options_.hello_timeout) {
    return Close(ErrorCode::kTimeout,
                 absl::StrCat("no HELLO within ",
                              absl::FormatDuration(options_.hello_timeout)));
  }
  if (in_frame() && !receiving_paused_ &&
      now >= frame_since_ + options_.frame_timeout) {
    return Close(ErrorCode::kTimeout,
                 absl::StrCat("a frame was not complete within ",
                              absl::FormatDuration(options_.frame_timeout)));
  }
  if (oddities_ != nullptr) {
    if (now >= oddities_->pings.due()) {
      AppendPing(oddities_->pings.TakePending(), /*ack=*/true);
    }
    if (now >= oddities_->bulk.held_until) EndGivingWay();
  }
  if (draining() && now >= drain_->final_at) EndFirstPhase();
  if (closed_ || now < KeepaliveTime()) return;
  if (ping_sent_at_.is_infinite()) {
    ping_sent_at_ = now;
    AppendPing(kKeepalivePing, /*ack=*/false);
  } else {
    Close(ErrorCode::kTimeout,
          absl::StrCat("the peer has not answered a PING within ",
                       absl::FormatDuration(options_.keepalive_timeout)));
  }
}

// earliest_deadline_ is a lower bound that only grows here: a stream that ends
// before its deadline costs nothing, and a look at all of them is due once for
// each time that the bound is reached.
void Session::ExpireStreams() {
  if (now_ < earliest_deadline_) return;
  std::vector<StreamId> due;
  earliest_deadline_ = MonotonicTime::InfiniteFuture();
  streams_.ForEach([&](const Stream& stream) {
    if (stream.cancel_told_ || stream.wire_ended_) return;
    if (stream.deadline_ <= now_) {
      due.push_back(stream.id_);
    } else {
      earliest_deadline_ = std::min(earliest_deadline_, stream.deadline_);
    }
  });
  std::sort(due.begin(), due.end());
  for (StreamId id : due) {
    Stream* stream = streams_.Find(id);
    if (stream == nullptr) continue;
    if (is_client()) {
      Cancel(stream, absl::StatusCode::kDeadlineExceeded, "deadline exceeded");
    } else {
      ExpireServerStream(*stream);
    }
  }
}

// A host that is at work is told, and still says how the call ends. Where it
// has answered and the answer waits for windows, nobody waits for that any
// more.
void Session::ExpireServerStream(Stream& stream) {
  if (!stream.host_done_) return TellCancelled(stream, CancelCause::kDeadline);
  AppendStatusFrame(
      stream.id_, FrameType::kStatus,
      {.code = absl::StatusCode::kDeadlineExceeded, .message = kLateResponse});
  Erase(stream);
}

// --- The connection's end ---------------------------------------------------

Session::StartBlock Session::CanStart() const {
  if (closed_ || goaway_received_ || next_id_ > kMaxStreamId) {
    return StartBlock::kClosing;
  }
  return streams_.size() >= peer_.max_concurrent_calls ? StartBlock::kFull
                                                       : StartBlock::kNone;
}

// Whether a call that is refused for their number shows a fault of the
// client's. It may not have known the limit when it began its first calls, and
// it cannot know which of the calls that it has cancelled still have a handler.
bool Session::AboveAnnouncedCalls(StreamId id) const {
  constexpr StreamId kFirstCalls = 2 * 100 - 1;
  if (id <= kFirstCalls) return false;
  size_t open = 0;
  streams_.ForEach([&](const Stream& stream) { open += !stream.wire_ended_; });
  return open >= options_.hello.max_concurrent_calls;
}

void Session::Drain(std::string_view reason, MonotonicTime now) {
  TERN_DCHECK(!is_client());
  const Entry entry(this);
  now_ = now;
  if (closed_ || draining()) return;
  drain_ = std::make_unique<Drainage>(Drainage{
      .reason = std::string(reason), .final_at = now + kDrainPingTimeout});
  // A client that has just connected sends its first calls behind its HELLO,
  // and could not know whether they were started if it were turned away before.
  if (has_peer_hello_) AnnounceDrain();
}

void Session::AnnounceDrain() {
  drain_->final_at = now_ + kDrainPingTimeout;
  AppendGoAway(kMaxStreamId, ErrorCode::kNoError, drain_->reason);
  AppendPing(kDrainPing, /*ack=*/false);
}

void Session::EndFirstPhase() {
  if (!has_peer_hello_) {
    return CloseWith(ErrorCode::kNoError, drain_->reason,
                     absl::StatusCode::kUnavailable, Farewell::kGoAway,
                     /*nothing_started=*/true);
  }
  drain_->final = true;
  drain_->final_at = MonotonicTime::InfiniteFuture();
  goaway_last_ = highest_id_;
  AppendGoAway(highest_id_, ErrorCode::kNoError, drain_->reason);
  MaybeFinishDrain();
}

void Session::MaybeFinishDrain() {
  const bool last_calls = is_client() ? goaway_received_ : draining_finally();
  if (!last_calls || !streams_.empty()) return;
  CloseWith(ErrorCode::kNoError, "drained", absl::StatusCode::kUnavailable,
            Farewell::kFlush, /*nothing_started=*/false);
}

void Session::Close(ErrorCode code, std::string_view reason) {
  const Entry entry(this);
  CloseWith(code, reason, absl::StatusCode::kUnavailable, Farewell::kGoAway,
            /*nothing_started=*/false);
}

void Session::OnTransportClosed(std::string_view reason, MonotonicTime now) {
  const Entry entry(this);
  now_ = now;
  // The peer's way to end a drain, when it is the first to have no calls.
  const bool drained = (draining() || goaway_received_) && streams_.empty();
  CloseWith(drained ? ErrorCode::kNoError : ErrorCode::kInternalError, reason,
            absl::StatusCode::kUnavailable, Farewell::kNothing,
            /*nothing_started=*/false);
}

void Session::CloseWith(ErrorCode code, std::string_view reason,
                        absl::StatusCode stream_code, Farewell farewell,
                        bool nothing_started) {
  if (std::exchange(closed_, true)) return;
  // What is in out_ will still be sent, and may be run, unless nobody reads it.
  uint64_t sent = Stream::kNotAppended - 1;
  if (farewell == Farewell::kNothing) {
    sent = out_.total_taken();
    out_.Clear();
    unsealed_bytes_ = 0;
  } else if (farewell == Farewell::kGoAway &&
             (is_client() || preface_received_ == kPreface.size())) {
    // A server says nothing before it has read the client's preface.
    AppendGoAway(is_client() ? 0 : std::min(highest_id_, goaway_last_), code,
                 reason);
  }
  partial_.Reset();
  direct_ = nullptr;
  const std::string text(reason);  // May lie in what the callbacks free.
  EndAllStreams(stream_code, text, nothing_started, sent);
  visitor_->OnClosed(code, text);
}

// `sent`: bytes of the connection from there on never reach the peer.
void Session::EndAllStreams(absl::StatusCode code, std::string_view reason,
                            bool nothing_started, uint64_t sent) {
  for (StreamId id : streams_.Ids()) {
    Stream* stream = streams_.Find(id);
    if (stream == nullptr) continue;
    if (!is_client()) {
      TellCancelled(*stream, CancelCause::kConnection);
      continue;
    }
    const bool not_started = nothing_started || stream->request_end_ > sent ||
                             (goaway_received_ && id > goaway_last_);
    EndClientStream(*stream,
                    {.code = code,
                     .message = reason,
                     .certainty = not_started ? Certainty::kNotStarted
                                              : Certainty::kMaybeStarted},
                    EndCause::kConnection);
  }
}

void Session::ForEachStream(absl::FunctionRef<void(Stream&)> function) {
  for (StreamId id : streams_.Ids()) {
    Stream* stream = streams_.Find(id);
    if (stream != nullptr && !stream->host_done_) function(*stream);
  }
}

// Client: GOAWAY says that these have not been started and will not be.
void Session::EndExcludedStreams(std::string_view reason) {
  for (StreamId id : streams_.Ids()) {
    Stream* stream = streams_.Find(id);
    if (id <= goaway_last_ || stream == nullptr || closed_) continue;
    EndClientStream(*stream,
                    {.code = absl::StatusCode::kUnavailable,
                     .message = reason,
                     .certainty = Certainty::kNotStarted},
                    EndCause::kConnection);
  }
}

void Session::ReleaseMemory() {
  out_.ReleaseIfEmpty();
  if (entries_ != 0) return;
  streams_.Reclaim();
  streams_.ReleaseMemory();
  if (ready_.empty()) ready_ = decltype(ready_)();
  if (oddities_ != nullptr && !has_urgent_) oddities_->urgent.reset();
  ReleaseKeptBlocks();
}

}  // namespace tern::wire
