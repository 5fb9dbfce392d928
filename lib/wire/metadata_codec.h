#ifndef TERN_LIB_WIRE_METADATA_CODEC_H_
#define TERN_LIB_WIRE_METADATA_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {

// Metadata as it stands in a header block: views into the block.
struct MetadataEntryView {
  std::string_view key;
  std::string_view value;
};

// What one side accepts, or its peer announced.
struct MetadataLimits {
  uint32_t max_bytes = 16 << 10;  // Sum of key + value + 8 over the entries.
  uint32_t max_entries = 64;
};

// The rules of PROTOCOL.md, section 5, for one entry: OK or INVALID_ARGUMENT
// that names the key.
absl::Status CheckMetadataEntry(std::string_view key, std::string_view value);

// Adds entries up, before they are stored, and checks each. Used for what comes
// in and for what goes out.
class MetadataChecker {
 public:
  explicit MetadataChecker(const MetadataLimits& limits) : limits_(limits) {}
  // OK, INVALID_ARGUMENT (the entry), or RESOURCE_EXHAUSTED (both numbers).
  absl::Status Add(std::string_view key, std::string_view value);

 private:
  const MetadataLimits limits_;
  uint64_t bytes_ = 0;
  uint32_t entries_ = 0;
};

absl::Status MalformedMetadata();
// `bytes`: a MetadataEntry. Malformed: INVALID_ARGUMENT.
absl::Status ParseMetadataEntry(std::string_view bytes,
                                MetadataChecker& checker,
                                std::vector<MetadataEntryView>* entries);
// The same for the field that the reader stands on.
inline absl::Status ReadMetadataEntry(FieldReader& reader,
                                      MetadataChecker& checker,
                                      std::vector<MetadataEntryView>* entries) {
  const std::string_view bytes = reader.bytes();
  if (!reader.ok()) return MalformedMetadata();
  return ParseMetadataEntry(bytes, checker, entries);
}
template <typename Fields>
void PutMetadata(uint32_t field, const std::vector<MetadataEntryView>& entries,
                 Fields& fields) {
  for (const MetadataEntryView& entry : entries) {
    fields.Message(field, [&](auto& inner) {
      inner.Bytes(1, entry.key);
      if (!entry.value.empty()) inner.Bytes(2, entry.value);
    });
  }
}

// True for text that is well-formed UTF-8 (no overlong forms, no surrogates).
bool IsUtf8(std::string_view text);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_METADATA_CODEC_H_
