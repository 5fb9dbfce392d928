#ifndef TERN_LIB_CALL_MESSAGE_STREAM_H_
#define TERN_LIB_CALL_MESSAGE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/stream_pipe.h"

namespace tern {

class RawMessage;

// Protobuf messages over a StreamPipe, or such as nobody has looked at: the
// untyped half of the readers and writers of both ends. As of the pipe, one
// thread at a time reads, one at a time writes; they may be two.
class MessageStream {
 public:
  using Wake = StreamPipe::Wake;
  enum class End { kClient, kServer };

  // `pipe` outlives this.
  MessageStream(StreamPipe* pipe, End end)
      : pipe_(*pipe), is_server_(end == End::kServer) {}
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;

  // Before the first message: all go through `chain`, which outlives their
  // reading and writing. One that is refused there is a failure.
  void SetChain(call_internal::CallChain* chain) { chain_ = chain; }

  // The next message; kOver when there are no more, or the call is over.
  Poll TryRead(google::protobuf::MessageLite* message);
  // Blocks until there is one, or `until`: then kNotYet.
  Poll ReadUntil(google::protobuf::MessageLite* message, MonotonicTime until);
  Poll TryRead(RawMessage* message);
  Poll ReadUntil(RawMessage* message, MonotonicTime until);
  // False when TryRead would not say kNotYet. Else calls `wake` once when it
  // would not any more, on an I/O thread, which it must not block.
  bool WakeForRead(Wake wake) {
    return !failed() && pipe_.WakeForRead(std::move(wake));
  }

  // kReady: the message is on its way; kOver: the call is over.
  Poll TryWrite(const google::protobuf::MessageLite& message);
  // Blocks while too much waits to be sent, or until `until`: then kNotYet.
  Poll WriteUntil(const google::protobuf::MessageLite& message,
                  MonotonicTime until);
  Poll TryWrite(const RawMessage& message);
  Poll WriteUntil(const RawMessage& message, MonotonicTime until);
  bool WakeForWrite(Wake wake) {
    return !failed() && pipe_.WakeForWrite(std::move(wake));
  }
  void EndWrites() { pipe_.EndWrites(); }
  void DiscardReads() { pipe_.DiscardReads(); }
  void StopReads() { pipe_.StopReads(); }

  // What went wrong here, once, or OK: a message could not be parsed (the other
  // end's fault: a server's INVALID_ARGUMENT, a client's INTERNAL), or was not
  // fit to be sent (this end's). Nothing is read or written afterwards. Any
  // thread.
  absl::Status TakeFailure();
  // Makes what is read or written from now on kOver. The first one counts.
  void Fail(absl::Status failure);
  bool failed() const { return failed_.load(std::memory_order_acquire); }

 private:
  using Chain = call_internal::CallChain;

  bool MayBlock(const char* what);
  Poll WriteNow(const google::protobuf::MessageLite& message);
  Poll WriteNow(const RawMessage& message);
  // A message that has been read or written went through the chain.
  Poll Passed(absl::Status refusal, Poll poll = Poll::kReady) {
    if (refusal.ok()) return poll;
    Fail(std::move(refusal));
    return Poll::kOver;
  }
  template <typename Message>
  Poll WriteThroughChain(const Message& message) {
    // Else it would go through the chain each time that somebody tries.
    Poll poll = pipe_.PollWrite();
    if (poll != Poll::kReady) return poll;
    absl::Status refusal = chain_->PassOn(
        is_server_ ? Chain::Way::kReply : Chain::Way::kRequest, message,
        [&](const Message& passed) { poll = WriteNow(passed); });
    return Passed(std::move(refusal), poll);
  }
  Chain::Way read_way() const {
    return is_server_ ? Chain::Way::kRequest : Chain::Way::kReply;
  }

  StreamPipe& pipe_;
  const bool is_server_;
  Chain* chain_ = nullptr;
  uint64_t messages_read_ = 0;
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_LIB_CALL_MESSAGE_STREAM_H_
