#ifndef TERN_LIB_CALL_MESSAGE_STREAM_H_
#define TERN_LIB_CALL_MESSAGE_STREAM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/packed_message.h"
#include "tern/lib/call/stream_callbacks.h"
#include "tern/lib/call/stream_pipe.h"

namespace tern {

class RawMessage;

// Protobuf messages over a StreamPipe, or such as nobody has looked at: the
// untyped half of the readers and writers of both ends. As of the pipe, one
// thread at a time reads, one at a time writes; they may be two.
class MessageStream {
 public:
  using Wake = StreamPipe::Wake;
  using Done = StreamCallbacks::Done;
  enum class End { kClient, kServer };

  // How messages are compressed, each on the thread that writes or reads it.
  struct Codecs {
    Compressors known;                       // For what comes.
    const Compressor* compressor = nullptr;  // For what is written; may be null
    size_t min_compressed_bytes = 0;         // ... from this size on.
    // With an attachment, when inflated.
    size_t max_message_bytes = std::numeric_limits<int32_t>::max();
  };

  // `pipe` outlives this.
  MessageStream(StreamPipe* pipe, End end)
      : pipe_(*pipe), is_server_(end == End::kServer) {}
  MessageStream(StreamPipe* pipe, End end, const Codecs& codecs)
      : pipe_(*pipe), is_server_(end == End::kServer), codecs_(codecs) {}
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;

  // Before the first message: all go through `chain`, which outlives their
  // reading and writing. One that is refused there is a failure.
  void SetChain(call_internal::CallChain* chain) { chain_ = chain; }

  // Before the first write.
  void SetCompressor(const Compressor* compressor) {
    codecs_.compressor = compressor;
  }

  // Any thread: no more of what is written is compressed.
  void StopCompressing() {
    compresses_.store(false, std::memory_order_relaxed);
  }

  // The next message; kOver when there are no more, or the call is over. The
  // attachment is dropped when `attachment` is null, else set, to nothing when
  // there is none.
  Poll TryRead(google::protobuf::MessageLite* message,
               absl::Cord* attachment = nullptr);
  // Blocks until there is one, or `until`: then kNotYet.
  Poll ReadUntil(google::protobuf::MessageLite* message, MonotonicTime until,
                 absl::Cord* attachment = nullptr);
  Poll TryRead(RawMessage* message, absl::Cord* attachment = nullptr);
  Poll ReadUntil(RawMessage* message, MonotonicTime until,
                 absl::Cord* attachment = nullptr);
  // False when TryRead would not say kNotYet. Else calls `wake` once when it
  // would not any more, on an I/O thread, which it must not block.
  bool WakeForRead(Wake wake) {
    return !failed() && pipe_.WakeForRead(std::move(wake));
  }

  // Calls `done` once, with whether `message` is the next one: see
  // StreamReader::Read.
  void Read(google::protobuf::MessageLite* message, Done done);
  void Read(RawMessage* message, Done done);

  // kReady: the message is on its way; kOver: the call is over.
  // `attachment`: may be null.
  Poll TryWrite(const google::protobuf::MessageLite& message,
                const absl::Cord* attachment = nullptr);
  // Blocks while too much waits to be sent, or until `until`: then kNotYet.
  Poll WriteUntil(const google::protobuf::MessageLite& message,
                  MonotonicTime until, const absl::Cord* attachment = nullptr);
  Poll TryWrite(const RawMessage& message,
                const absl::Cord* attachment = nullptr);
  Poll WriteUntil(const RawMessage& message, MonotonicTime until,
                  const absl::Cord* attachment = nullptr);
  bool WakeForWrite(Wake wake) {
    return !failed() && pipe_.WakeForWrite(std::move(wake));
  }
  void Write(const google::protobuf::MessageLite& message, Done done);
  void Write(const RawMessage& message, Done done);
  void EndWrites() { pipe_.EndWrites(); }
  void DiscardReads() { pipe_.DiscardReads(); }
  void StopReads() { pipe_.StopReads(); }
  bool cut_short() { return pipe_.cut_short(); }

  // What went wrong here, once, or OK: a message could not be parsed (the other
  // end's fault: a server's INVALID_ARGUMENT, a client's INTERNAL), or was not
  // fit to be sent (this end's). Nothing is read or written afterwards. Any
  // thread.
  absl::Status TakeFailure();
  // Makes what is read or written from now on kOver. The first one counts.
  void Fail(absl::Status failure);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // Whether the peer broke the protocol with that. The reader's thread.
  bool peers_fault() const { return peers_fault_; }

 private:
  using Chain = call_internal::CallChain;

  bool MayBlock(const char* what);
  // Repeats `attempt` until it does not say kNotYet, or `until`; `wait` waits
  // in between, where that is allowed.
  Poll Repeat(absl::FunctionRef<Poll()> attempt, const char* what,
              void (StreamPipe::*wait)(MonotonicTime), MonotonicTime until);
  template <typename Message>
  void ReadWith(Message* message, Done done);
  template <typename Message>
  void WriteWith(const Message& message, Done done);
  // Has `take` have it; false, and the stream has failed, when that can't be.
  bool Inflate(const MessageBatch::Message& message,
               absl::FunctionRef<void(std::string_view)> take);
  static void TakeAttachment(const MessageBatch::Message& message,
                             absl::Cord* attachment);
  // False when the stream has failed.
  bool CheckSize(size_t size, const absl::Cord* attachment);
  // For a message of so many bytes, if it is to be compressed.
  const Compressor* CompressorFor(size_t size) const {
    return size >= codecs_.min_compressed_bytes &&
                   compresses_.load(std::memory_order_relaxed)
               ? codecs_.compressor
               : nullptr;
  }
  // Of one that is compressed or has an attachment.
  Poll WritePacked(absl::FunctionRef<PackedMessage()> pack);
  Poll WriteNow(const google::protobuf::MessageLite& message,
                const absl::Cord* attachment);
  Poll WriteNow(const RawMessage& message, const absl::Cord* attachment);
  // A message that has been read or written went through the chain.
  Poll Passed(absl::Status refusal, Poll poll = Poll::kReady) {
    if (refusal.ok()) return poll;
    Fail(std::move(refusal));
    return Poll::kOver;
  }
  template <typename Message>
  Poll WriteThroughChain(const Message& message, const absl::Cord* attachment) {
    // Else it would go through the chain each time that somebody tries.
    Poll poll = pipe_.PollWrite();
    if (poll != Poll::kReady) return poll;
    absl::Status refusal = chain_->PassOn(
        is_server_ ? Chain::Way::kReply : Chain::Way::kRequest, message,
        [&](const Message& passed) { poll = WriteNow(passed, attachment); });
    return Passed(std::move(refusal), poll);
  }
  Chain::Way read_way() const {
    return is_server_ ? Chain::Way::kRequest : Chain::Way::kReply;
  }

  StreamPipe& pipe_;
  const bool is_server_;
  bool peers_fault_ = false;
  Codecs codecs_;
  Chain* chain_ = nullptr;
  uint64_t messages_read_ = 0;
  // Of those who are called back, made for the first one.
  std::shared_ptr<StreamCallbacks> callback_reads_;   // The reader's.
  std::shared_ptr<StreamCallbacks> callback_writes_;  // The writer's.
  std::atomic<bool> compresses_{true};  // If there is a compressor.
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

template <typename Message>
void MessageStream::ReadWith(Message* message, Done done) {
  using Direction = StreamCallbacks::Direction;
  if (callback_reads_ == nullptr) {
    callback_reads_ = std::make_shared<StreamCallbacks>(Direction::kRead);
  }
  callback_reads_->Begin(
      this, message,
      [](MessageStream& stream, void* message) {
        return stream.TryRead(static_cast<Message*>(message));
      },
      std::move(done));
}

template <typename Message>
void MessageStream::WriteWith(const Message& message, Done done) {
  using Direction = StreamCallbacks::Direction;
  if (callback_writes_ == nullptr) {
    callback_writes_ = std::make_shared<StreamCallbacks>(Direction::kWrite);
  }
  callback_writes_->Begin(
      this, const_cast<Message*>(&message),
      [](MessageStream& stream, void* message) {
        return stream.TryWrite(*static_cast<const Message*>(message));
      },
      std::move(done));
}

}  // namespace tern

#endif  // TERN_LIB_CALL_MESSAGE_STREAM_H_
