// What a connection allows: how many calls, how large messages and headers.

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

// R6.
TEST(SessionLimits, CallsAtOnce) {
  SessionPair pair({}, {.hello = {.max_concurrent_calls = 3}});
  pair.Run();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pair.client.session().CanStart(),
              wire::Session::StartBlock::kNone);
    pair.client.Call(kUnary, "q", pair.now);
  }
  EXPECT_EQ(pair.client.session().CanStart(), wire::Session::StartBlock::kFull);
  pair.Run();
  EXPECT_EQ(pair.server.session().open_streams(), 3u);
  pair.server.Reply(3, "a").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.session().CanStart(), wire::Session::StartBlock::kNone);
}

// What a client began before it knew the limit is refused, and costs nothing.
TEST(SessionLimits, CallsBegunBeforeHelloAreRefusedAboveTheLimit) {
  SessionPair pair({}, {.hello = {.max_concurrent_calls = 1}});
  for (int i = 0; i < 100; ++i) pair.client.Call(kUnary, "q");
  EXPECT_EQ(pair.client.session().CanStart(), wire::Session::StartBlock::kFull);
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().size(), 99u);
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  EXPECT_FALSE(pair.server.session().closed());
  // A hundred faults of another kind are still to be had.
  RecordingHost& client = pair.client;
  EXPECT_EQ(client.session().CanStart(), wire::Session::StartBlock::kFull);
}

TEST(SessionLimits, MessagesBothWays) {
  SessionPair pair({.hello = {.max_message_bytes = 2000}},
                   {.hello = {.max_message_bytes = 1000}});
  pair.Run();
  EXPECT_NE(pair.client.Call(kUnary, Pattern(1000), pair.now), 0u);
  EXPECT_EQ(pair.client.Call(kUnary, Pattern(1001), pair.now), 0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pair.client.start_status().message(),
            "request of 1001 bytes exceeds the server's limit of 1000 bytes "
            "(max_message_bytes)");
  EXPECT_NE(pair.client.Call(kUnary, "q", pair.now), 0u);
  pair.Run();
  EXPECT_TRUE(pair.server.Reply(1, Pattern(2000)).ok());
  const absl::Status status = pair.server.Reply(3, Pattern(2001));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "response of 2001 bytes exceeds the client's limit of 2000 bytes "
            "(max_message_bytes)");
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 2000 bytes", "end 1 OK",
                          "end 3 RESOURCE_EXHAUSTED FINISHED peer"));
  EXPECT_EQ(pair.client.last_text(), status.message());
}

TEST(SessionLimits, MessagesOfAStream) {
  SessionPair pair({}, {.hello = {.max_message_bytes = 1000}});
  pair.Run();
  pair.client.Open(kBidirectional, pair.now);
  EXPECT_TRUE(pair.client.Send(1, Pattern(1000)).ok());
  EXPECT_EQ(pair.client.Send(1, Pattern(1001)).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(pair.client.Send(1, "still open").ok());
  pair.Run();
  EXPECT_THAT(pair.server.messages(1),
              ElementsAre(Pattern(1000), "still open"));
}

// F5: sent before HELLO, refused as soon as LENGTH shows it.
TEST(SessionLimits, AMessageThatTheClientCouldNotKnowToBeTooLarge) {
  SessionPair pair({}, {.hello = {.max_message_bytes = 100'000}});
  pair.client.Call(kUnary, Pattern(100'000));
  pair.client.Call(kUnary, Pattern(100'001));
  pair.client.Call(kUnary, "small");
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 3 RESOURCE_EXHAUSTED NOT_STARTED peer"));
  EXPECT_EQ(pair.client.last_text(),
            "request of 100001 bytes exceeds the server's limit of 100000 "
            "bytes (max_message_bytes)");
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
  EXPECT_EQ(pair.server.messages(5).size(), 1u);
  EXPECT_EQ(pair.client.session().unsent_bytes(), 0u);
}

TEST(SessionLimits, TheLargestMessageOfAllByDefault) {
  SessionPair pair;
  pair.Run();
  EXPECT_NE(pair.client.Call(kUnary, Pattern(4'194'304), pair.now), 0u);
  EXPECT_EQ(pair.client.Call(kUnary, Pattern(4'194'305), pair.now), 0u);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).front().size(), 4'194'304u);
  pair.server.Reply(1, Pattern(4'194'304)).IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
}

TEST(SessionLimits, MetadataFailsWhereItIsSent) {
  SessionPair pair(
      {.hello = {.metadata = {.max_bytes = 100, .max_entries = 2}}},
      {.hello = {.metadata = {.max_bytes = 50, .max_entries = 2}}});
  pair.Run();
  const std::string fits(50 - 8 - 1, 'v');
  const std::string exceeds(50 - 8 - 1 + 1, 'v');
  EXPECT_NE(
      pair.client.Call(kUnary, "q", pair.now, {.metadata = {{"k", fits}}}), 0u);
  EXPECT_EQ(
      pair.client.Call(kUnary, "q", pair.now, {.metadata = {{"k", exceeds}}}),
      0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pair.client.Call(kUnary, "q", pair.now,
                             {.metadata = {{"a", ""}, {"b", ""}, {"c", ""}}}),
            0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pair.client.Call(kUnary, "q", pair.now, {.metadata = {{"K", ""}}}),
            0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kInvalidArgument);
  pair.Run();

  const std::string large(100, 'v');
  EXPECT_EQ(pair.server.session()
                .SendResponseHeader(pair.server.stream(1),
                                    {.metadata = {{"k", large}}})
                .code(),
            absl::StatusCode::kResourceExhausted);
  // With OK there is nothing else to say; an error is kept.
  EXPECT_EQ(pair.server.Finish(1, {.trailing_metadata = {{"k", large}}}).code(),
            absl::StatusCode::kResourceExhausted);
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  EXPECT_TRUE(pair.server
                  .Finish(3, {.code = absl::StatusCode::kNotFound,
                              .message = "no such key",
                              .certainty = Certainty::kFinished,
                              .trailing_metadata = {{"k", large}}})
                  .ok());
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 RESOURCE_EXHAUSTED FINISHED peer",
                          "end 3 NOT_FOUND FINISHED peer truncated"));
  EXPECT_EQ(pair.client.last_text(), "no such key");
}

// A peer may announce more metadata than one header block can hold.
TEST(SessionLimits, HeaderBlocksFailWhereTheyAreSent) {
  wire::Hello generous = {.max_frame_bytes = 1 << 20,
                          .metadata = {.max_bytes = 1 << 20}};
  SessionPair pair({.hello = generous}, {.hello = generous});
  pair.Run();
  const std::string value(70'000, 'v');
  EXPECT_EQ(
      pair.client.Call(kUnary, "q", pair.now, {.metadata = {{"k", value}}}),
      0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kResourceExhausted);
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  EXPECT_EQ(pair.server.session()
                .SendResponseHeader(pair.server.stream(1),
                                    {.metadata = {{"k", value}}})
                .code(),
            absl::StatusCode::kResourceExhausted);
  pair.server
      .Finish(1, {.code = absl::StatusCode::kAborted,
                  .certainty = Certainty::kFinished,
                  .trailing_metadata = {{"k", value}}})
      .IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 ABORTED FINISHED peer truncated"));
}

TEST(SessionLimits, AHugeStatusIsCutAndKeepsItsCode) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  const std::string message(1 << 20, 'm');
  pair.server
      .Finish(1, {.code = absl::StatusCode::kDataLoss,
                  .message = message,
                  .certainty = Certainty::kFinished})
      .IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 DATA_LOSS FINISHED peer truncated"));
  EXPECT_GT(pair.client.last_text().size(), 16'000u);
}

// F16.
TEST(SessionLimits, WhenTheIdsAreUsedUpNoCallStarts) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(UnaryFrame(0x7fffffff, "last"));
  EXPECT_EQ(peer.host.TakeEvents().back(), "half-close 2147483647");
  peer.host.Reply(0x7fffffff, "a").IgnoreError();
  EXPECT_THAT(peer.Frames(), ElementsAre("STATUS 2147483647 OK payload=1"));
}

TEST(SessionLimits, RequiredFeaturesAndCodecsThatTheServerLacks) {
  SessionPair pair;
  pair.client.Call(kUnary, "q", pair.now, {.required_features = 1u << 5});
  pair.client.Call(kUnary, "q", pair.now, {.codec = 1});
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 UNIMPLEMENTED NOT_STARTED peer",
                          "end 3 UNIMPLEMENTED NOT_STARTED peer"));
  EXPECT_THAT(pair.server.TakeEvents(), IsEmpty());
}

}  // namespace
}  // namespace tern::testing
