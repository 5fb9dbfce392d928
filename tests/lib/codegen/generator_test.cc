#include "tern/lib/codegen/generator.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/lib/codegen/plugin_run.h"

namespace tern::codegen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Paths(const PluginRun& run) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : run.files) paths.push_back(path);
  return paths;
}

// A proto3 file with a message M and these definitions.
std::string Proto(const std::string& definitions) {
  return "syntax = \"proto3\"; package p; message M {} " + definitions;
}

const std::string kSimple = Proto("service S { rpc Get(M) returns (M); }");

TEST(Generator, WritesThreeFiles) {
  EXPECT_THAT(Paths(RunPluginOnText(kSimple)),
              ElementsAre("test.tern.client.cc", "test.tern.client.h",
                          "test.tern.server.h"));
}

TEST(Generator, WritesAllFilesWithoutServicesToo) {
  EXPECT_THAT(Paths(RunPluginOnText(Proto(""), "mocks")),
              ElementsAre("test.tern.client.cc", "test.tern.client.h",
                          "test.tern.mock.h", "test.tern.server.h"));
}

TEST(Generator, WritesMocksWhenAskedTo) {
  PluginRun run = RunPluginOnText(kSimple, "mocks");
  EXPECT_THAT(run.files["test.tern.mock.h"], HasSubstr("class MockStub"));
}

TEST(Generator, KeepsClientAndServerApart) {
  PluginRun run = RunPluginOnText(kSimple, "mocks");
  for (const auto& [path, text] : run.files) {
    bool is_server = path.find("server") != std::string::npos;
    EXPECT_EQ(text.find("#include \"tern/server/") != std::string::npos,
              is_server);
    EXPECT_EQ(text.find("#include \"tern/client/") != std::string::npos,
              path == "test.tern.client.h");
    EXPECT_EQ(text.find(is_server ? "client" : "server"), std::string::npos)
        << path;
  }
}

TEST(Generator, WritesTheSameEveryTime) {
  EXPECT_EQ(RunPluginOnText(kSimple, "mocks").files,
            RunPluginOnText(kSimple, "mocks").files);
}

TEST(Generator, RefusesUnknownOptions) {
  PluginRun run = RunPluginOnText(kSimple, "mocks,mock");
  EXPECT_EQ(run.error, "unknown option \"mock\"; the one there is: mocks");
  EXPECT_THAT(run.files, IsEmpty());
}

TEST(Generator, RefusesAValueForMocks) {
  EXPECT_EQ(RunPluginOnText(kSimple, "mocks=no").error,
            "option mocks takes no value, got \"no\"");
}

TEST(Generator, RefusesMethodsThatGetTheSameName) {
  PluginRun run = RunPluginOnText(Proto(
      "service S { rpc delete(M) returns (M); rpc delete_(M) returns (M); }"));
  EXPECT_EQ(run.error,
            "test.proto: p.S/delete and p.S/delete_ would both be delete_ in "
            "C++: rename one");
  EXPECT_THAT(run.files, IsEmpty());
}

TEST(Generator, RefusesServicesThatGetTheSameName) {
  PluginRun run = RunPluginOnText(Proto("service new {} service new_ {}"));
  EXPECT_EQ(run.error,
            "test.proto: p.new and p.new_ would both be p::new_ in C++: rename "
            "one");
}

TEST(Generator, RefusesProtobufsOwnServices) {
  PluginRun run =
      RunPluginOnText(Proto("option cc_generic_services = true; service S {}"));
  EXPECT_THAT(run.error, HasSubstr("cc_generic_services"));
}

TEST(Generator, AcceptsOptionalFieldsOfProto3) {
  EXPECT_TRUE(
      Generator().GetSupportedFeatures() &
      google::protobuf::compiler::CodeGenerator::FEATURE_PROTO3_OPTIONAL);
}

}  // namespace
}  // namespace tern::codegen
