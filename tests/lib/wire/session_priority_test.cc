// The order in which a session sends what waits: the urgent first, nothing
// never.

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using wire::FrameType;

// Room for all that a test sends.
wire::SessionOptions Wide() {
  return {.hello = {.max_frame_bytes = 64 << 10,
                    .max_message_bytes = 64 << 20,
                    .stream_window_bytes = wire::Hello::kMaxWindowBytes,
                    .connection_window_bytes = wire::Hello::kMaxWindowBytes}};
}

// The streams of the DATA frames, in order, and "P" for PING.
std::string Order(std::string_view bytes) {
  std::string order;
  while (bytes.size() >= wire::kFrameHeaderBytes) {
    const wire::FrameHeader header = wire::DecodeFrameHeader(bytes.data());
    bytes.remove_prefix(wire::kFrameHeaderBytes + header.length);
    if (header.type == static_cast<uint8_t>(FrameType::kData)) {
      order += std::to_string(header.stream);
    } else if (header.type == static_cast<uint8_t>(FrameType::kPing)) {
      order += 'P';
    }
  }
  return order;
}

class SessionPriorityTest : public ::testing::Test {
 protected:
  SessionPriorityTest() {
    pair_.Run();
    pair_.sent_to_server.clear();
  }

  // A message of so many frames, or nearly, on a stream of its own.
  wire::StreamId SendBulk(size_t frames, uint32_t priority) {
    return pair_.client.Call(kClientStreaming, Pattern(frames * 65'000),
                             pair_.now,
                             {.half_close = false, .priority = priority});
  }
  // So long after the last call began that nothing gives way to it.
  std::string SentByClient() {
    pair_.now = pair_.now + absl::Seconds(1);
    pair_.client.session().OnTime(pair_.now);
    pair_.Run();
    return Order(std::exchange(pair_.sent_to_server, {}));
  }

  SessionPair pair_{Wide(), Wide()};
};

TEST_F(SessionPriorityTest, OfOnePriorityTakeTurns) {
  SendBulk(4, 0);
  SendBulk(4, 0);
  SendBulk(4, 0);
  EXPECT_EQ(SentByClient(), "135135135135");
  SendBulk(3, 6);
  SendBulk(3, 6);
  EXPECT_EQ(SentByClient(), "797979");
}

TEST_F(SessionPriorityTest, UrgentOvertakesBulk) {
  SendBulk(20, 0);
  SendBulk(3, 5);
  EXPECT_EQ(SentByClient(), "333" + std::string(20, '1'));
}

TEST_F(SessionPriorityTest, BulkIsNotStarved) {
  SendBulk(4, 0);
  SendBulk(24, 3);
  EXPECT_EQ(SentByClient(),
            "333333331333333331333333331"
            "1");
}

TEST_F(SessionPriorityTest, EachClassGetsOn) {
  SendBulk(2, 0);
  SendBulk(2, 4);
  SendBulk(40, 7);
  const std::string order = SentByClient();
  EXPECT_EQ(order.substr(0, 36), "555555551555555553555555551555555553");
  EXPECT_EQ(order.substr(36),
            "5555"
            "5555");
}

// What comes later overtakes what has begun.
TEST_F(SessionPriorityTest, OvertakesInTheMiddle) {
  SendBulk(20, 0);
  pair_.MoveToServer();  // As much as the output takes at once.
  const std::string first = Order(std::exchange(pair_.sent_to_server, {}));
  EXPECT_LT(first.size(), 8u);
  SendBulk(2, 1);
  EXPECT_EQ(SentByClient(), "33" + std::string(20 - first.size(), '1'));
}

// A server answers with the priority that the call has.
TEST_F(SessionPriorityTest, HoldsForAnswersToo) {
  for (const uint32_t priority : {0u, 2u}) {
    pair_.client.Call(kUnary, "q", pair_.now, {.priority = priority});
  }
  pair_.Run();
  pair_.sent_to_client.clear();
  EXPECT_TRUE(pair_.server.Reply(1, Pattern(10 * 65'000)).ok());
  EXPECT_TRUE(pair_.server.Reply(3, Pattern(3 * 65'000)).ok());
  pair_.Run();
  EXPECT_EQ(Order(pair_.sent_to_client), "333" + std::string(10, '1'));
}

TEST_F(SessionPriorityTest, DoesNotHoldUpTheConnectionsOwnFrames) {
  SendBulk(100, 7);
  (void)pair_.client.session().Output();  // It is full.
  pair_.client.session().Receive(PingFrame("12345678"), pair_.now);
  pair_.MoveToServer();
  const std::string order = Order(pair_.sent_to_server);
  EXPECT_NE(order.find('P'), order.npos) << order;
  EXPECT_LE(order.find('P'), size_t{5}) << order;
}

// Long streams give way to calls beside them, for a while; not urgent ones.
TEST_F(SessionPriorityTest, UrgentDoesNotGiveWay) {
  for (const uint32_t priority : {0u, 3u}) {
    SendBulk(20, priority);
    pair_.client.Call(kUnary, "q", pair_.now);
    pair_.Run();
    const std::string order = Order(std::exchange(pair_.sent_to_server, {}));
    if (priority == 0) {
      EXPECT_LT(order.size(), 20u) << order;
      EXPECT_EQ(order + SentByClient(), std::string(20, '1'));
    } else {
      EXPECT_EQ(order, std::string(20, '5'));
    }
  }
}

TEST_F(SessionPriorityTest, CancelledStreamsLeaveTheirTurns) {
  SendBulk(5, 0);
  SendBulk(5, 3);
  SendBulk(3, 3);
  pair_.client.Cancel(3);
  EXPECT_EQ(SentByClient(),
            "555"
            "11111");
}

}  // namespace
}  // namespace tern::testing
