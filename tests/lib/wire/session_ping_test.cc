// PING: keepalive, and answers within the announced rate (R9, L3).

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_peer.h"
#include "tests/testing/session_io.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::ErrorCode;
using wire::Role;

const wire::SessionOptions kKeepalive = {
    .keepalive_interval = absl::Seconds(30),
    .keepalive_timeout = absl::Seconds(15)};

TEST(SessionPing, IsAnsweredWithItsPayload) {
  for (const Role role : {Role::kClient, Role::kServer}) {
    RawPeer peer(role);
    peer.Greet();
    peer.Feed(PingFrame(std::string("\x01\x23\x45\x67\x89\xab\xcd\xef", 8)));
    EXPECT_THAT(peer.Frames(), ElementsAre("PING ACK 0123456789abcdef"));
    peer.Feed(PingFrame("unasked!", /*ack=*/true));
    EXPECT_THAT(peer.Frames(), IsEmpty());
  }
}

TEST(SessionPing, TooSoonIsAnsweredLateAndOnce) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(PingFrame("aaaaaaaa"));
  peer.Frames();
  peer.Wait(absl::Seconds(1));
  peer.Feed(PingFrame("bbbbbbbb"));
  peer.Feed(PingFrame("cccccccc"));
  EXPECT_THAT(peer.Frames(), IsEmpty());
  EXPECT_EQ(peer.host.session().NextTimeout(),
            RawPeer::kStart + absl::Seconds(10));
  peer.Wait(absl::Milliseconds(8999));
  EXPECT_THAT(peer.Frames(), IsEmpty());
  peer.Wait(absl::Milliseconds(1));
  EXPECT_THAT(peer.Frames(), ElementsAre("PING ACK 6363636363636363"));
  EXPECT_TRUE(peer.host.session().NextTimeout().is_infinite());
}

TEST(SessionPing, TheAnnouncedIntervalCounts) {
  RawPeer peer(Role::kServer, {.min_ping_interval_ms = 100});
  peer.Greet();
  for (int i = 0; i < 20; ++i) {
    peer.Feed(PingFrame("12345678"));
    EXPECT_EQ(peer.Frames().size(), 1u);
    peer.Wait(absl::Milliseconds(100));
  }
}

TEST(SessionPing, TheThirdInARowThatIsTooSoonIsAbuse) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  for (int i = 0; i < 3; ++i) peer.Feed(PingFrame("12345678"));
  EXPECT_FALSE(peer.host.session().closed());
  peer.Feed(PingFrame("12345678"));
  EXPECT_THAT(peer.host.TakeEvents(), ElementsAre("closed ABUSE"));
}

TEST(SessionPing, KeepaliveAsksWhileCallsAreOpen) {
  SessionPair pair(kKeepalive);
  pair.Run();
  EXPECT_TRUE(pair.client.session().NextTimeout().is_infinite()) << "idle";
  pair.Advance(absl::Minutes(10));
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  EXPECT_EQ(pair.client.session().NextTimeout(), pair.now + absl::Seconds(30));
  pair.sent_to_server.clear();
  pair.Advance(absl::Minutes(5));
  EXPECT_THAT(DescribeFrames(pair.sent_to_server),
              ::testing::Each("PING 0000000000000001"));
  EXPECT_EQ(DescribeFrames(pair.sent_to_server).size(), 10u);
  EXPECT_FALSE(pair.client.session().closed());
}

// L3: a peer that is gone without a word.
TEST(SessionPing, KeepaliveGivesUp) {
  SessionPair pair(kKeepalive);
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.connected = false;
  pair.Advance(absl::Milliseconds(44'999));
  EXPECT_FALSE(pair.client.session().closed());
  pair.Advance(absl::Milliseconds(1));
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 UNAVAILABLE MAYBE_STARTED connection",
                          "closed TIMEOUT"));
}

TEST(SessionPing, AnyByteCountsAsLife) {
  RawPeer peer(Role::kServer);
  wire::SessionOptions options = kKeepalive;
  options.role = Role::kServer;
  RecordingHost host(options, RawPeer::kStart);
  MonotonicTime now = RawPeer::kStart;
  host.session().Receive(GreetingBytes() + UnaryFrame(1, "q"), now);
  const std::string large = UnaryFrame(3, std::string(100, 'x'));
  for (const char byte : large.substr(0, 8)) {
    now = now + absl::Seconds(1);
    host.session().OnTime(now);
    host.session().Receive(std::string(1, byte), now);
  }
  EXPECT_FALSE(host.session().closed());
  EXPECT_EQ(DescribeFrames(OutputOf(host.session())).size(), 2u) << "no PING";
}

TEST(SessionPing, KeepaliveKeepsThePeersInterval) {
  SessionPair pair({.keepalive_interval = absl::Milliseconds(10)},
                   {.hello = {.min_ping_interval_ms = 5000}});
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.sent_to_server.clear();
  pair.Advance(absl::Seconds(60));
  EXPECT_EQ(DescribeFrames(pair.sent_to_server).size(), 12u);
  EXPECT_FALSE(pair.server.session().closed());
}

// One that was asked before the last call ended does not end the next one.
TEST(SessionPing, IdleTimeIsNotSilence) {
  SessionPair pair(kKeepalive);
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.connected = false;
  pair.Advance(absl::Seconds(31));
  pair.connected = true;
  pair.Run();
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  pair.Advance(absl::Hours(1));
  pair.client.Call(kUnary, "q", pair.now);
  pair.Advance(absl::Seconds(1));
  EXPECT_EQ(pair.server.events().back(), "half-close 3");
  EXPECT_FALSE(pair.client.session().closed());
}

// L3: calls that each end at their deadline do not hide that nobody is there.
TEST(SessionPing, ShortCallsOneAfterTheOtherFindADeadPeerToo) {
  SessionPair pair(kKeepalive);
  pair.Run();
  pair.connected = false;
  const MonotonicTime start = pair.now;
  while (!pair.client.session().closed()) {
    pair.client.Call(kUnary, "q", pair.now,
                     {.deadline = pair.now + absl::Seconds(1)});
    pair.Advance(absl::Seconds(2));
    ASSERT_LT(pair.now, start + absl::Minutes(1));
  }
  EXPECT_EQ(pair.client.events().back(), "closed TIMEOUT");
}

// The answer may lie in the kernel, unread.
TEST(SessionPing, KeepaliveWaitsWhileTheHostDoesNotRead) {
  SessionPair pair(kKeepalive);
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.connected = false;
  pair.Advance(absl::Seconds(31));  // A PING is out.
  pair.client.session().PauseReceiving(true, pair.now);
  pair.Advance(absl::Minutes(10));
  EXPECT_FALSE(pair.client.session().closed());
  pair.client.session().PauseReceiving(false, pair.now);
  pair.client.session().OnTime(pair.now);
  EXPECT_FALSE(pair.client.session().closed());
  pair.Advance(absl::Seconds(15));
  EXPECT_EQ(pair.client.events().back(), "closed TIMEOUT");
}

TEST(SessionPing, APingWithoutAnswerEndsAnIdleConnectionToo) {
  SessionPair pair(kKeepalive);
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Seconds(31)});
  pair.Run();
  pair.connected = false;
  pair.Advance(absl::Seconds(31));
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
  EXPECT_FALSE(pair.client.session().closed());
  pair.Advance(absl::Seconds(14));
  EXPECT_EQ(pair.client.events().back(), "closed TIMEOUT");
}

}  // namespace
}  // namespace tern::testing
