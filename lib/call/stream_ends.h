#ifndef TERN_LIB_CALL_STREAM_ENDS_H_
#define TERN_LIB_CALL_STREAM_ENDS_H_

#include <coroutine>
#include <utility>

#include "absl/strings/cord.h"
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
  ReadAwaiter(MessageStream& stream, Message* message,
              absl::Cord* attachment = nullptr)
      : stream_(stream), message_(message), attachment_(attachment) {}
  bool await_ready() { return Try() != Poll::kNotYet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    return stream_.WakeForRead([handle] { handle.resume(); });
  }
  bool await_resume() {
    return (poll_ == Poll::kNotYet ? Try() : poll_) == Poll::kReady;
  }

 private:
  Poll Try() { return poll_ = stream_.TryRead(message_, attachment_); }

  MessageStream& stream_;
  Message* const message_;
  absl::Cord* const attachment_;
  Poll poll_ = Poll::kNotYet;
};

template <typename Message>
class WriteAwaiter {
 public:
  WriteAwaiter(MessageStream& stream, const Message& message,
               const absl::Cord* attachment = nullptr)
      : stream_(stream), message_(message), attachment_(attachment) {}
  bool await_ready() { return Try() != Poll::kNotYet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    return stream_.WakeForWrite([handle] { handle.resume(); });
  }
  bool await_resume() {
    return (poll_ == Poll::kNotYet ? Try() : poll_) == Poll::kReady;
  }

 private:
  Poll Try() { return poll_ = stream_.TryWrite(message_, attachment_); }

  MessageStream& stream_;
  const Message& message_;
  const absl::Cord* const attachment_;
  Poll poll_ = Poll::kNotYet;
};

}  // namespace call_internal

// The messages of a streaming call that come in, at either end. In several
// forms, of which each wait may use another:
//
//   while (stream.Read(&message)) ...             // Blocks.
//   while (co_await stream.CoRead(&message)) ...  // In a coroutine.
//   stream.Read(&message, [...](bool ok) {...});  // Calls back.
//   stream.TryRead(&message), stream.WakeForRead(callback)
//
// Each form of reading takes a Cord as well, for the bytes beside the message
// (empty when there are none): a long attachment lies in one piece where it was
// received, and holds the memory of the whole message. Reading without one
// drops them.
//
// One thread at a time reads; another may write meanwhile.
template <typename Message>
class StreamReader {
 public:
  using Wake = MessageStream::Wake;
  using Done = MessageStream::Done;
  using Awaiter = call_internal::ReadAwaiter<
      typename call_internal::Untyped<Message>::Type>;

  // False when there are no more: the other side has ended its messages, or the
  // call is over. Not on an I/O thread.
  bool Read(Message* message) {
    return messages_->ReadUntil(message, MonotonicTime::InfiniteFuture()) ==
           Poll::kReady;
  }
  bool Read(Message* message, absl::Cord* attachment) {
    return messages_->ReadUntil(message, MonotonicTime::InfiniteFuture(),
                                attachment) == Poll::kReady;
  }
  // Gives up at `deadline`, with kNotYet: the call goes on, and so may reading.
  Poll ReadUntil(Message* message, Deadline deadline) {
    return messages_->ReadUntil(message, deadline.time());
  }
  Poll ReadUntil(Message* message, absl::Cord* attachment, Deadline deadline) {
    return messages_->ReadUntil(message, deadline.time(), attachment);
  }

  // Resumes on an I/O thread, which the coroutine must not block. `message`
  // lives until then.
  [[nodiscard]] Awaiter CoRead(Message* message) {
    return {*messages_, message};
  }
  [[nodiscard]] Awaiter CoRead(Message* message, absl::Cord* attachment) {
    return {*messages_, message, attachment};
  }

  // Calls `done` once: with true when `message`, which lives until then, is the
  // next one; with false when there are no more. On this thread, before this
  // returns (or, in a callback of this stream's, right behind that), when it is
  // known already; else on an I/O thread. It must not block there, and may read
  // on, or write. One read at a time is outstanding.
  void Read(Message* message, Done done) {
    messages_->Read(message, std::move(done));
  }

  // Never waits. kReady: `message` is the next one.
  Poll TryRead(Message* message) { return messages_->TryRead(message); }
  Poll TryRead(Message* message, absl::Cord* attachment) {
    return messages_->TryRead(message, attachment);
  }
  // False, and nothing happens, when TryRead would not say kNotYet. Else `wake`
  // is called once, on an I/O thread that it must not block, when it would not
  // any more.
  [[nodiscard]] bool WakeForRead(Wake wake) {
    return messages_->WakeForRead(std::move(wake));
  }

  // Any thread: no more is to be read. What has come is dropped; a Read() that
  // waits is false. The other side may come to a stop: the call is to end soon.
  // (A server's handler may have it called at a drain: ServerContext::OnDrain.)
  void StopReads() { messages_->StopReads(); }
  // Once a Read() was false: whether messages are missing, since StopReads()
  // came before the last of them had been read, or, at a server, the call's
  // end. Else the other side has sent no more. The reader's thread.
  bool cut_short() const { return messages_->cut_short(); }

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
//
// Each form takes an attachment as well: bytes that travel beside the message,
// as they are; together the two are within the other side's limit for messages.
// They are copied once. For bytes that lie somewhere already,
// absl::MakeCordFromExternal saves a copy into the Cord.
template <typename Message>
class StreamWriter {
 public:
  using Wake = MessageStream::Wake;
  using Done = MessageStream::Done;
  using Awaiter = call_internal::WriteAwaiter<
      typename call_internal::Untyped<Message>::Type>;

  // False when the call is over. Not on an I/O thread.
  bool Write(const Message& message) {
    return messages_->WriteUntil(message, MonotonicTime::InfiniteFuture()) ==
           Poll::kReady;
  }
  bool Write(const Message& message, const absl::Cord& attachment) {
    return messages_->WriteUntil(message, MonotonicTime::InfiniteFuture(),
                                 &attachment) == Poll::kReady;
  }
  // Gives up at `deadline`, with kNotYet: the message is not on its way.
  Poll WriteUntil(const Message& message, Deadline deadline) {
    return messages_->WriteUntil(message, deadline.time());
  }
  Poll WriteUntil(const Message& message, const absl::Cord& attachment,
                  Deadline deadline) {
    return messages_->WriteUntil(message, deadline.time(), &attachment);
  }

  // Resumes on an I/O thread. `message` lives until then: not a temporary, of
  // which some compilers lose track in a co_await.
  [[nodiscard]] Awaiter CoWrite(const Message& message) {
    return {*messages_, message};
  }
  Awaiter CoWrite(const Message&& message) = delete;
  // The attachment lives as long, too.
  [[nodiscard]] Awaiter CoWrite(const Message& message,
                                const absl::Cord& attachment) {
    return {*messages_, message, &attachment};
  }
  Awaiter CoWrite(const Message&& message,
                  const absl::Cord& attachment) = delete;
  Awaiter CoWrite(const Message& message,
                  const absl::Cord&& attachment) = delete;

  // Calls `done` once: with true when `message`, which lives until then, is on
  // its way and the next one may be written, with false when the call is over.
  // Where, as for StreamReader::Read. One write at a time is outstanding.
  void Write(const Message& message, Done done) {
    messages_->Write(message, std::move(done));
  }
  void Write(const Message&& message, Done done) = delete;

  // Never waits. kReady: `message` is on its way.
  Poll TryWrite(const Message& message) { return messages_->TryWrite(message); }
  Poll TryWrite(const Message& message, const absl::Cord& attachment) {
    return messages_->TryWrite(message, &attachment);
  }
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
