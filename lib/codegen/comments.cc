#include "tern/lib/codegen/comments.h"

#include <algorithm>
#include <cstddef>

namespace tern::codegen {
namespace {

// A character that changes the direction of text from here on (U+202A..202E,
// U+2066..2069; three bytes in UTF-8): g++ warns, as a reader may see other
// code than the compiler.
bool StartsWithBidiControl(std::string_view text) {
  if (text.size() < 3 || text[0] != '\xE2') return false;
  if (text[1] == '\x80') return text[2] >= '\xAA' && text[2] <= '\xAE';
  return text[1] == '\x81' && text[2] >= '\xA6' && text[2] <= '\xA9';
}

bool IsControl(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

// Control characters (some compilers end a line at '\r' or '\f') become spaces.
std::string WithoutControls(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    if (StartsWithBidiControl(text)) {
      text.remove_prefix(3);
      continue;
    }
    result += IsControl(text[0]) ? ' ' : text[0];
    text.remove_prefix(1);
  }
  result.resize(result.find_last_not_of(' ') + 1);
  return result;
}

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(CommentLine(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Adds the lines of `text` but for empty ones at its ends; false when none is
// left.
bool Append(std::string_view text, std::vector<std::string>* lines) {
  std::vector<std::string> added = SplitLines(text);
  auto has_text = [](const std::string& line) { return line != "//"; };
  auto first = std::find_if(added.begin(), added.end(), has_text);
  auto last = std::find_if(added.rbegin(), added.rend(), has_text).base();
  if (first == added.end()) return false;
  lines->insert(lines->end(), first, last);
  return true;
}

}  // namespace

std::string CommentLine(std::string_view text) {
  std::string line = WithoutControls(text);
  if (line.empty()) return "//";
  // "??/" is an older way to write a backslash.
  if (line.ends_with('\\') || line.ends_with("?\?/")) line += " //";
  bool is_spaced = line[0] == ' ' || line[0] == '/';
  return (is_spaced ? "//" : "// ") + line;
}

std::vector<std::string> CommentLines(
    const google::protobuf::SourceLocation& location) {
  std::vector<std::string> lines;
  for (const std::string& detached : location.leading_detached_comments) {
    if (Append(detached, &lines)) lines.emplace_back();
  }
  Append(location.leading_comments, &lines);
  Append(location.trailing_comments, &lines);
  return lines;
}

}  // namespace tern::codegen
