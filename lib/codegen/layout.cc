#include "tern/lib/codegen/layout.h"

#include <algorithm>

namespace tern::codegen {
namespace {

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
  return start + "\n" + below_head;
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
  return std::string(indent, ' ') + type + "\n" +
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
