#ifndef TERN_CLIENT_REQUEST_BYTES_H_
#define TERN_CLIENT_REQUEST_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "google/protobuf/message_lite.h"

namespace tern {

// A serialised request, kept until its call has ended: it may have to be sent
// once more, over another connection. A short one needs no memory of its own.
class RequestBytes {
 public:
  static constexpr size_t kInlineBytes = 256;

  // REQUIRES: size == message.ByteSizeLong(), just computed, at most INT32_MAX.
  RequestBytes(const google::protobuf::MessageLite& message, size_t size)
      : size_(size) {
    if (size > kInlineBytes) {
      heap_ = std::make_unique_for_overwrite<char[]>(size);
    }
    message.SerializeWithCachedSizesToArray(
        reinterpret_cast<uint8_t*>(mutable_data()));
  }
  RequestBytes(const RequestBytes&) = delete;
  RequestBytes& operator=(const RequestBytes&) = delete;

  std::string_view view() const {
    return {heap_ != nullptr ? heap_.get() : inline_, size_};
  }

 private:
  char* mutable_data() { return heap_ != nullptr ? heap_.get() : inline_; }

  const size_t size_;
  std::unique_ptr<char[]> heap_;
  char inline_[kInlineBytes];  // Uninitialised beyond size_.
};

}  // namespace tern

#endif  // TERN_CLIENT_REQUEST_BYTES_H_
