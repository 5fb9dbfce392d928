#ifndef TERN_CLIENT_REQUEST_BYTES_H_
#define TERN_CLIENT_REQUEST_BYTES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/message_pieces.h"
#include "tern/lib/call/packed_message.h"
#include "tern/lib/call/raw_message.h"

namespace tern {

// A serialised request, with its attachment, kept until its call has ended: it
// may have to be sent once more, over another connection. A short one needs no
// memory of its own; one that is not much longer has some that is used again.
// As each call that waits has the room for a short one, that is small. A long
// one lies in pieces, where it can: its attachment where that is, and, if the
// caller waits for the call's end, its long fields where he has them.
class RequestBytes {
 public:
  static constexpr size_t kInlineBytes = 72;
  static constexpr size_t kRecycledBytes = 256;

  // None, when both messages are null. REQUIRES: else `size` is that of the one
  // (as message->ByteSizeLong() has just said), and at most INT32_MAX with the
  // attachment. `compressor`: if it is to be compressed, else nullptr.
  // kStay: `message` is there, unchanged, until the call has ended.
  RequestBytes(const google::protobuf::MessageLite* message,
               const RawMessage* raw, size_t size, const absl::Cord& attachment,
               const Compressor* compressor = nullptr,
               MessagePieces::Fields fields = MessagePieces::Fields::kCopied)
      : size_(static_cast<uint32_t>(size + attachment.size())),
        attachment_bytes_(static_cast<uint32_t>(attachment.size())) {
    if (message == nullptr) {
      if (raw != nullptr) TakeRaw(*raw, attachment, compressor);
    } else if (compressor != nullptr) {
      Take(PackMessage(*message, size, attachment, compressor));
    } else if (attachment_bytes_ >= MessagePieces::kMinBytes ||
               (size_ >= MessagePieces::kMinBytes &&
                fields == MessagePieces::Fields::kStay)) {
      WriteInPieces(*message, size, fields, attachment);
    } else {
      Write(*message, attachment, MakeRoom());
    }
  }
  RequestBytes(const RequestBytes&) = delete;
  RequestBytes& operator=(const RequestBytes&) = delete;

  size_t size() const { return size_; }  // With the attachment.
  // The message, and behind it the attachment. REQUIRES: pieces() is empty.
  std::string_view view() const {
    return {place_ == Place::kInline ? inline_ : heap_.get(), size_};
  }
  // The same, if it lies in pieces.
  std::span<const std::string_view> pieces() const {
    return InPieces() ? pieces_->pieces() : std::span<const std::string_view>();
  }
  void CopyTo(char* out) const {
    if (InPieces()) return pieces_->CopyTo(out);
    const std::string_view bytes = view();
    std::memcpy(out, bytes.data(), bytes.size());
  }
  uint32_t attachment_bytes() const { return attachment_bytes_; }
  // See PackedMessage.
  uint32_t inflated_bytes() const { return inflated_bytes_; }
  // Makes it what it was before `compressor` compressed it, if that has. False,
  // and nothing is changed, when that can't be.
  bool Unpack(const Compressor& compressor);
  // What holds the same and may be kept by others, too; nullptr for a short one
  // and for what lies in the caller's message.
  const std::shared_ptr<const char[]>* shared() const {
    return place_ == Place::kHeap || place_ == Place::kPieces ? &heap_
                                                              : nullptr;
  }

 private:
  enum class Place : uint8_t { kInline, kHeap, kPieces, kCallersPieces };

  bool InPieces() const { return place_ > Place::kHeap; }
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
    TakeHeap(std::move(bytes));
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

  void WriteInPieces(const google::protobuf::MessageLite& message, size_t size,
                     MessagePieces::Fields fields,
                     const absl::Cord& attachment);
  void TakeHeap(std::shared_ptr<const char[]> bytes) {
    heap_ = std::move(bytes);
    place_ = Place::kHeap;
  }
  void Take(PackedMessage packed) {
    TakeHeap(std::move(packed.bytes));
    size_ = static_cast<uint32_t>(packed.size);
    inflated_bytes_ = packed.inflated_bytes;
  }
  void TakePieces(const MessagePieces& pieces,
                  std::shared_ptr<const char[]> owner, Place place) {
    heap_ = std::move(owner);
    pieces_ = &pieces;
    place_ = place;
  }

  uint32_t size_;
  const uint32_t attachment_bytes_;
  uint32_t inflated_bytes_ = 0;
  Place place_ = Place::kInline;
  std::shared_ptr<const char[]> heap_;  // But for kInline.
  union {
    char inline_[kInlineBytes];    // Uninitialised beyond size_.
    const MessagePieces* pieces_;  // If InPieces(); in heap_.
  };
};

}  // namespace tern

#endif  // TERN_CLIENT_REQUEST_BYTES_H_
