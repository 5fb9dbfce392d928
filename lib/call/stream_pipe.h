#ifndef TERN_LIB_CALL_STREAM_PIPE_H_
#define TERN_LIB_CALL_STREAM_PIPE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/message_batch.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {

// What trying to read or to write a message of a stream comes to.
enum class Poll {
  kReady,   // Done.
  kNotYet,  // Nothing has come; or what was written before is still to be sent.
  kOver,    // No more messages, ever.
};

// A streaming call between its user and its connection: here wait the messages
// that have come for the one, and those to be sent for the other, serialised.
// Both queues are bounded: what has come by the stream's window, which grows
// only as the user reads; what is to be sent by `max_unsent_bytes`, above which
// the user waits.
//
// The user's side: one thread at a time reads, and one at a time writes; these
// may be two. The connection's side: whoever has its driver's role. Messages
// cross by the batch, so that the lock costs little when there are many.
class StreamPipe {
 public:
  // OnPipeWork tells the connection that TakeWork() has something: once, until
  // it has been called. Any thread, without locks.
  class Host {
   public:
    virtual void OnPipeWork() = 0;
    // The same, where it is what has been read. `rests`: nobody but this
    // thread, which has been in FetchRead, is at work on the connection.
    virtual void OnRead(bool /*rests*/) { OnPipeWork(); }
    // The user's side has failed: a message that is not one.
    virtual void OnPipeFailed() {}
    // Whether this thread may block.
    virtual bool MayBlock() const { return true; }
    // This thread is going to wait for the next message: it may read it from
    // the connection itself, in StreamPipe::Fetch(). When this returns, the
    // message has come or the thread waits to be told.
    virtual void FetchRead(MonotonicTime /*until*/) {}
    // Has a thread in Fetch() look whether its wait is over. Called with the
    // pipe's lock.
    virtual void WakeFetcher() {}
    // Somebody waits for something else: the connection must not rest.
    virtual void StopFetching() {}
    // So many bytes are to be taken while a message is read: false when there
    // is no room for them. Else they are given back. The user's side.
    virtual bool TakeMemory(size_t /*bytes*/) { return true; }
    virtual void ReturnMemory(size_t /*bytes*/) {}

   protected:
    ~Host() = default;
  };
  using Wake = absl::AnyInvocable<void() &&>;

  // `host` outlives the pipe. The user's reading is reported to it each time
  // that `credit_bytes` have been read: see CreditBytes. The stream's window
  // grows to `max_window_bytes`, if that is more than four times those.
  StreamPipe(Host* host, size_t max_unsent_bytes, size_t credit_bytes,
             size_t max_window_bytes = 0)
      : host_(host),
        max_unsent_bytes_(max_unsent_bytes),
        credit_bytes_(credit_bytes),
        max_unread_messages_(std::max(
            {kMinUnreadMessages, 4 * credit_bytes, max_window_bytes})) {}
  StreamPipe(const StreamPipe&) = delete;
  StreamPipe& operator=(const StreamPipe&) = delete;

  // A quarter of the stream's window, and no more than a session gives back in
  // one step.
  static constexpr size_t kMaxCreditBytes = size_t{64} << 10;
  static constexpr size_t CreditBytes(size_t window_bytes) {
    return std::min(window_bytes / 4, kMaxCreditBytes);
  }

  // --- The user's side -------------------------------------------------------

  // kReady: `take` has been called with the next message.
  Poll Read(absl::FunctionRef<void(const MessageBatch::Message&)> take);
  // The same, where the message lies: valid until the next one is asked for, or
  // as long as it has an owner.
  Poll Next(MessageBatch::Message* message);
  // Blocks until Read() would not say kNotYet, or `until`.
  void WaitForRead(MonotonicTime until = MonotonicTime::InfiniteFuture());
  // For Host::FetchRead(): `read` reads from the connection until `over` says
  // so, or less. True from it, if it has called Rest() and that was true: the
  // connection rests, and goes on with the next FetchRead() or StopFetching().
  void Fetch(absl::FunctionRef<bool(absl::FunctionRef<bool()> over)> read);
  // False when somebody waits for anything of this pipe, Fetch() apart. Else
  // StopFetching() is called when somebody begins to.
  [[nodiscard]] bool Rest();
  // False when Read() would not say kNotYet. Else `wake` is called when it
  // would not any more: once, in RunWakes().
  bool WakeForRead(Wake wake);
  // What has come and still comes is dropped, as if it had been read.
  void DiscardReads();
  // Any thread: reading is over, for whoever waits to read, too. Nothing that
  // comes counts as read any more, so that the other side comes to a stop.
  void StopReads();
  // Once Read() has said kOver: whether StopReads() or Close(at_once) came
  // before the last message had been read.
  bool cut_short();

  // kReady: `write` has been called with room for `size` bytes.
  Poll Write(size_t size, absl::FunctionRef<void(char*)> write);
  // The same for a message that has been written, with its owner, and for one
  // that is going to be: only this thread makes the room less.
  Poll Write(MessageBatch::Message message);
  Poll PollWrite();
  void WaitForWrite(MonotonicTime until = MonotonicTime::InfiniteFuture());
  bool WakeForWrite(Wake wake);
  // No more messages: half-closes the stream behind the last one.
  void EndWrites();
  Host& host() { return *host_; }

  // --- The connection's side -------------------------------------------------

  enum class Delivery {
    kDone,
    kWake,  // RunWakes() is to be called, without the role.
    kFull,  // It was not taken: max_unread_messages() wait to be read.
  };
  // A message has come, its attachment included. `storage`, if not null, holds
  // it and may be moved from.
  [[nodiscard]] Delivery Deliver(std::string_view bytes,
                                 wire::ByteBuffer* storage,
                                 uint32_t attachment_bytes = 0,
                                 Compression compression = Compression::kNone);
  // A stream's window bounds the bytes that wait; empty messages have none.
  size_t max_unread_messages() const { return max_unread_messages_; }

  // These return true when RunWakes() is to be called, without the role.

  // The last one has come.
  [[nodiscard]] bool EndReads();
  // The call is over: writes are, too, and reads when what has come has been
  // read; `at_once`: that is dropped.
  [[nodiscard]] bool Close(bool at_once);
  void RunWakes();

  struct Work {
    // To be sent, then to be Clear()ed, before the next TakeWork().
    MessageBatch* messages = nullptr;
    bool end_writes = false;  // Behind them. Told once.
    size_t consumed_bytes = 0;
  };
  Work TakeWork();
  // How much of what has been taken waits in the session. To be called after
  // TakeWork(), and when it has become less. True when RunWakes() is to be
  // called, without the role.
  [[nodiscard]] bool SetQueuedBytes(size_t bytes);

 private:
  static constexpr size_t kMinUnreadMessages = size_t{1} << 20;
  // What a queued message costs beside its bytes.
  static constexpr size_t kOverheadBytes = 8;
  // Where giving credit costs the reader a system call, it gives so many times
  // as much: half of the window at most.
  static constexpr size_t kFetchedCredits = 2;

  bool ReadableLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return reads_over_ || !incoming_.empty();
  }
  bool WritableLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return writes_over_ || outgoing_bytes_ + queued_bytes_ < max_unsent_bytes_;
  }
  // Lets go of the lock for a while, if it rests.
  void EndRest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TellReader() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropReads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TellWriter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when the host is to be told.
  bool Announce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !std::exchange(announced_, true);
  }
  Poll NextBatch();
  void ReturnCredit();
  bool rests() const { return rests_.load(std::memory_order_relaxed); }

  Host* const host_;
  const size_t max_unsent_bytes_;
  const size_t credit_bytes_;
  const size_t max_unread_messages_;

  // The reader's.
  MessageBatch reading_;
  size_t read_bytes_ = 0;  // Not yet reported.
  std::atomic<bool> dropped_{false};
  std::atomic<bool> rests_{false};  // Set with mutex_: see Rest().

  // The connection's.
  MessageBatch sending_;

  Mutex mutex_;
  CondVar readable_;
  CondVar writable_;
  MessageBatch incoming_ ABSL_GUARDED_BY(mutex_);
  size_t incoming_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  MessageBatch outgoing_ ABSL_GUARDED_BY(mutex_);
  size_t outgoing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // And in sending_.
  size_t taken_bytes_ ABSL_GUARDED_BY(mutex_) = 0;     // In sending_.
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // In the session.
  size_t consumed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cut_short_ ABSL_GUARDED_BY(mutex_) = false;
  bool discard_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool writes_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool end_writes_ ABSL_GUARDED_BY(mutex_) = false;  // To be told.
  bool announced_ ABSL_GUARDED_BY(mutex_) = false;
  bool fetching_ ABSL_GUARDED_BY(mutex_) = false;
  bool reader_waits_ ABSL_GUARDED_BY(mutex_) = false;
  bool writer_waits_ ABSL_GUARDED_BY(mutex_) = false;
  Wake wake_reader_ ABSL_GUARDED_BY(mutex_);
  Wake wake_writer_ ABSL_GUARDED_BY(mutex_);
  bool reader_due_ ABSL_GUARDED_BY(mutex_) = false;  // wake_reader_ is.
  bool writer_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_due_ ABSL_GUARDED_BY(mutex_) = false;  // reader_due_ by StopReads.
};

}  // namespace tern

#endif  // TERN_LIB_CALL_STREAM_PIPE_H_
