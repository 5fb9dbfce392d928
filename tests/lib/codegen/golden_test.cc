// Compares what the plugin writes with what it is known to write. To accept a
// change after reading it:
//
//   UPDATE_GOLDEN=1 bazel run //tests/lib/codegen:golden_test && git diff

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/lib/codegen/plugin_run.h"

namespace tern::codegen {
namespace {

const std::string kFolder = "tests/lib/codegen/";

constexpr const char* kProtos[] = {
    "basic",     "comments",        "deprecated",     "empty",
    "imports",   "imported/public", "imported/types", "long-names_and.v1",
    "nopackage", "proto2",          "reserved",       "reserved_package",
    "streaming",
};

// The golden file of a generated one.
std::string GoldenPath(const std::string& path) {
  return kFolder + "golden/" + path.substr(kFolder.size());
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool IsUpdate() { return std::getenv("UPDATE_GOLDEN") != nullptr; }

void Update(const std::string& golden_path, const std::string& text) {
  // Set by `bazel run`, which starts this in a folder of its own.
  const char* root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  std::filesystem::path path(root == nullptr ? "." : root);
  path /= golden_path;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

class GoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, OutputIsAsExpected) {
  PluginRun run = RunPluginOnFile(kFolder + GetParam() + ".proto", "mocks");
  ASSERT_EQ(run.error, "");
  for (const auto& [path, text] : run.files) {
    std::string golden_path = GoldenPath(path);
    if (IsUpdate()) {
      Update(golden_path, text);
      continue;
    }
    EXPECT_EQ(ReadWhole(golden_path), text)
        << golden_path << " is different. Where the new text (+) is right:\n"
        << "  UPDATE_GOLDEN=1 bazel run //tests/lib/codegen:golden_test";
  }
}

INSTANTIATE_TEST_SUITE_P(Protos, GoldenTest, ::testing::ValuesIn(kProtos),
                         [](const auto& info) {
                           std::string name(info.param);
                           for (char& c : name) {
                             if (!std::isalnum(c)) c = '_';
                           }
                           return name;
                         });

TEST(Golden, HasNoFileThatNothingGenerates) {
  std::set<std::string> generated;
  for (const char* proto : kProtos) {
    PluginRun run = RunPluginOnFile(kFolder + proto + ".proto", "mocks");
    for (const auto& [path, text] : run.files) {
      generated.insert(GoldenPath(path));
    }
  }
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(kFolder + "golden")) {
    std::string name = entry.path().filename().string();
    if (entry.is_directory() || name.starts_with('.')) continue;
    EXPECT_TRUE(generated.contains(entry.path().string())) << entry.path();
  }
}

}  // namespace
}  // namespace tern::codegen
