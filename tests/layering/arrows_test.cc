// The checker itself, on made-up sources: it must fail when an arrow is broken.

#include "tests/layering/arrows.h"

#include "gtest/gtest.h"

namespace tern::layering {
namespace {

size_t Faults(std::string_view path, std::string_view text) {
  return CheckIncludes(path, text).size();
}

TEST(Arrows, LibBaseIncludesOnlyItself) {
  EXPECT_EQ(0u, Faults("lib/base/a.h", "#include \"tern/lib/base/b.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.h", "#include \"tern/lib/wire/b.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.h", "#include \"tern/lib/call/b.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.h", "#include \"tern/server/b.h\"\n"));
}

TEST(Arrows, LibBaseHasNeitherSocketsNorProtobuf) {
  EXPECT_EQ(0u, Faults("lib/base/a.cc", "#include <mutex>\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.cc", "#include <sys/socket.h>\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.cc", "#include <netinet/in.h>\n"));
  EXPECT_EQ(1u, Faults("lib/base/a.cc", "#include <sys/epoll.h>\n"));
  EXPECT_EQ(1u,
            Faults("lib/base/a.cc", "#include <google/protobuf/message.h>\n"));
  EXPECT_EQ(
      1u, Faults("lib/base/a.cc", "#include \"google/protobuf/message.h\"\n"));
}

TEST(Arrows, LibWireIncludesLibBaseAndItself) {
  EXPECT_EQ(0u, Faults("lib/wire/a.h",
                       "#include \"tern/lib/base/log.h\"\n"
                       "#include \"tern/lib/wire/frame.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/wire/a.h", "#include \"tern/lib/call/b.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/wire/a.h", "#include \"tern/lib/net/socket.h\"\n"));
}

TEST(Arrows, LibWireHasNoSystemThreadOrClock) {
  for (const char* header :
       {"<sys/socket.h>", "<sys/uio.h>", "<thread>", "<mutex>", "<chrono>",
        "<ctime>", "<time.h>", "<pthread.h>", "<condition_variable>",
        "<unistd.h>", "\"absl/time/clock.h\"", "\"lib/base/mutex.h\"",
        "\"lib/base/thread.h\"", "\"lib/base/thread_pool.h\""}) {
    EXPECT_EQ(1u,
              Faults("lib/wire/a.cc", std::string("#include ") + header + "\n"))
        << header;
  }
  EXPECT_EQ(0u, Faults("lib/wire/a.cc",
                       "#include <cstring>\n"
                       "#include \"absl/time/time.h\"\n"));
}

TEST(Arrows, LibCallIncludesBaseWireAndItself) {
  EXPECT_EQ(0u, Faults("lib/call/a.h",
                       "#include \"tern/lib/base/mutex.h\"\n"
                       "#include \"tern/lib/wire/frame.h\"\n"
                       "#include \"tern/lib/call/deadline.h\"\n"));
  EXPECT_EQ(1u,
            Faults("lib/call/a.h", "#include \"tern/lib/net/address.h\"\n"));
}

TEST(Arrows, LibNetIncludesBaseWireAndItselfAndNoProtobuf) {
  EXPECT_EQ(0u, Faults("lib/net/a.h",
                       "#include <sys/socket.h>\n"
                       "#include \"tern/lib/wire/session.h\"\n"));
  EXPECT_EQ(1u,
            Faults("lib/net/a.h", "#include \"tern/lib/call/deadline.h\"\n"));
  EXPECT_EQ(1u,
            Faults("lib/net/a.h", "#include \"google/protobuf/message.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/net/a.h", "#include \"tern/hello.pb.h\"\n"));
}

TEST(Arrows, LibIncludesNeitherEnd) {
  for (const char* folder :
       {"lib/base/", "lib/wire/", "lib/call/", "lib/net/", "lib/codegen/"}) {
    const std::string path = std::string(folder) + "a.cc";
    EXPECT_EQ(1u, Faults(path, "#include \"tern/server/server.h\"\n")) << path;
    EXPECT_EQ(1u, Faults(path, "#include \"tern/client/channel.h\"\n")) << path;
  }
}

TEST(Arrows, TheCodeGeneratorIncludesNothingOfTheRuntime) {
  EXPECT_EQ(
      0u, Faults("lib/codegen/a.h", "#include \"tern/lib/codegen/model.h\"\n"));
  EXPECT_EQ(1u,
            Faults("lib/codegen/a.h", "#include \"tern/lib/base/log.h\"\n"));
}

TEST(Arrows, ServerAndClientDoNotIncludeEachOther) {
  EXPECT_EQ(0u, Faults("server/a.h",
                       "#include \"tern/lib/net/socket.h\"\n"
                       "#include \"tern/server/b.h\"\n"));
  EXPECT_EQ(1u, Faults("server/a.h", "#include \"tern/client/channel.h\"\n"));
  EXPECT_EQ(1u, Faults("client/a.h", "#include \"tern/server/server.h\"\n"));
  EXPECT_EQ(1u,
            Faults("server/a.h", "#include \"tern/lib/codegen/names.h\"\n"));
}

TEST(Arrows, TheCoreIncludesNeitherTestsNorExamples) {
  EXPECT_EQ(1u, Faults("server/a.h", "#include \"tests/testing/b.h\"\n"));
  EXPECT_EQ(1u, Faults("client/a.h", "#include \"examples/kv/b.h\"\n"));
}

TEST(Arrows, ExamplesIncludeOnlyPublicHeadersOfTheTwoEnds) {
  EXPECT_EQ(0u, Faults("examples/a/b.cc",
                       "#include \"tern/client/channel.h\"\n"
                       "#include \"examples/a/a.tern.client.h\"\n"
                       "#include \"tern/lib/base/log.h\"\n"
                       "#include \"tern/lib/call/call_error.h\"\n"
                       "#include \"tern/server/server.h\"\n"));
  EXPECT_EQ(1u,
            Faults("examples/a/b.cc", "#include \"tern/lib/net/socket.h\"\n"));
  EXPECT_EQ(1u, Faults("examples/a/b.cc",
                       "#include \"tern/server/server_call.h\"\n"));
}

TEST(Arrows, PathsStartAtTheRoot) {
  EXPECT_EQ(1u, Faults("lib/wire/a.cc", "#include \"frame.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/wire/a.cc", "#include \"../base/log.h\"\n"));
}

TEST(Arrows, OursAreWrittenWithTernBeforeThem) {
  EXPECT_EQ(0u, Faults("lib/wire/a.cc", "#include \"tern/lib/wire/b.h\"\n"));
  EXPECT_EQ(1u, Faults("lib/wire/a.cc", "#include \"lib/wire/b.h\"\n"));
  EXPECT_EQ(1u, Faults("server/a.cc", "#include \"server/b.h\"\n"));
}

TEST(Arrows, AFolderWithoutARuleIsAFault) {
  EXPECT_EQ(1u, Faults("lib/new/a.cc", ""));
}

TEST(Arrows, EveryWayToWriteAnIncludeIsRead) {
  EXPECT_EQ(3u, Faults("lib/wire/a.cc",
                       "  #  include  <mutex>  // For the lock.\n"
                       "#include<thread>\n"
                       "// #include <chrono>\n"
                       "#include <chrono>"));  // The last line has no newline.
}

TEST(Arrows, AFaultNamesFileLineAndInclude) {
  const auto faults = CheckIncludes("server/a.cc",
                                    "\n#include <string>\n"
                                    "#include \"tern/client/b.h\"\n");
  ASSERT_EQ(1u, faults.size());
  EXPECT_EQ(0u, faults[0].find("server/a.cc:3: ")) << faults[0];
  EXPECT_NE(std::string::npos, faults[0].find("\"tern/client/b.h\""))
      << faults[0];
}

}  // namespace
}  // namespace tern::layering
