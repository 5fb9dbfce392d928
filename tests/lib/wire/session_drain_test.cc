// GOAWAY and drain: no call fails, and what was not started says so (L16, L29).

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

TEST(SessionDrain, HasTwoPhasesAndFailsNoCall) {
  SessionPair pair;
  pair.client.Call(kUnary, "before");
  pair.Run();
  pair.sent_to_client.clear();
  pair.server.session().Drain("restart", pair.now);
  // Crosses the first GOAWAY on the wire, and is served.
  pair.client.Call(kUnary, "crosses", pair.now);
  pair.MoveToClient();
  EXPECT_THAT(
      DescribeFrames(pair.sent_to_client),
      ElementsAre("GOAWAY 2147483647 NO_ERROR", "PING 0000000000000002"));
  EXPECT_THAT(pair.client.TakeEvents(), ElementsAre("goaway NO_ERROR"));
  EXPECT_EQ(pair.client.last_text(), "restart");
  EXPECT_EQ(pair.client.session().CanStart(),
            wire::Session::StartBlock::kClosing);
  pair.sent_to_client.clear();
  pair.Run();
  EXPECT_THAT(DescribeFrames(pair.sent_to_client),
              ElementsAre("GOAWAY 3 NO_ERROR"));
  EXPECT_TRUE(pair.server.session().draining());
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_FALSE(pair.server.session().closed());
  pair.server.Reply(3, "b").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.server.events().back(), "closed NO_ERROR");
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("goaway NO_ERROR", "message 1 \"a\"", "end 1 OK",
                          "message 3 \"b\"", "end 3 OK", "closed NO_ERROR"));
}

TEST(SessionDrain, DoesNotWaitForeverForTheClient) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.connected = false;
  pair.server.session().Drain("restart", pair.now);
  EXPECT_EQ(pair.server.session().NextTimeout(), pair.now + absl::Seconds(1));
  pair.Advance(absl::Seconds(1));
  EXPECT_THAT(DescribeFrames(OutputOf(pair.server.session())),
              ElementsAre("GOAWAY 2147483647 NO_ERROR", "PING 0000000000000002",
                          "GOAWAY 1 NO_ERROR"));
}

TEST(SessionDrain, CallsAboveTheFinalGoawayAreRefusedNotStarted) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(UnaryFrame(1, "q"));
  peer.host.session().Drain("restart", peer.now);
  peer.Wait(absl::Seconds(1));
  peer.Frames();
  peer.host.TakeEvents();
  peer.Feed(UnaryFrame(3, "late") + UnaryFrame(5, "late"));
  EXPECT_THAT(peer.Frames(), ElementsAre("STATUS 3 UNAVAILABLE NOT_STARTED",
                                         "STATUS 5 UNAVAILABLE NOT_STARTED"));
  EXPECT_THAT(peer.host.TakeEvents(), IsEmpty());
  peer.host.Reply(1, "a").IgnoreError();
  EXPECT_THAT(peer.Frames(), ElementsAre("STATUS 1 OK payload=1"));
  EXPECT_THAT(peer.host.TakeEvents(), ElementsAre("closed NO_ERROR"));
}

// A client that is slower than the second phase did not do anything wrong; one
// that has answered the PING behind the first GOAWAY knew.
TEST(SessionDrain, LateCallsAreFaultsOnlyOfAClientThatKnew) {
  for (const bool knew : {false, true}) {
    RawPeer peer(Role::kServer);
    peer.Greet();
    peer.Feed(UnaryFrame(1, "q"));
    peer.host.session().Drain("restart", peer.now);
    peer.Wait(absl::Seconds(1));
    if (knew) peer.Feed(PingFrame(std::string("\0\0\0\0\0\0\0\2", 8), true));
    for (uint32_t id = 3; id < 3 + 2 * 101; id += 2) {
      peer.Feed(UnaryFrame(id, "late"));
    }
    EXPECT_EQ(peer.host.session().closed(), knew);
  }
}

TEST(SessionDrain, WithoutCallsEndsAtOnce) {
  SessionPair pair;
  pair.Run();
  pair.server.session().Drain("restart", pair.now);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("goaway NO_ERROR", "closed NO_ERROR"));
  pair.Disconnect();  // As a client's host does when it is told.
  EXPECT_THAT(pair.server.TakeEvents(), ElementsAre("closed NO_ERROR"));
}

TEST(SessionDrain, TwiceIsOnce) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.sent_to_client.clear();
  pair.server.session().Drain("one", pair.now);
  pair.server.session().Drain("two", pair.now);
  pair.Run();
  EXPECT_THAT(DescribeFrames(pair.sent_to_client),
              ElementsAre("GOAWAY 2147483647 NO_ERROR", "PING 0000000000000002",
                          "GOAWAY 1 NO_ERROR"));
}

// It has only just connected, and its first calls are on their way. (They were
// turned away once, and a client that had not got the server's preface could
// not know that they had not been started.)
TEST(SessionDrain, BeforeHelloServesTheCallsThatComeWithIt) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.MoveToServer(8);
  pair.server.session().Drain("restart", pair.now);
  pair.now = pair.now + absl::Milliseconds(999);
  pair.server.session().OnTime(pair.now);
  pair.Run();
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.events(), Contains("end 1 OK"));
  EXPECT_EQ(pair.client.events().back(), "closed NO_ERROR");
  EXPECT_EQ(pair.server.events().back(), "closed NO_ERROR");
}

TEST(SessionDrain, WaitsASecondForHelloAndSaysThatNothingWasStarted) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.MoveToServer(8);
  pair.server.session().Drain("restart", pair.now);
  EXPECT_EQ(pair.server.session().NextTimeout(), pair.now + absl::Seconds(1));
  pair.now = pair.now + absl::Seconds(1);
  pair.server.session().OnTime(pair.now);
  EXPECT_THAT(pair.server.TakeEvents(), ElementsAre("closed NO_ERROR"));
  pair.MoveToClient();
  EXPECT_THAT(
      pair.client.TakeEvents(),
      ElementsAre("goaway NO_ERROR", "end 1 UNAVAILABLE NOT_STARTED connection",
                  "closed NO_ERROR"));
}

TEST(SessionDrain, WithoutThePrefaceIsSilent) {
  RawPeer peer(Role::kServer);
  peer.Feed(PrefaceBytes().substr(0, 3));
  peer.host.session().Drain("restart", peer.now);
  peer.now = peer.now + absl::Seconds(1);
  peer.host.session().OnTime(peer.now);
  EXPECT_EQ(peer.Bytes(), "");
  EXPECT_THAT(peer.host.TakeEvents(), ElementsAre("closed NO_ERROR"));
}

// L16: may be called by a handler.
TEST(SessionDrain, InsideACallback) {
  SessionPair pair;
  pair.server.hook = [&](std::string_view event) {
    if (event != "half-close 1") return;
    pair.server.session().Drain("told to", pair.now);
    pair.server.Reply(1, "bye").IgnoreError();
  };
  pair.client.Call(kUnary, "quit");
  pair.Run();
  EXPECT_EQ(pair.client.events().back(), "closed NO_ERROR");
  EXPECT_THAT(pair.client.events(), Contains("end 1 OK"));
  EXPECT_EQ(pair.server.events().back(), "closed NO_ERROR");
}

TEST(SessionDrain, CancelledCallsHoldItUntilTheirHandlersEnd) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.session().Drain("restart", pair.now);
  pair.client.Cancel(1);
  pair.Run();
  pair.Advance(absl::Seconds(1));
  EXPECT_FALSE(pair.server.session().closed());
  pair.server.Finish(1).IgnoreError();
  EXPECT_EQ(pair.server.events().back(), "closed NO_ERROR");
}

// --- The client's side of it -------------------------------------------------

TEST(SessionGoAway, ExcludedCallsWereNotStarted) {
  RawPeer peer(Role::kClient);
  for (int i = 0; i < 3; ++i) peer.host.Call(kUnary, "q", peer.now);
  peer.Greet();
  peer.Feed(GoAwayFrame(3, 0, "restart"));
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("goaway NO_ERROR",
                          "end 5 UNAVAILABLE NOT_STARTED connection"));
  EXPECT_EQ(peer.host.last_text(), "restart");
  peer.Feed(StatusFrame(1, "a") + StatusFrame(3, "b"));
  EXPECT_EQ(peer.host.TakeEvents().back(), "closed NO_ERROR");
}

TEST(SessionGoAway, LastNeverGrows) {
  for (const auto& [second, ok] :
       {std::pair(4u, false), std::pair(3u, true), std::pair(0u, true)}) {
    RawPeer peer(Role::kClient);
    peer.host.Call(kUnary, "q", peer.now);
    peer.Greet();
    peer.Feed(GoAwayFrame(3, 0) + GoAwayFrame(second, 0));
    EXPECT_EQ(peer.host.events().back() == "closed PROTOCOL_ERROR", !ok);
  }
}

TEST(SessionGoAway, AnErrorEndsEverything) {
  RawPeer peer(Role::kClient);
  for (int i = 0; i < 2; ++i) peer.host.Call(kUnary, "q", peer.now);
  peer.Greet();
  peer.Feed(GoAwayFrame(1, 5, "too fast"));
  EXPECT_THAT(
      peer.host.TakeEvents(),
      ElementsAre("goaway ABUSE", "end 1 UNAVAILABLE MAYBE_STARTED connection",
                  "end 3 UNAVAILABLE NOT_STARTED connection", "closed ABUSE"));
  EXPECT_EQ(peer.host.last_text(),
            "the peer ended the connection: ABUSE: too fast");
  EXPECT_EQ(peer.Bytes(), "") << "nobody reads it";
}

// Found by this test: the last excluded call made it look like a drain's end.
TEST(SessionGoAway, AnErrorThatExcludesEverythingIsStillAnError) {
  RawPeer peer(Role::kClient);
  peer.host.Call(kUnary, "q", peer.now);
  peer.Greet();
  peer.Feed(GoAwayFrame(0, 1));
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("goaway PROTOCOL_ERROR",
                          "end 1 UNAVAILABLE NOT_STARTED connection",
                          "closed PROTOCOL_ERROR"));
}

TEST(SessionGoAway, VersionMismatchIsUnimplemented) {
  RawPeer peer(Role::kClient);
  peer.host.Call(kUnary, "q", peer.now);
  peer.Greet();
  peer.Feed(GoAwayFrame(0, 4));
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("goaway VERSION_MISMATCH",
                          "end 1 UNIMPLEMENTED NOT_STARTED connection",
                          "closed VERSION_MISMATCH"));
}

TEST(SessionGoAway, ErrorsOfLaterVersionsEndTheConnectionToo) {
  for (const Role role : {Role::kClient, Role::kServer}) {
    RawPeer peer(role);
    peer.Greet();
    peer.Feed(GoAwayFrame(0, 77));
    EXPECT_TRUE(peer.host.session().closed());
  }
}

// S17.
TEST(SessionGoAway, ReasonsAreMadeSafeToLog) {
  RawPeer peer(Role::kClient);
  peer.Greet();
  peer.Feed(GoAwayFrame(0, 1, "a\nb\x1b[31m\xff"));
  EXPECT_EQ(peer.host.last_text(),
            "the peer ended the connection: PROTOCOL_ERROR: "
            "a\\nb\\x1b[31m\\xff");
}

TEST(SessionGoAway, AClientsLeavesTheServerAsItIs) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(UnaryFrame(1, "q"));
  peer.host.TakeEvents();
  peer.Feed(GoAwayFrame(0, 0));
  EXPECT_FALSE(peer.host.session().closed());
  peer.host.Reply(1, "a").IgnoreError();
  EXPECT_THAT(peer.Frames(), ElementsAre("STATUS 1 OK payload=1"));
}

TEST(SessionGoAway, AClientsErrorCancelsItsCalls) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  peer.Feed(UnaryFrame(1, "q"));
  peer.host.TakeEvents();
  peer.Feed(GoAwayFrame(0, 8));
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("cancel 1 connection", "closed INTERNAL_ERROR"));
  EXPECT_EQ(peer.host.session().open_streams(), 0u);
}

TEST(SessionGoAway, OurReasonsAreCutToTheirLimit) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  std::string reason;
  for (int i = 0; i < 200; ++i) reason += "\xc3\xa4";
  peer.host.session().Close(ErrorCode::kInternalError, "a" + reason);
  const std::vector<RawFrame> frames = SplitFrames(peer.Bytes());
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload.size(), 8u + 255u) << "whole characters";
}

}  // namespace
}  // namespace tern::testing
