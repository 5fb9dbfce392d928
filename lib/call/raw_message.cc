#include "tern/lib/call/raw_message.h"

#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/message_stream.h"

namespace tern {

void RawMessage::CopyFrom(std::string_view bytes) {
  if (bytes.size() < kMinSharedBytes) {
    long_.reset();
    short_ = bytes;
    return;
  }
  const std::shared_ptr<char[]> copy = MakeSharedBytes(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  *this = RawMessage(copy, bytes.size());
}

// --- Streams of them: here, so that only who has such is linked with it. -----

Poll MessageStream::TryRead(RawMessage* message) {
  if (failed()) return Poll::kOver;
  MessageBatch::Message next;
  const Poll poll = pipe_.Next(&next);
  if (poll != Poll::kReady) return poll;
  ++messages_read_;
  if (next.owner != nullptr) {
    *message = RawMessage(std::move(next.owner), next.bytes.size());
  } else {
    message->CopyFrom(next.bytes);
  }
  if (chain_ == nullptr) return Poll::kReady;
  return Passed(chain_->Pass(read_way(), message));
}

Poll MessageStream::ReadUntil(RawMessage* message, MonotonicTime until) {
  while (true) {
    const Poll poll = TryRead(message);
    if (poll != Poll::kNotYet) return poll;
    if (!MayBlock("read")) return Poll::kOver;
    if (!until.is_infinite() && MonotonicTime::Now() >= until) return poll;
    pipe_.WaitForRead(until);
  }
}

Poll MessageStream::TryWrite(const RawMessage& message) {
  if (failed()) return Poll::kOver;
  return chain_ == nullptr ? WriteNow(message) : WriteThroughChain(message);
}

Poll MessageStream::WriteNow(const RawMessage& message) {
  const std::string_view bytes = message.view();
  if (bytes.size() > std::numeric_limits<int32_t>::max()) {
    Fail(absl::ResourceExhaustedError(absl::StrCat(
        "message of ", bytes.size(), " bytes exceeds the protocol's limit of ",
        std::numeric_limits<int32_t>::max(), " bytes")));
    return Poll::kOver;
  }
  if (message.shared() != nullptr &&
      bytes.size() >= MessageBatch::kMinLongBytes) {
    return pipe_.WriteShared(message.shared(), bytes);
  }
  return pipe_.Write(bytes.size(), [bytes](char* buffer) {
    if (!bytes.empty()) std::memcpy(buffer, bytes.data(), bytes.size());
  });
}

Poll MessageStream::WriteUntil(const RawMessage& message, MonotonicTime until) {
  while (true) {
    const Poll poll = TryWrite(message);
    if (poll != Poll::kNotYet) return poll;
    if (!MayBlock("write")) return Poll::kOver;
    if (!until.is_infinite() && MonotonicTime::Now() >= until) return poll;
    pipe_.WaitForWrite(until);
  }
}

}  // namespace tern
