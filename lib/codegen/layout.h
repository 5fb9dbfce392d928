#ifndef TERN_LIB_CODEGEN_LAYOUT_H_
#define TERN_LIB_CODEGEN_LAYOUT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Line breaks where clang-format's Google style has them, near enough.
namespace tern::codegen {

// Generated code keeps to this many columns where names allow it.
inline constexpr size_t kColumns = 80;

// `head`, `items` with commas between them, `tail`: a call, an initializer. On
// one line, else the items below each other behind the head, or on lines of
// their own; below each other from the first line on, where `head` is empty.
// `indent` spaces stand before the first line. Ends with a line break.
std::string Layout(size_t indent, std::string_view head,
                   const std::vector<std::string>& items,
                   std::string_view tail);

// The same for a function, whose return type gets a line of its own where that
// and the name are too long for one.
std::string FunctionLayout(size_t indent, std::string_view return_type,
                           std::string_view name,
                           const std::vector<std::string>& parameters,
                           std::string_view tail);

// Whether every line of `text` does.
bool KeepsToColumns(std::string_view text);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_LAYOUT_H_
