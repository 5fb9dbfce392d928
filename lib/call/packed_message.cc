#include "tern/lib/call/packed_message.h"

#include <utility>

#include "tern/lib/base/large_blocks.h"
#include "tern/lib/call/attachment.h"

namespace tern {

PackedMessage PackMessage(const google::protobuf::MessageLite& message,
                          size_t size, const absl::Cord& attachment,
                          const Compressor* compressor) {
  PackedMessage packed = {
      .bytes = nullptr,
      .size = size + attachment.size(),
      .attachment_bytes = static_cast<uint32_t>(attachment.size())};
  std::shared_ptr<char[]> bytes = MakeSharedBytes(packed.size);
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(bytes.get()));
  if (compressor != nullptr && size > 1) {
    std::shared_ptr<char[]> shorter = MakeSharedBytes(packed.size - 1);
    const size_t compressed =
        compressor->Compress({bytes.get(), size}, shorter.get(), size - 1);
    if (compressed != 0) {
      packed.inflated_bytes = static_cast<uint32_t>(packed.size);
      packed.size = compressed + attachment.size();
      bytes = std::move(shorter);
    }
  }
  CopyAttachment(attachment, bytes.get() + packed.size - attachment.size());
  packed.bytes = std::move(bytes);
  return packed;
}

}  // namespace tern
