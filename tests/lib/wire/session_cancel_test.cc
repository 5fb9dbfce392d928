// Cancelling and deadlines: every state, both sides, one outcome each (L12 to
// L14).

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

TEST(SessionCancel, BeforeAnythingIsSentTheServerHearsOfBoth) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.client.Cancel(1);
  // The request is on its way, whole: the server may run it before the CANCEL.
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED local"));
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Unary", "message 1 \"q\"",
                          "half-close 1", "cancel 1 peer"));
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
  EXPECT_THAT(DescribeFrames(pair.sent_to_client),
              ElementsAre("PREFACE", "HELLO"));
}

TEST(SessionCancel, WhileTheRequestWaitsItWasNotStarted) {
  SessionPair pair;
  pair.client.Call(kUnary, Pattern(1'000'000));
  pair.MoveToServer();
  pair.client.Cancel(1);
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED NOT_STARTED local"));
  EXPECT_LT(pair.client.session().unsent_bytes(), 1000u);
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Unary", "cancel 1 peer"));
  EXPECT_EQ(pair.server.session().assembling_bytes(), 0u);
}

TEST(SessionCancel, WhileTheHandlerRuns) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.client.Cancel(1, absl::StatusCode::kAborted);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 ABORTED MAYBE_STARTED local"));
  EXPECT_EQ(pair.server.TakeEvents().back(), "cancel 1 peer");
  // The slot is free when the handler has ended; its answer goes nowhere.
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  pair.sent_to_client.clear();
  EXPECT_TRUE(pair.server.Send(1, "too late").ok());
  EXPECT_TRUE(pair.server.Reply(1, "too late").ok());
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
  pair.Run();
  EXPECT_EQ(pair.sent_to_client, "");
}

TEST(SessionCancel, BetweenHeaderAndMessage) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.session()
      .SendResponseHeader(pair.server.stream(1), {})
      .IgnoreError();
  pair.Run();
  pair.client.Cancel(1);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("header 1", "end 1 CANCELLED MAYBE_STARTED local"));
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionCancel, InTheMiddleOfTheResponse) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.Reply(1, Pattern(1'000'000)).IgnoreError();
  pair.MoveToClient(100'000);
  EXPECT_GT(pair.client.session().assembling_bytes(), 0u);
  pair.client.Cancel(1);
  EXPECT_EQ(pair.client.session().assembling_bytes(), 0u);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED local"));
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
  EXPECT_EQ(pair.server.session().unsent_bytes(), 0u);
}

TEST(SessionCancel, InsideTheCallbacks) {
  for (const std::string when : {"header 1", "message 1 \"a\""}) {
    SessionPair pair;
    pair.client.hook = [&](std::string_view event) {
      if (event == when) pair.client.Cancel(1);
    };
    pair.client.Call(kUnary, "q");
    pair.Run();
    pair.server.session()
        .SendResponseHeader(pair.server.stream(1), {})
        .IgnoreError();
    pair.server.Reply(1, "a").IgnoreError();
    pair.Run();
    EXPECT_EQ(pair.client.TakeEvents().back(),
              "end 1 CANCELLED MAYBE_STARTED local");
    EXPECT_EQ(pair.client.session().open_streams(), 0u);
  }
}

TEST(SessionCancel, CrossesTheAnswer) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.Reply(1, "a").IgnoreError();
  pair.client.Cancel(1);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED local"));
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Unary", "message 1 \"q\"", "half-close 1"));
  EXPECT_FALSE(pair.client.session().closed());
  EXPECT_FALSE(pair.server.session().closed());
}

TEST(SessionCancel, OfAStreamInBothDirections) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  pair.client.Send(1, Pattern(1'000'000)).IgnoreError();
  pair.MoveToServer();
  pair.server.Send(1, Pattern(1'000'000)).IgnoreError();
  pair.MoveToClient();
  pair.client.Cancel(1);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED local"));
  EXPECT_EQ(pair.server.TakeEvents().back(), "cancel 1 peer");
  for (RecordingHost* host : {&pair.client, &pair.server}) {
    EXPECT_EQ(host->session().unsent_bytes(), 0u);
    EXPECT_EQ(host->session().assembling_bytes(), 0u);
    EXPECT_EQ(host->session().open_streams(), 0u);
  }
}

TEST(SessionCancel, ByTheServer) {
  RawPeer peer(Role::kClient);
  peer.host.Call(kUnary, "a", peer.now);
  peer.host.Call(kUnary, "b", peer.now);
  peer.host.Call(kUnary, "c", peer.now);
  peer.Greet();
  peer.Feed(RawFrame{.type = 5, .stream = 1}.Bytes());
  peer.Feed(
      RawFrame{.type = 5, .stream = 3, .block = "\x08\x0e\x20\x01"}.Bytes());
  peer.Feed(RawFrame{.type = 5, .stream = 5, .block = "\xff"}.Bytes());
  EXPECT_THAT(peer.host.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED peer",
                          "end 3 UNAVAILABLE NOT_STARTED peer",
                          "end 5 INTERNAL MAYBE_STARTED fault"));
  EXPECT_THAT(peer.Frames(), IsEmpty()) << "nothing follows a CANCEL";
}

// R7: a slot is free when the handler has ended, not when the client says so.
TEST(SessionCancel, ACancelledCallCountsUntilItsHandlerHasEnded) {
  SessionPair pair({}, {.hello = {.max_concurrent_calls = 2}});
  pair.server.finish_cancelled = false;
  pair.Run();
  pair.client.Call(kUnary, "1", pair.now);
  pair.client.Call(kUnary, "3", pair.now);
  pair.Run();
  pair.client.Cancel(1);
  pair.client.Call(kUnary, "5", pair.now);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 CANCELLED MAYBE_STARTED local",
                          "end 5 UNAVAILABLE NOT_STARTED peer"));
  pair.server.Finish(1).IgnoreError();
  pair.client.Call(kUnary, "7", pair.now);
  pair.Run();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 7");
}

// A client cannot know when those handlers end: that is no fault of its own.
TEST(SessionCancel, CallsAboveTheLimitForThatReasonCostNothing) {
  SessionPair pair({}, {.hello = {.max_concurrent_calls = 1}});
  pair.server.finish_cancelled = false;
  pair.Run();
  pair.client.Call(kUnary, "1", pair.now);
  pair.Run();
  pair.client.Cancel(1);
  for (int i = 0; i < 400; ++i) {
    pair.client.Call(kUnary, "refused", pair.now);
    pair.Run();
  }
  EXPECT_FALSE(pair.server.session().closed());
}

// --- Deadlines ---------------------------------------------------------------

TEST(SessionDeadline, EndsTheCallOnTimeOnBothSides) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Milliseconds(50)});
  pair.Run();
  EXPECT_EQ(pair.client.session().NextTimeout(),
            pair.now + absl::Milliseconds(50));
  EXPECT_EQ(pair.server.session().NextTimeout(),
            pair.now + absl::Milliseconds(50));
  pair.Advance(absl::Milliseconds(49));
  EXPECT_THAT(pair.client.TakeEvents(), IsEmpty());
  pair.Advance(absl::Milliseconds(1));
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 DEADLINE_EXCEEDED MAYBE_STARTED deadline"));
  EXPECT_EQ(pair.server.TakeEvents().back(), "cancel 1 deadline");
  EXPECT_THAT(DescribeFrames(pair.sent_to_server),
              Contains("CANCEL 1 DEADLINE_EXCEEDED MAYBE_STARTED"));
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  pair.server.Finish(1, absl::StatusCode::kDeadlineExceeded).IgnoreError();
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionDeadline, TheServerKeepsItWithoutTheClient) {
  SessionPair pair;
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Seconds(1)});
  pair.Run();
  pair.server.TakeEvents();
  pair.connected = false;
  pair.Advance(absl::Seconds(1));
  EXPECT_THAT(pair.server.TakeEvents(), ElementsAre("cancel 1 deadline"));
  EXPECT_THAT(DescribeFrames(OutputOf(pair.server.session())),
              ElementsAre("STATUS 1 DEADLINE_EXCEEDED FINISHED"));
}

// L10.
TEST(SessionDeadline, ThatHasPassedSendsNothing) {
  SessionPair pair;
  pair.Run();
  pair.sent_to_server.clear();
  EXPECT_EQ(pair.client.Call(kUnary, "q", pair.now, {.deadline = pair.now}),
            0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kDeadlineExceeded);
  pair.Run();
  EXPECT_EQ(pair.sent_to_server, "");
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
}

TEST(SessionDeadline, OfANanosecondIsAMicrosecondOnTheWire) {
  SessionPair pair;
  pair.Run();
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Nanoseconds(1)});
  pair.MoveToServer();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 1");
  EXPECT_EQ(pair.server.session().NextTimeout(),
            pair.now + absl::Microseconds(1));
}

// L11.
TEST(SessionDeadline, OfEverSaturates) {
  SessionPair pair;
  pair.Run();
  pair.client.Call(kUnary, "q", pair.now);
  pair.Run();
  pair.Advance(absl::Hours(24 * 365));
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 1");
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
}

TEST(SessionDeadline, ManyEndEachInItsTime) {
  SessionPair pair;
  for (int i = 0; i < 20; ++i) {
    pair.client.Call(
        kUnary, "q", pair.now,
        {.deadline = pair.now + absl::Milliseconds(10 * (1 + i * 7 % 20))});
  }
  pair.Run();
  for (int i = 1; i <= 20; ++i) {
    pair.client.TakeEvents();
    pair.Advance(absl::Milliseconds(10));
    EXPECT_EQ(pair.client.TakeEvents().size(), 1u);
    EXPECT_EQ(pair.client.session().open_streams(), 20u - i);
    EXPECT_EQ(pair.server.session().open_streams(), 20u - i);
  }
}

// L12: it comes, or the answer does, and then not the other.
TEST(SessionDeadline, RacesTheAnswer) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Seconds(1)});
  pair.Run();
  pair.server.Reply(1, "a").IgnoreError();
  pair.now = pair.now + absl::Seconds(1);
  pair.client.session().OnTime(pair.now);
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 DEADLINE_EXCEEDED MAYBE_STARTED deadline"));
}

TEST(SessionDeadline, TheHandlersStatusIsSentAfterItToo) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q", pair.now,
                   {.deadline = pair.now + absl::Seconds(1)});
  pair.Run();
  pair.now = pair.now + absl::Seconds(1);
  pair.server.session().OnTime(pair.now);
  EXPECT_EQ(pair.server.TakeEvents().back(), "cancel 1 deadline");
  pair.server.Reply(1, "just in time for a slower clock").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
}

// R16: a client that never gives credit does not keep answers for ever.
TEST(SessionDeadline, FreesAnAnswerThatWaitsForWindows) {
  SessionPair pair;
  pair.client.consume = false;
  pair.client.Call(kServerStreaming, "q", pair.now,
                   {.deadline = pair.now + absl::Seconds(1)});
  pair.Run();
  for (int i = 0; i < 5; ++i) {
    pair.server.Send(1, Pattern(50'000)).IgnoreError();
  }
  pair.server.Finish(1).IgnoreError();
  pair.Run();
  EXPECT_GT(pair.server.session().unsent_bytes(), 0u);
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  pair.connected = false;
  pair.now = pair.now + absl::Seconds(1);
  pair.server.session().OnTime(pair.now);
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
  EXPECT_THAT(DescribeFrames(OutputOf(pair.server.session())),
              ElementsAre("STATUS 1 DEADLINE_EXCEEDED MAYBE_STARTED"));
}

TEST(SessionDeadline, AfterItNothingIsQueuedAnyMore) {
  for (const bool ok : {true, false}) {
    SessionPair pair;
    pair.server.finish_cancelled = false;
    pair.client.consume = false;
    pair.client.Call(kServerStreaming, "q", pair.now,
                     {.deadline = pair.now + absl::Seconds(1)});
    pair.Run();
    for (int i = 0; i < 5; ++i) {
      pair.server.Send(1, Pattern(50'000)).IgnoreError();
    }
    pair.Run();
    pair.connected = false;
    pair.now = pair.now + absl::Seconds(1);
    pair.server.session().OnTime(pair.now);
    EXPECT_EQ(pair.server.TakeEvents().back(), "cancel 1 deadline");
    pair.server
        .Finish(1, ok ? absl::StatusCode::kOk : absl::StatusCode::kAborted)
        .IgnoreError();
    EXPECT_EQ(pair.server.session().open_streams(), 0u);
    EXPECT_THAT(DescribeFrames(OutputOf(pair.server.session())),
                ElementsAre(ok ? "STATUS 1 DEADLINE_EXCEEDED MAYBE_STARTED"
                               : "STATUS 1 ABORTED FINISHED"));
  }
}

}  // namespace
}  // namespace tern::testing
