#ifndef TERN_TESTS_LAYERING_ARROWS_H_
#define TERN_TESTS_LAYERING_ARROWS_H_

#include <string>
#include <string_view>
#include <vector>

namespace tern::layering {

// The folders that have a rule: those of the core, and the examples.
std::vector<std::string> Folders();

// Reads the #include lines of one of our sources; returns a sentence for each
// that its folder must not have. `path` is from the root of the repository.
std::vector<std::string> CheckIncludes(std::string_view path,
                                       std::string_view text);

}  // namespace tern::layering

#endif  // TERN_TESTS_LAYERING_ARROWS_H_
