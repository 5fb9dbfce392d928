// A unary call between two sessions, from the first byte to the last.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SessionUnary, IsOneFrameEachWayWhenItFits) {
  SessionPair pair;
  EXPECT_EQ(pair.client.Call(kUnary, "question"), 1u);
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Unary", "message 1 \"question\"",
                          "half-close 1"));
  EXPECT_TRUE(pair.server.Reply(1, "answer").ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"answer\"", "end 1 OK"));

  EXPECT_THAT(
      DescribeFrames(pair.sent_to_server),
      ElementsAre("PREFACE", "HELLO",
                  "HEADERS 1 END_STREAM|END_MESSAGE block=26 payload=8"));
  EXPECT_THAT(DescribeFrames(pair.sent_to_client),
              ElementsAre("PREFACE", "HELLO", "STATUS 1 OK payload=6"));
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionUnary, StartsBeforeTheServersHelloHasCome) {
  SessionPair pair;
  pair.client.Call(kUnary, "a");
  pair.client.Call(kUnary, "b");
  EXPECT_FALSE(pair.client.session().has_peer_hello());
  pair.MoveToServer();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Unary", "message 1 \"a\"", "half-close 1",
                  "call 3 test.Test/Unary", "message 3 \"b\"", "half-close 3"));
}

TEST(SessionUnary, EmptyMessagesAreMessages) {
  SessionPair pair;
  pair.client.Call(kUnary, "");
  pair.Run();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Unary", "message 1 \"\"", "half-close 1"));
  pair.server.Reply(1, "").IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"\"", "end 1 OK"));
}

TEST(SessionUnary, CarriesAnErrorWithEverythingThatAStatusHas) {
  SessionPair pair;
  pair.client.Call(kUnary, "question");
  pair.Run();
  pair.server
      .Finish(1, {.code = absl::StatusCode::kNotFound,
                  .message = "no such key",
                  .certainty = Certainty::kFinished,
                  .trailing_metadata = {{"shard", "7"}}})
      .IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 NOT_FOUND FINISHED peer shard=7"));
  EXPECT_EQ(pair.client.last_text(), "no such key");
}

TEST(SessionUnary, CarriesMetadataBothWays) {
  SessionPair pair;
  pair.client.Call(kUnary, "q", pair.now,
                   {.metadata = {{"user", "ann"}, {"user", "bob"}}});
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Unary user=ann user=bob",
                          "message 1 \"q\"", "half-close 1"));
  const wire::ResponseHeader header = {.metadata = {{"cache", "hit"}}};
  EXPECT_TRUE(pair.server.session()
                  .SendResponseHeader(pair.server.stream(1), header)
                  .ok());
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("header 1 cache=hit", "message 1 \"a\"", "end 1 OK"));
}

TEST(SessionUnary, AttachmentsTravelBesideTheirMessages) {
  SessionPair pair;
  pair.client.Call(kUnary, TestMessage("messageATTACHED", 8));
  pair.Run();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Unary",
                  "message 1 \"message\" + \"ATTACHED\"", "half-close 1"));
  // All of it may be attachment.
  pair.server.Reply(1, TestMessage("RAW", 3)).IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"\" + \"RAW\"", "end 1 OK"));
}

TEST(SessionUnary, LargeMessagesWithAttachmentsTravelInChunks) {
  SessionPair pair;
  pair.server.log_details = true;
  const std::string request = Pattern(300'000, 1);
  const std::string reply = Pattern(500'000, 2);
  pair.client.Call(kUnary, TestMessage(request, 100'000));
  pair.Run();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("hello", "call 1 test.Test/Unary", "begin 1 300000",
                  "message 1 200000 bytes + 100000 bytes", "half-close 1"));
  EXPECT_THAT(pair.server.messages(1), ElementsAre(request));
  pair.server.Reply(1, TestMessage(reply, 100)).IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 499900 bytes + 100 bytes", "end 1 OK"));
  EXPECT_THAT(pair.client.messages(1), ElementsAre(reply));
  EXPECT_EQ(pair.client.session().unsent_bytes(), 0u);
  EXPECT_EQ(pair.server.session().unsent_bytes(), 0u);
  EXPECT_EQ(pair.server.session().assembling_bytes(), 0u);
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

// One message at each size around the largest that one frame holds.
TEST(SessionUnary, SizesAroundOneFrame) {
  for (int size = 16384 - 60; size <= 16384 + 10; ++size) {
    for (const size_t attachment : {0, 5}) {
      SessionPair pair;
      const std::string bytes = Pattern(size, size);
      pair.client.Call(kUnary, TestMessage(bytes, attachment));
      pair.Run();
      EXPECT_THAT(pair.server.messages(1), ElementsAre(bytes));
      pair.server.Reply(1, TestMessage(bytes, attachment)).IgnoreError();
      pair.Run();
      EXPECT_THAT(pair.client.messages(1), ElementsAre(bytes));
      EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
    }
  }
}

TEST(SessionUnary, ALargeMessageDoesNotHoldUpASmallOne) {
  SessionPair pair;
  pair.client.Call(kUnary, Pattern(2'000'000));
  pair.client.Call(kUnary, "small");
  pair.MoveToServer();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 3");
  pair.server.Reply(3, "quick").IgnoreError();
  pair.MoveToClient();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 3 \"quick\"", "end 3 OK"));
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("message 1 2000000 bytes", "half-close 1"));
}

TEST(SessionUnary, LargeMessagesTakeTurns) {
  SessionPair pair;
  pair.client.Call(kUnary, Pattern(50'000, 1));
  pair.client.Call(kUnary, Pattern(50'000, 3));
  pair.Run();
  std::vector<uint32_t> turns;
  for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
    if (frame.type == 3) turns.push_back(frame.stream);
  }
  EXPECT_THAT(turns, ElementsAre(1, 3, 1, 3, 1, 3, 1, 3));
}

// F22: L15: what a server's host forgets is INTERNAL on that call alone.
TEST(SessionUnary, OkWithoutAMessageIsInternalToTheClient) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.Finish(1).IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 INTERNAL MAYBE_STARTED fault"));
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  pair.server.Reply(3, "a").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 3 OK");
}

TEST(SessionUnary, ManyCallsEndInAnyOrder) {
  SessionPair pair;
  for (int i = 0; i < 50; ++i) {
    pair.client.Call(kUnary, Pattern(i * 1000, i));
  }
  pair.Run();
  pair.server.TakeEvents();
  for (wire::StreamId id = 99;; id -= 2) {
    EXPECT_THAT(pair.server.messages(id),
                ElementsAre(Pattern((id / 2) * 1000, id / 2)));
    pair.server.Reply(id, Pattern(id * 700, id)).IgnoreError();
    if (id == 1) break;
  }
  pair.Run();
  for (wire::StreamId id = 1; id <= 99; id += 2) {
    EXPECT_THAT(pair.client.messages(id), ElementsAre(Pattern(id * 700, id)));
  }
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

}  // namespace
}  // namespace tern::testing
