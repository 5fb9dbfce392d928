// Streams that carry much: they give way to calls beside them, and their
// windows grow with what the network holds.

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

constexpr size_t kChunk = 32'768;
constexpr uint32_t kWindow = 1 << 20;

wire::SessionOptions Options() {
  return {.hello = {.max_frame_bytes = 64 << 10,
                    .stream_window_bytes = kWindow,
                    .connection_window_bytes = 4 * kWindow}};
}

class SessionBulk : public ::testing::Test {
 protected:
  // Stream 1 is a server's stream whose messages the client does not consume.
  SessionBulk() {
    pair_.Run();
    pair_.client.Call(kServerStreaming, "");
    pair_.Run();
    pair_.client.consume = false;
  }

  void Send(int messages) {
    for (int i = 0; i < messages; ++i) {
      ASSERT_TRUE(pair_.server.Send(1, Pattern(kChunk)).ok());
    }
  }
  // What the client has of the stream.
  size_t received() { return pair_.client.messages(1).size() * kChunk; }
  void MoveAllToClient() {
    while (pair_.MoveToClient() != 0) {
    }
  }
  // Without a byte on the way.
  void Wait(absl::Duration duration) {
    pair_.connected = false;
    pair_.Advance(duration);
    pair_.connected = true;
  }

  SessionPair pair_{Options(), Options()};
};

TEST_F(SessionBulk, AloneItFillsItsWindow) {
  Send(40);
  MoveAllToClient();
  EXPECT_EQ(received(), kWindow);
}

TEST_F(SessionBulk, ConsumedBytesAreGivenBackByTheStep) {
  Send(4);
  MoveAllToClient();
  pair_.sent_to_server.clear();
  pair_.client.session().Consume(pair_.client.stream(1), 65'535);
  pair_.Run();
  EXPECT_EQ(CreditIn(pair_.sent_to_server, 1), 0u);
  pair_.client.session().Consume(pair_.client.stream(1), 1);
  pair_.Run();
  EXPECT_EQ(CreditIn(pair_.sent_to_server, 1), 65'536u);
}

TEST_F(SessionBulk, BesideACallItHasLittleOnTheWay) {
  const auto call = pair_.client.Call(kUnary, "question", pair_.now);
  pair_.MoveToServer();
  Send(40);
  ASSERT_TRUE(pair_.server.Reply(call, "answer").ok());
  MoveAllToClient();
  EXPECT_EQ(received(), wire::Session::kBesideCallsBytes);
  EXPECT_EQ(pair_.client.messages(call).size(), 1u);

  // What is read makes room for as much.
  pair_.client.session().Consume(pair_.client.stream(1), 2 * kChunk);
  pair_.Run();
  EXPECT_EQ(received(), wire::Session::kBesideCallsBytes + 2 * kChunk);

  // For so long after the call's beginning.
  Wait(absl::Milliseconds(9));
  MoveAllToClient();
  EXPECT_EQ(received(), wire::Session::kBesideCallsBytes + 2 * kChunk);
  Wait(absl::Milliseconds(1));
  MoveAllToClient();
  EXPECT_EQ(received(), kWindow + 2 * kChunk);
}

TEST_F(SessionBulk, SmallMessagesGiveWayToo) {
  pair_.client.Call(kUnary, "question", pair_.now);
  pair_.MoveToServer();
  size_t sent = 0;
  for (; sent < size_t{kWindow}; sent += 512) {
    ASSERT_TRUE(pair_.server.Send(1, Pattern(512)).ok());
  }
  MoveAllToClient();
  EXPECT_EQ(pair_.client.messages(1).size() * 512,
            wire::Session::kBesideCallsBytes);
  Wait(absl::Milliseconds(10));
  MoveAllToClient();
  EXPECT_EQ(pair_.client.messages(1).size() * 512, size_t{kWindow});
}

// A peer that gives credit by larger steps is not waited for, though calls go
// on.
TEST_F(SessionBulk, CallsWithoutEndDoNotStopIt) {
  Send(40);
  for (int i = 0; i < 30; ++i) {
    pair_.client.Call(kUnary, "question", pair_.now);
    pair_.MoveToServer();
    MoveAllToClient();
    Wait(absl::Milliseconds(1));
  }
  MoveAllToClient();
  EXPECT_EQ(received(), kWindow);
}

TEST_F(SessionBulk, AClientsStreamGivesWayToItsCalls) {
  const auto stream = pair_.client.Open(kClientStreaming, pair_.now);
  pair_.client.Call(kUnary, "question", pair_.now);
  pair_.server.consume = false;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(pair_.client.Send(stream, Pattern(kChunk)).ok());
  }
  while (pair_.MoveToServer() != 0) {
  }
  EXPECT_EQ(pair_.server.messages(stream).size() * kChunk,
            wire::Session::kBesideCallsBytes);
}

TEST_F(SessionBulk, AStreamThatEndsWhileItGivesWayIsForgotten) {
  pair_.client.Call(kUnary, "question", pair_.now);
  pair_.MoveToServer();
  Send(40);
  MoveAllToClient();
  pair_.client.Cancel(1);
  pair_.Run();
  EXPECT_EQ(pair_.server.stream(1), nullptr);
  pair_.Advance(absl::Milliseconds(10));
  EXPECT_FALSE(pair_.server.closed_told());
}

// --- Windows -----------------------------------------------------------------

class WindowTuning : public SessionBulk {
 protected:
  // One way there and back: all that the window allows comes, and is read.
  // Returns how much came.
  size_t RoundTrip(absl::Duration time) {
    const size_t before = received();
    Send(static_cast<int>(16 * kWindow / kChunk) -
         static_cast<int>(pair_.server.session().unsent_bytes() / kChunk));
    MoveAllToClient();
    const size_t came = received() - before;
    Wait(time);
    for (size_t i = 0; i < came / (2 * kChunk); ++i) {
      pair_.client.session().Consume(pair_.client.stream(1), 2 * kChunk);
    }
    while (pair_.MoveToServer() != 0) {
    }
    return came;
  }
};

TEST_F(WindowTuning, ItDoublesOnALongWayUpToItsLimit) {
  pair_.client.path.round_trip = absl::Milliseconds(100);
  size_t came = 0;
  for (int i = 0; i < 12; ++i) {
    const size_t before = came;
    came = RoundTrip(absl::Milliseconds(100));
    EXPECT_GE(came, before);
    EXPECT_LE(came, 2 * before + kWindow);
  }
  EXPECT_EQ(came, size_t{16 << 20});
}

TEST_F(WindowTuning, ItStaysWhereTheNetworkHoldsLess) {
  pair_.client.path.round_trip = absl::Milliseconds(5);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(RoundTrip(absl::Milliseconds(100)), kWindow);
  }
}

TEST_F(WindowTuning, ItStaysWhereTheWayIsUnknown) {
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(RoundTrip(absl::Milliseconds(100)), kWindow);
  }
}

TEST_F(WindowTuning, ItTakesAnEighthOfWhatTheHostCanSpare) {
  pair_.client.path = {.round_trip = absl::Milliseconds(100),
                       .spare_bytes = 8 * 2 * kChunk};
  EXPECT_EQ(RoundTrip(absl::Milliseconds(100)), kWindow);
  size_t came = kWindow;
  for (int i = 0; i < 6; ++i) {
    const size_t before = came;
    came = RoundTrip(absl::Milliseconds(100));
    EXPECT_LE(came, before + 2 * kChunk);
  }
  EXPECT_GT(came, kWindow);
  pair_.client.path.spare_bytes = 0;
  for (int i = 0; i < 3; ++i) {
    const size_t before = came;
    came = RoundTrip(absl::Milliseconds(100));
    EXPECT_LE(came, before + 2 * kChunk);  // Of what was on its way.
  }
  const size_t settled = came;
  EXPECT_EQ(RoundTrip(absl::Milliseconds(100)), settled);
}

}  // namespace
}  // namespace tern::testing
