#ifndef TERN_EXAMPLES_KV_DEMO_INPUT_H_
#define TERN_EXAMPLES_KV_DEMO_INPUT_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace kv {

// What the demo stores.
struct DemoInput {
  std::string source;  // In words: "packages of this machine (dpkg-query)".
  std::map<std::string, std::string> entries;
};

// The entries of `path`, a file of KEY<TAB>VALUE lines; without a path the
// machine's package list, or on a machine without dpkg the files in /usr/bin
// and their sizes. An error, too, when there is not one entry.
absl::StatusOr<DemoInput> ReadDemoInput(const std::string& path);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_DEMO_INPUT_H_
