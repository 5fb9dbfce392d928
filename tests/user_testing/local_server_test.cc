#include "tern/testing/local_server.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

size_t Folders() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/tmp")) {
    count += entry.path().filename().string().starts_with("tern-local-");
  }
  return count;
}

TEST(LocalServer, AnswersCallsOfEachKind) {
  TestService service;
  service.OnChat(
      [](ServerContext& context, ServerStream<Message, Message>& stream) {
        EXPECT_TRUE(context.peer().starts_with("unix:")) << context.peer();
        Message message;
        while (stream.Read(&message)) EXPECT_TRUE(stream.Write(message));
        return absl::OkStatus();
      });
  LocalServer local({&service});
  Tester::Stub stub(local.channel());
  const absl::StatusOr<Message> reply = stub.Call(MessageWith("one"));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "one");
  auto stream = stub.Chat();
  Message message;
  ASSERT_TRUE(stream.Write(MessageWith("two")));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.text(), "two");
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(LocalServer, KeepsToItsOptions) {
  TestService service;
  LocalServer local({&service}, {.max_message_bytes = 1000});
  Message message;
  message.set_payload(std::string(2000, 'x'));
  EXPECT_EQ(Tester::Stub(local.channel()).Call(message).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(LocalServer, CanBeStoppedToSeeWhatBecomesOfCalls) {
  TestService service;
  LocalServer local({&service});
  const auto other = local.NewChannel();
  EXPECT_TRUE(CallStatus(*other, "x").ok());
  local.server().Stop();
  EXPECT_EQ(CallStatus(*other, "x").code(), absl::StatusCode::kUnavailable);
}

TEST(LocalServer, LeavesNothingBehindAndDisturbsNoOther) {
  const size_t before = Folders();
  {
    TestService service;
    LocalServer one({&service});
    LocalServer two({&service});
    EXPECT_TRUE(CallStatus(one.channel(), "x").ok());
    EXPECT_TRUE(CallStatus(two.channel(), "x").ok());
  }
  EXPECT_LE(Folders(), before);
}

}  // namespace
}  // namespace tern::testing
