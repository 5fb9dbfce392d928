#include "tern/client/client_call.h"

#include <cstring>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_connection.h"
#include "tern/client/client_process.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/parse_message.h"

namespace tern {
namespace {

void CopyMetadata(const std::vector<wire::MetadataEntryView>& entries,
                  Metadata* metadata) {
  for (const wire::MetadataEntryView& entry : entries) {
    metadata->Add(entry.key, entry.value);
  }
}

// The same end, and what came with it, by another name.
absl::Status DeadlineExceeded(const absl::Status& cancelled, CallPhase phase) {
  const bool answered =
      phase == CallPhase::kQueue || phase == CallPhase::kHandler;
  absl::Status status = absl::DeadlineExceededError(
      absl::StrCat("deadline exceeded at the ", answered ? "server" : "client",
                   ": ", cancelled.message()));
  cancelled.ForEachPayload(
      [&status](absl::string_view type_url, const absl::Cord& payload) {
        status.SetPayload(type_url, payload);
      });
  return status;
}

// Of the request, when it is long enough.
const Compressor* CompressorFor(const ChannelOptions& options,
                                Compression compression, size_t size) {
  return compression == Compression::kNone ||
                 size < options.min_compressed_bytes
             ? nullptr
             : options.compressors.Find(compression);
}

}  // namespace

struct ClientCall::Extras {
  Extras(const MethodInfo& info, RawMessage* reply, const Metadata& metadata)
      : reply(reply), metadata(metadata) {
    if (!info.generic) return;
    name = info.full_name;
    method = info;
    method.full_name = name;
  }
  // Of a generic call.
  std::string name;
  MethodInfo method;
  RawMessage* const reply;

  const Metadata metadata;
};

struct ClientCall::Waiter {
  Mutex mutex;
  CondVar delivered_changed;
  bool delivered ABSL_GUARDED_BY(mutex) = false;
  ClientConnection* wakes ABSL_GUARDED_BY(mutex) = nullptr;
};

void RequestBytes::TakeRaw(const RawMessage& raw, const absl::Cord& attachment,
                           const Compressor* compressor) {
  if (compressor != nullptr) {
    return Take(PackBytes(raw.view(), attachment, compressor));
  }
  if (attachment_bytes_ == 0 && size_ > kInlineBytes &&
      raw.shared() != nullptr) {
    return TakeHeap(raw.shared());
  }
  if (attachment_bytes_ >= MessagePieces::kMinBytes) {
    struct Pieces {
      Pieces(const RawMessage& raw, const absl::Cord& attachment)
          : message(raw), pieces(message.view(), attachment) {}
      const RawMessage message;
      const MessagePieces pieces;
    };
    const auto owner = std::make_shared<const Pieces>(raw, attachment);
    return TakePieces(owner->pieces, KeeperOf(owner), Place::kPieces);
  }
  char* const out = MakeRoom();
  if (raw.size() != 0) std::memcpy(out, raw.view().data(), raw.size());
  if (attachment_bytes_ != 0) CopyAttachment(attachment, out + raw.size());
}

void RequestBytes::WriteInPieces(const google::protobuf::MessageLite& message,
                                 size_t size, MessagePieces::Fields fields,
                                 const absl::Cord& attachment) {
  const auto owner =
      std::make_shared<const MessagePieces>(message, size, fields, attachment);
  TakePieces(*owner, KeeperOf(owner),
             fields == MessagePieces::Fields::kStay ? Place::kCallersPieces
                                                    : Place::kPieces);
}

bool RequestBytes::Unpack(const Compressor& compressor) {
  if (inflated_bytes_ == 0) return true;
  PackedMessage plain =
      UnpackMessage(view(), attachment_bytes(), inflated_bytes_, compressor);
  if (plain.bytes == nullptr) return false;
  Take(std::move(plain));
  return true;
}

// What its caller says, or its method wishes for and can have, or the channel.
Compression ClientCall::Choose(const ChannelCore& core,
                               const MethodInfo& method,
                               const CallOptions& options) {
  if (options.compression.has_value()) return *options.compression;
  const std::optional<Compression> wish = method.settings.compression;
  if (!wish.has_value() ||
      (*wish != Compression::kNone &&
       core.options().compressors.Find(*wish) == nullptr)) {
    return core.options().compression;
  }
  return core.ServerLacks(*wish) ? Compression::kNone : *wish;
}

const Compressor& ClientCall::WishedCompressor() const {
  return *core_->options().compressors.Find(*method_.settings.compression);
}

bool ClientCall::SendUncompressed() {
  compression_ = Compression::kNone;
  if (streaming_ != nullptr) streaming_->messages.StopCompressing();
  return request_.Unpack(WishedCompressor());
}

bool ClientCall::Unpack(MessageBatch::Message* message) const {
  PackedMessage plain =
      UnpackMessage(message->bytes, message->attachment_bytes,
                    message->inflated_bytes, WishedCompressor());
  if (plain.bytes == nullptr) return false;
  *message = {.bytes = {plain.bytes.get(), plain.size},
              .owner = plain.bytes,
              .attachment_bytes = plain.attachment_bytes};
  return true;
}

std::shared_ptr<ClientCall> ClientCall::Create(
    std::shared_ptr<ChannelCore> core, const MethodInfo& method,
    const CallOptions& options, MonotonicTime now, Deadline deadline,
    uint8_t priority, const client_internal::OneMessages& messages,
    std::unique_ptr<client_internal::UnaryCompletion> completion) {
  auto call = std::allocate_shared<ClientCall>(
      RecyclingAllocator<ClientCall>(), std::move(core), method, options, now,
      deadline, priority, messages, std::move(completion));
  if (call->streaming_ != nullptr) call->streaming_->owner = call;
  return call;
}

ClientCall::ClientCall(
    std::shared_ptr<ChannelCore> core, const MethodInfo& method,
    const CallOptions& options, MonotonicTime now, Deadline deadline,
    uint8_t priority, const client_internal::OneMessages& messages,
    std::unique_ptr<client_internal::UnaryCompletion> completion)
    : core_(std::move(core)),
      extras_(!method.generic && options.metadata.empty()
                  ? nullptr
                  : std::make_unique<Extras>(method, messages.raw_reply,
                                             options.metadata)),
      method_(method.generic ? extras_->method : method),
      info_(options.info),
      deadline_(deadline),
      started_at_(now),
      priority_(priority),
      wait_for_ready_(options.wait_for_ready),
      compression_(Choose(*core_, method, options)),
      wishes_compression_(!options.compression.has_value() &&
                          method.settings.compression == compression_),
      request_(
          messages.request, messages.raw_request, messages.request_size,
          options.attachment,
          CompressorFor(core_->options(), compression_, messages.request_size),
          messages.request_stays ? MessagePieces::Fields::kStay
                                 : MessagePieces::Fields::kCopied),
      reply_(messages.reply),
      sequence_(NextCallSequence()),
      completion_(std::move(completion)) {
  const AmbientCall* ambient = CurrentAmbientCall();
  if (ambient != nullptr && !options.detached) trace_ = ambient->trace;
  if (method.client_streaming || method.server_streaming) {
    streaming_ = std::make_unique<Streaming>(this, core_->options());
  }
}

ClientCall::~ClientCall() = default;

const Metadata* ClientCall::metadata() const {
  return extras_ == nullptr ? nullptr : &extras_->metadata;
}

wire::RequestId ClientCall::request_id() const {
  return {.client = ClientProcessId(), .sequence = sequence_};
}

// --- A streaming call --------------------------------------------------------

static_assert(StreamPipe::kMaxCreditBytes <= wire::Session::kCreditBytes);

ClientCall::Streaming::Streaming(ClientCall* call,
                                 const ChannelOptions& options)
    : call(call),
      pipe(this, options.max_stream_unsent_bytes,
           StreamPipe::CreditBytes(options.stream_window_bytes),
           options.max_stream_window_bytes),
      messages(&pipe, MessageStream::End::kClient,
               {.known = options.compressors,
                .compressor = options.compressors.Find(call->compression_),
                .min_compressed_bytes = options.min_compressed_bytes,
                .max_message_bytes = options.max_message_bytes}) {}

void ClientCall::Streaming::OnPipeWork() {
  call->core_->TakePipeWork(Share(), /*at_once=*/false);
}

void ClientCall::Streaming::OnRead(bool rests) {
  call->core_->TakePipeWork(Share(), /*at_once=*/rests);
}

bool ClientCall::Streaming::MayBlock() const {
  return !net::EventLoop::OnAnyLoopThread();
}

void ClientCall::Streaming::FetchRead(MonotonicTime until) {
  const std::shared_ptr<ClientConnection> connection =
      call->core_->ConnectionOf(*call);
  if (connection == nullptr) return;
  fetches_from_ = connection.get();
  pipe.Fetch([&](absl::FunctionRef<bool()> over) {
    return connection->FetchRead(*call, over, until);
  });
}

void ClientCall::Streaming::WakeFetcher() { fetches_from_->WakeReader(); }

void ClientCall::Streaming::StopFetching() {
  const std::shared_ptr<ClientConnection> connection =
      call->core_->ConnectionOf(*call);
  if (connection != nullptr) connection->ReadByLoop();
}

void ClientCall::Streaming::RunDeferred(std::shared_ptr<Deferred> share) {
  net::EventLoop* const loop = call->core_->loop();
  if (loop->IsDrivenHere()) return pipe.RunWakes();
  loop->Post([this, share = std::move(share)] { pipe.RunWakes(); });
}

// --- A call's end ------------------------------------------------------------

void ClientCall::TakeReply(wire::IncomingMessage& message) {
  if (message.compression != 0) return KeepPackedReply(message);
  if (reply_ == nullptr) return TakeRawReply(message);
  const std::string_view bytes = message.bytes;
  reply_malformed_ = !ParseMessage(bytes, reply_);
  if (completion_ != nullptr) completion_->reply_bytes = bytes.size();
  if (message.attachment.empty() || info_ == nullptr || ended()) return;
  info_->attachment = message.storage == nullptr
                          ? absl::Cord(ToAbsl(message.attachment))
                          : CordOf(std::move(*message.storage), bytes.size());
}

void ClientCall::KeepPackedReply(wire::IncomingMessage& message) {
  const size_t compressed_bytes = message.bytes.size();
  packed_reply_ = std::make_unique<PackedReply>(
      PackedReply{.compression = static_cast<Compression>(message.compression),
                  .bytes = message.TakeBytes(),
                  .compressed_bytes = compressed_bytes});
}

absl::Status ClientCall::UnpackReply() {
  const std::unique_ptr<PackedReply> packed = std::move(packed_reply_);
  const ChannelOptions& options = core_->options();
  const size_t size = packed->compressed_bytes;
  wire::ByteBuffer inflated;
  bool peers_fault = false;
  absl::Status status =
      options.compressors.Find(packed->compression)
          ->InflateMessage(
              packed->bytes.view().substr(0, size),
              options.max_message_bytes - (packed->bytes.size() - size),
              "client", [](size_t) { return true; }, &inflated, &peers_fault);
  const std::string_view bytes = inflated.view();
  if (status.ok() && reply_ == nullptr) {
    extras_->reply->CopyFrom(bytes);
  } else if (status.ok() && !ParseMessage(bytes, reply_)) {
    status = absl::InternalError(
        "the response is not a well-formed message of its type");
  }
  if (!status.ok()) {
    CallError error = {.certainty = Certainty::kFinished,
                       .phase = CallPhase::kReceive,
                       .method = std::string(method()),
                       .peer = core_->target(),
                       .elapsed = MonotonicTime::Now() - started_at_};
    error.AttachTo(&status);
  } else if (info_ != nullptr && packed->bytes.size() > size) {
    info_->attachment = CordOf(std::move(packed->bytes), size);
  }
  return status;
}

void ClientCall::TakeRawReply(wire::IncomingMessage& message) {
  absl::Cord attachment;
  if (message.storage == nullptr) {
    extras_->reply->CopyFrom(message.bytes);
    attachment = absl::Cord(ToAbsl(message.attachment));
  } else {
    // One owner of both. (Where they lie does not change.)
    const auto owner = ShareBytes(std::move(*message.storage));
    *extras_->reply = RawMessage(owner, message.bytes.size());
    if (!message.attachment.empty()) {
      attachment = CordOf(owner, message.attachment);
    }
  }
  if (info_ == nullptr || ended()) return;
  info_->attachment = std::move(attachment);
}

void ClientCall::OnResponseMetadata(const wire::ResponseHeader& header) {
  if (info_ == nullptr || ended()) return;
  CopyMetadata(header.metadata, &info_->response_metadata);
}

bool ClientCall::End(absl::Status status, CallError error) {
  // In one order with what DriveAndRead does: either its thread sees the end
  // before it waits, or Deliver() sees that it waits, and wakes it.
  if (ended_.exchange(true, std::memory_order_seq_cst)) return false;
  const absl::Duration elapsed = MonotonicTime::Now() - started_at_;
  if (info_ != nullptr) {
    info_->elapsed = elapsed;
    info_->local = error.local;
    if (!error.local.empty()) info_->peer = error.peer;
  }
  status_ = std::move(status);
  if (absl::IsCancelled(status_) && !cancelled_early_ &&
      deadline() <= MonotonicTime::Now()) {
    status_ = DeadlineExceeded(status_, error.phase);
  }
  if (streaming_ != nullptr) {
    // What went wrong here first is the better reason.
    if (streaming_->messages.failed()) {
      status_ = streaming_->messages.TakeFailure();
    }
    // Complete() runs what is to be told.
    (void)streaming_->pipe.Close(/*at_once=*/false);
  }
  if (!status_.ok()) {
    error.method = std::string(method());
    error.elapsed = elapsed;
    if (error.peer.empty()) error.peer = core_->target();
    error.AttachTo(&status_);
  }
  return true;
}

bool ClientCall::EndWith(const wire::StatusHeader& header, CallPhase phase,
                         const ClientConnection& connection) {
  if (ended()) return false;
  if (info_ != nullptr) {
    FillInfo(header);
  } else if (header.code == absl::StatusCode::kOk && streaming_ == nullptr) {
    // What most calls need, and no more.
    return !ended_.exchange(true, std::memory_order_seq_cst);
  }
  absl::Status status(header.code, ToAbsl(header.message));
  // An absl::Status holds one of each type: the first, of another's server.
  bool truncated = header.truncated;
  for (const wire::DetailView& detail : header.details) {
    const absl::string_view type_url = ToAbsl(detail.type_url);
    if (status.GetPayload(type_url).has_value()) {
      truncated = true;
    } else {
      status.SetPayload(type_url, absl::Cord(ToAbsl(detail.value)));
    }
  }
  CallError error = {.certainty = header.certainty,
                     .phase = phase,
                     .method = {},
                     .peer = connection.peer(),
                     .local = connection.local(),
                     .truncated = truncated};
  if (header.retry_after_ms) {
    error.retry_after = absl::Milliseconds(*header.retry_after_ms);
  }
  error.load_permille = header.load_permille;
  return End(std::move(status), std::move(error));
}

void ClientCall::FillInfo(const wire::StatusHeader& header) {
  CopyMetadata(header.trailing_metadata, &info_->trailing_metadata);
  if (header.queue_us) {
    info_->queue_time = absl::Microseconds(*header.queue_us);
  }
  if (header.handler_us) {
    info_->handler_time = absl::Microseconds(*header.handler_us);
  }
  if (streaming_ != nullptr) return;
  if (request_.inflated_bytes() != 0) info_->request_compression = compression_;
  if (packed_reply_ != nullptr) {
    info_->response_compression = packed_reply_->compression;
  }
}

void ClientCall::RunDeferred(std::shared_ptr<Deferred> share) {
  const auto call = std::static_pointer_cast<ClientCall>(std::move(share));
  if (std::exchange(restart, false)) {
    core_->Start(call);
  } else if (ended()) {
    Deliver(call, core_->loop()->IsDrivenHere());
  }
}

void ClientCall::Deliver(const std::shared_ptr<ClientCall>& call,
                         bool on_loop) {
  call->inherited_registration_.Reset();
  call->inherited_.reset();
  if (call->completion_ != nullptr) {
    if (on_loop) return call->Complete(std::move(call->status_));
    call->core_->loop()->Post(
        [call, status = std::move(call->status_)]() mutable {
          call->Complete(std::move(status));
        });
    return;
  }
  // Once the lock is let go, the waiter may be gone.
  Waiter& waiter = *call->waiter_;
  MutexLock lock(waiter.mutex);
  waiter.delivered = true;
  waiter.delivered_changed.NotifyAll();
  if (waiter.wakes != nullptr) waiter.wakes->WakeReader();
}

void ClientCall::Complete(absl::Status status) {
  if (streaming_ != nullptr) streaming_->pipe.RunWakes();
  const auto completion = std::move(completion_);
  completion->Done(Unpacked(std::move(status)));
}

void ClientCall::WakesOnEnd(ClientConnection* connection) {
  MutexLock lock(waiter_->mutex);
  waiter_->wakes = connection;
}

void ClientCall::RequestCancel(const std::shared_ptr<ClientCall>& call) {
  if (call->cancel_requested || call->ended()) return;
  // Before it can be seen that there is a request.
  if (MonotonicTime::Now() < call->deadline()) call->cancelled_early_ = true;
  if (call->cancel_requested.exchange(true)) return;
  call->core_->Reconsider(call);
}

void ClientCall::CancelWith(const std::shared_ptr<ClientCall>& call,
                            const std::shared_ptr<Cancellation>& cancellation) {
  if (cancellation == nullptr) return;
  call->inherited_ = cancellation;
  call->inherited_registration_ =
      cancellation->OnCancel([weak = std::weak_ptr<ClientCall>(call)] {
        if (auto call = weak.lock()) RequestCancel(call);
      });
}

absl::Status ClientCall::StartAndWait(const std::shared_ptr<ClientCall>& call) {
  Waiter waiter;
  call->waiter_ = &waiter;
  call->core_->Start(call, /*waits=*/true);
  {
    MutexLock lock(waiter.mutex);
    while (!waiter.delivered &&
           waiter.delivered_changed.WaitUntil(waiter.mutex, call->deadline())) {
    }
    if (waiter.delivered) return call->Unpacked(std::move(call->status_));
  }
  // The loop's thread should have ended the call by now. If it is held up, this
  // thread does it.
  call->core_->Reconsider(call);
  MutexLock lock(waiter.mutex);
  while (!waiter.delivered) waiter.delivered_changed.Wait(waiter.mutex);
  return call->Unpacked(std::move(call->status_));
}

void CallHandle::Cancel() {
  if (call_ != nullptr) ClientCall::RequestCancel(call_);
}

}  // namespace tern
