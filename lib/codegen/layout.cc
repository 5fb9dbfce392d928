#include "tern/lib/codegen/layout.h"

#include <algorithm>
#include <utility>

namespace tern::codegen {
namespace {

// A line that is too long for that, with a break between the arguments of its
// first template, if that helps:
//   ::tern::ServerStream<Request,
//                        Reply>& stream
std::string BreakLongType(std::string line) {
  const size_t bracket = line.find('<');
  if (line.size() <= kColumns || bracket == std::string::npos) return line;
  int depth = 0;
  for (size_t i = bracket; i + 1 < line.size(); ++i) {
    if (line[i] == '<') ++depth;
    if (line[i] == '>' && --depth == 0) break;
    if (depth != 1 || line[i] != ',') continue;
    const std::string broken = line.substr(0, i + 1) + "\n" +
                               std::string(bracket + 1, ' ') +
                               line.substr(i + 2);
    return KeepsToColumns(broken) ? broken : line;
  }
  return line;
}

// Items with commas, as many on a line as fit; the first line starts with
// `first`, further ones with as many spaces as `indent`.
std::string Fill(const std::string& first, size_t indent,
                 const std::vector<std::string>& items) {
  std::string text;
  std::string line = first;
  bool is_line_start = true;
  for (const std::string& item : items) {
    if (!is_line_start && line.size() + 1 + item.size() > kColumns) {
      text += line + "\n";
      line = std::string(indent, ' ');
      is_line_start = true;
    }
    if (!is_line_start) line += ' ';
    line += item;
    line = BreakLongType(std::move(line));
    const size_t last_break = line.rfind('\n');
    if (last_break != std::string::npos) {
      text += line.substr(0, last_break + 1);
      line.erase(0, last_break + 1);
    }
    is_line_start = false;
  }
  return text + line + "\n";
}

}  // namespace

std::string Layout(size_t indent, std::string_view head,
                   const std::vector<std::string>& items,
                   std::string_view tail) {
  std::vector<std::string> pieces;
  for (const std::string& item : items) pieces.push_back(item + ",");
  pieces.back() = items.back() + std::string(tail);

  std::string start = std::string(indent, ' ') + std::string(head);
  if (head.empty()) return Fill(start, indent, pieces);
  std::string behind_head = Fill(start, start.size(), pieces);
  size_t below_indent = indent + 4;
  std::string below_head =
      Fill(std::string(below_indent, ' '), below_indent, pieces);
  auto lines = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  if (KeepsToColumns(behind_head) &&
      lines(behind_head) <= lines(below_head) + 1) {
    return behind_head;
  }
  if (constexpr std::string_view kOverride = " override;";
      !KeepsToColumns(below_head) && tail.ends_with(kOverride)) {
    pieces.back().resize(pieces.back().size() - kOverride.size());
    pieces.emplace_back(kOverride.substr(1));
    below_head = Fill(std::string(below_indent, ' '), below_indent, pieces);
  }
  start.resize(start.find_last_not_of(' ') + 1);
  return BreakLongType(std::move(start)) + "\n" + below_head;
}

std::string FunctionLayout(size_t indent, std::string_view return_type,
                           std::string_view name,
                           const std::vector<std::string>& parameters,
                           std::string_view tail) {
  std::string type(return_type);
  std::string head = std::string(name) + "(";
  if (indent + type.size() + 1 + head.size() <= kColumns) {
    return Layout(indent, type + " " + head, parameters, tail);
  }
  return BreakLongType(std::string(indent, ' ') + type) + "\n" +
         Layout(indent, head, parameters, tail);
}

bool KeepsToColumns(std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    if (end > kColumns) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

}  // namespace tern::codegen
