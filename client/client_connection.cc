#include "tern/client/client_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/client/channel_core.h"
#include "tern/lib/base/string_view.h"

namespace tern {
namespace {

// A call that was not started because its connection went away is started again
// elsewhere, so often.
constexpr uint32_t kMaxRestarts = 3;

ClientCall& CallOf(wire::Stream& stream) {
  return *static_cast<ClientCall*>(stream.user);
}

// Tells of a pipe's work where its call has gone.
class Forward final : public net::Connection::Deferred {
 public:
  explicit Forward(std::shared_ptr<ClientCall::Streaming> streaming)
      : streaming_(std::move(streaming)) {}
  void RunDeferred(std::shared_ptr<Deferred> /*share*/) override {
    streaming_->OnPipeWork();
  }

 private:
  const std::shared_ptr<ClientCall::Streaming> streaming_;
};

CallPhase PhaseOf(wire::EndCause cause, Certainty certainty) {
  if (cause != wire::EndCause::kPeer) {
    return certainty == Certainty::kNotStarted ? CallPhase::kSend
                                               : CallPhase::kReceive;
  }
  return certainty == Certainty::kNotStarted ? CallPhase::kQueue
                                             : CallPhase::kHandler;
}

std::string MessageOf(wire::EndCause cause, std::string_view message,
                      const std::string& peer) {
  switch (cause) {
    case wire::EndCause::kConnection:
      return absl::StrCat("connection to ", peer, " lost: ", ToAbsl(message));
    case wire::EndCause::kFault:
      return absl::StrCat(peer, " broke the protocol: ", ToAbsl(message));
    default:
      return std::string(message);
  }
}

absl::Status CodecError() {
  return absl::InternalError(
      "a compressor of the channel's does not inflate what it has compressed");
}

}  // namespace

ClientConnection::ClientConnection(
    std::weak_ptr<ChannelCore> core, net::EventLoop* loop,
    net::FileDescriptor socket, const net::Address& peer,
    std::shared_ptr<const net::ConnectionOptions> options,
    size_t max_pending_calls)
    : Connection(loop, std::move(socket), peer, std::move(options)),
      core_(std::move(core)),
      max_pending_calls_(max_pending_calls) {}

// --- From the channel --------------------------------------------------------

void ClientConnection::Enqueue(std::shared_ptr<ClientCall> call) {
  submitted_.fetch_add(1, std::memory_order_relaxed);
  submissions_.Push(std::move(call));
}

bool ClientConnection::Submit(const std::shared_ptr<ClientCall>& call,
                              bool waits) {
  if (submitted_.load(std::memory_order_relaxed) >= max_pending_calls_) {
    return false;
  }
  Enqueue(call);
  if (!waits) {
    DriveOrLeaveToLoop(call->started_at());
  } else {
    call->WakesOnEnd(this);
    DriveAndRead([&] { return call->ended(); }, call->started_at(),
                 call->deadline());
    call->WakesOnEnd(nullptr);
  }
  return true;
}

void ClientConnection::Reconsider(std::shared_ptr<ClientCall> call) {
  auto look = std::make_shared<Look>();
  look->call = std::move(call);
  looks_.Push(std::move(look));
  Drive();
}

void ClientConnection::ShutDownSoon(std::string_view reason) {
  loop()->Post([self = shared_from_this(), this, reason = std::string(reason)] {
    role_.Acquire();
    TakeSubmissions();
    session().ForEachStream([&](wire::Stream& stream) {
      role_.AssertHeld();
      session().Cancel(&stream, absl::StatusCode::kCancelled, reason);
    });
    for (const auto& call : pending_.TakeAll()) {
      EndUnstarted(call, absl::CancelledError(reason));
    }
    session().Close(wire::ErrorCode::kNoError, reason);
    DriveAndRelease();
  });
}

// --- To the session ----------------------------------------------------------

void ClientConnection::TakeSubmissions() {
  role_.AssertHeld();
  size_t taken = 0;
  MonotonicTime now;
  submissions_.TakeAll([&](std::shared_ptr<ClientCall> call) {
    role_.AssertHeld();
    if (taken++ == 0) now = MonotonicTime::Now();
    TakeCall(std::move(call), now);
  });
  if (taken != 0) submitted_.fetch_sub(taken, std::memory_order_relaxed);
  looks_.TakeAll([this](std::shared_ptr<Look> look) {
    role_.AssertHeld();
    LookAt(look->call);
  });
  pipes_.TakeAll([this](std::shared_ptr<ClientCall::Streaming> streaming) {
    role_.AssertHeld();
    streaming->in_list.store(false);
    ClientCall& call = *streaming->call;
    if (call.place.load() != this) {
      // It may be with another connection since, which was told nothing.
      if (!call.ended()) Defer(std::make_shared<Forward>(std::move(streaming)));
    } else if (call.stream != nullptr) {
      MovePipe(call);
    }
  });
  StartPending();
}

void ClientConnection::TakeCall(std::shared_ptr<ClientCall> call,
                                MonotonicTime now) {
  // (Who looks for it here has the role, too.)
  call->place.store(this, std::memory_order_release);
  if (call->cancel_requested) {
    return EndUnstarted(call, absl::CancelledError("cancelled by the caller"));
  }
  if (call->deadline() <= now) {
    return EndUnstarted(
        call, absl::DeadlineExceededError(ToAbsl(wire::Session::kLateToStart)));
  }
  switch (session().CanStart()) {
    case wire::Session::StartBlock::kNone:
      // Those that come before HELLO have waited for this connection, many of
      // them, and take their turns.
      if (session().has_peer_hello() && pending_.empty() &&
          StartStream(call, now)) {
        return;
      }
      break;
    case wire::Session::StartBlock::kFull:
      break;
    case wire::Session::StartBlock::kClosing:
      return GiveBack(call);
  }
  pending_.Add(call);
  EndRest();  // It waits for the end of another.
  if (pending_.size() > max_pending_calls_) {
    const std::shared_ptr<ClientCall> last = pending_.TakeLast();
    EndUnstarted(last, absl::ResourceExhaustedError(absl::StrCat(
                           max_pending_calls_,
                           " calls wait on this connection, the channel's "
                           "limit, and none is less urgent")));
    if (last == call) return;
  }
  earliest_pending_deadline_ =
      std::min(earliest_pending_deadline_, call->deadline());
}

bool ClientConnection::StartStream(std::shared_ptr<ClientCall>& call,
                                   MonotonicTime now) {
  wire::CallHeader header = {.method = call->method()};
  header.request_id = call->request_id();
  header.request_id.attempt = call->attempts;
  header.trace = call->trace();
  header.priority = call->priority();
  if (call->compression() != Compression::kNone) {
    if (!session().has_peer_hello()) return false;
    if (!session().PeerInflates(static_cast<uint32_t>(call->compression())) &&
        !DoWithoutCompression(call)) {
      return true;
    }
    header.compression = static_cast<uint32_t>(call->compression());
  }
  if (const Metadata* const metadata = call->metadata(); metadata != nullptr) {
    for (const auto& [key, value] : metadata->entries()) {
      header.metadata.push_back({.key = key, .value = value});
    }
  }
  const RequestBytes& request = call->request();
  const auto write = [&request](char* buffer) { request.CopyTo(buffer); };
  const wire::OutgoingMessage message = {
      .size = request.size(),
      .attachment_bytes = request.attachment_bytes(),
      .inflated_bytes = request.inflated_bytes(),
      .shared = request.shared(),
      .pieces = request.pieces(),
      .write = write};
  const MethodInfo& method = call->method_info();
  absl::Status status = session().Start(
      header,
      {.client_streaming = method.client_streaming,
       .server_streaming = method.server_streaming},
      call->deadline(), call.get(),
      method.client_streaming ? nullptr : &message,
      /*half_close=*/!method.client_streaming, now, &call->stream);
  if (status.ok()) {
    ClientCall& started = *call;
    started.self = std::move(call);
    started.began_before_hello = !session().has_peer_hello();
    if (!started.is_waited_for()) PreferLoop();
    if (started.streaming() != nullptr) MovePipe(started);
  } else if (status.code() == absl::StatusCode::kResourceExhausted &&
             !session().has_peer_hello()) {
    return false;
  } else {
    EndUnstarted(call, std::move(status));
  }
  return true;
}

bool ClientConnection::DoWithoutCompression(
    const std::shared_ptr<ClientCall>& call) {
  const Compression compression = call->compression();
  if (!call->wishes_compression()) {
    EndUnstarted(call,
                 absl::UnimplementedError(absl::StrCat(
                     "the server does not inflate ", NameOf(compression))));
    return false;
  }
  call->core()->OnLacking(this, compression);
  if (call->SendUncompressed()) return true;
  EndUnstarted(call, CodecError());
  return false;
}

// Before HELLO has come it is not known how long messages may be.
void ClientConnection::MovePipe(ClientCall& call) {
  if (!session().has_peer_hello()) return;
  ClientCall::Streaming& streaming = *call.streaming();
  const StreamPipe::Work work = streaming.pipe.TakeWork();
  absl::Status sent;
  while (!work.messages->empty() && sent.ok()) {
    MessageBatch::Message message = work.messages->Next();
    // One that was written before it was known that the server lacks its codec.
    if (message.inflated_bytes != 0 &&
        call.compression() == Compression::kNone && !call.Unpack(&message)) {
      sent = CodecError();
      break;
    }
    const auto write = [&message](char* buffer) {
      std::memcpy(buffer, message.bytes.data(), message.bytes.size());
    };
    streaming.moved = true;
    sent = session().SendMessage(
        call.stream,
        {.size = message.bytes.size(),
         .attachment_bytes = message.attachment_bytes,
         .inflated_bytes = message.inflated_bytes,
         .shared = message.owner != nullptr ? &message.owner : nullptr,
         .write = write},
        work.end_writes && work.messages->empty());
  }
  work.messages->Clear();
  if (!sent.ok()) {
    const std::string why(sent.message());
    streaming.messages.Fail(std::move(sent));
    return session().Cancel(call.stream, absl::StatusCode::kCancelled, why);
  }
  if (work.end_writes) {
    streaming.moved = true;
    session().HalfClose(call.stream);
  }
  if (work.consumed_bytes != 0) {
    session().Consume(call.stream, work.consumed_bytes);
  }
  OnWritable(*call.stream);
}

void ClientConnection::StartPending() {
  while (!pending_.empty()) {
    const wire::Session::StartBlock block = session().CanStart();
    if (block == wire::Session::StartBlock::kFull) return;
    std::shared_ptr<ClientCall> call = pending_.Next();
    if (block == wire::Session::StartBlock::kClosing) {
      GiveBack(call);
    } else if (!StartStream(call, MonotonicTime::Now())) {
      return;
    }
    if (pending_.empty()) return;  // The connection was closed meanwhile.
    pending_.PopNext();
    if (pending_.empty()) {
      earliest_pending_deadline_ = MonotonicTime::InfiniteFuture();
    }
  }
}

void ClientConnection::LookAt(const std::shared_ptr<ClientCall>& call) {
  // It may have gone elsewhere since; then what is asked for is seen there.
  if (call->place.load() != this) return;
  const bool late = call->deadline() <= MonotonicTime::Now();
  if (!call->cancel_requested && !late) return;
  // As ClientCall::End() would have it.
  const bool cancelled = !late || call->cancelled_early();
  const char* const by_caller = "cancelled by the caller";
  if (call->stream != nullptr) {
    return cancelled ? session().Cancel(call->stream,
                                        absl::StatusCode::kCancelled, by_caller)
                     : session().Cancel(call->stream,
                                        absl::StatusCode::kDeadlineExceeded,
                                        "deadline exceeded");
  }
  if (!pending_.Remove(call)) return;
  EndUnstarted(call, cancelled ? absl::CancelledError(by_caller)
                               : absl::DeadlineExceededError(LatePending()));
}

std::string ClientConnection::Late(std::string_view missing) {
  return absl::StrCat(
      "deadline exceeded at the client: ", peer(),
      session().has_peer_hello()
          ? ToAbsl(missing)
          : " has accepted the connection but has not said HELLO");
}

std::string ClientConnection::LatePending() {
  // It may have become known, or ended, in this very turn.
  if (session().has_peer_hello() &&
      session().CanStart() != wire::Session::StartBlock::kFull) {
    return std::string(wire::Session::kLateToStart);
  }
  return Late(absl::StrCat(" takes no more than ",
                           session().peer_limits().max_concurrent_calls,
                           " calls at once"));
}

MonotonicTime ClientConnection::NextHostTimeout() const {
  role_.AssertHeld();
  return earliest_pending_deadline_;
}

void ClientConnection::OnHostTime(MonotonicTime now) {
  role_.AssertHeld();
  if (now < earliest_pending_deadline_) return;
  MonotonicTime earliest = MonotonicTime::InfiniteFuture();
  const PendingCalls::Items due =
      pending_.TakeIf([now, &earliest](const ClientCall& call) {
        if (call.deadline() <= now) return true;
        earliest = std::min(earliest, call.deadline());
        return false;
      });
  earliest_pending_deadline_ = earliest;
  for (const auto& call : due) {
    EndUnstarted(call, absl::DeadlineExceededError(LatePending()));
  }
}

void ClientConnection::EndUnstarted(const std::shared_ptr<ClientCall>& call,
                                    absl::Status status) {
  call->place.store(nullptr);
  if (call->End(std::move(status), {.certainty = Certainty::kNotStarted,
                                    .phase = CallPhase::kSend,
                                    .method = {},
                                    .peer = peer(),
                                    .local = local(),
                                    .retry_after = std::nullopt})) {
    Deliver(call);
  }
}

// Who waits is woken at once: the calls that he and others make next then come
// while this thread still has the role, and leave with one system call.
void ClientConnection::Deliver(std::shared_ptr<ClientCall> call) {
  if (call->is_waited_for()) {
    ClientCall::Deliver(call);
  } else {
    Defer(std::move(call));
  }
}

void ClientConnection::GiveBack(const std::shared_ptr<ClientCall>& call) {
  call->place.store(nullptr);
  call->restart = true;
  Defer(call);
}

// --- From the session --------------------------------------------------------

void ClientConnection::OnHello(const wire::Hello& /*peer*/) {
  role_.AssertHeld();
  session().ForEachStream([this](wire::Stream& stream) {
    role_.AssertHeld();
    ClientCall& call = CallOf(stream);
    if (call.streaming() != nullptr) MovePipe(call);
  });
}

void ClientConnection::OnWritable(wire::Stream& stream) {
  role_.AssertHeld();
  ClientCall::Streaming* const streaming = CallOf(stream).streaming();
  if (streaming == nullptr) return;
  if (streaming->pipe.SetQueuedBytes(session().QueuedBytes(&stream))) {
    Defer(streaming->Share());
  }
}

void ClientConnection::TakePipeWork(
    std::shared_ptr<ClientCall::Streaming> streaming, bool at_once) {
  const std::shared_ptr<Connection> self = shared_from_this();
  // Who finds it in the list has changed the pipe before it is taken out.
  if (!streaming->in_list.exchange(true)) pipes_.Push(std::move(streaming));
  if (at_once) return Drive();
  DriveInSuccession(MonotonicTime::Now());
}

bool ClientConnection::FetchRead(const ClientCall& call,
                                 absl::FunctionRef<bool()> over,
                                 MonotonicTime until) {
  const auto may_rest = [&] {
    role_.AssertHeld();
    return call.place.load() == this && call.stream != nullptr &&
           pending_.empty() && call.streaming()->pipe.Rest();
  };
  return DriveAndReadStream(over, may_rest, until);
}

void ClientConnection::OnResponseHeader(wire::Stream& stream,
                                        const wire::ResponseHeader& header) {
  CallOf(stream).OnResponseMetadata(header);
}

void ClientConnection::OnMessage(wire::Stream& stream,
                                 wire::IncomingMessage& message) {
  role_.AssertHeld();
  ClientCall& call = CallOf(stream);
  if (!call.method_info().server_streaming) {
    return call.TakeReply(message);
  }
  StreamPipe& pipe = call.streaming()->pipe;
  const size_t size = message.bytes.size() + message.attachment.size();
  switch (pipe.Deliver({message.bytes.data(), size}, message.storage,
                       static_cast<uint32_t>(message.attachment.size()),
                       static_cast<Compression>(message.compression))) {
    case StreamPipe::Delivery::kDone:
      return;
    case StreamPipe::Delivery::kWake:
      return Defer(call.streaming()->Share());
    case StreamPipe::Delivery::kFull:
      session().Cancel(&stream, absl::StatusCode::kResourceExhausted,
                       absl::StrCat(pipe.max_unread_messages(),
                                    " messages wait to be read"));
  }
}

void ClientConnection::OnEnd(wire::Stream& stream,
                             const wire::StatusHeader& given,
                             wire::EndCause cause) {
  role_.AssertHeld();
  EndRest();
  std::shared_ptr<ClientCall> call = std::move(CallOf(stream).self);
  call->stream = nullptr;
  call->place.store(nullptr, std::memory_order_release);
  if (cause == wire::EndCause::kPeer && !answered_) {
    answered_ = true;
    if (auto core = core_.lock()) core->OnAnswered();
  }
  if (given.code == absl::StatusCode::kOk && !call->reply_malformed()) {
    if (call->EndWith(given, CallPhase::kReceive, *this)) {
      Deliver(std::move(call));
    }
    return;
  }
  // The connection's end, or more calls than a server has places for, begun
  // before it could say how many it has.
  const bool no_place_here = cause == wire::EndCause::kConnection ||
                             (call->began_before_hello &&
                              given.code == absl::StatusCode::kUnavailable);
  if (no_place_here && given.certainty == Certainty::kNotStarted &&
      (call->streaming() == nullptr || !call->streaming()->moved) &&
      (call->attempts < kMaxRestarts || call->wait_for_ready())) {
    ++call->attempts;
    return GiveBack(call);
  }
  wire::StatusHeader status = given;
  std::string message = cause == wire::EndCause::kDeadline
                            ? Late(" has not ended the call")
                            : MessageOf(cause, given.message, peer());
  if (status.code == absl::StatusCode::kOk) {
    status.code = absl::StatusCode::kInternal;
    status.certainty = Certainty::kFinished;
    message = "the response is not a well-formed message of its type";
  }
  status.message = message;
  if (call->EndWith(status, PhaseOf(cause, status.certainty), *this)) {
    Deliver(std::move(call));
  }
}

void ClientConnection::OnGoAway(wire::ErrorCode code, std::string_view reason) {
  role_.AssertHeld();
  GiveUp(code, absl::StrCat(peer(), " ended the connection: ",
                            ToAbsl(ToString(code)), ": ", ToAbsl(reason)));
}

void ClientConnection::OnClosed(wire::ErrorCode code, std::string_view reason) {
  Connection::OnClosed(code, reason);
  role_.AssertHeld();
  GiveUp(code,
         absl::StrCat("connection to ", peer(), " lost: ", ToAbsl(reason)));
  // Nobody may drive this connection again.
  for (const auto& call : pending_.TakeAll()) GiveBack(call);
}

void ClientConnection::GiveUp(wire::ErrorCode code, std::string_view why) {
  const auto core = core_.lock();
  if (core == nullptr) return;
  // A server that drains, or is gone, was all right; one that refuses us should
  // not be asked again at once, and neither should what has not even said
  // HELLO.
  const bool was_well =
      session().has_peer_hello() && (code == wire::ErrorCode::kNoError ||
                                     code == wire::ErrorCode::kInternalError);
  core->OnUnusable(this,
                   absl::Status(code == wire::ErrorCode::kVersionMismatch
                                    ? absl::StatusCode::kUnimplemented
                                    : absl::StatusCode::kUnavailable,
                                ToAbsl(why)),
                   was_well);
}

void ClientConnection::OnDisconnected(wire::ErrorCode /*code*/,
                                      const std::string& /*reason*/) {}

}  // namespace tern
