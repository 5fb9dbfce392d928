#ifndef TERN_LIB_CALL_MESSAGE_STREAM_H_
#define TERN_LIB_CALL_MESSAGE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
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

  // `pipe` outlives this.
  MessageStream(StreamPipe* pipe, End end)
      : pipe_(*pipe), is_server_(end == End::kServer) {}
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;

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

  // Calls `done` once, with whether `message` is the next one: see
  // StreamReader::Read.
  void Read(google::protobuf::MessageLite* message, Done done);
  void Read(RawMessage* message, Done done);

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
  void Write(const google::protobuf::MessageLite& message, Done done);
  void Write(const RawMessage& message, Done done);
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
  bool MayBlock(const char* what);
  template <typename Message>
  void ReadWith(Message* message, Done done);
  template <typename Message>
  void WriteWith(const Message& message, Done done);

  StreamPipe& pipe_;
  const bool is_server_;
  uint64_t messages_read_ = 0;
  // Of those who are called back, made for the first one.
  std::shared_ptr<StreamCallbacks> callback_reads_;   // The reader's.
  std::shared_ptr<StreamCallbacks> callback_writes_;  // The writer's.
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
