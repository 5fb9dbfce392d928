#ifndef TERN_TESTS_LIB_CODEGEN_PLUGIN_RUN_H_
#define TERN_TESTS_LIB_CODEGEN_PLUGIN_RUN_H_

#include <map>
#include <string>

namespace tern::codegen {

// What one run of the plugin left behind.
struct PluginRun {
  std::string error;                         // Empty when it succeeded.
  std::map<std::string, std::string> files;  // Contents by path.
};

// Runs the plugin in this process on a .proto of the source tree, found from
// the repository's root; `options` is what follows --tern_opt=.
PluginRun RunPluginOnFile(const std::string& path, const std::string& options);

// The same on a text, as test.proto.
PluginRun RunPluginOnText(const std::string& text,
                          const std::string& options = "");

}  // namespace tern::codegen

#endif  // TERN_TESTS_LIB_CODEGEN_PLUGIN_RUN_H_
