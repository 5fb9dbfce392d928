#ifndef TERN_SERVER_SERVER_CALL_H_
#define TERN_SERVER_SERVER_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/net/connection.h"
#include "tern/lib/wire/session.h"
#include "tern/server/method_registry.h"
#include "tern/server/server_context.h"
#include "tern/server/server_environment.h"

namespace tern {

class ServerConnection;

// One unary call at the server, from its header to its status. It is:
//
//   receiving   with the connection, until the request is complete;
//   ready       about to be queued, once the driver's role is let go;
//   queued      in the pool's queue;
//   running     with a worker, which runs the handler;
//   completed   back with the connection, to be answered.
//
// Held by shared_ptr: by its stream until it is answered, and by whoever has
// it.
class ServerCall final : public ServerContext,
                         public ThreadPool::Task,
                         public net::Connection::Deferred,
                         public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(std::shared_ptr<ServerConnection> connection,
             const MethodRegistry::Entry& entry, const wire::CallHeader& header,
             MonotonicTime deadline);

  // --- With the connection: the driver's role is held ------------------------

  // nullptr once the call has been answered.
  wire::Stream* stream = nullptr;
  std::shared_ptr<ServerCall> self;  // The stream's share.
  int64_t reserved_bytes = 0;        // Of the connection's memory account.
  SubmissionLink<ServerCall> submission;

  // Takes the request: a short one is parsed at once, a long one by the worker.
  // Not OK: INVALID_ARGUMENT; it can't be parsed.
  absl::Status TakeRequest(wire::IncomingMessage& message);
  // The request is complete: RunDeferred() will queue the call.
  void SetReady() { state_.store(State::kReady); }
  // Takes the call back, unrun, for ever. False when a worker has it or is
  // about to.
  bool TryWithdraw();
  // The handler's answer is not wanted any more: cancelled() is true from now
  // on. Runs callbacks later, by the returned task.
  std::shared_ptr<Deferred> Cancel();

  // How it ended; valid when completed.
  const absl::Status& status() const { return status_; }
  Certainty certainty() const { return certainty_; }
  std::optional<uint32_t> retry_after_ms() const { return retry_after_ms_; }
  uint64_t queue_us() const { return queue_us_; }
  uint64_t handler_us() const { return handler_us_; }
  const google::protobuf::MessageLite* reply() const { return reply_; }
  size_t reply_bytes() const { return reply_bytes_; }
  const Metadata& sent_trailing_metadata() const { return trailing_metadata_; }

  // --- Deferred: ready -> queued ---------------------------------------------
  void RunDeferred() override;

  // --- Task: queued -> running -> completed ----------------------------------
  void Run() override;
  void OnDropped(ThreadPool::Drop why) override;

  // --- ServerContext ---------------------------------------------------------
  std::string_view method() const override {
    return entry_.handler->info.full_name;
  }
  const std::string& peer() const override;
  const std::string& local() const override;
  Deadline deadline() const override { return ambient_.deadline; }
  bool cancelled() const override { return cancel_requested_.load(); }
  Cancellation& cancellation() override { return *cancellation_; }
  const Metadata& metadata() const override { return metadata_; }
  Metadata& trailing_metadata() override { return trailing_metadata_; }
  const wire::TraceContext& trace() const override { return ambient_.trace; }
  const AmbientCall& ambient() const override { return ambient_; }

 private:
  enum class State { kReceiving, kReady, kQueued, kWithdrawn };

  absl::Status ParseRequest(std::string_view bytes);
  void RunHandler();
  void Complete(absl::Status status, Certainty certainty);

  const std::shared_ptr<ServerConnection> connection_;
  const MethodRegistry::Entry entry_;
  AmbientCall ambient_;
  Metadata metadata_;

  std::atomic<State> state_{State::kReceiving};
  std::shared_ptr<ServerCall> pools_share_;  // While the pool has the call.
  std::atomic<bool> cancel_requested_{false};
  // On its own: calls that the handler has made may keep it longer than this.
  const std::shared_ptr<Cancellation> cancellation_ =
      std::make_shared<Cancellation>();

  // The worker's while it has the call, else the connection's.
  google::protobuf::Arena arena_;
  google::protobuf::MessageLite* request_ = nullptr;  // In the arena.
  google::protobuf::MessageLite* reply_ = nullptr;    // In the arena.
  std::string unparsed_request_;
  Metadata trailing_metadata_;
  absl::Status status_;
  Certainty certainty_ = Certainty::kMaybeStarted;
  std::optional<uint32_t> retry_after_ms_;
  size_t reply_bytes_ = 0;
  MonotonicTime queued_at_;
  uint64_t queue_us_ = 0;
  uint64_t handler_us_ = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_CALL_H_
