#ifndef TERN_LIB_CALL_ATTACHMENT_H_
#define TERN_LIB_CALL_ATTACHMENT_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/strings/cord.h"
#include "tern/lib/wire/byte_buffer.h"

// Bytes that travel beside a message, as they are: no protobuf parses or copies
// them. On the wire they follow the message and count towards its length.
namespace tern {

// What `buffer` holds, where it lies: freed with the last owner.
std::shared_ptr<const char[]> ShareBytes(wire::ByteBuffer buffer);

// What stands in `buffer` from `offset` on, where it lies: nothing is copied.
absl::Cord CordOf(wire::ByteBuffer buffer, size_t offset);
// The same of `bytes`, which `owner` keeps.
absl::Cord CordOf(std::shared_ptr<const char[]> owner, std::string_view bytes);

// An empty one.
const absl::Cord& NoAttachment();

// Before a thread lets go of a share of an attachment whose bytes it has read:
// TSan does not see the packaged Abseil's count of shares, and would call it a
// race when another thread lets go of the last one and the memory is used
// again. Does nothing in any other build.
void NoteAttachmentRead();

// Writes all of `attachment` to `out`, which has room for it.
void CopyAttachment(const absl::Cord& attachment, char* out);

}  // namespace tern

#endif  // TERN_LIB_CALL_ATTACHMENT_H_
