#include "tern/lib/call/attachment.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "absl/base/config.h"
#include "tern/lib/base/string_view.h"

namespace tern {
namespace {

#ifdef ABSL_HAVE_THREAD_SANITIZER
// Also added to where the last share is let go, behind all reads.
std::atomic<int> reads_noted{0};
#endif

}  // namespace

void NoteAttachmentRead() {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  reads_noted.fetch_add(1, std::memory_order_acq_rel);
#endif
}

std::shared_ptr<const char[]> ShareBytes(wire::ByteBuffer buffer) {
  auto owner = std::make_shared<wire::ByteBuffer>(std::move(buffer));
  const char* const bytes = owner->view().data();
  return std::shared_ptr<const char[]>(std::move(owner), bytes);
}

absl::Cord CordOf(wire::ByteBuffer buffer, size_t offset) {
  const absl::string_view bytes = ToAbsl(buffer.view().substr(offset));
  return absl::MakeCordFromExternal(
      bytes,
      [held = std::move(buffer)](absl::string_view) { NoteAttachmentRead(); });
}

absl::Cord CordOf(std::shared_ptr<const char[]> owner, std::string_view bytes) {
  return absl::MakeCordFromExternal(
      ToAbsl(bytes),
      [held = std::move(owner)](absl::string_view) { NoteAttachmentRead(); });
}

const absl::Cord& NoAttachment() {
  static const absl::Cord& none = *new absl::Cord;
  return none;
}

void CopyAttachment(const absl::Cord& attachment, char* out) {
  for (const absl::string_view chunk : attachment.Chunks()) {
    std::memcpy(out, chunk.data(), chunk.size());
    out += chunk.size();
  }
}

}  // namespace tern
