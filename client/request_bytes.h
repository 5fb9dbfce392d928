#ifndef TERN_CLIENT_REQUEST_BYTES_H_
#define TERN_CLIENT_REQUEST_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "google/protobuf/message_lite.h"
#include "tern/lib/base/large_blocks.h"

namespace tern {

// A serialised request, kept until its call has ended: it may have to be sent
// once more, over another connection. A short one needs no memory of its own.
class RequestBytes {
 public:
  static constexpr size_t kInlineBytes = 256;

  // None, when `message` is null. REQUIRES: else that size is what
  // message->ByteSizeLong() has just said, and at most INT32_MAX.
  RequestBytes(const google::protobuf::MessageLite* message, size_t size)
      : size_(size) {
    if (message == nullptr) return;
    if (size > kInlineBytes) {
      std::shared_ptr<char[]> bytes = MakeSharedBytes(size);
      Serialise(*message, bytes.get());
      heap_ = std::move(bytes);
    } else {
      Serialise(*message, inline_);
    }
  }
  RequestBytes(const RequestBytes&) = delete;
  RequestBytes& operator=(const RequestBytes&) = delete;

  std::string_view view() const {
    return {heap_ != nullptr ? heap_.get() : inline_, size_};
  }
  // Memory that holds the same and that others may keep, too; nullptr for a
  // short one.
  const std::shared_ptr<const char[]>* shared() const {
    return heap_ != nullptr ? &heap_ : nullptr;
  }

 private:
  static void Serialise(const google::protobuf::MessageLite& message,
                        char* out) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out));
  }

  const size_t size_;
  std::shared_ptr<const char[]> heap_;
  char inline_[kInlineBytes];  // Uninitialised beyond size_.
};

}  // namespace tern

#endif  // TERN_CLIENT_REQUEST_BYTES_H_
