// What README.md shows is what examples/hello is, and as short as promised.

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace tern {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool ReadmeHasBlock(const std::string& language, const std::string& text) {
  return Read("README.md").find("\n```" + language + "\n" + text + "```\n") !=
         std::string::npos;
}

long Lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

TEST(Readme, ShowsTheProtoAsItIs) {
  EXPECT_TRUE(ReadmeHasBlock("proto", Read("examples/hello/hello.proto")));
}

TEST(Readme, ShowsTheServerAsItIs) {
  EXPECT_TRUE(ReadmeHasBlock("cpp", Read("examples/hello/greeter_server.cc")));
}

TEST(Readme, ShowsTheClientAsItIs) {
  EXPECT_TRUE(ReadmeHasBlock("cpp", Read("examples/hello/greeter_client.cc")));
}

TEST(Readme, ServerHasAtMost20Lines) {
  EXPECT_LE(Lines(Read("examples/hello/greeter_server.cc")), 20);
}

TEST(Readme, ClientHasAtMost12Lines) {
  EXPECT_LE(Lines(Read("examples/hello/greeter_client.cc")), 12);
}

}  // namespace
}  // namespace tern
