#include "tern/lib/call/message_pieces.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/attachment.h"

namespace tern {

// Where protobuf writes a message of `size` bytes to. What a block has no room
// for it offers to WriteAliasedRaw(), if it may.
class MessagePieces::Writer final
    : public google::protobuf::io::ZeroCopyOutputStream {
 public:
  Writer(MessagePieces* target, size_t size) : target_(*target), size_(size) {}

  bool Next(void** data, int* size) override {
    if (room_.empty()) AddBlock();
    *data = room_.data();
    *size = static_cast<int>(room_.size());
    AddWritten(room_.size());
    return true;
  }

  void BackUp(int count) override {
    const auto bytes = static_cast<size_t>(count);
    std::string_view& last = target_.pieces_.back();
    room_ = {room_.data() - bytes, room_.size() + bytes};
    written_ -= bytes;
    last.remove_suffix(bytes);
    if (!last.empty()) return;
    target_.pieces_.pop_back();
    last_grows_ = false;
  }

  int64_t ByteCount() const override { return static_cast<int64_t>(written_); }

  bool WriteAliasedRaw(const void* data, int size) override {
    const auto bytes = static_cast<size_t>(size);
    Add({static_cast<const char*>(data), bytes});
    if (bytes >= kMinPieceBytes) target_.need_message_ = true;
    return true;
  }
  bool AllowsAliasing() const override { return true; }

  // Where they lie, unless they are few.
  void Add(std::string_view bytes) {
    if (bytes.size() >= kMinPieceBytes) {
      target_.pieces_.push_back(bytes);
      written_ += bytes.size();
      last_grows_ = false;
      return;
    }
    while (!bytes.empty()) {
      if (room_.empty()) AddBlock();
      const size_t part = std::min(bytes.size(), room_.size());
      std::memcpy(room_.data(), bytes.data(), part);
      AddWritten(part);
      bytes.remove_prefix(part);
    }
  }
  void Add(const absl::Cord& bytes) {
    for (const absl::string_view chunk : bytes.Chunks()) Add(ToStd(chunk));
  }

 private:
  // Not much longer than what is missing: protobuf asks for a little more than
  // it writes.
  void AddBlock() {
    constexpr size_t kMore = 16;
    const size_t missing = size_ - std::min(size_, written_);
    const size_t bytes = std::min(missing + kMore, kMaxBlockBytes);
    target_.blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    room_ = {target_.blocks_.back().get(), bytes};
    last_grows_ = false;
  }

  // The first `bytes` of the room.
  void AddWritten(size_t bytes) {
    std::vector<std::string_view>& pieces = target_.pieces_;
    if (last_grows_) {
      pieces.back() = {pieces.back().data(), pieces.back().size() + bytes};
    } else {
      pieces.emplace_back(room_.data(), bytes);
      last_grows_ = true;
    }
    room_ = room_.subspan(bytes);
    written_ += bytes;
  }

  MessagePieces& target_;
  const size_t size_;
  std::span<char> room_;     // At the end of the last block.
  bool last_grows_ = false;  // The last piece ends where the room begins.
  size_t written_ = 0;
};

MessagePieces::MessagePieces(const google::protobuf::MessageLite& message,
                             size_t size, Fields fields, absl::Cord attachment)
    : attachment_(std::move(attachment)) {
  Writer writer(this, size + attachment_.size());
  {
    google::protobuf::io::CodedOutputStream out(&writer);
    out.EnableAliasing(fields == Fields::kStay);
    message.SerializeWithCachedSizes(&out);
  }
  // Else another thread has changed the message meanwhile.
  TERN_CHECK(static_cast<size_t>(writer.ByteCount()) == size);
  writer.Add(attachment_);
}

MessagePieces::MessagePieces(std::string_view message, absl::Cord attachment)
    : attachment_(std::move(attachment)) {
  Writer writer(this, message.size() + attachment_.size());
  writer.Add(message);
  writer.Add(attachment_);
}

MessagePieces::~MessagePieces() { NoteAttachmentRead(); }

void MessagePieces::CopyTo(char* out) const {
  for (const std::string_view piece : pieces_) {
    out = std::copy(piece.begin(), piece.end(), out);
  }
}

}  // namespace tern
