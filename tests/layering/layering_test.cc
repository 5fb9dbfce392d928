// The arrows of ARCHITECTURE.md over the sources that our targets are compiled
// from (:sources), and over what Bazel says depends on what.

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/layering/arrows.h"

namespace tern::layering {
namespace {

// Tests run in the root of the repository, as far as their data goes.
std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// {path: text} of our C++ sources.
std::map<std::string, std::string> Sources() {
  std::map<std::string, std::string> sources;
  for (const char* folder : {"client", "examples", "lib", "server"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc") {
        sources[entry.path()] = Read(entry.path());
      }
    }
  }
  return sources;
}

TEST(Layering, IncludesFollowTheArrows) {
  std::map<std::string, int> seen;
  for (const auto& [path, text] : Sources()) {
    for (const std::string& folder : Folders()) {
      if (path.starts_with(folder)) ++seen[folder];
    }
    for (const std::string& fault : CheckIncludes(path, text)) {
      ADD_FAILURE() << fault;
    }
  }
  for (const std::string& folder : Folders()) {
    EXPECT_GT(seen[folder], 1) << "no sources of " << folder << " were read";
  }
}

// The labels that a genquery of the BUILD file found, one in each line.
class Labels {
 public:
  explicit Labels(const std::string& query)
      : text_("\n" + Read("tests/layering/" + query)) {}

  bool Has(const std::string& label) const {
    return text_.find("\n" + label + "\n") != text_.npos;
  }
  bool HasFolder(const std::string& folder) const {
    return text_.find("\n//" + folder + ":") != text_.npos ||
           text_.find("\n//" + folder + "/") != text_.npos;
  }

 private:
  const std::string text_;
};

TEST(Layering, GeneratedClientCodeDoesNotLinkTheServer) {
  const Labels deps("hello_client_deps");
  EXPECT_TRUE(deps.Has("//client:stub"));
  EXPECT_FALSE(deps.HasFolder("server"));
}

TEST(Layering, GeneratedServerCodeDoesNotLinkTheClient) {
  const Labels deps("hello_server_deps");
  EXPECT_TRUE(deps.Has("//server:service"));
  EXPECT_FALSE(deps.HasFolder("client"));
}

TEST(Layering, LibLinksNeitherEnd) {
  const Labels deps("lib_deps");
  EXPECT_TRUE(deps.Has("//lib/net:connection"));
  EXPECT_TRUE(deps.Has("//lib/codegen:generator"));
  EXPECT_FALSE(deps.HasFolder("server"));
  EXPECT_FALSE(deps.HasFolder("client"));
}

}  // namespace
}  // namespace tern::layering
