#ifndef TERN_EXAMPLES_KV_ENTRY_TEXT_H_
#define TERN_EXAMPLES_KV_ENTRY_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kv {

// Entries as lines of text, KEY<TAB>VALUE, in which any bytes can be written
// and read back exactly. In keys and values
//
//   \t  \n  \r  \\   stand for a tab, a line feed, a carriage return, a
//   backslash \xHH             for the byte with that hexadecimal number
//
// and every other byte for itself. FormatEntry writes control characters as
// \xHH, so that a terminal is safe from them, and leaves all else alone.

// The bytes as such text, and back. INVALID_ARGUMENT when a backslash starts
// none of the above.
std::string EscapeText(std::string_view bytes);
absl::StatusOr<std::string> UnescapeText(std::string_view text);

struct EntryText {
  std::string key;
  std::string value;
};

// Without the line feed.
std::string FormatEntry(std::string_view key, std::string_view value);

// INVALID_ARGUMENT, in words for the one who wrote the line, when there is not
// exactly one tab, a backslash starts none of the above, the key is empty, or
// one of the two exceeds its limit (limits.h).
absl::StatusOr<EntryText> ParseEntry(std::string_view line);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_ENTRY_TEXT_H_
