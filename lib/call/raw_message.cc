#include "tern/lib/call/raw_message.h"

#include <cstring>
#include <utility>

#include "absl/strings/cord.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/packed_message.h"

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

Poll MessageStream::TryRead(RawMessage* message, absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  MessageBatch::Message next;
  const Poll poll = pipe_.Next(&next);
  if (poll != Poll::kReady) return poll;
  ++messages_read_;
  if (attachment != nullptr) TakeAttachment(next, attachment);
  if (next.compression != Compression::kNone) {
    if (!Inflate(next,
                 [&](std::string_view bytes) { message->CopyFrom(bytes); })) {
      return Poll::kOver;
    }
  } else if (next.owner != nullptr) {
    *message = RawMessage(std::move(next.owner),
                          next.bytes.size() - next.attachment_bytes);
  } else {
    message->CopyFrom(next.bytes);
  }
  if (chain_ == nullptr) return Poll::kReady;
  return Passed(chain_->Pass(read_way(), message));
}

Poll MessageStream::ReadUntil(RawMessage* message, MonotonicTime until,
                              absl::Cord* attachment) {
  return Repeat([&] { return TryRead(message, attachment); }, "read",
                &StreamPipe::WaitForRead, until);
}

Poll MessageStream::TryWrite(const RawMessage& message,
                             const absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  return chain_ == nullptr ? WriteNow(message, attachment)
                           : WriteThroughChain(message, attachment);
}

Poll MessageStream::WriteNow(const RawMessage& message,
                             const absl::Cord* attachment) {
  const std::string_view bytes = message.view();
  if (!CheckSize(bytes.size(), attachment)) return Poll::kOver;
  const bool attached = attachment != nullptr && !attachment->empty();
  const Compressor* const compressor = CompressorFor(bytes.size());
  if (attached || compressor != nullptr) {
    return WritePacked([&] {
      return PackBytes(bytes, attached ? *attachment : NoAttachment(),
                       compressor);
    });
  }
  if (message.shared() != nullptr &&
      bytes.size() >= MessageBatch::kMinLongBytes) {
    return pipe_.Write({.bytes = bytes, .owner = message.shared()});
  }
  return pipe_.Write(bytes.size(), [bytes](char* buffer) {
    if (!bytes.empty()) std::memcpy(buffer, bytes.data(), bytes.size());
  });
}

Poll MessageStream::WriteUntil(const RawMessage& message, MonotonicTime until,
                               const absl::Cord* attachment) {
  return Repeat([&] { return TryWrite(message, attachment); }, "write",
                &StreamPipe::WaitForWrite, until);
}

void MessageStream::Read(RawMessage* message, Done done) {
  ReadWith(message, std::move(done));
}

void MessageStream::Write(const RawMessage& message, Done done) {
  WriteWith(message, std::move(done));
}

}  // namespace tern
