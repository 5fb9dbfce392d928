#include "tern/server/server_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/parse_message.h"
#include "tern/server/server_connection.h"

namespace tern {
namespace {

thread_local bool runs_handler = false;

int64_t NanosecondsBetween(MonotonicTime start, MonotonicTime end) {
  return std::max<int64_t>(0, end.nanoseconds() - start.nanoseconds());
}

}  // namespace

// Runs the user's cancellation callbacks outside the driver's role.
class CancelLater final : public net::Connection::Deferred {
 public:
  explicit CancelLater(std::shared_ptr<ServerCall> call)
      : call_(std::move(call)) {}
  void RunDeferred(std::shared_ptr<Deferred> /*share*/) override {
    std::shared_ptr<Cancellation> cancellation;
    {
      MutexLock lock(call_->mutex_);
      cancellation = call_->cancellation_;
    }
    // Without one, who asks for it later sees that the call is cancelled.
    if (cancellation != nullptr) cancellation->Cancel();
  }

 private:
  const std::shared_ptr<ServerCall> call_;
};

// --- A streaming call --------------------------------------------------------

ServerCall::Streaming::Streaming(ServerCall* call, const ServerOptions& options)
    : call(call),
      pipe(this, options.max_stream_unsent_bytes,
           StreamPipe::CreditBytes(options.stream_window_bytes),
           options.max_stream_window_bytes),
      messages(&pipe, MessageStream::End::kServer,
               {.known = options.compressors,
                .min_compressed_bytes = options.min_compressed_bytes,
                .max_message_bytes = options.max_message_bytes}),
      handlers(&messages) {}

bool ServerCall::Streaming::TakeMemory(size_t bytes) {
  return call->connection_->environment().memory->Take(
      static_cast<int64_t>(bytes));
}

void ServerCall::Streaming::ReturnMemory(size_t bytes) {
  call->connection_->environment().memory->Return(static_cast<int64_t>(bytes));
}

void ServerCall::Streaming::OnPipeWork() {
  call->connection_->TakePipeWork(Share());
}

bool ServerCall::Streaming::MayBlock() const {
  return !net::EventLoop::OnAnyLoopThread();
}

void ServerCall::Streaming::RunDeferred(std::shared_ptr<Deferred> share) {
  net::EventLoop* const loop = call->connection_->loop();
  if (loop->IsDrivenHere()) return RunWakes();
  loop->Post([this, share = std::move(share)] { RunWakes(); });
}

void ServerCall::Streaming::RunWakes() {
  const AmbientCallScope scope(&call->ambient_);
  pipe.RunWakes();
}

// --- A call ------------------------------------------------------------------

std::shared_ptr<ServerCall> ServerCall::Create(
    std::shared_ptr<ServerConnection> connection, MethodRegistry::Entry* entry,
    const wire::CallHeader& header, MonotonicTime deadline) {
  auto call = std::allocate_shared<ServerCall>(RecyclingAllocator<ServerCall>(),
                                               std::move(connection), entry,
                                               header, deadline);
  if (call->streaming_ != nullptr) call->streaming_->owner = call;
  return call;
}

ServerCall::ServerCall(std::shared_ptr<ServerConnection> connection,
                       MethodRegistry::Entry* entry,
                       const wire::CallHeader& header, MonotonicTime deadline)
    : connection_(std::move(connection)), entry_(entry) {
  ambient_.deadline = Deadline(deadline);
  ambient_.trace = header.trace;
  ambient_.cancellation = this;
  ambient_.priority = static_cast<uint8_t>(header.priority);
  for (const wire::MetadataEntryView& item : header.metadata) {
    metadata_.Add(item.key, item.value);
  }
  if (!streams_requests() && !streams_replies()) return;
  streaming_ =
      std::make_unique<Streaming>(this, connection_->environment().options);
  MutableExtras();  // Is looked at while the handler runs.
  if (entry_->handler->info.generic) extras_->method = header.method;
  if (!streams_requests()) return;
  messages_ = entry_->messages.Take(*entry_->handler);
  parsed_ = true;
}

ServerCall::~ServerCall() {
  if (messages_.request == nullptr) return;
  entry_->messages.GiveBack(std::move(messages_),
                            request_bytes_ + reply_bytes_);
}

const std::string& ServerCall::peer() const { return connection_->peer(); }
const std::string& ServerCall::local() const { return connection_->local(); }

bool ServerCall::draining() const { return connection_->draining(); }
Cancellation::Registration ServerCall::OnDrain(
    absl::AnyInvocable<void()> callback) {
  return connection_->OnDrain(std::move(callback));
}

std::shared_ptr<Cancellation> ServerCall::ShareCancellation() {
  std::shared_ptr<Cancellation> cancellation;
  {
    MutexLock lock(mutex_);
    if (cancellation_ == nullptr) {
      cancellation_ = std::make_shared<Cancellation>();
    }
    cancellation = cancellation_;
  }
  // Either CancelLater comes behind us and finds it, or we see what it was for.
  if (cancelled()) cancellation->Cancel();
  return cancellation;
}

CallExtras& ServerCall::MutableExtras() {
  if (extras_ == nullptr) extras_ = std::make_unique<CallExtras>();
  return *extras_;
}

void ServerCall::CompressReplies(const Compressor* compressor) {
  CallExtras& extras = MutableExtras();
  extras.compressor = compressor;
  if (!streams_replies()) return;
  extras.response_compression = compressor->compression();
  streaming_->messages.SetCompressor(compressor);
}

absl::Status ServerCall::TakeRequest(wire::IncomingMessage& message) {
  if (message.compression != 0) {
    MutableExtras().request_compression =
        static_cast<Compression>(message.compression);
  } else if (message.storage == nullptr) {
    if (!message.attachment.empty()) {
      MutableExtras().attachment = absl::Cord(ToAbsl(message.attachment));
    }
    return ParseRequest(message.bytes);
  }
  unparsed_bytes_ = message.bytes.size();
  unparsed_request_ = message.TakeBytes();
  return absl::OkStatus();
}

// Where the handler is about to run: not while others wait for this thread to
// read.
absl::Status ServerCall::ParseCompressedRequest(std::string_view bytes) {
  const ServerEnvironment& environment = connection_->environment();
  const ServerOptions& options = environment.options;
  const size_t attachment_bytes = unparsed_request_.size() - unparsed_bytes_;
  const auto reserve = [&](size_t more) {
    return extras_->inflated.Take(environment.memory.get(),
                                  static_cast<int64_t>(more));
  };
  wire::ByteBuffer inflated;
  // The session lets nothing pass that was not announced: it is known.
  absl::Status status =
      options.compressors.Find(extras_->request_compression)
          ->InflateMessage(bytes, options.max_message_bytes - attachment_bytes,
                           "server", reserve, &inflated, &extras_->peers_fault);
  return status.ok() ? ParseRequest(inflated.view()) : status;
}

absl::Status ServerCall::ParseUnparsedRequest() {
  const std::string_view bytes =
      unparsed_request_.view().substr(0, unparsed_bytes_);
  const bool compressed =
      extras_ != nullptr && extras_->request_compression != Compression::kNone;
  absl::Status status =
      compressed ? ParseCompressedRequest(bytes) : ParseRequest(bytes);
  if (unparsed_request_.size() > unparsed_bytes_) {
    MutableExtras().attachment =
        CordOf(std::move(unparsed_request_), unparsed_bytes_);
  }
  unparsed_request_.Reset();
  return status;
}

const absl::Cord& ServerCall::attachment() const {
  return extras_ == nullptr ? NoAttachment() : extras_->attachment;
}

void ServerCall::PassOn(const CallError& inner) {
  MutableExtras().certainty = inner.certainty;
  extras_->retry_after = inner.retry_after;
  extras_->load_permille = inner.load_permille;
}

absl::Status ServerCall::ParseRequest(std::string_view bytes) {
  messages_ = entry_->messages.Take(*entry_->handler);
  parsed_ = true;
  request_bytes_ = bytes.size();
  if (ParseMessage(bytes, messages_.request.get())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the request is not a well-formed ",
                   std::string(messages_.request->GetTypeName())));
}

RunTimes::Place ServerCall::ChoosePlace(MonotonicTime now) const {
  switch (entry_->handler->info.settings.handler_threads.value_or(
      connection_->environment().options.handler_threads)) {
    case HandlerThreads::kWorkers:
      return RunTimes::Place::kWorker;
    case HandlerThreads::kLoops:
      return holds_thread() ? RunTimes::Place::kWorker : RunTimes::Place::kHere;
    case HandlerThreads::kAdaptive:
      if (holds_thread()) return RunTimes::Place::kWorker;
      return parsed_
                 ? entry_->run_times.Choose(
                       now, connection_->environment().pool->has_free_worker())
                 : entry_->run_times.ChooseForLong(
                       now, connection_->loop()->IsForOne());
  }
  return RunTimes::Place::kWorker;
}

void ServerCall::RunHere(net::EventLoop* loop, RunTimes::Place place) {
  runners_share_ = self;
  place_ = place;
  loop->AddErrand(this);
}

bool ServerCall::TryWithdraw() {
  State state = state_.load();
  switch (state) {
    case State::kReceiving:
      state_.store(State::kWithdrawn);
      return true;
    case State::kReady:
      if (state_.compare_exchange_strong(state, State::kWithdrawn)) return true;
      if (state != State::kQueued) return false;
      [[fallthrough]];
    case State::kQueued:
      if (!connection_->environment().pool->Withdraw(this)) return false;
      runners_share_.reset();
      return true;
    case State::kRunning:
    case State::kWithdrawn:
      return false;
  }
  return false;
}

std::shared_ptr<net::Connection::Deferred> ServerCall::Cancel() {
  cancel_requested_.store(true);
  return std::make_shared<CancelLater>(self);
}

void ServerCall::RunDeferred(std::shared_ptr<Deferred> share) {
  State expected = State::kReady;
  if (!state_.compare_exchange_strong(expected, State::kQueued)) return;
  runners_share_ = std::static_pointer_cast<ServerCall>(std::move(share));
  ServerEnvironment& environment = connection_->environment();
  if (!holds_thread()) {
    environment.pool->Submit(this, ambient_.deadline.time(), ambient_.priority);
  } else if (const auto dropped = environment.stream_threads->TryRun(this)) {
    OnDropped(*dropped);
  }
}

void ServerCall::Run() {
  const MonotonicTime started_at = MonotonicTime::Now();
  if (Execute(started_at)) {
    const int64_t run_ns = NanosecondsBetween(started_at, MonotonicTime::Now());
    entry_->run_times.OnWorkerRun(run_ns);
    if (over_) handler_us_ = run_ns / 1000;
  }
  std::shared_ptr<ServerCall> share = std::move(runners_share_);
  if (over_) connection_->Complete(std::move(share));
}

bool ServerCall::StaysHere(bool last, bool may_stall) {
  // While nobody stands by, no handler may run here: nothing else would then
  // happen on the connections of this loop, not even a cancellation that the
  // handler waits for. Else, those that were read with this call need the
  // thread as well: a worker that has nothing to do is to have a handler that
  // is worth a hand-off. (In the queue it might wait for handlers that block.)
  if (may_stall && (last || place_ != RunTimes::Place::kHereIfLast ||
                    !connection_->environment().pool->has_free_worker())) {
    return true;
  }
  RunDeferred(std::move(runners_share_));
  return false;
}

MonotonicTime ServerCall::RunErrand(MonotonicTime now) {
  State expected = State::kReady;
  if (!state_.compare_exchange_strong(expected, State::kRunning)) return now;
  if (now >= ambient_.deadline.time()) {
    SetDropped(ThreadPool::Drop::kExpired);
    return now;
  }
  if (!Execute(now)) return now;
  const MonotonicTime ended_at = MonotonicTime::Now();
  const int64_t run_ns = NanosecondsBetween(now, ended_at);
  entry_->run_times.OnRunHere(run_ns, ended_at);
  if (over_) handler_us_ = run_ns / 1000;
  return ended_at;
}

void ServerCall::OnErrandOver(bool /*on_loop*/) {
  std::shared_ptr<ServerCall> share = std::move(runners_share_);
  if (over_) connection_->Complete(std::move(share));
}

bool ServerCall::Execute(MonotonicTime started_at) {
  queue_us_ = NanosecondsBetween(ready_at_, started_at) / 1000;
  if (cancelled()) {
    SetOutcome(
        ambient_.deadline.time() <= started_at
            ? absl::DeadlineExceededError(
                  "deadline exceeded at the server before the call was started")
            : absl::CancelledError("cancelled before it was started"),
        Certainty::kNotStarted);
    return false;
  }
  if (!parsed_) {
    absl::Status parsed = ParseUnparsedRequest();
    if (!parsed.ok()) {
      SetOutcome(std::move(parsed), Certainty::kNotStarted);
      return false;
    }
  }
  RunHandler(started_at);
  return true;
}

void ServerCall::RunHandler(MonotonicTime started_at) {
  const AmbientCallScope scope(&ambient_);
  const bool before = std::exchange(runs_handler, true);
  const MethodHandler& handler = *entry_->handler;
  if (!connection_->environment().options.interceptors.empty() &&
      !BeginChain()) {
    over_ = true;
  } else if (handler.invoke == nullptr && handler.stream == nullptr) {
    StartHandler(started_at);
  } else {
    try {
      SetHandled(Invoke(messages_.reply.get()));
    } catch (...) {
      SetHandled(OnThrown());
    }
    over_ = true;
  }
  runs_handler = before;
}

absl::Status ServerCall::OnThrown() const {
  // What it says may hold secrets: it stays here.
  TERN_LOG(kError) << "the handler of " << method()
                   << " threw an exception; its call ends UNKNOWN";
  return absl::UnknownError("the handler threw an exception");
}

void ServerCall::SetHandled(absl::Status status) {
  status_ = std::move(status);
  certainty_ = Certainty::kFinished;
  CheckReply();
  if (extras_ == nullptr) return;
  if (extras_->chain != nullptr) EndChain();
  // Behind all that may change it.
  if (extras_->compressor != nullptr) PackReply();
}

void ServerCall::CheckReply() {
  if (streams_replies()) return;
  const google::protobuf::MessageLite* const reply = messages_.reply.get();
  reply_bytes_ = reply->ByteSizeLong();  // Of one that is not sent, too.
  if (status_.ok() && !reply->IsInitialized()) {
    status_ = absl::InternalError(
        absl::StrCat("the handler left required fields of its ",
                     std::string(reply->GetTypeName()), " unset"));
  }
}

// On the handler's thread: when the call is completed, only bytes are moved.
void ServerCall::PackReply() {
  const size_t attached = extras_->reply_attachment.size();
  if (!status_.ok() || streams_replies() ||
      reply_bytes_ < connection_->environment().options.min_compressed_bytes ||
      reply_bytes_ + attached > wire::Hello::kMaxWindowBytes) {
    return;
  }
  PackedMessage packed =
      PackMessage(*messages_.reply, reply_bytes_, extras_->reply_attachment,
                  extras_->compressor);
  if (packed.inflated_bytes == 0) return;
  extras_->packed = std::move(packed);
  extras_->response_compression = extras_->compressor->compression();
}

absl::Status ServerCall::Invoke(google::protobuf::MessageLite* reply) {
  const MethodHandler& handler = *entry_->handler;
  if (streaming_ == nullptr) {
    return handler.invoke(*entry_->service, *this, *messages_.request, reply);
  }
  return StreamOutcome(handler.stream(*entry_->service, *this,
                                      *messages_.request, reply,
                                      &streaming_->handlers));
}

absl::Status ServerCall::StreamOutcome(absl::Status status) {
  // What went wrong under the handler is the better reason.
  if (streaming_->messages.failed()) {
    extras_->peers_fault = streaming_->messages.peers_fault();
    status = streaming_->messages.TakeFailure();
  } else if (status.ok() && cancelled()) {
    // Its reads and writes were cut short: what it has done is not all.
    status = ambient_.deadline.time() <= MonotonicTime::Now()
                 ? absl::DeadlineExceededError(
                       "deadline exceeded at the server while the handler ran")
                 : absl::CancelledError("cancelled");
  }
  return status;
}

bool ServerCall::OnHandlerThread() {
  // Where a task goes on, only its call is known.
  return runs_handler || CurrentAmbientCall() != nullptr;
}

void ServerCall::OnDropped(ThreadPool::Drop why) {
  SetDropped(why);
  connection_->Complete(std::move(runners_share_));
}

void ServerCall::SetDropped(ThreadPool::Drop why) {
  queue_us_ = NanosecondsBetween(ready_at_, MonotonicTime::Now()) / 1000;
  switch (why) {
    case ThreadPool::Drop::kExpired:
      return SetOutcome(
          absl::DeadlineExceededError(absl::StrCat(
              "deadline exceeded in the server's queue, after ",
              absl::FormatDuration(absl::Microseconds(queue_us_)))),
          Certainty::kNotStarted);
    case ThreadPool::Drop::kFull:
      refused_for_load_ = true;
      if (holds_thread()) {
        return SetOutcome(
            absl::ResourceExhaustedError(absl::StrCat(
                "the server runs ",
                connection_->environment().options.max_stream_threads,
                " handlers of streaming methods, its limit")),
            Certainty::kNotStarted);
      }
      return SetOutcome(absl::ResourceExhaustedError(absl::StrCat(
                            "the server's queue is full: ",
                            connection_->environment().options.max_queued_calls,
                            " calls wait")),
                        Certainty::kNotStarted);
    case ThreadPool::Drop::kStopped:
      return SetOutcome(absl::UnavailableError("the server is stopping"),
                        Certainty::kNotStarted);
  }
}

void ServerCall::SetOutcome(absl::Status status, Certainty certainty) {
  status_ = std::move(status);
  certainty_ = certainty;
  over_ = true;
}

}  // namespace tern
