// What the pages show is what the snippets compile.

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace {

std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Block {
  std::string page;
  std::string text;
};

// The blocks of code in a language, of all pages.
std::vector<Block> Blocks(const std::string& language) {
  std::vector<Block> blocks;
  for (const auto& entry : std::filesystem::directory_iterator("docs")) {
    if (entry.path().extension() != ".md") continue;
    if (entry.path().filename() == "coroutines.md") continue;  // Has its own.
    std::istringstream page(ReadWhole(entry.path()));
    bool inside = false;
    for (std::string line; std::getline(page, line);) {
      if (line == "```" + language) {
        inside = true;
        blocks.push_back({.page = entry.path().filename(), .text = {}});
      } else if (line == "```") {
        inside = false;
      } else if (inside) {
        blocks.back().text += line + "\n";
      }
    }
  }
  return blocks;
}

void ExpectAllIn(const std::vector<Block>& blocks, const std::string& folder,
                 const std::string& extension) {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) all += ReadWhole(entry.path());
  }
  for (const Block& block : blocks) {
    EXPECT_NE(all.find(block.text), std::string::npos)
        << block.page << " shows what no snippet has:\n"
        << block.text;
  }
}

TEST(Docs, ShowCompiledCode) {
  const std::vector<Block> blocks = Blocks("cpp");
  EXPECT_GE(blocks.size(), 10u);
  ExpectAllIn(blocks, "docs/snippets", ".cc");
}

TEST(Docs, ShowTheirProto) {
  const std::vector<Block> blocks = Blocks("proto");
  EXPECT_GE(blocks.size(), 1u);
  ExpectAllIn(blocks, "docs/snippets", ".proto");
}

}  // namespace
