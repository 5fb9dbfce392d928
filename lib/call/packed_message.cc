#include "tern/lib/call/packed_message.h"

#include <cstring>
#include <utility>

#include "tern/lib/base/large_blocks.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {
namespace {

// Of `message`, with room behind it for the attachment. Nothing when that would
// not be shorter.
PackedMessage Compress(std::string_view message, const absl::Cord& attachment,
                       const Compressor& compressor) {
  const size_t size = message.size() + attachment.size();
  if (message.size() <= 1) return {};
  std::shared_ptr<char[]> bytes = MakeSharedBytes(size - 1);
  const size_t compressed =
      compressor.Compress(message, bytes.get(), message.size() - 1);
  if (compressed == 0) return {};
  CopyAttachment(attachment, bytes.get() + compressed);
  return {.bytes = std::move(bytes),
          .size = compressed + attachment.size(),
          .attachment_bytes = static_cast<uint32_t>(attachment.size()),
          .inflated_bytes = static_cast<uint32_t>(size)};
}

PackedMessage Plain(std::shared_ptr<char[]> bytes, size_t size,
                    const absl::Cord& attachment) {
  CopyAttachment(attachment, bytes.get() + size);
  return {.bytes = std::move(bytes),
          .size = size + attachment.size(),
          .attachment_bytes = static_cast<uint32_t>(attachment.size())};
}

}  // namespace

PackedMessage PackMessage(const google::protobuf::MessageLite& message,
                          size_t size, const absl::Cord& attachment,
                          const Compressor* compressor) {
  std::shared_ptr<char[]> bytes = MakeSharedBytes(size + attachment.size());
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(bytes.get()));
  if (compressor != nullptr) {
    PackedMessage packed =
        Compress({bytes.get(), size}, attachment, *compressor);
    if (packed.bytes != nullptr) return packed;
  }
  return Plain(std::move(bytes), size, attachment);
}

PackedMessage PackBytes(std::string_view message, const absl::Cord& attachment,
                        const Compressor* compressor) {
  if (compressor != nullptr) {
    PackedMessage packed = Compress(message, attachment, *compressor);
    if (packed.bytes != nullptr) return packed;
  }
  std::shared_ptr<char[]> bytes =
      MakeSharedBytes(message.size() + attachment.size());
  if (!message.empty()) {
    std::memcpy(bytes.get(), message.data(), message.size());
  }
  return Plain(std::move(bytes), message.size(), attachment);
}

PackedMessage UnpackMessage(std::string_view bytes, uint32_t attachment_bytes,
                            uint32_t inflated_bytes,
                            const Compressor& compressor) {
  const size_t compressed = bytes.size() - attachment_bytes;
  const size_t size = inflated_bytes - attachment_bytes;
  wire::ByteBuffer inflated;
  if (compressor.Inflate(
          bytes.substr(0, compressed), size, [](size_t) { return true; },
          &inflated) != Compressor::Inflated::kDone ||
      inflated.size() != size) {
    return {};
  }
  inflated.Reserve(inflated_bytes);
  inflated.Append(bytes.substr(compressed));
  return {.bytes = ShareBytes(std::move(inflated)),
          .size = inflated_bytes,
          .attachment_bytes = attachment_bytes};
}

}  // namespace tern
