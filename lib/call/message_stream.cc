#include "tern/lib/call/message_stream.h"

#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/packed_message.h"
#include "tern/lib/call/parse_message.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {

using google::protobuf::MessageLite;

bool MessageStream::Inflate(const MessageBatch::Message& message,
                            absl::FunctionRef<void(std::string_view)> take) {
  StreamPipe::Host& host = pipe_.host();
  size_t taken = 0;
  const auto reserve = [&](size_t more) {
    if (!host.TakeMemory(more)) return false;
    taken += more;
    return true;
  };
  wire::ByteBuffer inflated;
  // The session lets nothing pass that was not announced: it is known.
  absl::Status status =
      codecs_.known.Find(message.compression)
          ->InflateMessage(
              message.bytes.substr(
                  0, message.bytes.size() - message.attachment_bytes),
              codecs_.max_message_bytes - message.attachment_bytes,
              is_server_ ? "server" : "client", reserve, &inflated,
              &peers_fault_);
  const bool done = status.ok();
  if (done) {
    take(inflated.view());
  } else {
    Fail(std::move(status));
  }
  inflated.Reset();
  host.ReturnMemory(taken);
  return done;
}

void MessageStream::TakeAttachment(const MessageBatch::Message& message,
                                   absl::Cord* attachment) {
  attachment->Clear();
  const size_t size = message.attachment_bytes;
  if (size == 0) return;
  *attachment =
      CordOf(message.owner, message.bytes.substr(message.bytes.size() - size));
}

Poll MessageStream::TryRead(MessageLite* message, absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  bool parsed = false;
  const Poll poll = pipe_.Read([&](const MessageBatch::Message& next) {
    if (next.compression == Compression::kNone) {
      parsed = ParseMessage(
          next.bytes.substr(0, next.bytes.size() - next.attachment_bytes),
          message);
    } else {
      Inflate(next, [&](std::string_view bytes) {
        parsed = ParseMessage(bytes, message);
      });
    }
    if (attachment != nullptr) TakeAttachment(next, attachment);
  });
  if (poll != Poll::kReady) return poll;
  ++messages_read_;
  if (parsed) {
    if (chain_ == nullptr) return Poll::kReady;
    return Passed(chain_->Pass(read_way(), message));
  }
  // The first failure counts: of one that could not even be inflated, that.
  Fail(absl::Status(
      is_server_ ? absl::StatusCode::kInvalidArgument
                 : absl::StatusCode::kInternal,
      absl::StrCat("message ", messages_read_, " is not a well-formed ",
                   std::string(message->GetTypeName()))));
  return Poll::kOver;
}

Poll MessageStream::ReadUntil(MessageLite* message, MonotonicTime until,
                              absl::Cord* attachment) {
  return Repeat([&] { return TryRead(message, attachment); }, "read",
                &StreamPipe::WaitForRead, until);
}

Poll MessageStream::TryWrite(const MessageLite& message,
                             const absl::Cord* attachment) {
  if (failed()) return Poll::kOver;
  return chain_ == nullptr ? WriteNow(message, attachment)
                           : WriteThroughChain(message, attachment);
}

Poll MessageStream::WriteNow(const MessageLite& message,
                             const absl::Cord* attachment) {
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
  if (!CheckSize(size, attachment)) return Poll::kOver;
  const bool attached = attachment != nullptr && !attachment->empty();
  const Compressor* const compressor = CompressorFor(size);
  if (attached || compressor != nullptr) {
    return WritePacked([&] {
      return PackMessage(message, size, attached ? *attachment : NoAttachment(),
                         compressor);
    });
  }
  return pipe_.Write(size, [&](char* buffer) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer));
  });
}

bool MessageStream::CheckSize(size_t size, const absl::Cord* attachment) {
  const size_t attached = attachment == nullptr ? 0 : attachment->size();
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (size <= kMaxBytes && attached <= kMaxBytes - size) return true;
  Fail(absl::ResourceExhaustedError(
      absl::StrCat("message of ", size + attached, " bytes",
                   attached != 0 ? " with its attachment" : "",
                   " exceeds the protocol's limit of ", kMaxBytes, " bytes")));
  return false;
}

Poll MessageStream::WritePacked(absl::FunctionRef<PackedMessage()> pack) {
  const Poll poll = pipe_.PollWrite();
  if (poll != Poll::kReady) return poll;
  PackedMessage packed = pack();
  const char* const bytes = packed.bytes.get();
  return pipe_.Write({.bytes = {bytes, packed.size},
                      .owner = std::move(packed.bytes),
                      .attachment_bytes = packed.attachment_bytes,
                      .inflated_bytes = packed.inflated_bytes});
}

Poll MessageStream::WriteUntil(const MessageLite& message, MonotonicTime until,
                               const absl::Cord* attachment) {
  return Repeat([&] { return TryWrite(message, attachment); }, "write",
                &StreamPipe::WaitForWrite, until);
}

Poll MessageStream::Repeat(absl::FunctionRef<Poll()> attempt, const char* what,
                           void (StreamPipe::*wait)(MonotonicTime),
                           MonotonicTime until) {
  while (true) {
    const Poll poll = attempt();
    if (poll != Poll::kNotYet) return poll;
    if (!MayBlock(what)) return Poll::kOver;
    if (!until.is_infinite() && MonotonicTime::Now() >= until) return poll;
    (pipe_.*wait)(until);
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
