#include "tern/lib/codegen/names.h"

#include <set>
#include <string>

#include "google/protobuf/compiler/cpp/names.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"

namespace tern::codegen {
namespace {

TEST(Names, EscapesWordsOfCpp) {
  EXPECT_EQ(EscapeKeyword("delete"), "delete_");
  EXPECT_EQ(EscapeKeyword("NULL"), "NULL_");
  EXPECT_EQ(EscapeKeyword("alignas"), "alignas_");
  EXPECT_EQ(EscapeKeyword("xor_eq"), "xor_eq_");
  EXPECT_EQ(EscapeKeyword("co_await"), "co_await_");
  EXPECT_EQ(EscapeKeyword("requires"), "requires_");
}

TEST(Names, LeavesOtherWordsAlone) {
  EXPECT_EQ(EscapeKeyword("Delete"), "Delete");
  EXPECT_EQ(EscapeKeyword("delete_"), "delete_");
  EXPECT_EQ(EscapeKeyword("override"), "override");
  EXPECT_EQ(EscapeKeyword(""), "");
}

// A message's class comes from protobuf: the two lists must agree.
TEST(Names, EscapesWhateverProtobufEscapes) {
  for (std::string word :
       {"alignof",       "and",      "bool",     "class",    "constexpr",
        "default",       "decltype", "export",   "int",      "long",
        "mutable",       "nullptr",  "operator", "public",   "register",
        "static_assert", "template", "this",     "typename", "wchar_t"}) {
    google::protobuf::FileDescriptorProto file;
    file.set_name("test.proto");
    file.add_message_type()->set_name(word);
    google::protobuf::DescriptorPool pool;
    const google::protobuf::Descriptor* message =
        pool.BuildFile(file)->message_type(0);
    EXPECT_EQ(EscapeKeyword(word),
              google::protobuf::compiler::cpp::ClassName(message));
  }
}

TEST(Names, TurnsPackagesIntoNamespaces) {
  EXPECT_EQ(PackageNamespace(""), "");
  EXPECT_EQ(PackageNamespace("kv"), "kv");
  EXPECT_EQ(PackageNamespace("kv.v1"), "kv::v1");
  EXPECT_EQ(PackageNamespace("new.kv.namespace"), "new_::kv::namespace_");
}

TEST(Names, KeepsMethodsApartFromGeneratedMembers) {
  std::set<std::string> methods = {"Get", "kGetMethod"};
  EXPECT_EQ(MethodName("Get", methods), "Get");
  EXPECT_EQ(MethodName("delete", methods), "delete_");
  EXPECT_EQ(MethodName("Stub", methods), "Stub_");
  EXPECT_EQ(MethodName("Service", methods), "Service_");
  EXPECT_EQ(MethodName("TernMethods", methods), "TernMethods_");
  EXPECT_EQ(MethodName("channel_", methods), "channel__");
  EXPECT_EQ(MethodName("Co", methods), "Co_");
  EXPECT_EQ(MethodName("CoService", methods), "CoService_");
  EXPECT_EQ(MethodName("kGetMethod", methods), "kGetMethod_");
}

TEST(Names, LeavesMethodsThatOnlyLookLikeConstants) {
  EXPECT_EQ(MethodName("kGetMethod", {"kGetMethod", "Put"}), "kGetMethod");
}

TEST(Names, StripsTheSuffixOfProtos) {
  EXPECT_EQ(StripProtoSuffix("a/b.proto"), "a/b");
  EXPECT_EQ(StripProtoSuffix("a/b.v1.proto"), "a/b.v1");
}

TEST(Names, MakesIncludeGuardsOfPaths) {
  EXPECT_EQ(IncludeGuard("kv/v1/kv", "CLIENT"), "KV_V1_KV_TERN_CLIENT_H_");
  EXPECT_EQ(IncludeGuard("kv_store", "MOCK"), "KV_x5FSTORE_TERN_MOCK_H_");
}

TEST(Names, GivesNoTwoPathsTheSameIncludeGuard) {
  std::set<std::string> guards;
  for (const char* path : {"a/b", "a_b", "a-b", "a.b", "a/B", "a/x2eb", "a/_b",
                           "a_/b", "1/b", "x31/b"}) {
    EXPECT_TRUE(guards.insert(IncludeGuard(path, "CLIENT")).second) << path;
  }
}

TEST(Names, StartsNoIncludeGuardWithADigit) {
  EXPECT_EQ(IncludeGuard("3d/model2", "SERVER"), "_x33D_MODEL2_TERN_SERVER_H_");
}

}  // namespace
}  // namespace tern::codegen
