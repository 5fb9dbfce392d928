#include "tern/lib/wire/metadata_codec.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"

namespace tern::wire {
namespace {

constexpr size_t kMaxKeyBytes = 64;
constexpr uint64_t kEntryOverheadBytes = 8;
constexpr std::string_view kReservedPrefix = "tern-";
constexpr std::string_view kBinarySuffix = "-bin";

bool IsKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

bool IsControlCharacter(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

absl::Status BadKey(std::string_view key, const char* why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "metadata key \"", EscapeForLog(key, kMaxKeyBytes), "\" ", why));
}

}  // namespace

bool IsUtf8(std::string_view text) {
  size_t i = 0;
  // Most text is ASCII: eight bytes at a time.
  for (uint64_t word; text.size() - i >= sizeof(word); i += sizeof(word)) {
    std::memcpy(&word, text.data() + i, sizeof(word));
    if ((word & 0x8080808080808080) != 0) break;
  }
  const auto byte = [&](size_t index) {
    return static_cast<unsigned char>(text[index]);
  };
  while (i < text.size()) {
    const unsigned char first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    // The Unicode Standard, table 3-7: the second byte's range depends on the
    // first, which is what keeps overlong forms and surrogates out.
    unsigned char low = 0x80, high = 0xbf;
    size_t more = 0;
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    if (byte(i + 1) < low || byte(i + 1) > high) return false;
    for (size_t k = 2; k <= more; ++k) {
      if (byte(i + k) < 0x80 || byte(i + k) > 0xbf) return false;
    }
    i += more + 1;
  }
  return true;
}

absl::Status CheckMetadataEntry(std::string_view key, std::string_view value) {
  if (key.empty() || key.size() > kMaxKeyBytes ||
      !std::all_of(key.begin(), key.end(), IsKeyCharacter)) {
    return BadKey(key, "is not 1 to 64 characters of [a-z0-9_.-]");
  }
  if (key.substr(0, kReservedPrefix.size()) == kReservedPrefix) {
    return BadKey(
        key, "is reserved: those that begin with \"tern-\" are the protocol's");
  }
  const bool binary =
      key.size() >= kBinarySuffix.size() &&
      key.substr(key.size() - kBinarySuffix.size()) == kBinarySuffix;
  if (!binary && (!IsUtf8(value) || std::any_of(value.begin(), value.end(),
                                                IsControlCharacter))) {
    return BadKey(key,
                  "has a value that is not UTF-8 without control characters "
                  "(a key for any bytes ends in -bin)");
  }
  return absl::OkStatus();
}

absl::Status MetadataChecker::Add(std::string_view key,
                                  std::string_view value) {
  bytes_ += key.size() + value.size() + kEntryOverheadBytes;
  if (++entries_ > limits_.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("metadata of more than ", limits_.max_entries,
                     " entries, the receiver's limit"));
  }
  if (bytes_ > limits_.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("metadata of at least ", bytes_,
                     " bytes exceeds the receiver's limit of ",
                     limits_.max_bytes, " bytes"));
  }
  return CheckMetadataEntry(key, value);
}

absl::Status MalformedMetadata() {
  return absl::InvalidArgumentError("malformed metadata");
}

absl::Status ParseMetadataEntry(std::string_view bytes,
                                MetadataChecker& checker,
                                std::vector<MetadataEntryView>* entries) {
  MetadataEntryView entry;
  FieldReader fields(bytes);
  while (fields.Next()) {
    if (fields.field() > 2) continue;
    fields.Singular();
    (fields.field() == 1 ? entry.key : entry.value) = fields.bytes();
  }
  if (!fields.ok()) return MalformedMetadata();
  if (absl::Status status = checker.Add(entry.key, entry.value); !status.ok()) {
    return status;
  }
  entries->push_back(entry);
  return absl::OkStatus();
}

}  // namespace tern::wire
