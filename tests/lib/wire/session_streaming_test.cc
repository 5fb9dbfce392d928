// Calls with many messages: all four shapes, both ways.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_peer.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::ErrorCode;
using wire::Role;

TEST(SessionStreaming, ClientStreamingSendsManyAndGetsOne) {
  SessionPair pair;
  pair.client.Open(kClientStreaming);
  EXPECT_TRUE(pair.client.Send(1, "one").ok());
  EXPECT_TRUE(pair.client.Send(1, "two").ok());
  EXPECT_TRUE(pair.client.Send(1, "three", /*half_close=*/true).ok());
  pair.Run();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/ClientStreaming", "message 1 \"one\"",
                  "message 1 \"two\"", "message 1 \"three\"", "half-close 1"));
  EXPECT_TRUE(pair.server.Reply(1, "sum").ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"sum\"", "end 1 OK"));
}

TEST(SessionStreaming, ServerStreamingGetsManyForOne) {
  SessionPair pair;
  pair.client.Call(kServerStreaming, "all");
  pair.Run();
  EXPECT_TRUE(pair.server.Send(1, "one").ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(), ElementsAre("message 1 \"one\""));
  EXPECT_TRUE(pair.server.Send(1, "two").ok());
  EXPECT_TRUE(pair.server.Finish(1).ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"two\"", "end 1 OK"));
}

TEST(SessionStreaming, BidirectionalAnswersAsItGoes) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  for (const char* text : {"a", "b", "c"}) {
    EXPECT_TRUE(pair.client.Send(1, text).ok());
    pair.Run();
    EXPECT_EQ(pair.server.messages(1).back(), text);
    EXPECT_TRUE(pair.server.Send(1, std::string("re: ") + text).ok());
    pair.Run();
    EXPECT_EQ(pair.client.messages(1).back(), std::string("re: ") + text);
  }
  pair.client.HalfClose(1);
  pair.Run();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 1");
  EXPECT_TRUE(pair.server.Send(1, "still there").ok());
  EXPECT_TRUE(pair.server.Finish(1).ok());
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
}

TEST(SessionStreaming, NoMessageEitherWayIsFine) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  pair.client.HalfClose(1);
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Bidirectional", "half-close 1"));
  EXPECT_TRUE(pair.server.Finish(1).ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(), ElementsAre("end 1 OK"));
}

TEST(SessionStreaming, TheHeaderComesBeforeTheFirstMessage) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  pair.Run();
  EXPECT_TRUE(
      pair.server.session()
          .SendResponseHeader(pair.server.stream(1), {.metadata = {{"k", "v"}}})
          .ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(), ElementsAre("header 1 k=v"));
}

TEST(SessionStreaming, LargeAndSmallMessagesKeepTheirOrder) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  std::vector<std::string> sent;
  for (const size_t size :
       {1, 100'000, 0, 16'384, 16'385, 2, 70'000, 65'536, 0, 1'000'000, 3}) {
    sent.push_back(Pattern(size, size));
    const size_t attachment = size % 3;
    EXPECT_TRUE(pair.client.Send(1, TestMessage(sent.back(), attachment)).ok());
  }
  pair.client.HalfClose(1);
  pair.client.HalfClose(1);  // Once is enough.
  pair.Run();
  EXPECT_EQ(pair.server.messages(1), sent);
  EXPECT_EQ(pair.server.events().back(), "half-close 1");
  for (const std::string& message : sent) {
    EXPECT_TRUE(pair.server.Send(1, message).ok());
  }
  EXPECT_TRUE(pair.server.Finish(1, {.trailing_metadata = {{"k", "v"}}}).ok());
  pair.Run();
  EXPECT_EQ(pair.client.messages(1), sent);
  EXPECT_EQ(pair.client.events().back(), "end 1 OK k=v");
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionStreaming, HalfCloseMayComeWithALargeMessage) {
  SessionPair pair;
  pair.client.Open(kClientStreaming);
  pair.client.Send(1, Pattern(100'000), /*half_close=*/true).IgnoreError();
  pair.client.Send(1, "ignored").IgnoreError();
  pair.client.HalfClose(1);
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/ClientStreaming",
                          "message 1 100000 bytes", "half-close 1"));
  for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
    EXPECT_TRUE(frame.type != 3 || !frame.payload.empty());
  }
}

// STATUS may come before the client has half-closed.
TEST(SessionStreaming, AnEarlyStatusStopsTheClient) {
  SessionPair pair;
  pair.client.Open(kClientStreaming);
  pair.server.consume = false;
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(pair.client.Send(1, Pattern(30'000)).ok());
  }
  pair.Run();
  EXPECT_GT(pair.client.session().unsent_bytes(), 0u);
  pair.server.Finish(1, absl::StatusCode::kAborted).IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 ABORTED FINISHED peer");
  EXPECT_EQ(pair.client.session().unsent_bytes(), 0u);
  EXPECT_EQ(pair.server.session().assembling_bytes(), 0u);
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionStreaming, AnErrorMayCutAMessageShort) {
  RawPeer peer(Role::kClient);
  peer.host.Open(kServerStreaming, peer.now);
  peer.host.HalfClose(1);
  peer.Greet();
  peer.Feed(RawFrame{.type = 3,
                     .flags = 0x04,
                     .stream = 1,
                     .payload = BigEndian32(5000) + std::string(2000, 'x')}
                .Bytes());
  EXPECT_EQ(peer.host.session().assembling_bytes(), 5000u);
  peer.Feed(
      RawFrame{.type = 4, .stream = 1, .block = "\x08\x0a\x20\x02"}.Bytes());
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("end 1 ABORTED FINISHED peer"));
  EXPECT_EQ(peer.host.session().assembling_bytes(), 0u);
}

TEST(SessionStreaming, TheServerMayFinishBehindWhatItHasQueued) {
  SessionPair pair;
  pair.client.Call(kServerStreaming, "all");
  pair.client.consume = false;
  pair.Run();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(pair.server.Send(1, Pattern(40'000, i)).ok());
  }
  EXPECT_TRUE(pair.server.Finish(1, absl::StatusCode::kNotFound).ok());
  pair.Run();
  EXPECT_EQ(pair.client.events().back().substr(0, 7), "message");
  while (pair.client.stream(1) != nullptr) {
    pair.client.session().Consume(pair.client.stream(1), 40'000);
    pair.Run();
  }
  EXPECT_EQ(pair.client.messages(1).size(), 5u);
  EXPECT_EQ(pair.client.events().back(), "end 1 NOT_FOUND FINISHED peer");
}

}  // namespace
}  // namespace tern::testing
