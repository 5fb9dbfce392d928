#include "tern/lib/call/stream_pipe.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "tern/lib/base/large_blocks.h"
#include "tern/lib/call/attachment.h"

namespace tern {

// --- Reading -----------------------------------------------------------------

Poll StreamPipe::Read(
    absl::FunctionRef<void(const MessageBatch::Message&)> take) {
  MessageBatch::Message message;
  const Poll poll = Next(&message);
  if (poll == Poll::kReady) take(message);
  return poll;
}

Poll StreamPipe::Next(MessageBatch::Message* message) {
  if (reading_.empty()) {
    const Poll next = NextBatch();
    if (next != Poll::kReady) return next;
  }
  if (dropped_.load(std::memory_order_acquire)) {
    MutexLock lock(mutex_);
    cut_short_ = true;
    return Poll::kOver;
  }
  *message = reading_.Next();
  read_bytes_ += message->bytes.size();
  if (read_bytes_ >= credit_bytes_ &&
      (!rests() || read_bytes_ >= kFetchedCredits * credit_bytes_)) {
    ReturnCredit();
  }
  return Poll::kReady;
}

Poll StreamPipe::NextBatch() {
  reading_.Clear();
  MutexLock lock(mutex_);
  if (incoming_.empty()) return reads_over_ ? Poll::kOver : Poll::kNotYet;
  std::swap(reading_, incoming_);
  incoming_bytes_ = 0;
  return Poll::kReady;
}

void StreamPipe::ReturnCredit() {
  bool tell;
  {
    MutexLock lock(mutex_);
    consumed_bytes_ += std::exchange(read_bytes_, 0);
    tell = Announce();
  }
  if (tell) host_->OnRead(rests());
}

void StreamPipe::DiscardReads() {
  bool tell;
  bool stop;
  {
    MutexLock lock(mutex_);
    discard_ = true;
    incoming_.Clear();
    consumed_bytes_ +=
        std::exchange(incoming_bytes_, 0) + std::exchange(read_bytes_, 0);
    while (!reading_.empty()) consumed_bytes_ += reading_.Next().bytes.size();
    tell = consumed_bytes_ != 0 && Announce();
    stop = rests_.exchange(false, std::memory_order_relaxed);
  }
  if (tell) host_->OnPipeWork();
  if (stop) host_->StopFetching();
}

void StreamPipe::StopReads() {
  dropped_.store(true, std::memory_order_release);
  {
    MutexLock lock(mutex_);
    DropReads();
    // Wakes are the connection's to run.
    if (!TellReader()) return;
    stop_due_ = true;
    if (!Announce()) return;
  }
  host_->OnPipeWork();
}

void StreamPipe::DropReads() {
  cut_short_ |= !reads_over_ || !incoming_.empty();
  incoming_.Clear();
  reads_over_ = true;
}

bool StreamPipe::cut_short() {
  MutexLock lock(mutex_);
  return cut_short_;
}

void StreamPipe::WaitForRead(MonotonicTime until) {
  if (!reading_.empty()) return;
  host_->FetchRead(until);
  MutexLock lock(mutex_);
  reader_waits_ = true;
  while (!ReadableLocked() && readable_.WaitUntil(mutex_, until)) {
  }
  reader_waits_ = false;
}

void StreamPipe::Fetch(
    absl::FunctionRef<bool(absl::FunctionRef<bool()> over)> read) {
  {
    MutexLock lock(mutex_);
    if (ReadableLocked()) return;
    fetching_ = true;
  }
  // The other side might wait for what was withheld.
  if (read_bytes_ >= credit_bytes_) ReturnCredit();
  rests_.store(false, std::memory_order_relaxed);
  const bool rests = read([this] {
    MutexLock lock(mutex_);
    return ReadableLocked();
  });
  MutexLock lock(mutex_);
  fetching_ = false;
  if (!rests) rests_.store(false, std::memory_order_relaxed);
}

bool StreamPipe::Rest() {
  MutexLock lock(mutex_);
  if (discard_ || writer_waits_ || wake_writer_ != nullptr ||
      wake_reader_ != nullptr) {
    return false;
  }
  rests_.store(true, std::memory_order_relaxed);
  return true;
}

// Before anybody can know that somebody waits, and see to it that all this is
// destroyed: what is set then, and that it does not rest, is one step.
void StreamPipe::EndRest() {
  while (rests_.exchange(false, std::memory_order_relaxed)) {
    mutex_.Unlock();
    host_->StopFetching();
    mutex_.Lock();
  }
}

bool StreamPipe::WakeForRead(Wake wake) {
  if (!reading_.empty()) return false;
  MutexLock lock(mutex_);
  EndRest();
  if (ReadableLocked()) return false;
  wake_reader_ = std::move(wake);
  return true;
}

bool StreamPipe::TellReader() {
  if (fetching_) host_->WakeFetcher();
  if (reader_waits_) readable_.NotifyOne();
  if (wake_reader_ == nullptr) return false;
  return !std::exchange(reader_due_, true);
}

StreamPipe::Delivery StreamPipe::Deliver(std::string_view bytes,
                                         wire::ByteBuffer* storage,
                                         uint32_t attachment_bytes,
                                         Compression compression) {
  const size_t size = bytes.size();
  const bool is_long = size >= MessageBatch::kMinLongBytes ||
                       attachment_bytes != 0 ||
                       compression != Compression::kNone;
  std::shared_ptr<const char[]> owner;
  if (storage != nullptr && is_long) {
    owner = ShareBytes(std::move(*storage));
    bytes = {owner.get(), size};
  } else if (is_long) {
    const std::shared_ptr<char[]> copy = MakeSharedBytes(size);
    std::memcpy(copy.get(), bytes.data(), size);
    owner = copy;
    bytes = {owner.get(), size};
  }
  {
    MutexLock lock(mutex_);
    if (reads_over_) return Delivery::kDone;
    if (!discard_) {
      if (incoming_.count() >= max_unread_messages_) return Delivery::kFull;
      if (owner != nullptr) {
        incoming_.AppendLong({.bytes = bytes,
                              .owner = std::move(owner),
                              .attachment_bytes = attachment_bytes,
                              .compression = compression});
      } else {
        char* const place = incoming_.Append(size);
        if (size != 0) std::memcpy(place, bytes.data(), size);
      }
      incoming_bytes_ += size;
      return TellReader() ? Delivery::kWake : Delivery::kDone;
    }
    consumed_bytes_ += size;
    if (consumed_bytes_ < credit_bytes_ || !Announce()) {
      return Delivery::kDone;
    }
  }
  host_->OnPipeWork();
  return Delivery::kDone;
}

bool StreamPipe::EndReads() {
  MutexLock lock(mutex_);
  if (std::exchange(reads_over_, true)) return false;
  return TellReader();
}

// --- Writing -----------------------------------------------------------------

Poll StreamPipe::PollWrite() {
  MutexLock lock(mutex_);
  if (writes_over_) return Poll::kOver;
  return WritableLocked() ? Poll::kReady : Poll::kNotYet;
}

Poll StreamPipe::Write(size_t size, absl::FunctionRef<void(char*)> write) {
  if (size >= MessageBatch::kMinLongBytes) {
    const Poll poll = PollWrite();
    if (poll != Poll::kReady) return poll;
    std::shared_ptr<char[]> owner = MakeSharedBytes(size);
    write(owner.get());
    const char* const bytes = owner.get();
    return Write({.bytes = {bytes, size}, .owner = std::move(owner)});
  }
  {
    MutexLock lock(mutex_);
    if (writes_over_) return Poll::kOver;
    if (!WritableLocked()) return Poll::kNotYet;
    write(outgoing_.Append(size));
    outgoing_bytes_ += size + kOverheadBytes;
    if (!Announce()) return Poll::kReady;
  }
  host_->OnPipeWork();
  return Poll::kReady;
}

Poll StreamPipe::Write(MessageBatch::Message message) {
  {
    MutexLock lock(mutex_);
    if (writes_over_) return Poll::kOver;
    if (!WritableLocked()) return Poll::kNotYet;
    // Compressed, it may have to be inflated again.
    outgoing_bytes_ +=
        std::max<size_t>(message.bytes.size(), message.inflated_bytes) +
        kOverheadBytes;
    outgoing_.AppendLong(std::move(message));
    if (!Announce()) return Poll::kReady;
  }
  host_->OnPipeWork();
  return Poll::kReady;
}

void StreamPipe::WaitForWrite(MonotonicTime until) {
  MutexLock lock(mutex_);
  if (WritableLocked()) return;
  EndRest();
  writer_waits_ = true;
  while (!WritableLocked() && writable_.WaitUntil(mutex_, until)) {
  }
  writer_waits_ = false;
}

bool StreamPipe::WakeForWrite(Wake wake) {
  MutexLock lock(mutex_);
  EndRest();
  if (WritableLocked()) return false;
  wake_writer_ = std::move(wake);
  return true;
}

bool StreamPipe::TellWriter() {
  if (writer_waits_) writable_.NotifyOne();
  if (wake_writer_ == nullptr) return false;
  return !std::exchange(writer_due_, true);
}

void StreamPipe::EndWrites() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(writes_over_, true)) return;
    end_writes_ = true;
    if (!Announce()) return;
  }
  host_->OnPipeWork();
}

// --- The connection ----------------------------------------------------------

StreamPipe::Work StreamPipe::TakeWork() {
  MutexLock lock(mutex_);
  announced_ = false;
  std::swap(sending_, outgoing_);
  taken_bytes_ = outgoing_bytes_;
  return {.messages = &sending_,
          .end_writes = std::exchange(end_writes_, false),
          .consumed_bytes = std::exchange(consumed_bytes_, 0)};
}

bool StreamPipe::SetQueuedBytes(size_t bytes) {
  MutexLock lock(mutex_);
  outgoing_bytes_ -= std::exchange(taken_bytes_, 0);
  queued_bytes_ = bytes;
  // Not at the first free byte: each wake-up is to be worth some messages.
  if (outgoing_bytes_ + queued_bytes_ <= max_unsent_bytes_ / 2 &&
      TellWriter()) {
    return true;
  }
  return std::exchange(stop_due_, false);
}

bool StreamPipe::Close(bool at_once) {
  if (at_once) dropped_.store(true, std::memory_order_release);
  MutexLock lock(mutex_);
  writes_over_ = true;
  end_writes_ = false;
  outgoing_.Clear();
  if (at_once) DropReads();
  reads_over_ = true;
  const bool reader = TellReader();
  return TellWriter() || reader;
}

void StreamPipe::RunWakes() {
  Wake reader;
  Wake writer;
  {
    MutexLock lock(mutex_);
    if (std::exchange(reader_due_, false)) reader = std::move(wake_reader_);
    if (std::exchange(writer_due_, false)) writer = std::move(wake_writer_);
  }
  if (reader != nullptr) std::move(reader)();
  if (writer != nullptr) std::move(writer)();
}

}  // namespace tern
