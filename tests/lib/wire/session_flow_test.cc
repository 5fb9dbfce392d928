// Flow control in bytes: streams, the connection, and the order of what waits.

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

// R4: one consumer that stalls costs itself alone.
TEST(SessionFlow, AStalledStreamHoldsUpOnlyItself) {
  SessionPair pair;
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  pair.client.Open(kClientStreaming);
  pair.Run();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(pair.client.Send(1, Pattern(8192)).ok());
  }
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 8u) << "65,536 bytes at most";
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(pair.client.Send(3, Pattern(8192)).ok());
    pair.Run();
    pair.server.session().Consume(pair.server.stream(3), 8192);
  }
  pair.Run();
  EXPECT_EQ(pair.server.messages(3).size(), 100u);
  EXPECT_EQ(pair.server.messages(1).size(), 8u);
  EXPECT_EQ(pair.client.session().unsent_bytes(), 92u * 8192);
  // What the host deals with, the peer may send.
  pair.server.consume = true;
  pair.server.session().Consume(pair.server.stream(1), 8 * 8192);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 100u);
  EXPECT_EQ(pair.client.session().unsent_bytes(), 0u);
}

TEST(SessionFlow, CreditIsGivenInHalfWindowsNotForEachMessage) {
  SessionPair pair;
  pair.client.Open(kClientStreaming);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(pair.client.Send(1, Pattern(1000)).ok());
    pair.Run();
  }
  EXPECT_EQ(pair.server.messages(1).size(), 1000u);
  size_t windows = 0;
  for (const RawFrame& frame : SplitFrames(pair.sent_to_client)) {
    windows += frame.type == 6;
  }
  EXPECT_LE(windows, 1'000'000u / 32'768 + 1'000'000u / 131'072);
}

TEST(SessionFlow, AMessageThatWasAcceptedComesWithoutAPause) {
  SessionPair pair;
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  EXPECT_TRUE(pair.client.Send(1, Pattern(1'000'000)).ok());
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
  // But the next waits until that one is dealt with.
  EXPECT_TRUE(pair.client.Send(1, Pattern(10'000)).ok());
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
  pair.server.session().Consume(pair.server.stream(1), 1'000'000);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 2u);
}

// L27 and F18: the connection's credit comes back whatever became of the bytes.
TEST(SessionFlow, TheConnectionsWindowIsAlwaysGivenBack) {
  SessionPair pair;
  pair.server.hook = [&](std::string_view event) {
    if (event.substr(0, 4) == "call") {
      pair.server.Finish(StreamOf(event), absl::StatusCode::kUnimplemented)
          .IgnoreError();
    }
  };
  for (int i = 0; i < 200; ++i) {
    pair.client.Call(kUnary, Pattern(16'000), pair.now);
    pair.Run();
  }
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
  // 3.2 MB went through a window of 256 KiB, all of it on streams that were
  // refused.
  EXPECT_GE(CreditIn(pair.sent_to_client, 0), 200u * 16'000 - 131'072);
  EXPECT_FALSE(pair.client.session().closed());
}

TEST(SessionFlow, AWindowThatHelloMakesLargerHelpsCallsThatAreUnderWay) {
  SessionPair pair({}, {.hello = {.stream_window_bytes = 1'000'000,
                                  .connection_window_bytes = 2'000'000}});
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(pair.client.Send(1, Pattern(16'000)).ok());
  }
  while (pair.MoveToServer() > 0) {
  }
  EXPECT_EQ(pair.server.messages(1).size(), 4u) << "defaults until HELLO";
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 40u);
}

TEST(SessionFlow, AFrameLongerThanTheDefaultWaitsForHello) {
  SessionPair pair({}, {.hello = {.max_frame_bytes = 1 << 20,
                                  .stream_window_bytes = 1 << 20,
                                  .connection_window_bytes = 1 << 21}});
  pair.client.Call(kUnary, Pattern(50'000));
  pair.MoveToServer();
  for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
    EXPECT_LE(frame.block.size() + frame.payload.size(), 16'384u);
  }
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
  pair.sent_to_server.clear();
  pair.client.Call(kUnary, Pattern(50'000), pair.now);
  pair.Run();
  EXPECT_EQ(SplitFrames(pair.sent_to_server).size(), 1u);
  // 64 KiB at most, so that others get their turn.
  pair.sent_to_server.clear();
  pair.client.Call(kUnary, Pattern(500'000), pair.now);
  pair.Run();
  for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
    EXPECT_LE(frame.block.size() + frame.payload.size(), 65'536u);
  }
  EXPECT_EQ(pair.server.messages(5).size(), 1u);
}

// F17 of the sender: a chunk that ends nothing is worth a frame.
TEST(SessionFlow, ChunksAreNotCutSmallerThan1024Bytes) {
  SessionPair pair;
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  pair.client.Send(1, Pattern(65'536 - 1000)).IgnoreError();
  pair.client.Send(1, Pattern(2000)).IgnoreError();
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
  EXPECT_EQ(pair.client.session().unsent_bytes(), 2000u);
  pair.server.session().Consume(pair.server.stream(1), 65'536 - 1000);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 2u);
}

TEST(SessionFlow, AnEmptyMessageFitsAnEmptyWindow) {
  SessionPair pair;
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  // Frames of 16,384 bytes, 4 of them LENGTH's: the window to the last byte.
  for (int i = 0; i < 4; ++i) {
    pair.client.Send(1, Pattern(16'384)).IgnoreError();
  }
  pair.client.Send(1, "").IgnoreError();
  pair.client.HalfClose(1);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 5u);
  EXPECT_EQ(pair.server.events().back(), "half-close 1");
}

TEST(SessionFlow, ConsumingMoreThanCameGivesNoMoreThanTheWindow) {
  SessionPair pair;
  pair.client.Open(kClientStreaming);
  pair.Run();
  pair.server.session().Consume(pair.server.stream(1), 1'000'000);
  pair.client.Send(1, Pattern(1000)).IgnoreError();
  pair.Run();
  pair.server.session().Consume(pair.server.stream(1), 1'000'000);
  pair.Run();
  EXPECT_EQ(CreditIn(pair.sent_to_client, 1), 0u);
}

TEST(SessionFlow, TheConnectionsWindowIsSharedInTurns) {
  SessionPair pair;
  for (int i = 0; i < 10; ++i) {
    pair.client.Call(kUnary, Pattern(100'000, i));
  }
  pair.MoveToServer();
  // The first turns: a frame for each stream, then again.
  std::vector<uint32_t> turns;
  for (const RawFrame& frame : SplitFrames(pair.sent_to_server)) {
    if (frame.type == 3) turns.push_back(frame.stream);
  }
  ASSERT_GE(turns.size(), 8u);
  for (size_t i = 0; i < turns.size(); ++i) {
    EXPECT_EQ(turns[i], 2 * (i % 10) + 1);
  }
  pair.Run();
  for (uint32_t id = 1; id < 20; id += 2) {
    EXPECT_THAT(pair.server.messages(id),
                ElementsAre(Pattern(100'000, id / 2)));
  }
}

// R14: nothing of ours shrinks a window; what a client sent before HELLO fits.
TEST(SessionFlow, SmallMessagesPassThoseThatWaitForTheirStream) {
  SessionPair pair;
  pair.server.consume = false;
  pair.client.Open(kClientStreaming);
  for (int i = 0; i < 10; ++i) {
    pair.client.Send(1, Pattern(16'000)).IgnoreError();
  }
  pair.Run();
  pair.client.Call(kUnary, "small", pair.now);
  pair.Run();
  EXPECT_EQ(pair.server.events().back(), "half-close 3");
}

TEST(SessionFlow, OutputStopsAtItsTarget) {
  SessionPair pair({}, {.hello = {.stream_window_bytes = 100 << 20,
                                  .connection_window_bytes = 100 << 20}});
  pair.Run();
  pair.client.Call(kUnary, Pattern(4 << 20), pair.now);
  EXPECT_LE(OutputOf(pair.client.session()).size(),
            wire::Session::kOutputTargetBytes + 65'536);
  EXPECT_GE(pair.client.session().unsent_bytes(), size_t{4} << 20);
  pair.Run();
  EXPECT_EQ(pair.server.messages(1).size(), 1u);
}

}  // namespace
}  // namespace tern::testing
