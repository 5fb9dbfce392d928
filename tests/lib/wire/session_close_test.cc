// The transport ends at any byte of a conversation: nothing is delivered in
// part, every call ends once, and what a client says about the handler is true
// (F6, L1, L2).

#include <functional>
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

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const char kNotStarted[] = "UNAVAILABLE NOT_STARTED connection";
const char kMaybeStarted[] = "UNAVAILABLE MAYBE_STARTED connection";

std::string EndOf(const RecordingHost& client, wire::StreamId id) {
  const std::string prefix = "end " + std::to_string(id) + " ";
  std::string end;
  for (const std::string& event : client.events()) {
    if (event.substr(0, prefix.size()) != prefix) continue;
    EXPECT_EQ(end, "") << "twice";
    end = event.substr(prefix.size());
  }
  EXPECT_NE(end, "") << "never";
  return end;
}

// A handler runs when a unary request is complete, and when a streaming call
// begins.
bool Started(RecordingHost& server, wire::StreamId id) {
  const std::string number = std::to_string(id);
  for (const std::string& event : server.events()) {
    if (event == "half-close " + number) return true;
    if (event.substr(0, 6 + number.size()) == "call " + number + " " &&
        ShapeOf(server.method(id)).client_streaming) {
      return true;
    }
  }
  return false;
}

// The calls of the tests below: small, large, and a stream.
std::vector<std::string> Requests() {
  return {"small", Pattern(40'000, 1), "one"};
}
void StartCalls(SessionPair& pair) {
  pair.client.Call(kUnary, Requests()[0]);
  pair.client.Call(kUnary, Requests()[1]);
  pair.client.Open(kClientStreaming);
  pair.client.Send(5, Requests()[2]).IgnoreError();
}

void CheckAfterTheEnd(SessionPair& pair) {
  for (const wire::StreamId id : {1, 3, 5}) {
    const std::string end = EndOf(pair.client, id);
    EXPECT_THAT(end, AnyOf(kNotStarted, kMaybeStarted));
    if (Started(pair.server, id)) {
      EXPECT_EQ(end, kMaybeStarted) << "stream " << id;
    }
    for (const std::string& message : pair.server.messages(id)) {
      EXPECT_EQ(message, Requests()[id / 2]);
    }
  }
  for (RecordingHost* host : {&pair.client, &pair.server}) {
    EXPECT_EQ(host->session().open_streams(), 0u);
    EXPECT_EQ(host->session().unsent_bytes(), 0u);
    EXPECT_EQ(host->session().assembling_bytes(), 0u);
    EXPECT_EQ(host->live_streams(), 0u);
    EXPECT_EQ(host->events().back(), "closed INTERNAL_ERROR");
  }
}

// Every byte of the first 200, then some of the chunks' bytes.
std::vector<size_t> Places(size_t size) {
  std::vector<size_t> places;
  for (size_t place = 0; place <= size;
       place += place < 300 || place + 300 > size ? 1 : 97) {
    places.push_back(place);
  }
  return places;
}

TEST(SessionClose, WithTheRequestsSentToAnyByte) {
  SessionPair whole;
  StartCalls(whole);
  while (whole.MoveToServer() > 0) {
  }
  size_t not_started = 0, maybe_started = 0;
  for (const size_t size : Places(whole.sent_to_server.size())) {
    SessionPair pair;
    StartCalls(pair);
    for (size_t left = size; left > 0;) left -= pair.MoveToServer(left);
    pair.Disconnect();
    CheckAfterTheEnd(pair);
    for (const std::string& event : pair.client.events()) {
      not_started += event == std::string("end 1 ") + kNotStarted;
      maybe_started += event == std::string("end 1 ") + kMaybeStarted;
    }
  }
  // As sharp as it can be: NOT_STARTED up to the request's last byte.
  const auto frames = SplitFrames(whole.sent_to_server);
  ASSERT_EQ(frames[1].type, 2);
  const size_t first_call = 8 + 12 + frames[0].payload.size() + 12 +
                            frames[1].block.size() + frames[1].payload.size();
  EXPECT_EQ(not_started, first_call);
  EXPECT_GT(maybe_started, 0u);
}

// The kernel took the bytes, and they were lost behind it.
TEST(SessionClose, WithTheRequestsReceivedToAnyByte) {
  SessionPair whole;
  StartCalls(whole);
  while (whole.MoveToServer() > 0) {
  }
  for (const size_t size : Places(whole.sent_to_server.size())) {
    SessionPair pair;
    StartCalls(pair);
    std::string bytes;
    while (!pair.client.session().Output().empty()) {
      bytes += TakeOutput(pair.client.session());
    }
    pair.server.session().Receive(bytes.substr(0, size), pair.now);
    pair.Disconnect();
    CheckAfterTheEnd(pair);
    EXPECT_EQ(EndOf(pair.client, 1), kMaybeStarted);
  }
}

// The client's host ends it: what it has to send still goes out.
TEST(SessionClose, ByTheClientWithTheRequestsSentToAnyByte) {
  SessionPair whole;
  StartCalls(whole);
  while (whole.MoveToServer() > 0) {
  }
  for (const size_t size : Places(whole.sent_to_server.size())) {
    SessionPair pair;
    StartCalls(pair);
    for (size_t left = size; left > 0;) left -= pair.MoveToServer(left);
    pair.client.session().Close(wire::ErrorCode::kNoError, "leaving");
    while (pair.MoveToServer() > 0) {
    }
    for (const wire::StreamId id : {1, 3, 5}) {
      if (!Started(pair.server, id)) continue;
      EXPECT_EQ(EndOf(pair.client, id), kMaybeStarted) << "stream " << id;
    }
    for (const std::string& line : DescribeFrames(pair.sent_to_server)) {
      EXPECT_NE(line.substr(0, 1), "?") << line;
    }
  }
}

TEST(SessionClose, WithTheResponsesReceivedToAnyByte) {
  const auto answer = [](SessionPair& pair) {
    StartCalls(pair);
    pair.client.HalfClose(5);
    pair.Run();
    pair.sent_to_client.clear();
    pair.server.session()
        .SendResponseHeader(pair.server.stream(1), {.metadata = {{"k", "v"}}})
        .IgnoreError();
    pair.server.Reply(1, "first").IgnoreError();
    pair.server.Reply(3, Pattern(40'000, 2)).IgnoreError();
    pair.server.Finish(5, absl::StatusCode::kAborted).IgnoreError();
  };
  SessionPair whole;
  answer(whole);
  whole.Run();
  const size_t all = whole.sent_to_client.size();
  for (const size_t size : Places(all)) {
    SessionPair pair;
    answer(pair);
    for (size_t left = size; left > 0;) left -= pair.MoveToClient(left);
    pair.Disconnect();
    EXPECT_THAT(EndOf(pair.client, 1), AnyOf("OK", kMaybeStarted));
    EXPECT_THAT(EndOf(pair.client, 3), AnyOf("OK", kMaybeStarted));
    EXPECT_THAT(EndOf(pair.client, 5),
                AnyOf("ABORTED FINISHED peer", kMaybeStarted));
    for (const auto& [id, message] : {std::pair(1, std::string("first")),
                                      std::pair(3, Pattern(40'000, 2))}) {
      if (EndOf(pair.client, id) == "OK") {
        EXPECT_THAT(pair.client.messages(id), ElementsAre(message));
      } else {
        EXPECT_THAT(pair.client.messages(id),
                    AnyOf(IsEmpty(), ElementsAre(message)));
      }
    }
    if (size == all) {
      EXPECT_EQ(EndOf(pair.client, 3), "OK");
    }
    EXPECT_EQ(pair.client.session().assembling_bytes(), 0u);
    EXPECT_EQ(pair.server.session().open_streams(), 0u);
    EXPECT_EQ(pair.server.session().unsent_bytes(), 0u);
  }
}

TEST(SessionClose, TellsTheServersCallsOnceHoweverManyEndsThereAre) {
  SessionPair pair;
  pair.server.finish_cancelled = false;
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.server.TakeEvents();
  pair.server.session().Close(wire::ErrorCode::kInternalError, "one");
  pair.server.session().Close(wire::ErrorCode::kInternalError, "two");
  pair.server.session().OnTransportClosed("three", pair.now);
  pair.server.session().OnTime(pair.now + absl::Hours(1));
  pair.server.session().Receive("four", pair.now);
  EXPECT_THAT(pair.server.TakeEvents(),
              ElementsAre("cancel 1 connection", "closed INTERNAL_ERROR"));
  // The handler ends when it ends.
  EXPECT_EQ(pair.server.session().open_streams(), 1u);
  pair.server.Reply(1, "nobody hears it").IgnoreError();
  EXPECT_EQ(pair.server.session().open_streams(), 0u);
}

TEST(SessionClose, OfAServerSaysHowFarItCame) {
  SessionPair pair;
  pair.client.Call(kUnary, "q");
  pair.client.Call(kUnary, "q");
  pair.Run();
  pair.client.Call(kUnary, "never arrives");
  pair.sent_to_client.clear();
  pair.server.session().Close(wire::ErrorCode::kInternalError, "broken");
  pair.MoveToClient();
  EXPECT_THAT(DescribeFrames(pair.sent_to_client),
              ElementsAre("GOAWAY 3 INTERNAL_ERROR"));
  EXPECT_EQ(EndOf(pair.client, 1), kMaybeStarted);
  EXPECT_EQ(EndOf(pair.client, 3), kMaybeStarted);
  EXPECT_EQ(EndOf(pair.client, 5), kNotStarted);
}

// A unary request whose half-close comes alone is complete only then.
TEST(SessionClose, ARequestInPiecesIsNotStartedBeforeItsHalfClose) {
  for (const size_t size : {size_t{10}, size_t{40'000}}) {
    for (const bool half_closed : {false, true}) {
      SessionPair pair;
      pair.client.Open(kUnary);
      pair.client.Send(1, Pattern(size)).IgnoreError();
      pair.Run();
      if (half_closed) pair.client.HalfClose(1);
      pair.Run();
      pair.Disconnect();
      EXPECT_EQ(EndOf(pair.client, 1),
                half_closed ? kMaybeStarted : kNotStarted);
      EXPECT_EQ(Started(pair.server, 1), half_closed);
    }
  }
}

TEST(SessionClose, InTheMiddleOfEachCallback) {
  for (const std::string& when :
       {std::string("call 1 test.Test/Bidirectional"),
        std::string("begin 1 50000"), std::string("message 1 50000 bytes"),
        std::string("message 1 \"second\""), std::string("half-close 1")}) {
    SessionPair pair;
    pair.server.log_details = true;
    pair.server.hook = [&](std::string_view event) {
      if (event != when) return;
      pair.server.session().Close(wire::ErrorCode::kInternalError, "now");
      pair.server.session().Output();
    };
    pair.client.Open(kBidirectional);
    pair.client.Send(1, Pattern(50'000)).IgnoreError();
    pair.client.Send(1, "second", /*half_close=*/true).IgnoreError();
    pair.Run();
    EXPECT_EQ(pair.server.events().back(), "closed INTERNAL_ERROR") << when;
    EXPECT_EQ(pair.server.session().open_streams(), 0u);
    EXPECT_EQ(pair.server.session().assembling_bytes(), 0u);
    EXPECT_EQ(EndOf(pair.client, 1), kMaybeStarted);
  }
}

}  // namespace
}  // namespace tern::testing
