#ifndef TERN_SERVER_SERVER_CALL_H_
#define TERN_SERVER_SERVER_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/call/stream_pipe.h"
#include "tern/lib/call/task_promise.h"
#include "tern/lib/net/connection.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/wire/byte_buffer.h"
#include "tern/lib/wire/session.h"
#include "tern/server/call_extras.h"
#include "tern/server/concurrency.h"
#include "tern/server/method_registry.h"
#include "tern/server/responder.h"
#include "tern/server/server_context.h"
#include "tern/server/server_environment.h"

namespace tern {

class ServerConnection;

// One call at the server, from its header to its status. It is:
//
//   receiving   with the connection, until the request is complete (a client
//               that streams its requests: not at all);
//   ready       about to be queued, once the driver's role is let go, or to be
//               run by this thread as an errand of its loop;
//   queued      in the pool's queue;
//   running     the handler runs, or waits for something without a thread;
//   completed   back with the connection, to be answered.
//
// Held by shared_ptr: by its stream until it is answered, and by whoever has
// it. (Each hands its share on: one that could be had from the call itself
// would cost every call four more atomic changes.)
class ServerCall final : public ServerContext,
                         public ThreadPool::Task,
                         public net::EventLoop::Errand,
                         public net::Connection::Deferred,
                         public server_internal::AnsweredCall,
                         private CancellationSource {
 public:
  static std::shared_ptr<ServerCall> Create(
      std::shared_ptr<ServerConnection> connection,
      MethodRegistry::Entry* entry, const wire::CallHeader& header,
      MonotonicTime deadline);
  // For Create() alone, which does what needs a share of the call, too.
  ServerCall(std::shared_ptr<ServerConnection> connection,
             MethodRegistry::Entry* entry, const wire::CallHeader& header,
             MonotonicTime deadline);
  ~ServerCall() override;

  // --- With the connection: the driver's role is held ------------------------

  // nullptr once the call has been answered.
  wire::Stream* stream = nullptr;
  std::shared_ptr<ServerCall> self;  // The stream's share.
  int64_t reserved_bytes = 0;        // Of the connection's memory account.
  SubmissionLink<ServerCall> submission;

  // Of a streaming method, else nullptr: its messages while the handler runs.
  class Streaming;
  Streaming* streaming() { return streaming_.get(); }
  unsigned priority() const { return ambient_.priority; }
  bool streams_requests() const {
    return entry_->handler->info.client_streaming;
  }
  bool streams_replies() const {
    return entry_->handler->info.server_streaming;
  }

  // Takes the request: a short one is parsed at once, a long one by the worker.
  // Not OK: INVALID_ARGUMENT; it can't be parsed.
  absl::Status TakeRequest(wire::IncomingMessage& message);
  // Before the handler begins: its replies may be compressed.
  ABSL_ATTRIBUTE_COLD void CompressReplies(const Compressor* compressor);
  // Takes one of the places that the method has for calls at once. False when
  // all are taken: the call is to be refused.
  bool TakePlace() {
    const uint32_t limit = entry_->handler->info.settings.max_concurrency;
    if (limit == 0) return true;
    concurrency_ = entry_->concurrency.TryTake(limit);
    return static_cast<bool>(concurrency_);
  }
  // The request is complete: it is to be run. On the loop's thread, that is as
  // an errand; else RunDeferred() will queue the call.
  void SetReady(MonotonicTime now) {
    ready_at_ = now;
    state_.store(State::kReady, std::memory_order_release);
  }
  // Where the method's handlers run.
  RunTimes::Place ChoosePlace(MonotonicTime now) const;
  // REQUIRES: loop thread.
  void RunHere(net::EventLoop* loop, RunTimes::Place place);
  // Takes the call back, unrun, for ever. False when a worker has it or is
  // about to.
  bool TryWithdraw();
  // The handler's answer is not wanted any more: cancelled() is true from now
  // on. Runs callbacks later, by the returned task.
  std::shared_ptr<Deferred> Cancel();

  // How it ended; valid when completed.
  const absl::Status& status() const { return status_; }
  Certainty certainty() const { return certainty_; }
  // There was no thread or no place in the queue for it.
  bool refused_for_load() const { return refused_for_load_; }
  uint64_t queue_us() const { return queue_us_; }
  uint64_t handler_us() const { return handler_us_; }
  const google::protobuf::MessageLite& reply() const {
    return *messages_.reply;
  }
  size_t reply_bytes() const { return reply_bytes_; }
  // One that is not to be used again.
  std::unique_ptr<google::protobuf::MessageLite> TakeReply() {
    return std::move(messages_.reply);
  }
  const Metadata& sent_trailing_metadata() const { return trailing_metadata_; }
  // nullptr when nothing was ever put there.
  CallExtras* extras() const { return extras_.get(); }
  const MethodInfo& info() const { return entry_->handler->info; }

  // --- Deferred: ready -> queued ---------------------------------------------
  void RunDeferred(std::shared_ptr<Deferred> share) override;

  // --- Task: queued -> running -> completed ----------------------------------
  void Run() override;
  void OnDropped(ThreadPool::Drop why) override;

  // --- Errand: ready -> running -> completed ---------------------------------
  bool StaysHere(bool last, bool may_stall) override;
  MonotonicTime RunErrand(MonotonicTime now) override;
  void OnErrandOver(bool on_loop) override;

  // --- AnsweredCall: running -> completed ------------------------------------
  void OnHandlerEnd(std::shared_ptr<AnsweredCall> self, End end,
                    absl::Status status) override;

  // --- ServerContext ---------------------------------------------------------
  std::string_view method() const override {
    const MethodInfo& info = entry_->handler->info;
    return info.generic ? std::string_view(extras_->method) : info.full_name;
  }
  const std::string& peer() const override;
  const std::string& local() const override;
  Deadline deadline() const override { return ambient_.deadline; }
  bool cancelled() const override { return cancel_requested_.load(); }
  Cancellation& cancellation() override { return *ShareCancellation(); }
  bool draining() const override;
  Cancellation::Registration OnDrain(
      absl::AnyInvocable<void()> callback) override;
  const Metadata& metadata() const override { return metadata_; }
  const absl::Cord& attachment() const override;
  void set_reply_attachment(absl::Cord attachment) override {
    MutableExtras().reply_attachment = std::move(attachment);
  }
  Metadata& response_metadata() override {
    return MutableExtras().response_metadata;
  }
  Metadata& trailing_metadata() override { return trailing_metadata_; }
  void PassOn(const CallError& inner) override;
  const wire::TraceContext& trace() const override { return ambient_.trace; }
  const AmbientCall& ambient() const override { return ambient_; }

  // True on a thread that runs a handler now, or a part of one.
  static bool OnHandlerThread();

 private:
  friend class CancelLater;
  enum class State { kReceiving, kReady, kQueued, kRunning, kWithdrawn };

  ABSL_ATTRIBUTE_NOINLINE CallExtras& MutableExtras();
  std::shared_ptr<Cancellation> ShareCancellation() override;
  absl::Status ParseRequest(std::string_view bytes);
  absl::Status ParseUnparsedRequest();
  // For size rather than speed: beside what they call, they cost nothing.
  ABSL_ATTRIBUTE_COLD absl::Status ParseCompressedRequest(
      std::string_view bytes);
  ABSL_ATTRIBUTE_COLD void PackReply();
  absl::Status Invoke(google::protobuf::MessageLite* reply);
  // What a streaming call ends with whose handler has said `status`.
  absl::Status StreamOutcome(absl::Status status);
  // Whether the handler, of a streaming method, is given a thread of its own.
  bool holds_thread() const { return entry_->handler->stream != nullptr; }
  // Each sets how the call ends. Execute is false when there was nothing to
  // run.
  bool Execute(MonotonicTime started_at);
  void RunHandler(MonotonicTime started_at);
  void SetHandled(absl::Status status);
  void CheckReply();
  // Of a server with interceptors: server_call_chain.cc. Begin is false when
  // they have ended the call.
  bool BeginChain();
  void EndChain();
  absl::Status OnThrown() const;  // The outcome.
  // Of a handler that may end later than its invocation: server_call_start.cc.
  void StartHandler(MonotonicTime started_at);
  void SetAnswered(bool threw);
  void SetDropped(ThreadPool::Drop why);
  void SetOutcome(absl::Status status, Certainty certainty);

  const std::shared_ptr<ServerConnection> connection_;
  MethodRegistry::Entry* const entry_;
  // Until nobody has the call any more: its handler has ended by then.
  Concurrency::Place concurrency_;
  AmbientCall ambient_;
  Metadata metadata_;

  std::atomic<State> state_{State::kReceiving};
  std::atomic<bool> cancel_requested_{false};
  std::shared_ptr<ServerCall> runners_share_;  // The pool's, or the loop's.
  Mutex mutex_;
  // On its own: calls that the handler has made may keep it longer than this.
  std::shared_ptr<Cancellation> cancellation_ ABSL_GUARDED_BY(mutex_);

  // Of a handler that ends by its responder: written by whoever ends it, before
  // he meets the thread that has started it. The second one sets the outcome.
  End end_ = End::kAnswered;
  task_internal::Rendezvous started_and_ended_;
  MonotonicTime started_at_;

  // Who runs it has these while he does, else the connection. (over_ belongs to
  // the thread that runs or starts the handler, also when another ends it.)
  RunTimes::Place place_ = RunTimes::Place::kWorker;
  bool over_ = false;  // It has an outcome.
  bool parsed_ = false;
  bool refused_for_load_ = false;
  Certainty certainty_ = Certainty::kMaybeStarted;
  CallMessages messages_;
  size_t request_bytes_ = 0;
  wire::ByteBuffer unparsed_request_;
  size_t unparsed_bytes_ = 0;  // Of it; the attachment is behind.
  Metadata trailing_metadata_;
  std::unique_ptr<CallExtras> extras_;
  absl::Status status_;
  size_t reply_bytes_ = 0;
  MonotonicTime ready_at_;
  uint64_t queue_us_ = 0;
  uint64_t handler_us_ = 0;

  std::unique_ptr<Streaming> streaming_;
};

// Deferred: runs what the handler wants to be told.
class ServerCall::Streaming final : public StreamPipe::Host,
                                    public net::Connection::Deferred {
 public:
  Streaming(ServerCall* call, const ServerOptions& options);

  void OnPipeWork() override;
  bool MayBlock() const override;
  bool TakeMemory(size_t bytes) override;
  void ReturnMemory(size_t bytes) override;
  void RunDeferred(std::shared_ptr<Deferred> share) override;

  // On the loop's thread, as a part of the call.
  void RunWakes();
  // A share of the call, for who knows that there is another.
  std::shared_ptr<Streaming> Share() {
    std::shared_ptr<ServerCall> share = owner.lock();
    TERN_DCHECK(share != nullptr);
    return std::shared_ptr<Streaming>(std::move(share), this);
  }

  ServerCall* const call;
  std::weak_ptr<ServerCall> owner;  // The same: set once, in Create().
  StreamPipe pipe;
  MessageStream messages;
  server_internal::HandlerStream handlers;  // What the handler has of them.
  // In a connection's list of pipes that have work: in one, and once.
  SubmissionLink<Streaming> submission;
  std::atomic<bool> in_list{false};
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_CALL_H_
