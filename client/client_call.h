#ifndef TERN_CLIENT_CLIENT_CALL_H_
#define TERN_CLIENT_CLIENT_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/client/call_options.h"
#include "tern/client/request_bytes.h"
#include "tern/client/stub.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/message_batch.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/method_info.h"
#include "tern/lib/call/raw_message.h"
#include "tern/lib/call/stream_pipe.h"
#include "tern/lib/net/connection.h"
#include "tern/lib/wire/byte_buffer.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/session.h"

namespace tern {

class ChannelCore;
class ClientConnection;

namespace client_internal {

// What a call sends and where its reply goes, if it is one message: null where
// they are streamed. Protobuf's, or as they travel.
struct OneMessages {
  const google::protobuf::MessageLite* request = nullptr;
  const RawMessage* raw_request = nullptr;
  size_t request_size = 0;  // As RequestBytes wants it.
  // The request is there, unchanged, until the call has ended.
  bool request_stays = false;
  // Outlives the call's end.
  google::protobuf::MessageLite* reply = nullptr;
  RawMessage* raw_reply = nullptr;

  bool has_request() const {
    return request != nullptr || raw_request != nullptr;
  }
};

}  // namespace client_internal

// One call at the client, from its start to its end. It waits in the
// channel until there is a connection, then it is a stream of one; it ends
// exactly once, in End(), whatever comes first: the status, the deadline, a
// cancellation, a lost connection.
//
// Held by shared_ptr: by its place (channel or stream), by queues on the way,
// and by whoever waits for it or may cancel it. (What needs a share is given
// one: a share that could be had from the call itself would cost every call
// four more atomic changes.)
class ClientCall final : public net::Connection::Deferred {
 public:
  // `completion` is null for a call that somebody waits for. `method` outlives
  // the call, unless it is generic.
  static std::shared_ptr<ClientCall> Create(
      std::shared_ptr<ChannelCore> core, const MethodInfo& method,
      const CallOptions& options, MonotonicTime now, Deadline deadline,
      uint8_t priority, const client_internal::OneMessages& messages,
      std::unique_ptr<client_internal::UnaryCompletion> completion);
  // For Create() alone, which does what needs a share of the call, too.
  ClientCall(std::shared_ptr<ChannelCore> core, const MethodInfo& method,
             const CallOptions& options, MonotonicTime now, Deadline deadline,
             uint8_t priority, const client_internal::OneMessages& messages,
             std::unique_ptr<client_internal::UnaryCompletion> completion);
  ~ClientCall() override;

  // --- Constant --------------------------------------------------------------
  std::string_view method() const { return method_.full_name; }
  const std::shared_ptr<ChannelCore>& core() const { return core_; }
  const MethodInfo& method_info() const { return method_; }
  // Of a streaming method, else nullptr.
  class Streaming;
  Streaming* streaming() const { return streaming_.get(); }
  MonotonicTime deadline() const { return deadline_.time(); }
  bool is_waited_for() const { return waiter_ != nullptr; }
  bool wait_for_ready() const { return wait_for_ready_; }
  MonotonicTime started_at() const { return started_at_; }
  uint8_t priority() const { return priority_; }
  // Null: none.
  const Metadata* metadata() const;
  const wire::TraceContext& trace() const { return trace_; }
  wire::RequestId request_id() const;  // Of the first attempt.
  // Before it is started.
  void set_trace(const wire::TraceContext& trace) { trace_ = trace; }

  // --- Guarded by the channel's mutex ----------------------------------------
  std::shared_ptr<ClientConnection> connection;  // Where it has been handed.
  bool waiting = false;                          // In the channel's list.

  // --- Guarded by the connection's role --------------------------------------
  // (Here and below, what is small stands together: each call that waits has
  // the holes.)
  bool began_before_hello = false;
  // The connection asks that the call be started again, elsewhere.
  bool restart = false;
  uint32_t attempts = 0;
  wire::Stream* stream = nullptr;
  std::shared_ptr<ClientCall> self;  // The stream's share.
  const RequestBytes& request() const { return request_; }
  Compression compression() const { return compression_; }
  // Whether nobody but its method has asked for that: a wish.
  bool wishes_compression() const { return wishes_compression_; }
  // The server lacks it: all is to be sent as it is. False when that cannot be.
  bool SendUncompressed();
  // The same for a message of its stream that is compressed nevertheless.
  bool Unpack(MessageBatch::Message* message) const;
  void TakeReply(wire::IncomingMessage& message);
  bool reply_malformed() const { return reply_malformed_; }

  // --- Any thread ------------------------------------------------------------
  SubmissionLink<ClientCall> submission;  // To be started by a connection.
  // Whose role guards the members above; nullptr when not with a connection.
  std::atomic<ClientConnection*> place{nullptr};
  std::atomic<bool> cancel_requested{false};

  bool ended() const { return ended_.load(std::memory_order_seq_cst); }
  // RequestCancel() came before the deadline.
  bool cancelled_early() const { return cancelled_early_; }

  // The one place where a call ends: the first caller decides how. True for it,
  // and it then sees to Deliver(). One that is cancelled once its deadline has
  // passed, here or by the server, is DEADLINE_EXCEEDED: a call that was made
  // in a handler is cancelled with it, and a handler told of its deadline may
  // answer CANCELLED, before the timer here comes to it.
  bool End(absl::Status status, CallError error);
  // The same from a status that came over `connection`.
  bool EndWith(const wire::StatusHeader& status, CallPhase phase,
               const ClientConnection& connection);
  // Tells whoever started the call. Without locks; and without the role, unless
  // is_waited_for(): then no code of the user's runs in here.
  // `on_loop`: this is the channel's I/O thread, outside the user's code.
  static void Deliver(const std::shared_ptr<ClientCall>& call,
                      bool on_loop = false);

  static void RequestCancel(const std::shared_ptr<ClientCall>& call);
  // Ends with the call `cancellation`'s owner, see AmbientCall.
  static void CancelWith(const std::shared_ptr<ClientCall>& call,
                         const std::shared_ptr<Cancellation>& cancellation);

  // Instead of ChannelCore::Start(), once: blocks until the call has ended.
  static absl::Status StartAndWait(const std::shared_ptr<ClientCall>& call);
  // While it is set, a thread that waits for this call may read there: the end
  // of the call wakes it. The caller keeps the connection alive.
  void WakesOnEnd(ClientConnection* connection);

  void OnResponseMetadata(const wire::ResponseHeader& header);

  // Deferred: what the visitor's callbacks decided.
  void RunDeferred(std::shared_ptr<Deferred> share) override;

 private:
  // A compressed reply, as it came, for him who is told of the call's end.
  struct PackedReply {
    Compression compression;
    wire::ByteBuffer bytes;  // The attachment is behind.
    size_t compressed_bytes;
  };
  void KeepPackedReply(wire::IncomingMessage& message);
  // How the call has ended, once such a reply has been unpacked: where somebody
  // waits, on his thread.
  absl::Status Unpacked(absl::Status status) {
    if (packed_reply_ == nullptr || !status.ok()) return status;
    return UnpackReply();
  }
  absl::Status UnpackReply();
  // What few calls have.
  struct Extras;
  // A thread that waits for the end: on its stack, so that a call with a
  // completion has no room for it.
  struct Waiter;

  static Compression Choose(const ChannelCore& core, const MethodInfo& method,
                            const CallOptions& options);
  const Compressor& WishedCompressor() const;
  void TakeRawReply(wire::IncomingMessage& message);
  void FillInfo(const wire::StatusHeader& header);
  void Complete(absl::Status status);

  const std::shared_ptr<ChannelCore> core_;
  const std::unique_ptr<Extras> extras_;
  const MethodInfo& method_;
  CallInfo* const info_;
  const Deadline deadline_;
  const MonotonicTime started_at_;
  const uint8_t priority_;
  const bool wait_for_ready_;
  Compression compression_;
  const bool wishes_compression_;
  bool reply_malformed_ = false;
  std::atomic<bool> ended_{false};
  std::atomic<bool> cancelled_early_{false};
  RequestBytes request_;
  google::protobuf::MessageLite* const reply_;  // Null: in extras_, or none.
  wire::TraceContext trace_;
  const uint64_t sequence_;

  std::unique_ptr<PackedReply> packed_reply_;

  // Written by End(), given away by Deliver() or StartAndWait(): shared with
  // whoever made the call, its count of owners would be out of TSan's sight
  // (the prebuilt Abseil's), and its end here a false race with a reader there.
  absl::Status status_;

  std::shared_ptr<Cancellation> inherited_;
  Cancellation::Registration inherited_registration_;
  std::unique_ptr<client_internal::UnaryCompletion> completion_;
  std::unique_ptr<Streaming> streaming_;
  // Set before the call is started, and there until it has been delivered.
  Waiter* waiter_ = nullptr;
};

// The messages of a streaming call. Deferred: runs what its user wants to be
// told.
class ClientCall::Streaming final : public StreamPipe::Host,
                                    public net::Connection::Deferred {
 public:
  Streaming(ClientCall* call, const ChannelOptions& options);

  void OnPipeWork() override;
  void OnRead(bool rests) override;
  void OnPipeFailed() override { RequestCancel(owner.lock()); }
  bool MayBlock() const override;
  void FetchRead(MonotonicTime until) override;
  void WakeFetcher() override;
  void StopFetching() override;
  void RunDeferred(std::shared_ptr<Deferred> share) override;

  // A share of the call, for who knows that there is another.
  std::shared_ptr<Streaming> Share() {
    std::shared_ptr<ClientCall> share = owner.lock();
    TERN_DCHECK(share != nullptr);
    return std::shared_ptr<Streaming>(std::move(share), this);
  }

  ClientCall* const call;
  std::weak_ptr<ClientCall> owner;  // The same: set once, in Create().
  StreamPipe pipe;
  MessageStream messages;
  // In a connection's list of pipes that have work: in one, and once.
  SubmissionLink<Streaming> submission;
  std::atomic<bool> in_list{false};
  // Connection's role: something of the pipe's has gone to a session, so that
  // the call cannot be started anew.
  bool moved = false;

 private:
  // Where a thread fetches. Pipe's lock, while it does.
  ClientConnection* fetches_from_ = nullptr;
};

}  // namespace tern

#endif  // TERN_CLIENT_CLIENT_CALL_H_
