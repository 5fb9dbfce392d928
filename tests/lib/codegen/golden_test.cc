// Compares what the plugin writes with what it is known to write. To accept a
// change after reading it:
//
//   UPDATE_GOLDEN=1 bazel run //tests/lib/codegen:golden_test && git diff

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/lib/codegen/plugin_run.h"

namespace tern::codegen {
namespace {

const std::string kFolder = "tests/lib/codegen/";

constexpr const char* kProtos[] = {
    "basic",
    "comments",
    "deprecated",
    "empty",
    "imports",
    "imported/public",
    "imported/types",
    "long-names_and.v1",
    "nopackage",
    "options",
    "proto2",
    "reserved",
    "reserved_package",
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

using Lines = std::vector<std::string>;

Lines SplitLines(const std::string& text) {
  std::istringstream stream(text);
  Lines lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void Print(const char* mark, Lines::iterator from, Lines::iterator to,
           std::ostream& out) {
  for (; from != to; ++from) out << mark << *from << "\n";
}

// One hunk from the first to the last line that differs.
std::string Diff(const std::string& old_text, const std::string& new_text) {
  constexpr ptrdiff_t kContext = 3;
  Lines old_lines = SplitLines(old_text);
  Lines new_lines = SplitLines(new_text);
  auto [old_from, new_from] = std::mismatch(old_lines.begin(), old_lines.end(),
                                            new_lines.begin(), new_lines.end());
  auto [old_rest, new_rest] =
      std::mismatch(old_lines.rbegin(), std::make_reverse_iterator(old_from),
                    new_lines.rbegin(), std::make_reverse_iterator(new_from));
  auto old_to = old_rest.base();
  auto new_to = new_rest.base();

  std::ostringstream out;
  out << "line " << new_from - new_lines.begin() + 1 << ":\n";
  Print("  ", new_from - std::min(kContext, new_from - new_lines.begin()),
        new_from, out);
  Print("- ", old_from, old_to, out);
  Print("+ ", new_from, new_to, out);
  Print("  ", new_to, new_to + std::min(kContext, new_lines.end() - new_to),
        out);
  return out.str();
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
    std::string golden = ReadWhole(golden_path);
    EXPECT_TRUE(golden == text)
        << golden_path << ", " << Diff(golden, text)
        << "Where the new text (+) is right:\n"
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
