// The connection's beginning: prefaces, HELLO, versions, and who waits how
// long.

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

TEST(SessionHello, BothSidesLearnTheOthersLimits) {
  SessionPair pair({.hello = {.max_message_bytes = 1000, .agent = "client"}},
                   {.hello = {.max_frame_bytes = 20'000,
                              .max_concurrent_calls = 7,
                              .agent = "server"}});
  EXPECT_FALSE(pair.client.session().has_peer_hello());
  EXPECT_EQ(pair.client.session().peer_limits().max_concurrent_calls, 100u);
  pair.Run();
  EXPECT_TRUE(pair.client.session().has_peer_hello());
  EXPECT_EQ(pair.client.session().peer_limits().max_concurrent_calls, 7u);
  EXPECT_EQ(pair.client.session().peer_limits().max_frame_bytes, 20'000u);
  EXPECT_EQ(pair.client.peer_hello().agent, "server");
  EXPECT_EQ(pair.server.session().peer_limits().max_message_bytes, 1000u);
  EXPECT_EQ(pair.server.peer_hello().agent, "client");
}

TEST(SessionHello, TheServerIsSilentUntilItHasThePreface) {
  RawPeer peer(Role::kServer);
  const std::string preface = PrefaceBytes();
  for (size_t i = 0; i + 1 < preface.size(); ++i) {
    peer.Feed(preface.substr(i, 1));
    EXPECT_EQ(peer.Bytes(), "");
  }
  peer.Feed(preface.substr(7));
  EXPECT_THAT(peer.Frames(), ElementsAre("PREFACE", "HELLO"));
}

TEST(SessionHello, TheClientSpeaksFirst) {
  RawPeer peer(Role::kClient);
  EXPECT_THAT(peer.Frames(), ElementsAre("PREFACE", "HELLO"));
}

// F9.
TEST(SessionHello, VersionsThatDoNotMeetEndBothSides) {
  for (const bool server_newer : {true, false}) {
    wire::SessionOptions older = {
        .hello = {.min_version = 1, .max_version = 2}};
    wire::SessionOptions newer = {
        .hello = {.min_version = 3, .max_version = 5}};
    SessionPair pair(server_newer ? older : newer,
                     server_newer ? newer : older);
    pair.client.Call(kUnary, "q");
    pair.Run();
    EXPECT_THAT(pair.client.TakeEvents(),
                ElementsAre("end 1 UNIMPLEMENTED NOT_STARTED connection",
                            "closed VERSION_MISMATCH"));
    EXPECT_THAT(pair.server.TakeEvents(),
                ElementsAre("closed VERSION_MISMATCH"));
    EXPECT_THAT(pair.client.last_text(), ::testing::HasSubstr("1 to 2"));
    EXPECT_THAT(pair.client.last_text(), ::testing::HasSubstr("3 to 5"));
    EXPECT_THAT(DescribeFrames(pair.sent_to_client),
                ElementsAre("PREFACE", "HELLO", "GOAWAY 0 VERSION_MISMATCH"));
  }
}

TEST(SessionHello, VersionsThatMeetAtOneEndWork) {
  SessionPair pair({.hello = {.min_version = 1, .max_version = 3}},
                   {.hello = {.min_version = 3, .max_version = 9}});
  pair.client.Call(kUnary, "q");
  pair.Run();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 1");
}

// F8, S26.
TEST(SessionHello, GarbageIsClosedWithoutAWord) {
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01", 6), std::string(1, '\0'),
        std::string("\xD4TERN\n\x1A")}) {
    for (const Role role : {Role::kServer, Role::kClient}) {
      RawPeer peer(role);
      if (role == Role::kClient) peer.host.Call(kUnary, "q", peer.now);
      peer.Feed(garbage);
      EXPECT_EQ(peer.Bytes(), "");
      EXPECT_EQ(peer.host.events().back(), "closed PROTOCOL_ERROR");
      if (role == Role::kClient) {
        EXPECT_EQ(peer.host.events().front(),
                  "end 1 UNAVAILABLE NOT_STARTED connection");
      }
      EXPECT_TRUE(peer.host.session().closed());
      EXPECT_TRUE(peer.host.session().NextTimeout().is_infinite());
    }
  }
}

// R1: an absolute limit, however the bytes trickle in.
TEST(SessionHello, MustBeCompleteWithinFiveSeconds) {
  const std::string greeting = GreetingBytes();
  for (size_t bytes = 0; bytes < greeting.size(); ++bytes) {
    RawPeer peer(Role::kServer);
    for (size_t i = 0; i < bytes; ++i) {
      peer.Wait(absl::Milliseconds(200));
      peer.Feed(greeting.substr(i, 1));
    }
    EXPECT_EQ(peer.host.session().NextTimeout(),
              RawPeer::kStart + absl::Seconds(5));
    EXPECT_THAT(peer.host.events(), IsEmpty());
    peer.now = RawPeer::kStart;
    peer.Wait(absl::Milliseconds(4999));
    EXPECT_THAT(peer.host.events(), IsEmpty());
    peer.Bytes();
    peer.Wait(absl::Milliseconds(1));
    EXPECT_THAT(peer.host.events(), ElementsAre("closed TIMEOUT"));
    const std::vector<std::string> said = peer.Frames();
    EXPECT_EQ(said, bytes < 8 ? std::vector<std::string>()
                              : std::vector<std::string>{"GOAWAY 0 TIMEOUT"});
  }
}

TEST(SessionHello, TheClientWaitsFiveSecondsToo) {
  RawPeer peer(Role::kClient);
  peer.host.Call(kUnary, "q", peer.now);
  peer.Bytes();
  peer.Wait(absl::Seconds(5));
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("end 1 UNAVAILABLE MAYBE_STARTED connection",
                          "closed TIMEOUT"));
}

// R2.
TEST(SessionHello, AFrameMustBeCompleteWithinTenSeconds) {
  const std::string frame = UnaryFrame(1, "question");
  for (size_t bytes = 1; bytes < frame.size(); ++bytes) {
    RawPeer peer(Role::kServer);
    peer.Greet();
    peer.Wait(absl::Minutes(1));
    for (size_t i = 0; i < bytes; ++i) {
      peer.Feed(frame.substr(i, 1));
      peer.Wait(absl::Milliseconds(100));
    }
    peer.now = RawPeer::kStart + absl::Minutes(1);
    peer.Wait(absl::Milliseconds(9999));
    EXPECT_THAT(peer.host.events(), IsEmpty());
    peer.Wait(absl::Milliseconds(1));
    EXPECT_THAT(peer.host.events(), ElementsAre("closed TIMEOUT"));
    EXPECT_THAT(peer.Frames(), ElementsAre("GOAWAY 0 TIMEOUT"));
  }
}

TEST(SessionHello, TheTimeOfAFrameEndsWithIt) {
  RawPeer peer(Role::kServer, {.min_ping_interval_ms = 1});
  peer.Greet();
  const std::string frame = PingFrame("12345678");
  for (int i = 0; i < 10; ++i) {
    peer.Feed(frame.substr(0, 5));
    peer.Wait(absl::Seconds(9));
    // The end of one and the beginning of the next.
    peer.Feed(frame.substr(5) + frame.substr(0, 5));
    peer.Wait(absl::Seconds(9));
    peer.Feed(frame.substr(5));
  }
  EXPECT_FALSE(peer.host.session().closed());
}

// A host that does not read has itself to blame.
TEST(SessionHello, TheTimeOfAFrameStandsStillWhileTheHostDoesNotRead) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(PingFrame("12345678").substr(0, 5));
  peer.Wait(absl::Seconds(9));
  peer.host.session().PauseReceiving(true, peer.now);
  EXPECT_TRUE(peer.host.session().NextTimeout().is_infinite());
  peer.Wait(absl::Minutes(1));
  peer.host.session().PauseReceiving(false, peer.now);
  peer.Wait(absl::Milliseconds(9999));
  EXPECT_FALSE(peer.host.session().closed());
  peer.Wait(absl::Milliseconds(1));
  EXPECT_THAT(peer.host.TakeEvents(), ElementsAre("closed TIMEOUT"));
}

// F12.
TEST(SessionHello, AnythingElseFirstIsAnError) {
  for (const std::string& frame :
       {UnaryFrame(1, "q"), PingFrame("12345678"), WindowFrame(0, 1),
        GoAwayFrame(0, 0), RawFrame{.type = 0x80}.Bytes()}) {
    RawPeer peer(Role::kServer);
    peer.Feed(PrefaceBytes() + frame);
    EXPECT_THAT(peer.Frames(),
                ElementsAre("PREFACE", "HELLO", "GOAWAY 0 PROTOCOL_ERROR"));
  }
}

}  // namespace
}  // namespace tern::testing
