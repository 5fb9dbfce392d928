#include "tern/lib/wire/status_header.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {
namespace {

bool ReadDetail(std::string_view bytes, DetailView* detail) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() > 2) continue;
    reader.Singular();
    (reader.field() == 1 ? detail->type_url : detail->value) = reader.bytes();
  }
  return reader.ok() && IsUtf8(detail->type_url);
}

absl::StatusCode ToCode(uint64_t code) {
  return code <= 16 ? static_cast<absl::StatusCode>(code)
                    : absl::StatusCode::kUnknown;
}

// The longest prefix of `text` with at most `size` bytes that does not cut a
// UTF-8 sequence.
std::string_view CutUtf8(std::string_view text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

// A handler may put any bytes into its message; the peer must be able to read
// the status all the same.
std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    size_t size = 1;
    while (size < 4 && size < text.size() && !IsUtf8(text.substr(0, size))) {
      ++size;
    }
    const bool is_character = IsUtf8(text.substr(0, size));
    if (!is_character) size = 1;
    valid.append(is_character ? text.substr(0, size) : "?");
    text.remove_prefix(size);
  }
  return valid;
}

// What a status is written with when not all of it fits.
struct Parts {
  std::string_view message;
  bool details = true;
  bool trailing_metadata = true;
  bool truncated = false;
};

// In the order of the fields' numbers, as protobuf's own code does it.
void AppendParts(const StatusHeader& header, const Parts& parts,
                 std::string* out) {
  if (header.code != absl::StatusCode::kOk) {
    AppendVarintField(1, static_cast<uint64_t>(header.code), out);
  }
  if (!parts.message.empty()) AppendBytesField(2, parts.message, out);
  if (parts.details) {
    std::string any;
    for (const DetailView& detail : header.details) {
      any.clear();
      if (!detail.type_url.empty()) AppendBytesField(1, detail.type_url, &any);
      if (!detail.value.empty()) AppendBytesField(2, detail.value, &any);
      AppendBytesField(3, any, out);
    }
  }
  if (header.certainty != Certainty::kMaybeStarted) {
    AppendVarintField(4, static_cast<uint64_t>(header.certainty), out);
  }
  if (header.retry_after_ms) AppendVarintField(5, *header.retry_after_ms, out);
  if (header.load_permille) AppendVarintField(6, *header.load_permille, out);
  if (header.queue_us) AppendVarintField(7, *header.queue_us, out);
  if (header.handler_us) AppendVarintField(8, *header.handler_us, out);
  if (parts.trailing_metadata) {
    for (const MetadataEntryView& entry : header.trailing_metadata) {
      AppendMetadataField(9, entry, out);
    }
  }
  if (parts.truncated) AppendVarintField(10, 1, out);
}

// Details that are not worth a try: too large, or not for the wire.
bool DetailsFit(const StatusHeader& header, size_t max_bytes) {
  size_t bytes = 0;
  for (const DetailView& detail : header.details) {
    if (!IsUtf8(detail.type_url)) return false;
    bytes += detail.type_url.size() + detail.value.size();
  }
  return bytes <= max_bytes;
}

}  // namespace

absl::Status ParseStatusHeader(std::string_view block,
                               const MetadataLimits& limits,
                               StatusHeader* header) {
  if (block.size() > kMaxHeaderBlockBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "status of ", block.size(), " bytes exceeds the protocol's limit of ",
        kMaxHeaderBlockBytes, " bytes"));
  }
  FieldReader reader(block);
  MetadataChecker checker(limits);
  while (reader.Next()) {
    if (reader.field() > 10) continue;
    if (reader.field() != 3 && reader.field() != 9) reader.Singular();
    switch (reader.field()) {
      case 1:
        header->code = ToCode(reader.varint());
        break;
      case 2:
        header->message = reader.bytes();
        break;
      case 3: {
        DetailView detail;
        if (!ReadDetail(reader.bytes(), &detail)) reader.Fail();
        header->details.push_back(detail);
        break;
      }
      case 4: {
        const uint64_t certainty = reader.varint();
        header->certainty = certainty <= 2 ? static_cast<Certainty>(certainty)
                                           : Certainty::kMaybeStarted;
        break;
      }
      case 5:
        header->retry_after_ms = reader.varint32();
        break;
      case 6:
        header->load_permille = reader.varint32();
        break;
      case 7:
        header->queue_us = reader.varint();
        break;
      case 8:
        header->handler_us = reader.varint();
        break;
      case 9:
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->trailing_metadata);
            !status.ok()) {
          return status;
        }
        break;
      case 10:
        header->truncated = reader.varint() != 0;
        break;
    }
  }
  if (!reader.ok() || !IsUtf8(header->message)) {
    return absl::InvalidArgumentError("malformed status");
  }
  return absl::OkStatus();
}

void AppendStatusHeader(const StatusHeader& header, size_t max_bytes,
                        std::string* out) {
  const size_t start = out->size();
  const auto size_with = [&](const Parts& parts) {
    out->resize(start);
    AppendParts(header, parts, out);
    return out->size() - start;
  };
  std::string replaced;
  Parts parts = {.message = header.message, .truncated = header.truncated};
  if (!IsUtf8(header.message)) {
    replaced = ReplaceInvalidUtf8(header.message);
    parts.message = replaced;
  }
  const auto fits = [&] {
    return parts.message.size() <= max_bytes && size_with(parts) <= max_bytes;
  };
  parts.details = DetailsFit(header, max_bytes);
  parts.truncated |= !parts.details;
  if (fits()) return;
  parts.truncated = true;
  parts.details = false;
  if (fits()) return;
  parts.trailing_metadata = false;
  if (fits()) return;
  // The message's tag and length take 4 bytes: max_bytes is at most 24,576.
  const std::string_view message = parts.message;
  parts.message = {};
  const size_t left = max_bytes - size_with(parts);
  parts.message = CutUtf8(message, left - std::min<size_t>(left, 4));
  size_with(parts);
}

}  // namespace tern::wire
