#ifndef TERN_LIB_BASE_STRING_VIEW_H_
#define TERN_LIB_BASE_STRING_VIEW_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace tern {

// Debian's Abseil has a string_view of its own; newer ones alias the
// standard's. Our signatures use std::string_view, and convert here at the
// calls into Abseil.
inline absl::string_view ToAbsl(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}
inline std::string_view ToStd(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

}  // namespace tern

#endif  // TERN_LIB_BASE_STRING_VIEW_H_
