#include "tern/lib/call/message_stream.h"

#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace tern {

using google::protobuf::MessageLite;

Poll MessageStream::TryRead(MessageLite* message) {
  if (failed()) return Poll::kOver;
  bool parsed = false;
  const Poll poll = pipe_.Read([&](std::string_view bytes) {
    // Partial: else protobuf logs what a peer leaves out.
    parsed = message->ParsePartialFromArray(bytes.data(),
                                            static_cast<int>(bytes.size())) &&
             message->IsInitialized();
  });
  if (poll != Poll::kReady) return poll;
  ++messages_read_;
  if (parsed) {
    if (chain_ == nullptr) return Poll::kReady;
    return Passed(chain_->Pass(read_way(), message));
  }
  Fail(absl::Status(
      is_server_ ? absl::StatusCode::kInvalidArgument
                 : absl::StatusCode::kInternal,
      absl::StrCat("message ", messages_read_, " is not a well-formed ",
                   std::string(message->GetTypeName()))));
  return Poll::kOver;
}

Poll MessageStream::ReadUntil(MessageLite* message, MonotonicTime until) {
  while (true) {
    const Poll poll = TryRead(message);
    if (poll != Poll::kNotYet) return poll;
    if (!MayBlock("read")) return Poll::kOver;
    if (!until.is_infinite() && MonotonicTime::Now() >= until) return poll;
    pipe_.WaitForRead(until);
  }
}

Poll MessageStream::TryWrite(const MessageLite& message) {
  if (failed()) return Poll::kOver;
  return chain_ == nullptr ? WriteNow(message) : WriteThroughChain(message);
}

Poll MessageStream::WriteNow(const MessageLite& message) {
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
  if (size > std::numeric_limits<int32_t>::max()) {
    Fail(absl::ResourceExhaustedError(
        absl::StrCat("message of ", size, " bytes exceeds protobuf's limit of ",
                     std::numeric_limits<int32_t>::max(), " bytes")));
    return Poll::kOver;
  }
  return pipe_.Write(size, [&](char* buffer) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer));
  });
}

Poll MessageStream::WriteUntil(const MessageLite& message,
                               MonotonicTime until) {
  while (true) {
    const Poll poll = TryWrite(message);
    if (poll != Poll::kNotYet) return poll;
    if (!MayBlock("write")) return Poll::kOver;
    if (!until.is_infinite() && MonotonicTime::Now() >= until) return poll;
    pipe_.WaitForWrite(until);
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
