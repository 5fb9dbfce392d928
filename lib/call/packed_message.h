#ifndef TERN_LIB_CALL_PACKED_MESSAGE_H_
#define TERN_LIB_CALL_PACKED_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/strings/cord.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/compression.h"

namespace tern {

// A message as it travels, with its attachment behind it.
struct PackedMessage {
  std::shared_ptr<const char[]> bytes;
  size_t size = 0;
  uint32_t attachment_bytes = 0;  // The last ones.
  // 0: it is not compressed. Else how many bytes it would be otherwise, with
  // its attachment.
  uint32_t inflated_bytes = 0;
};

// Serialises `message`, whose ByteSizeLong() has just been `size`. Compressed
// by `compressor`, if not null, and if that makes it shorter. The attachment is
// copied once and never compressed. REQUIRES: both together are at most
// INT32_MAX bytes.
PackedMessage PackMessage(const google::protobuf::MessageLite& message,
                          size_t size, const absl::Cord& attachment,
                          const Compressor* compressor);
// The same of one that is serialised.
PackedMessage PackBytes(std::string_view message, const absl::Cord& attachment,
                        const Compressor* compressor);

// The opposite, of `attachment_bytes` and `inflated_bytes` as above, for a peer
// that lacks `compressor`. Without bytes when that is not what it has made.
PackedMessage UnpackMessage(std::string_view bytes, uint32_t attachment_bytes,
                            uint32_t inflated_bytes,
                            const Compressor& compressor);

}  // namespace tern

#endif  // TERN_LIB_CALL_PACKED_MESSAGE_H_
