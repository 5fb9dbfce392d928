// F37: the CHECKSUM feature, used when both sides announce it.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::ElementsAre;

const wire::SessionOptions kWithChecksum = {
    .hello = {.features = wire::kFeatureChecksum}};

TEST(SessionChecksum, IsOnEveryFrameThatFollowsBothHellos) {
  SessionPair pair(kWithChecksum, kWithChecksum);
  pair.client.Call(kUnary, "before");
  pair.Run();
  pair.server.Reply(1, "answer").IgnoreError();
  pair.client.Call(kUnary, "after", pair.now);
  pair.Run();
  EXPECT_THAT(pair.server.messages(3), ElementsAre("after"));
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
  const auto has = [](const RawFrame& frame) {
    return (frame.flags & wire::kFlagChecksum) != 0;
  };
  const std::vector<RawFrame> requests = SplitFrames(pair.sent_to_server);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_FALSE(has(requests[0])) << "HELLO";
  EXPECT_FALSE(has(requests[1])) << "before the server's HELLO";
  EXPECT_TRUE(has(requests[2]));
  const std::vector<RawFrame> responses = SplitFrames(pair.sent_to_client);
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_FALSE(has(responses[0]));
  EXPECT_TRUE(has(responses[1]));
}

TEST(SessionChecksum, IsNotUsedWhenOneSideLacksIt) {
  for (const bool client_has_it : {true, false}) {
    SessionPair pair(client_has_it ? kWithChecksum : wire::SessionOptions(),
                     client_has_it ? wire::SessionOptions() : kWithChecksum);
    pair.Run();
    pair.client.Call(kUnary, "q", pair.now);
    pair.Run();
    pair.server.Reply(1, "a").IgnoreError();
    pair.Run();
    EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
    for (const std::string& bytes :
         {pair.sent_to_server, pair.sent_to_client}) {
      for (const RawFrame& frame : SplitFrames(bytes)) {
        EXPECT_EQ(frame.flags & wire::kFlagChecksum, 0);
      }
    }
  }
}

// Four bytes less in each frame, and none of the windows'.
TEST(SessionChecksum, SizesAroundOneFrame) {
  for (int size = 16384 - 60; size <= 16384 + 10; ++size) {
    SessionPair pair(kWithChecksum, kWithChecksum);
    pair.Run();
    const std::string bytes = Pattern(size, size);
    pair.client.Call(kUnary, TestMessage(bytes, 5), pair.now);
    pair.Run();
    EXPECT_THAT(pair.server.messages(1), ElementsAre(bytes));
    pair.server.Reply(1, TestMessage(bytes, 7)).IgnoreError();
    pair.Run();
    EXPECT_THAT(pair.client.messages(1), ElementsAre(bytes));
    EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
    for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
      EXPECT_LE(frame.block.size() + frame.payload.size(), 16'384u);
    }
  }
}

TEST(SessionChecksum, LargeMessagesStatusesAndDrain) {
  SessionPair pair(kWithChecksum, kWithChecksum);
  pair.Run();
  pair.client.Call(kUnary, Pattern(500'000), pair.now);
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  const std::string message(100'000, 'm');
  pair.server
      .Finish(3, {.code = absl::StatusCode::kAborted,
                  .message = message,
                  .certainty = Certainty::kFinished})
      .IgnoreError();
  pair.server.session().Drain("restart", pair.now);
  pair.Run();
  pair.server.Reply(1, Pattern(500'000, 1)).IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.messages(1), ElementsAre(Pattern(500'000, 1)));
  EXPECT_EQ(pair.client.events().back(), "closed NO_ERROR");
}

TEST(SessionChecksum, EveryFlippedBitIsFound) {
  SessionPair pair(kWithChecksum, kWithChecksum);
  pair.Run();
  const size_t greeting = pair.sent_to_server.size();
  pair.client.Call(kUnary, "question", pair.now);
  pair.Run();
  const std::string bytes = pair.sent_to_server;
  // Behind the header, of which some flips are found earlier.
  for (size_t bit = 8 * (greeting + 12); bit < 8 * bytes.size(); ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    wire::SessionOptions options = kWithChecksum;
    options.role = wire::Role::kServer;
    RecordingHost server(options);
    server.session().Receive(damaged, MonotonicTime());
    EXPECT_THAT(server.TakeEvents(), ElementsAre("closed DATA_CORRUPT"));
  }
}

}  // namespace
}  // namespace tern::testing
