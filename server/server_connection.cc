#include "tern/server/server_connection.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/message_pieces.h"
#include "tern/server/call_messages.h"
#include "tern/server/connection_age.h"
#include "tern/server/server_load.h"
#include "tern/server/server_options.h"
#include "tern/server/wire_status.h"

namespace tern {
namespace {

constexpr std::string_view kNoMemory =
    "the server has no memory left for requests";

uint32_t ToWireMs(absl::Duration duration) {
  return static_cast<uint32_t>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 0, UINT32_MAX));
}

ServerCall& CallOf(wire::Stream& stream) {
  return *static_cast<ServerCall*>(stream.user);
}

// A long reply that is still sent when its call is over.
struct SentReply {
  SentReply(const google::protobuf::MessageLite& message, size_t size,
            MessagePieces::Fields fields, const absl::Cord& attachment)
      : pieces(message, size, fields, attachment) {}

  std::unique_ptr<google::protobuf::MessageLite> message;
  const MessagePieces pieces;  // Some in `message`, if that is set.
};
// A call whose reply was taken does not give its messages back.
static_assert(MessagePieces::kMinBytes > CallMessagesCache::kMaxBytes);

MonotonicTime AgeLimit(ServerEnvironment* environment) {
  const absl::Duration age = environment->options.max_connection_age;
  if (age == absl::InfiniteDuration()) return MonotonicTime::InfiniteFuture();
  return MonotonicTime::Now() +
         JitteredAge(age, environment->age_seed.fetch_add(1));
}

}  // namespace

// Runs what handlers want done at a drain, outside the driver's role.
class ServerConnection::TellDrain final : public net::Connection::Deferred {
 public:
  explicit TellDrain(std::shared_ptr<ServerConnection> connection)
      : connection_(std::move(connection)) {}
  void RunDeferred(std::shared_ptr<Deferred> /*share*/) override {
    // Without one, who asks later sees that the drain has begun.
    Cancellation* const notice = connection_->drain_notice_.load();
    if (notice != nullptr) notice->Cancel();
  }

 private:
  const std::shared_ptr<ServerConnection> connection_;
};

ServerConnection::ServerConnection(ServerEnvironment* environment,
                                   net::EventLoop* loop,
                                   net::FileDescriptor socket,
                                   const net::Address& peer, bool over_limit)
    : Connection(loop, std::move(socket), peer,
                 environment->connection_options),
      environment_(environment),
      over_limit_(over_limit),
      age_over_at_(AgeLimit(environment)),
      memory_(environment->memory.get()) {}

ServerConnection::~ServerConnection() { delete drain_notice_.load(); }

// --- From the session --------------------------------------------------------

wire::PathFacts ServerConnection::GetPathFacts() {
  wire::PathFacts facts = net::Connection::GetPathFacts();
  facts.spare_bytes = environment_->memory->available();
  return facts;
}

void ServerConnection::OnHello(const wire::Hello& /*peer*/) {
  role_.AssertHeld();
  if (!over_limit_) return;
  session().Close(
      wire::ErrorCode::kOverloaded,
      absl::StrCat("the server has ", environment_->options.max_connections,
                   " connections, its limit"));
}

void ServerConnection::OnCall(wire::Stream& stream,
                              const wire::CallHeader& header,
                              wire::CallShape* shape) {
  role_.AssertHeld();
  // Most calls are for the same method as the one before.
  MethodRegistry::Entry* entry = last_method_;
  if (entry == nullptr || entry->handler->info.full_name != header.method) {
    entry = environment_->registry.Find(header.method);
    last_method_ = entry;
  }
  if (entry == nullptr) {
    const std::string_view service =
        header.method.substr(0, header.method.find('/'));
    const std::string message =
        environment_->registry.HasService(service)
            ? absl::StrCat("no method ", ToAbsl(header.method))
            : absl::StrCat("no service ", ToAbsl(service), " here");
    (void)session().Finish(&stream,
                           {.code = absl::StatusCode::kUnimplemented,
                            .message = message,
                            .certainty = Certainty::kNotStarted},
                           nullptr);
    return;
  }
  auto call = ServerCall::Create(
      std::static_pointer_cast<ServerConnection>(shared_from_this()), entry,
      header, stream.deadline());
  call->stream = &stream;
  stream.user = call.get();
  if (header.compression != 0 ||
      environment_->options.compression != Compression::kNone ||
      call->info().settings.compression.has_value()) {
    ChooseCompression(*call, header.compression);
  }
  shape->client_streaming = call->streams_requests();
  shape->server_streaming = call->streams_replies();
  ServerCall& started = *call;
  call->self = std::move(call);
  // The handler reads the requests as they come.
  if (started.streams_requests()) MakeReady(started);
}

void ServerConnection::ChooseCompression(ServerCall& call, uint32_t asked) {
  const ServerOptions& options = environment_->options;
  const std::optional<Compression> methods = call.info().settings.compression;
  const Compression ours =
      methods == Compression::kNone ? Compression::kNone : options.compression;
  for (const uint32_t wanted :
       {asked, static_cast<uint32_t>(methods.value_or(Compression::kNone)),
        static_cast<uint32_t>(ours)}) {
    const Compressor* const compressor = options.compressors.Find(wanted);
    if (compressor == nullptr || !session().PeerInflates(wanted)) continue;
    return call.CompressReplies(compressor);
  }
}

void ServerConnection::OnExcessCall(wire::StatusHeader* status) {
  AddLoad(status);
}

bool ServerConnection::OnMessageChunk(wire::Stream& stream, size_t bytes) {
  role_.AssertHeld();
  ServerCall& call = CallOf(stream);
  if (memory_.Reserve(static_cast<int64_t>(bytes))) {
    call.reserved_bytes += static_cast<int64_t>(bytes);
  } else if (call.streams_requests()) {
    EndStream(call, kNoMemory);
  } else {
    RefuseForLoad(call, kNoMemory);
  }
  return true;  // Or it has been answered.
}

void ServerConnection::OnMessage(wire::Stream& stream,
                                 wire::IncomingMessage& message) {
  role_.AssertHeld();
  ServerCall& call = CallOf(stream);
  if (call.streams_requests()) return DeliverRequest(call, message);
  if (message.storage == nullptr) {
    const auto bytes =
        static_cast<int64_t>(message.bytes.size() + message.attachment.size());
    if (!memory_.Reserve(bytes)) {
      return RefuseForLoad(call, kNoMemory);
    }
    call.reserved_bytes += bytes;
  }
  if (absl::Status status = call.TakeRequest(message); !status.ok()) {
    Refuse(call, status.code(), ToStd(status.message()));
  }
}

void ServerConnection::OnHalfClose(wire::Stream& stream) {
  role_.AssertHeld();
  ServerCall& call = CallOf(stream);
  if (!call.streams_requests()) return MakeReady(call);
  if (call.streaming()->pipe.EndReads()) Defer(call.streaming()->Share());
}

void ServerConnection::MakeReady(ServerCall& call) {
  if (!call.TakePlace()) {
    return RefuseForLoad(
        call,
        absl::StrCat("the server serves ", call.info().settings.max_concurrency,
                     " calls of this method at once, its max_concurrency"));
  }
  call.SetReady(session().now());
  if (held_back_ == nullptr &&
      session().unsent_bytes() <= environment_->options.max_unsent_bytes) {
    Dispatch(call);
  } else {
    if (held_back_ == nullptr) held_back_ = std::make_unique<HeldBack>();
    held_back_->Add(call.self);
  }
}

void ServerConnection::Dispatch(ServerCall& call) {
  if (loop()->IsDrivenHere()) {
    const RunTimes::Place place = call.ChoosePlace(session().now());
    if (place != RunTimes::Place::kWorker) return call.RunHere(loop(), place);
  }
  Defer(call.self);
}

void ServerConnection::OnCancel(wire::Stream& stream, wire::CancelCause cause) {
  role_.AssertHeld();
  ServerCall& call = CallOf(stream);
  if (call.TryWithdraw()) {
    const bool late = cause == wire::CancelCause::kDeadline;
    return Refuse(
        call,
        late ? absl::StatusCode::kDeadlineExceeded
             : absl::StatusCode::kCancelled,
        late ? "deadline exceeded at the server before the call was started"
             : "cancelled before it was started");
  }
  Defer(call.Cancel());  // First: a read that ends shows it.
  ClosePipe(call);
}

// --- Messages of a stream ----------------------------------------------------

void ServerConnection::DeliverRequest(ServerCall& call,
                                      wire::IncomingMessage& message) {
  const size_t size = message.bytes.size() + message.attachment.size();
  if (message.storage == nullptr) {
    const auto bytes = static_cast<int64_t>(size);
    if (!memory_.Reserve(bytes)) {
      return EndStream(call, kNoMemory);
    }
    call.reserved_bytes += bytes;
  }
  StreamPipe& pipe = call.streaming()->pipe;
  switch (pipe.Deliver({message.bytes.data(), size}, message.storage,
                       static_cast<uint32_t>(message.attachment.size()),
                       static_cast<Compression>(message.compression))) {
    case StreamPipe::Delivery::kDone:
      return;
    case StreamPipe::Delivery::kWake:
      return Defer(call.streaming()->Share());
    case StreamPipe::Delivery::kFull:
      return EndStream(call, absl::StrCat(pipe.max_unread_messages(),
                                          " messages wait to be read"));
  }
}

// Its handler may be running: it is told as of a cancellation.
void ServerConnection::EndStream(ServerCall& call, std::string_view why) {
  Defer(call.Cancel());
  RefuseForLoad(call, why, Certainty::kMaybeStarted);
}

bool ServerConnection::MovePipe(ServerCall& call) {
  ServerCall::Streaming& streaming = *call.streaming();
  const StreamPipe::Work work = streaming.pipe.TakeWork();
  absl::Status sent;
  if (!work.messages->empty()) sent = SendResponseHeader(call);
  while (!work.messages->empty() && sent.ok()) {
    const MessageBatch::Message message = work.messages->Next();
    const auto write = [&message](char* buffer) {
      std::memcpy(buffer, message.bytes.data(), message.bytes.size());
    };
    sent = session().SendMessage(
        call.stream,
        {.size = message.bytes.size(),
         .attachment_bytes = message.attachment_bytes,
         .inflated_bytes = message.inflated_bytes,
         .shared = message.owner != nullptr ? &message.owner : nullptr,
         .write = write},
        /*half_close=*/false);
  }
  work.messages->Clear();
  if (work.consumed_bytes != 0) {
    const auto consumed = static_cast<int64_t>(work.consumed_bytes);
    session().Consume(call.stream, work.consumed_bytes);
    memory_.Release(consumed);
    call.reserved_bytes -= consumed;
  }
  if (!sent.ok()) {
    Defer(call.Cancel());
    const std::string why(sent.message());
    Finish(call, {.code = sent.code(), .message = why}, nullptr);
    return false;
  }
  OnWritable(*call.stream);
  return true;
}

void ServerConnection::OnWritable(wire::Stream& stream) {
  role_.AssertHeld();
  ServerCall& call = CallOf(stream);
  if (call.streaming() == nullptr) return;
  if (call.streaming()->pipe.SetQueuedBytes(session().QueuedBytes(&stream))) {
    Defer(call.streaming()->Share());
  }
}

void ServerConnection::ClosePipe(ServerCall& call) {
  if (call.streaming() == nullptr) return;
  if (call.streaming()->pipe.Close(/*at_once=*/true)) {
    Defer(call.streaming()->Share());
  }
}

void ServerConnection::TakePipeWork(
    std::shared_ptr<ServerCall::Streaming> streaming) {
  const std::shared_ptr<Connection> self = shared_from_this();
  // Who finds it in the list has changed the pipe before it is taken out.
  if (!streaming->in_list.exchange(true)) pipes_.Push(std::move(streaming));
  DriveInSuccession(MonotonicTime::Now());
}

// --- To the session ----------------------------------------------------------

void ServerConnection::Complete(std::shared_ptr<ServerCall> call) {
  // The call may hold the last share of a connection that has ended.
  const std::shared_ptr<Connection> self =
      IsHeldHere() ? nullptr : shared_from_this();
  completed_.Push(std::move(call));
  Drive();
}

void ServerConnection::CompleteInSuccession(std::shared_ptr<ServerCall> call,
                                            MonotonicTime now) {
  const std::shared_ptr<Connection> self = shared_from_this();
  completed_.Push(std::move(call));
  DriveOrLeaveToLoop(now);
}

void ServerConnection::TakeSubmissions() {
  role_.AssertHeld();
  pipes_.TakeAll([this](std::shared_ptr<ServerCall::Streaming> streaming) {
    role_.AssertHeld();
    streaming->in_list.store(false);
    if (streaming->call->stream != nullptr) MovePipe(*streaming->call);
  });
  completed_.TakeAll([this](std::shared_ptr<ServerCall> call) {
    role_.AssertHeld();
    // An abort may have answered it meanwhile.
    if (call->stream != nullptr) Answer(*call);
  });
}

void ServerConnection::OnTurnEnd() {
  role_.AssertHeld();
  if (held_back_ == nullptr ||
      session().unsent_bytes() > environment_->options.max_unsent_bytes / 2) {
    return;
  }
  const std::unique_ptr<HeldBack> ready = std::move(held_back_);
  for (; !ready->empty(); ready->PopNext()) Dispatch(*ready->Next());
}

void ServerConnection::OnIdle() {
  role_.AssertHeld();
  memory_.ReleaseSpare();
}

void ServerConnection::Refuse(ServerCall& call, absl::StatusCode code,
                              std::string_view message) {
  Finish(
      call,
      {.code = code, .message = message, .certainty = Certainty::kNotStarted},
      nullptr);
}

void ServerConnection::RefuseForLoad(ServerCall& call, std::string_view message,
                                     Certainty certainty) {
  wire::StatusHeader status = {.code = absl::StatusCode::kResourceExhausted,
                               .message = message,
                               .certainty = certainty};
  AddLoad(&status);
  Finish(call, status, nullptr);
}

void ServerConnection::AddLoad(wire::StatusHeader* status) const {
  status->retry_after_ms = kRetryAfterMs;
  status->load_permille = LoadPermille(*environment_);
}

void ServerConnection::Answer(ServerCall& call) {
  // What the handler has written goes before its status.
  if (call.streaming() != nullptr && !MovePipe(call)) return;
  if (call.status().ok() && call.sent_trailing_metadata().empty() &&
      (call.extras() == nullptr || !call.extras()->any_to_send())) {
    wire::StatusHeader header;
    if (call.queue_us() != 0) header.queue_us = call.queue_us();
    if (call.handler_us() != 0) header.handler_us = call.handler_us();
    return FinishWithReply(call, header);
  }
  AnswerInFull(call);
}

void ServerConnection::AnswerInFull(ServerCall& call) {
  const bool ok = call.status().ok();
  const CallExtras* const extras = call.extras();
  WireStatus status(call.status(), call.sent_trailing_metadata());
  status.header.certainty = call.certainty();
  if (call.refused_for_load()) AddLoad(&status.header);
  if (!ok && extras != nullptr && extras->certainty.has_value() &&
      call.certainty() == Certainty::kFinished) {
    status.header.certainty = *extras->certainty;
    status.header.load_permille = extras->load_permille;
    if (extras->retry_after.has_value()) {
      status.header.retry_after_ms = ToWireMs(*extras->retry_after);
    }
  }
  if (call.queue_us() != 0) status.header.queue_us = call.queue_us();
  if (call.handler_us() != 0) status.header.handler_us = call.handler_us();

  absl::Status fault;
  if (ok) {
    fault = CheckHandlersMetadata("trailing", call.sent_trailing_metadata());
  }
  if (call.streams_replies() && extras != nullptr &&
      !extras->reply_attachment.empty()) {
    fault.Update(absl::InternalError(
        "the handler's attachment goes with one reply, and it streams them"));
  }
  if (extras != nullptr && extras->peers_fault) {
    session().CountFault("compressed messages");
    if (call.stream == nullptr) return;  // That was one too many.
  }
  fault.Update(SendResponseHeader(call));
  if (!fault.ok() && ok) {
    const std::string why(fault.message());
    return Finish(call,
                  {.code = fault.code(),
                   .message = why,
                   .certainty = Certainty::kFinished},
                  nullptr);
  }
  // An error stays what it is, and loses such metadata.
  if (!fault.ok()) status.header.truncated = true;
  if (!ok) return Finish(call, status.header, nullptr);
  FinishWithReply(call, status.header);
}

void ServerConnection::FinishWithReply(ServerCall& call,
                                       const wire::StatusHeader& status) {
  if (call.streams_replies()) return Finish(call, status, nullptr);
  const CallExtras* const extras = call.extras();
  if (extras != nullptr && extras->packed.bytes != nullptr) {
    return FinishPacked(call, status, extras->packed);
  }
  const size_t message_bytes = call.reply_bytes();
  const size_t attachment_bytes =
      extras == nullptr ? 0 : extras->reply_attachment.size();
  const size_t size = message_bytes + attachment_bytes;
  // (What the client does not allow is not serialised in vain.)
  if (size >= MessagePieces::kMinBytes &&
      size <= session().peer_limits().max_message_bytes) {
    return FinishInPieces(call, status);
  }
  const auto write = [&](char* buffer) {
    call.reply().SerializeWithCachedSizesToArray(
        reinterpret_cast<uint8_t*>(buffer));
    if (attachment_bytes == 0) return;
    CopyAttachment(extras->reply_attachment, buffer + message_bytes);
  };
  const wire::OutgoingMessage message = {
      .size = size,
      .attachment_bytes = static_cast<uint32_t>(attachment_bytes),
      .write = write};
  Finish(call, status, &message);
}

void ServerConnection::FinishPacked(ServerCall& call,
                                    const wire::StatusHeader& status,
                                    const PackedMessage& packed) {
  const auto write = [&packed](char* buffer) {
    std::memcpy(buffer, packed.bytes.get(), packed.size);
  };
  const wire::OutgoingMessage message = {
      .size = packed.size,
      .attachment_bytes = packed.attachment_bytes,
      .inflated_bytes = packed.inflated_bytes,
      .shared = &packed.bytes,
      .write = write};
  Finish(call, status, &message);
}

void ServerConnection::FinishInPieces(ServerCall& call,
                                      const wire::StatusHeader& status) {
  const absl::Cord& attachment = call.extras() == nullptr
                                     ? NoAttachment()
                                     : call.extras()->reply_attachment;
  const size_t attachment_bytes = attachment.size();
  const bool stays = call.reply_bytes() >= MessagePieces::kMinBytes;
  const auto reply = std::make_shared<SentReply>(
      call.reply(), call.reply_bytes(),
      stays ? MessagePieces::Fields::kStay : MessagePieces::Fields::kCopied,
      attachment);
  if (reply->pieces.need_message()) reply->message = call.TakeReply();
  const std::shared_ptr<const char[]> keeper = KeeperOf<SentReply>(reply);
  const auto write = [&reply](char* buffer) { reply->pieces.CopyTo(buffer); };
  const wire::OutgoingMessage message = {
      .size = call.reply_bytes() + attachment_bytes,
      .attachment_bytes = static_cast<uint32_t>(attachment_bytes),
      .shared = &keeper,
      .pieces = reply->pieces.pieces(),
      .write = write};
  Finish(call, status, &message);
}

absl::Status ServerConnection::SendResponseHeader(ServerCall& call) {
  // Nothing but what the header has: the handler may be running.
  CallExtras* const extras = call.extras();
  if (extras == nullptr ||
      (extras->response_metadata.empty() &&
       extras->response_compression == Compression::kNone) ||
      std::exchange(extras->response_header_sent, true)) {
    return absl::OkStatus();
  }
  const Metadata& metadata = extras->response_metadata;
  absl::Status status = CheckHandlersMetadata("response", metadata);
  if (!status.ok()) return status;
  return session().SendResponseHeader(
      call.stream,
      {.metadata = ViewsOf(metadata),
       .compression = static_cast<uint32_t>(extras->response_compression)});
}

void ServerConnection::Finish(ServerCall& call,
                              const wire::StatusHeader& status,
                              const wire::OutgoingMessage* message) {
  wire::Stream* const stream = std::exchange(call.stream, nullptr);
  if (absl::Status sent = session().Finish(stream, status, message);
      !sent.ok()) {
    uint64_t more = 0;
    if (environment_->connection_errors.Allow(MonotonicTime::Now(), &more)) {
      TERN_LOG(kWarning) << call.method() << " for " << peer()
                         << ": the answer could not be sent: " << sent << " ("
                         << more << " more like this)";
    }
  }
  ClosePipe(call);
  if (held_back_ != nullptr && held_back_->Remove(call.self) &&
      held_back_->empty()) {
    held_back_.reset();
  }
  memory_.Release(std::exchange(call.reserved_bytes, 0));
  // Last: it may be the call's only share.
  const std::shared_ptr<ServerCall> self = std::move(call.self);
}

// --- The end -----------------------------------------------------------------

void ServerConnection::DrainSoon() {
  loop()->Post([self = shared_from_this(), this] {
    role_.Acquire();
    Drain("the server is draining", MonotonicTime::Now());
    DriveAndRelease();
  });
}

void ServerConnection::Drain(std::string_view reason, MonotonicTime now) {
  session().Drain(reason, now);
  if (draining_.exchange(true)) return;
  Defer(std::make_shared<TellDrain>(
      std::static_pointer_cast<ServerConnection>(shared_from_this())));
}

Cancellation::Registration ServerConnection::OnDrain(
    absl::AnyInvocable<void()> callback) {
  Cancellation* notice = drain_notice_.load();
  if (notice == nullptr) {
    auto made = std::make_unique<Cancellation>();
    if (drain_notice_.compare_exchange_strong(notice, made.get())) {
      notice = made.release();
    }
  }
  // Either TellDrain comes behind us and finds it, or we see what it was for.
  if (draining()) notice->Cancel();
  return notice->OnCancel(std::move(callback));
}

MonotonicTime ServerConnection::NextHostTimeout() const {
  role_.AssertHeld();
  return age_over_at_;
}

void ServerConnection::OnHostTime(MonotonicTime now) {
  role_.AssertHeld();
  if (now < age_over_at_) return;
  age_over_at_ = MonotonicTime::InfiniteFuture();
  if (std::exchange(aged_, true)) return OnAgeGraceOver();
  OnAge(now);
}

void ServerConnection::OnAge(MonotonicTime now) {
  if (draining()) return;  // The server's grace holds.
  Drain("the connection has reached its maximum age", now);
  age_over_at_ = now + environment_->options.max_connection_age_grace;
}

void ServerConnection::OnAgeGraceOver() {
  const AbortedCalls aborted =
      Abort(absl::StatusCode::kCancelled,
            "the grace of the connection's maximum age is over");
  uint64_t more = 0;
  if (aborted.count() == 0 ||
      !environment_->connection_errors.Allow(MonotonicTime::Now(), &more)) {
    return;
  }
  TERN_LOG(kWarning)
      << "the grace of a connection's maximum age is over; calls cancelled: "
      << aborted.count() << " (" << more << " more lines suppressed)";
  for (const std::string& line : aborted.Lines()) TERN_LOG(kWarning) << line;
}

AbortedCalls ServerConnection::Abort(absl::StatusCode code,
                                     std::string_view reason) {
  AbortedCalls aborted;
  const MonotonicTime now = MonotonicTime::Now();
  session().ForEachStream([&](wire::Stream& stream) {
    role_.AssertHeld();
    ServerCall& call = CallOf(stream);
    aborted.Add(call.method(), peer(), now - stream.opened_at());
    const bool unrun = call.TryWithdraw();
    if (!unrun) Defer(call.Cancel());
    Finish(call,
           {.code = code,
            .message = reason,
            .certainty =
                unrun ? Certainty::kNotStarted : Certainty::kMaybeStarted},
           nullptr);
  });
  session().Close(wire::ErrorCode::kNoError, reason);
  return aborted;
}

void ServerConnection::AbortSoon(
    absl::StatusCode code, std::string_view reason,
    absl::AnyInvocable<void(AbortedCalls)> on_aborted) {
  const auto told = std::make_shared<absl::AnyInvocable<void(AbortedCalls)>>(
      std::move(on_aborted));
  const auto abort = [self = shared_from_this(), this, code,
                      reason = std::string(reason), told] {
    role_.Acquire();
    AbortedCalls aborted = Abort(code, reason);
    DriveAndRelease();
    (*told)(std::move(aborted));
  };
  // A loop that has been stopped has no more calls to end.
  if (!loop()->Post(abort)) (*told)({});
}

void ServerConnection::OnDisconnected(wire::ErrorCode code,
                                      const std::string& reason) {
  const bool peers_fault = code != wire::ErrorCode::kNoError &&
                           code != wire::ErrorCode::kInternalError &&
                           code != wire::ErrorCode::kOverloaded;
  uint64_t more = 0;
  if (peers_fault &&
      environment_->connection_errors.Allow(MonotonicTime::Now(), &more)) {
    TERN_LOG(kWarning) << "connection from " << peer()
                       << " ended: " << ToString(code) << ": "
                       << EscapeForLog(reason) << " (" << more
                       << " more like this)";
  }
  environment_->on_disconnected(this);
}

}  // namespace tern
