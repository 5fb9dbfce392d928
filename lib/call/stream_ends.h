#ifndef TERN_LIB_CALL_STREAM_ENDS_H_
#define TERN_LIB_CALL_STREAM_ENDS_H_

#include <coroutine>
#include <utility>

#include "google/protobuf/message_lite.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/message_stream.h"

namespace tern {
namespace call_internal {

// What a MessageStream reads and writes of a type of messages.
template <typename Message>
struct Untyped {
  using Type = google::protobuf::MessageLite;
};
template <>
struct Untyped<RawMessage> {
  using Type = RawMessage;
};

// What is awaited in a coroutine; see StreamReader::CoRead.
template <typename Message>
class ReadAwaiter {
 public:
  ReadAwaiter(MessageStream& stream, Message* message)
      : stream_(stream), message_(message) {}
  bool await_ready() { return Try() != Poll::kNotYet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    return stream_.WakeForRead([handle] { handle.resume(); });
  }
  bool await_resume() {
    return (poll_ == Poll::kNotYet ? Try() : poll_) == Poll::kReady;
  }

 private:
  Poll Try() { return poll_ = stream_.TryRead(message_); }

  MessageStream& stream_;
  Message* const message_;
  Poll poll_ = Poll::kNotYet;
};

template <typename Message>
class WriteAwaiter {
 public:
  WriteAwaiter(MessageStream& stream, const Message& message)
      : stream_(stream), message_(message) {}
  bool await_ready() { return Try() != Poll::kNotYet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    return stream_.WakeForWrite([handle] { handle.resume(); });
  }
  bool await_resume() {
    return (poll_ == Poll::kNotYet ? Try() : poll_) == Poll::kReady;
  }

 private:
  Poll Try() { return poll_ = stream_.TryWrite(message_); }

  MessageStream& stream_;
  const Message& message_;
  Poll poll_ = Poll::kNotYet;
};

}  // namespace call_internal

// The messages of a streaming call that come in, at either end. In three forms,
// of which each wait may use another:
//
//   while (stream.Read(&message)) ...            // Blocks.
//   while (co_await stream.CoRead(&message)) ... // In a coroutine.
//   stream.TryRead(&message), stream.WakeForRead(callback)
//
// One thread at a time reads; another may write meanwhile.
template <typename Message>
class StreamReader {
 public:
  using Wake = MessageStream::Wake;
  using Awaiter = call_internal::ReadAwaiter<
      typename call_internal::Untyped<Message>::Type>;

  // False when there are no more: the other side has ended its messages, or the
  // call is over. Not on an I/O thread.
  bool Read(Message* message) {
    return messages_->ReadUntil(message, MonotonicTime::InfiniteFuture()) ==
           Poll::kReady;
  }
  // Gives up at `deadline`, with kNotYet: the call goes on, and so may reading.
  Poll ReadUntil(Message* message, Deadline deadline) {
    return messages_->ReadUntil(message, deadline.time());
  }

  // Resumes on an I/O thread, which the coroutine must not block. `message`
  // lives until then.
  [[nodiscard]] Awaiter CoRead(Message* message) {
    return {*messages_, message};
  }

  // Never waits. kReady: `message` is the next one.
  Poll TryRead(Message* message) { return messages_->TryRead(message); }
  // False, and nothing happens, when TryRead would not say kNotYet. Else `wake`
  // is called once, on an I/O thread that it must not block, when it would not
  // any more.
  [[nodiscard]] bool WakeForRead(Wake wake) {
    return messages_->WakeForRead(std::move(wake));
  }

  // Any thread: no more is to be read. What has come is dropped; a Read() that
  // waits is false. The other side may come to a stop: the call is to end soon.
  void StopReads() { messages_->StopReads(); }

 protected:
  explicit StreamReader(MessageStream* messages) : messages_(messages) {}
  ~StreamReader() = default;
  StreamReader(StreamReader&&) noexcept = default;
  StreamReader& operator=(StreamReader&&) noexcept = default;

 private:
  MessageStream* messages_;
};

// The messages that go out, likewise. What has been written is on its way: it
// leaves without any flush, much of it at once when it is written fast. While
// more than a limit is still to be sent, writing waits.
template <typename Message>
class StreamWriter {
 public:
  using Wake = MessageStream::Wake;
  using Awaiter = call_internal::WriteAwaiter<
      typename call_internal::Untyped<Message>::Type>;

  // False when the call is over. Not on an I/O thread.
  bool Write(const Message& message) {
    return messages_->WriteUntil(message, MonotonicTime::InfiniteFuture()) ==
           Poll::kReady;
  }
  // Gives up at `deadline`, with kNotYet: the message is not on its way.
  Poll WriteUntil(const Message& message, Deadline deadline) {
    return messages_->WriteUntil(message, deadline.time());
  }

  // Resumes on an I/O thread. `message` lives until then: not a temporary, of
  // which some compilers lose track in a co_await.
  [[nodiscard]] Awaiter CoWrite(const Message& message) {
    return {*messages_, message};
  }
  Awaiter CoWrite(const Message&& message) = delete;

  // Never waits. kReady: `message` is on its way.
  Poll TryWrite(const Message& message) { return messages_->TryWrite(message); }
  [[nodiscard]] bool WakeForWrite(Wake wake) {
    return messages_->WakeForWrite(std::move(wake));
  }

 protected:
  explicit StreamWriter(MessageStream* messages) : messages_(messages) {}
  ~StreamWriter() = default;
  StreamWriter(StreamWriter&&) noexcept = default;
  StreamWriter& operator=(StreamWriter&&) noexcept = default;

 private:
  MessageStream* messages_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_STREAM_ENDS_H_
