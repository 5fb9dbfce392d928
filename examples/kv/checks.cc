#include "examples/kv/checks.h"

#include "absl/strings/str_format.h"
#include "examples/kv/limits.h"
#include "tern/lib/base/status_macros.h"

namespace kv {

absl::Status TooLarge(std::string_view what, size_t size, std::string_view unit,
                      size_t limit) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s of %d %s exceeds the limit of %d", what, size, unit, limit));
}

absl::Status CheckKey(std::string_view key) {
  if (key.empty()) return absl::InvalidArgumentError("the key is empty");
  if (key.size() > kMaxKeyBytes) {
    return TooLarge("a key", key.size(), "bytes", kMaxKeyBytes);
  }
  return absl::OkStatus();
}

absl::Status CheckEntry(std::string_view key, std::string_view value) {
  TERN_RETURN_IF_ERROR(CheckKey(key));
  if (value.size() > kMaxValueBytes) {
    return TooLarge("a value", value.size(), "bytes", kMaxValueBytes);
  }
  return absl::OkStatus();
}

}  // namespace kv
