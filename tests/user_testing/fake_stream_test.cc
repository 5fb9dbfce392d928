#include "tern/testing/fake_stream.h"

#include <thread>

#include "gtest/gtest.h"
#include "tests/testing/tester.pb.h"

namespace tern::testing {
namespace {

Message With(std::string_view text) {
  Message message;
  message.set_text(std::string(text));
  return message;
}

// What a handler might do.
int Echo(ServerStream<Message, Message>& stream) {
  Message message;
  int count = 0;
  for (; stream.Read(&message); ++count) {
    if (!stream.Write(message)) break;
  }
  return count;
}

TEST(FakeStream, GivesWhatWasAddedAndKeepsWhatWasWritten) {
  FakeStream<Message, Message> fake;
  fake.AddRequest(With("one"));
  fake.AddRequest(With("two"));
  fake.EndRequests();
  EXPECT_EQ(Echo(fake.stream()), 2);
  const std::vector<Message> replies = fake.TakeReplies();
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].text(), "one");
  EXPECT_EQ(replies[1].text(), "two");
  EXPECT_TRUE(fake.TakeReplies().empty());
}

TEST(FakeStream, CarriesAttachments) {
  FakeStream<Message, Message> fake;
  fake.AddRequest(With("one"), absl::Cord("bytes"));
  fake.AddRequest(With("two"));
  Message message;
  absl::Cord attachment;
  ASSERT_TRUE(fake.stream().Read(&message, &attachment));
  EXPECT_EQ(attachment, "bytes");
  ASSERT_TRUE(fake.stream().Read(&message, &attachment));
  EXPECT_TRUE(attachment.empty());
  ASSERT_TRUE(fake.stream().Write(With("three"), absl::Cord("more")));
  ASSERT_TRUE(fake.stream().Write(With("four")));
  EXPECT_EQ(fake.TakeReplies().size(), 2u);
  const std::vector<absl::Cord> attachments = fake.TakeAttachments();
  ASSERT_EQ(attachments.size(), 2u);
  EXPECT_EQ(attachments[0], "more");
  EXPECT_TRUE(attachments[1].empty());
}

TEST(FakeStream, ServesAHandlerOnAnotherThread) {
  FakeStream<Message, Message> fake;
  std::thread handler([&fake] { EXPECT_EQ(Echo(fake.stream()), 100); });
  for (int i = 0; i < 100; ++i) {
    fake.AddRequest(With(std::to_string(i)));
    EXPECT_EQ(fake.WaitForReply().text(), std::to_string(i));
  }
  fake.Cancel();
  handler.join();
  EXPECT_FALSE(fake.writer().Write(With("late")));
  Message message;
  EXPECT_FALSE(fake.reader().Read(&message));
}

}  // namespace
}  // namespace tern::testing
