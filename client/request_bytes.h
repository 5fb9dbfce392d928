#ifndef TERN_CLIENT_REQUEST_BYTES_H_
#define TERN_CLIENT_REQUEST_BYTES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/packed_message.h"
#include "tern/lib/call/raw_message.h"

namespace tern {

// A serialised request, with its attachment, kept until its call has ended: it
// may have to be sent once more, over another connection. A short one needs no
// memory of its own; one that is not much longer has some that is used again.
// As each call that waits has the room for a short one, that is small.
class RequestBytes {
 public:
  static constexpr size_t kInlineBytes = 72;
  static constexpr size_t kRecycledBytes = 256;

  // None, when both messages are null. REQUIRES: else `size` is that of the one
  // (as message->ByteSizeLong() has just said), and at most INT32_MAX with the
  // attachment. `compressor`: if it is to be compressed, else nullptr.
  RequestBytes(const google::protobuf::MessageLite* message,
               const RawMessage* raw, size_t size, const absl::Cord& attachment,
               const Compressor* compressor = nullptr)
      : size_(size + attachment.size()),
        attachment_bytes_(static_cast<uint32_t>(attachment.size())) {
    if (message == nullptr) {
      if (raw != nullptr) TakeRaw(*raw, attachment, compressor);
    } else if (compressor != nullptr) {
      Take(PackMessage(*message, size, attachment, compressor));
    } else {
      Write(*message, attachment, MakeRoom());
    }
  }
  RequestBytes(const RequestBytes&) = delete;
  RequestBytes& operator=(const RequestBytes&) = delete;

  // The message, and behind it the attachment.
  std::string_view view() const {
    return {heap_ != nullptr ? heap_.get() : inline_, size_};
  }
  uint32_t attachment_bytes() const { return attachment_bytes_; }
  // See PackedMessage.
  uint32_t inflated_bytes() const { return inflated_bytes_; }
  // Makes it what it was before `compressor` compressed it, if that has. False,
  // and nothing is changed, when that can't be.
  bool Unpack(const Compressor& compressor);
  // Memory that holds the same and that others may keep, too; nullptr for a
  // short one.
  const std::shared_ptr<const char[]>* shared() const {
    return heap_ != nullptr ? &heap_ : nullptr;
  }

 private:
  // For size_ bytes.
  char* MakeRoom() {
    if (size_ <= kInlineBytes) return inline_;
    std::shared_ptr<char[]> bytes;
    if (size_ <= kRecycledBytes) {
      using Block = std::array<char, kRecycledBytes>;
      auto block = std::allocate_shared_for_overwrite<Block>(
          RecyclingAllocator<Block>());
      bytes = {block, block->data()};
    } else {
      bytes = MakeSharedBytes(size_);
    }
    char* const room = bytes.get();
    heap_ = std::move(bytes);
    return room;
  }
  void TakeRaw(const RawMessage& raw, const absl::Cord& attachment,
               const Compressor* compressor);
  void Write(const google::protobuf::MessageLite& message,
             const absl::Cord& attachment, char* out) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out));
    if (attachment_bytes_ != 0) {
      CopyAttachment(attachment, out + size_ - attachment_bytes_);
    }
  }

  void Take(PackedMessage packed) {
    heap_ = std::move(packed.bytes);
    size_ = packed.size;
    inflated_bytes_ = packed.inflated_bytes;
  }

  size_t size_;
  const uint32_t attachment_bytes_;
  uint32_t inflated_bytes_ = 0;
  std::shared_ptr<const char[]> heap_;
  char inline_[kInlineBytes];  // Uninitialised beyond size_.
};

}  // namespace tern

#endif  // TERN_CLIENT_REQUEST_BYTES_H_
