#ifndef TERN_EXAMPLES_KV_CHECKS_H_
#define TERN_EXAMPLES_KV_CHECKS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace kv {

// INVALID_ARGUMENT: "a key of 1025 bytes exceeds the limit of 1024".
absl::Status TooLarge(std::string_view what, size_t size, std::string_view unit,
                      size_t limit);

// OK, or that.
absl::Status CheckKey(std::string_view key);
absl::Status CheckEntry(std::string_view key, std::string_view value);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CHECKS_H_
