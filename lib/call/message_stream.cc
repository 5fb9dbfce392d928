#include "tern/lib/call/message_stream.h"

#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/packed_message.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {

using google::protobuf::MessageLite;

bool MessageStream::Parse(std::string_view bytes, MessageLite* message) {
  // Partial: else protobuf logs what a peer leaves out.
  return message->ParsePartialFromArray(bytes.data(),
                                        static_cast<int>(bytes.size())) &&
         message->IsInitialized();
}

bool MessageStream::ParseCompressed(Compression compression,
                                    std::string_view bytes,
                                    size_t attachment_bytes,
                                    MessageLite* message) {
  StreamPipe::Host& host = pipe_.host();
  size_t taken = 0;
  const auto reserve = [&](size_t more) {
    if (!host.TakeMemory(more)) return false;
    taken += more;
    return true;
  };
  wire::ByteBuffer inflated;
  absl::Status status = InflateMessage(
      codecs_.known.Find(compression), bytes,
      codecs_.max_message_bytes - attachment_bytes,
      is_server_ ? "server" : "client", reserve, &inflated, &peers_fault_);
  const bool parsed = status.ok() && Parse(inflated.view(), message);
  inflated.Reset();
  host.ReturnMemory(taken);
  if (!status.ok()) Fail(std::move(status));
  return parsed;
}

Poll MessageStream::TryRead(MessageLite* message, absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  bool parsed = false;
  const Poll poll = pipe_.Read([&](const MessageBatch::Message& next) {
    std::string_view bytes = next.bytes;
    bytes.remove_suffix(next.attachment_bytes);
    parsed = next.compression == Compression::kNone
                 ? Parse(bytes, message)
                 : ParseCompressed(next.compression, bytes,
                                   next.attachment_bytes, message);
    if (attachment == nullptr) return;
    attachment->Clear();
    if (next.attachment_bytes == 0) return;
    *attachment = CordOf(next.owner, next.bytes.substr(bytes.size()));
  });
  if (poll != Poll::kReady) return poll;
  ++messages_read_;
  if (parsed) return Poll::kReady;
  // The first failure counts: of one that could not even be inflated, that.
  Fail(absl::Status(
      is_server_ ? absl::StatusCode::kInvalidArgument
                 : absl::StatusCode::kInternal,
      absl::StrCat("message ", messages_read_, " is not a well-formed ",
                   std::string(message->GetTypeName()))));
  return Poll::kOver;
}

bool MessageStream::Read(MessageLite* message, absl::Cord* attachment) {
  while (true) {
    const Poll poll = TryRead(message, attachment);
    if (poll != Poll::kNotYet) return poll == Poll::kReady;
    if (!MayBlock("read")) return false;
    pipe_.WaitForRead();
  }
}

Poll MessageStream::TryWrite(const MessageLite& message,
                             const absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  if (!message.IsInitialized()) {
    Fail(absl::Status(
        is_server_ ? absl::StatusCode::kInternal
                   : absl::StatusCode::kInvalidArgument,
        absl::StrCat("required fields of a ",
                     std::string(message.GetTypeName()), " are not set: ",
                     std::string(message.InitializationErrorString()))));
    return Poll::kOver;
  }
  const size_t size = message.ByteSizeLong();
  const size_t attached = attachment == nullptr ? 0 : attachment->size();
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (size > kMaxBytes || attached > kMaxBytes - size) {
    Fail(absl::ResourceExhaustedError(absl::StrCat(
        "message of ", size + attached, " bytes",
        attached != 0 ? " with its attachment" : "",
        " exceeds the protocol's limit of ", kMaxBytes, " bytes")));
    return Poll::kOver;
  }
  if (attached != 0 ||
      (codecs_.compressor != nullptr && size >= codecs_.min_compressed_bytes)) {
    static const absl::Cord& none = *new absl::Cord;
    return WritePacked(message, size, attached != 0 ? *attachment : none);
  }
  return pipe_.Write(size, [&](char* buffer) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer));
  });
}

Poll MessageStream::WritePacked(const MessageLite& message, size_t size,
                                const absl::Cord& attachment) {
  const Poll poll = pipe_.PollWrite();
  if (poll != Poll::kReady) return poll;
  PackedMessage packed = PackMessage(
      message, size, attachment,
      size >= codecs_.min_compressed_bytes ? codecs_.compressor : nullptr);
  return pipe_.Write({.bytes = {packed.bytes.get(), packed.size},
                      .owner = std::move(packed.bytes),
                      .attachment_bytes = packed.attachment_bytes,
                      .inflated_bytes = packed.inflated_bytes});
}

bool MessageStream::Write(const MessageLite& message,
                          const absl::Cord* attachment) {
  while (true) {
    const Poll poll = TryWrite(message, attachment);
    if (poll != Poll::kNotYet) return poll == Poll::kReady;
    if (!MayBlock("write")) return false;
    pipe_.WaitForWrite();
  }
}

bool MessageStream::MayBlock(const char* what) {
  if (pipe_.host().MayBlock()) return true;
  Fail(absl::FailedPreconditionError(absl::StrCat(
      "a blocking ", what, " on an I/O thread would stall its connections")));
  return false;
}

absl::Status MessageStream::TakeFailure() {
  if (!failed()) return absl::OkStatus();
  MutexLock lock(mutex_);
  return std::exchange(failure_, absl::OkStatus());
}

void MessageStream::Fail(absl::Status failure) {
  {
    MutexLock lock(mutex_);
    if (failed()) return;
    failure_ = std::move(failure);
    failed_.store(true, std::memory_order_release);
  }
  pipe_.host().OnPipeFailed();
}

}  // namespace tern
