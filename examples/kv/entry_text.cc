#include "examples/kv/entry_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "examples/kv/limits.h"
#include "tern/lib/base/status_macros.h"

namespace kv {
namespace {

constexpr char kDelete = 0x7f;

void AppendEscaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    switch (c) {
      case '\t':
        *out += "\\t";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\\':
        *out += "\\\\";
        break;
      default:
        if (static_cast<uint8_t>(c) < ' ' || c == kDelete) {
          absl::StrAppendFormat(out, "\\x%02x", static_cast<uint8_t>(c));
        } else {
          *out += c;
        }
    }
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that `text`, which starts with a backslash, stands for; takes off
// what it has read. nullopt when it stands for none.
std::optional<char> TakeEscape(std::string_view* text) {
  const char kind = text->size() > 1 ? (*text)[1] : '\0';
  if (kind == 'x' && text->size() > 3) {
    const int high = HexDigit((*text)[2]);
    const int low = HexDigit((*text)[3]);
    if (high < 0 || low < 0) return std::nullopt;
    text->remove_prefix(4);
    return static_cast<char>(high * 16 + low);
  }
  const size_t letter = std::string_view("tnr\\").find(kind);
  if (letter == std::string_view::npos) return std::nullopt;
  text->remove_prefix(2);
  return "\t\n\r\\"[letter];
}

absl::Status CheckSize(std::string_view what, size_t bytes, size_t limit) {
  if (bytes <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "a %s of %d bytes exceeds the limit of %d", what, bytes, limit));
}

}  // namespace

std::string EscapeText(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  AppendEscaped(bytes, &text);
  return text;
}

absl::StatusOr<std::string> UnescapeText(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const size_t plain = std::min(text.find('\\'), text.size());
    bytes.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::optional<char> byte = TakeEscape(&text);
    if (!byte.has_value()) {
      return absl::InvalidArgumentError(
          "a backslash that is not one of \\t \\n \\r \\\\ \\xHH");
    }
    bytes += *byte;
  }
  return bytes;
}

std::string FormatEntry(std::string_view key, std::string_view value) {
  std::string line;
  line.reserve(key.size() + 1 + value.size());
  AppendEscaped(key, &line);
  line += '\t';
  AppendEscaped(value, &line);
  return line;
}

absl::StatusOr<EntryText> ParseEntry(std::string_view line) {
  const size_t tab = line.find('\t');
  if (tab == line.npos) {
    return absl::InvalidArgumentError("no tab between key and value");
  }
  if (line.find('\t', tab + 1) != line.npos) {
    return absl::InvalidArgumentError(
        "more than one tab (in a value, write \\t)");
  }
  EntryText entry;
  TERN_ASSIGN_OR_RETURN(entry.key, UnescapeText(line.substr(0, tab)));
  TERN_ASSIGN_OR_RETURN(entry.value, UnescapeText(line.substr(tab + 1)));
  if (entry.key.empty()) return absl::InvalidArgumentError("the key is empty");
  TERN_RETURN_IF_ERROR(CheckSize("key", entry.key.size(), kMaxKeyBytes));
  TERN_RETURN_IF_ERROR(CheckSize("value", entry.value.size(), kMaxValueBytes));
  return entry;
}

}  // namespace kv
