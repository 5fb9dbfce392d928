// What a host may do inside a callback, and when.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SessionHost, MayAnswerInsideTheCallback) {
  SessionPair pair;
  pair.server.hook = [&](std::string_view event) {
    if (event == "half-close 1") pair.server.Reply(1, "answer").IgnoreError();
  };
  pair.client.Call(kUnary, "question");
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"answer\"", "end 1 OK"));
}

TEST(SessionHost, MayRefuseACallInOnCall) {
  SessionPair pair;
  pair.server.hook = [&](std::string_view event) {
    pair.server
        .Finish(StreamOf(event), {.code = absl::StatusCode::kUnimplemented,
                                  .certainty = Certainty::kNotStarted})
        .IgnoreError();
  };
  pair.client.Call(kUnary, "question");
  pair.client.Call(kUnary, Pattern(100'000));
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("call 1 test.Test/Unary", "call 3 test.Test/Unary"));
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 UNIMPLEMENTED NOT_STARTED peer",
                          "end 3 UNIMPLEMENTED NOT_STARTED peer"));
  EXPECT_EQ(pair.client.session().unsent_bytes(), 0u);
}

// A streaming handler that ends early, at each of the callbacks.
TEST(SessionHost, MayFinishInAnyCallback) {
  for (const std::string when :
       {"call 1 test.Test/ClientStreaming", "begin 1 50000",
        "message 1 50000 bytes", "message 1 \"second\"", "half-close 1"}) {
    for (const bool take_output : {false, true}) {
      SessionPair pair;
      pair.server.log_details = true;
      pair.server.hook = [&](std::string_view event) {
        if (event != when) return;
        pair.server.Finish(1, absl::StatusCode::kAborted).IgnoreError();
        if (take_output) pair.server.session().Output();
      };
      pair.client.Open(kClientStreaming);
      pair.client.Send(1, Pattern(50'000)).IgnoreError();
      pair.client.Send(1, "second", /*half_close=*/true).IgnoreError();
      pair.Run();
      EXPECT_THAT(pair.client.TakeEvents(),
                  ElementsAre("end 1 ABORTED FINISHED peer"))
          << when;
      EXPECT_EQ(pair.server.TakeEvents().back(), when);
      EXPECT_EQ(pair.server.session().open_streams(), 0u) << when;
      EXPECT_EQ(pair.server.session().assembling_bytes(), 0u) << when;
    }
  }
}

TEST(SessionHost, MayFinishInsideTheCallbackAndRefuseTheMessage) {
  SessionPair pair;
  pair.server.log_details = true;
  pair.server.accept_messages = false;
  pair.server.hook = [&](std::string_view event) {
    if (event == "begin 1 50000") {
      pair.server.Finish(1, absl::StatusCode::kAborted).IgnoreError();
    }
  };
  pair.client.Call(kUnary, Pattern(50'000));
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 ABORTED FINISHED peer"));
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionHost, RefusesAMessageThatItHasNoMemoryFor) {
  SessionPair pair;
  pair.server.accept_messages = false;
  pair.client.Call(kUnary, Pattern(50'000));
  pair.client.Call(kUnary, "small");
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("end 1 RESOURCE_EXHAUSTED NOT_STARTED peer"));
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Unary", "call 3 test.Test/Unary",
                  "message 3 \"small\"", "half-close 3", "cancel 1 fault"));
}

// It is the host that was short of memory: no fault of the client's.
TEST(SessionHost, RefusingMessagesCostsTheClientNothing) {
  SessionPair pair;
  pair.server.accept_messages = false;
  pair.client.Call(kUnary, "first");
  pair.Run();
  for (int i = 0; i < 150; ++i) {
    pair.client.Call(kUnary, Pattern(20'000), pair.now);
    pair.Run();
  }
  EXPECT_FALSE(pair.server.session().closed());
  EXPECT_FALSE(pair.client.session().closed());
}

TEST(SessionHost, ClosingInsideOnEndTellsEachStreamOnce) {
  SessionPair pair;
  pair.client.Call(kUnary, "1");
  pair.client.Call(kUnary, "3");
  pair.Run();
  pair.client.hook = [&](std::string_view event) {
    if (event == "end 1 OK") {
      pair.client.session().Close(wire::ErrorCode::kNoError, "enough");
    }
  };
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_THAT(pair.client.TakeEvents(),
              ElementsAre("message 1 \"a\"", "end 1 OK",
                          "end 3 UNAVAILABLE MAYBE_STARTED connection",
                          "closed NO_ERROR"));
}

// A call's end makes room for the next one: already inside OnEnd.
TEST(SessionHost, MayStartACallInsideOnEndWhenTheLimitWasReached) {
  SessionPair pair({}, {.hello = {.max_concurrent_calls = 1}});
  pair.Run();
  pair.client.Call(kUnary, "1", pair.now);
  EXPECT_EQ(pair.client.session().CanStart(), wire::Session::StartBlock::kFull);
  pair.client.hook = [&](std::string_view event) {
    if (event != "end 1 OK") return;
    EXPECT_EQ(pair.client.session().CanStart(),
              wire::Session::StartBlock::kNone);
    pair.client.Call(kUnary, "3", pair.now);
  };
  pair.Run();
  pair.server.Reply(1, "a").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.server.TakeEvents().back(), "half-close 3");
}

TEST(SessionHost, MayTakeTheOutputInsideAnyCallback) {
  SessionPair pair;
  std::string last;
  for (RecordingHost* host : {&pair.client, &pair.server}) {
    host->log_details = true;
    host->hook = [host](std::string_view event) {
      host->session().Output();
      host->session().ReleaseMemory();
      if (event.substr(0, 10) == "half-close") {
        host->Reply(StreamOf(event), Pattern(100'000)).IgnoreError();
        host->session().Output();
      }
    };
  }
  pair.client.Call(kUnary, Pattern(100'000));
  pair.client.Open(kClientStreaming);
  pair.client.Send(3, Pattern(100'000), true).IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.messages(1).size(), 1u);
  EXPECT_EQ(pair.client.messages(3).size(), 1u);
  pair.client.Call(kUnary, Pattern(100'000), pair.now);
  pair.client.Cancel(5);
  pair.client.session().Close(wire::ErrorCode::kNoError, "");
  pair.Run();
}

// OnWritable is where a host sends the next message: a turn each, for ever.
TEST(SessionHost, RefillingInOnWritableCostsTheSameEachTime) {
  SessionPair pair;
  int left = 2000;
  pair.client.log_details = true;
  pair.client.hook = [&](std::string_view event) {
    if (event != "writable 1" || --left == 0) return;
    pair.client.Send(1, Pattern(20'000, left)).IgnoreError();
  };
  pair.client.Open(kClientStreaming);
  pair.client.Send(1, Pattern(20'000, left)).IgnoreError();
  pair.Run();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(pair.server.messages(1).size(), 2000u);
}

// A stream that waits for windows has OnMessage no more once it is finished.
TEST(SessionHost, HearsNothingOfAStreamThatItHasFinished) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  pair.client.consume = false;
  pair.Run();
  pair.server.Send(1, Pattern(65'000)).IgnoreError();
  pair.server.Send(1, Pattern(20'000)).IgnoreError();
  pair.server.Finish(1).IgnoreError();
  pair.Run();
  pair.server.TakeEvents();
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  pair.client.Send(1, "late").IgnoreError();
  pair.client.Send(1, Pattern(20'000)).IgnoreError();
  pair.client.HalfClose(1);
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(), IsEmpty());
  pair.client.session().Consume(pair.client.stream(1), 65'000);
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 1 OK");
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

// What lies half received on a stream is freed when the host is done with it.
TEST(SessionHost, FinishingFreesAMessageThatWasHalfReceived) {
  SessionPair pair;
  pair.client.Open(kBidirectional);
  pair.client.consume = false;
  pair.Run();
  pair.server.Send(1, Pattern(65'000)).IgnoreError();
  pair.server.Send(1, Pattern(20'000)).IgnoreError();
  pair.client.Send(1, Pattern(200'000)).IgnoreError();
  pair.MoveToServer(50'000);
  EXPECT_EQ(pair.server.session().assembling_bytes(), 200'000u);
  pair.server.Finish(1).IgnoreError();
  EXPECT_EQ(pair.server.session().assembling_bytes(), 0u);
}

TEST(SessionHost, GivesMemoryBackWhenIdle) {
  SessionPair pair;
  pair.client.Call(kUnary, Pattern(100'000));
  pair.Run();
  pair.server.Reply(1, Pattern(100'000)).IgnoreError();
  pair.Run();
  pair.client.session().ReleaseMemory();
  pair.server.session().ReleaseMemory();
  pair.client.Call(kUnary, Pattern(100'000), pair.now);
  pair.Run();
  pair.server.Reply(3, "a").IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.client.TakeEvents().back(), "end 3 OK");
}

}  // namespace
}  // namespace tern::testing
