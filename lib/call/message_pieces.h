#ifndef TERN_LIB_CALL_MESSAGE_PIECES_H_
#define TERN_LIB_CALL_MESSAGE_PIECES_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "google/protobuf/message_lite.h"

namespace tern {

// A long message as it travels, with its attachment behind it, in pieces that
// lie where they are: a long field of bytes or of a string in the message, long
// parts of the attachment in its Cord; only what is between them is written
// anew. Constant, and neither copied nor moved.
class MessagePieces {
 public:
  // For less than this a copy costs no more.
  static constexpr size_t kMinBytes = size_t{64} << 10;
  // Shorter parts are copied (of a Cord made of a string_view: all), and fields
  // that the block has room for to which is written: protobuf does not ask.
  static constexpr size_t kMinPieceBytes = 4096;
  static constexpr size_t kMaxBlockBytes = size_t{16} << 10;

  enum class Fields { kStay, kCopied };

  // REQUIRES: message.ByteSizeLong() has just been `size`; with kStay, that
  // the message outlives the pieces, unchanged.
  MessagePieces(const google::protobuf::MessageLite& message, size_t size,
                Fields fields, absl::Cord attachment);
  // The same of one that is serialised, and stays.
  MessagePieces(std::string_view message, absl::Cord attachment);
  ~MessagePieces();
  MessagePieces(const MessagePieces&) = delete;
  MessagePieces& operator=(const MessagePieces&) = delete;

  // None of them is empty.
  std::span<const std::string_view> pieces() const { return pieces_; }
  void CopyTo(char* out) const;
  // Whether some lie in the message: else it need not stay.
  bool need_message() const { return need_message_; }

 private:
  class Writer;

  const absl::Cord attachment_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::string_view> pieces_;
  bool need_message_ = false;
};

// A share of what has them and all that they lie in, as the wire wants it.
template <typename Owner>
std::shared_ptr<const char[]> KeeperOf(std::shared_ptr<const Owner> owner) {
  const auto* const bytes = reinterpret_cast<const char*>(owner.get());
  return std::shared_ptr<const char[]>(std::move(owner), bytes);
}

}  // namespace tern

#endif  // TERN_LIB_CALL_MESSAGE_PIECES_H_
