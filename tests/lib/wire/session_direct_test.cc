// Long frames are received where their message is put together, and sent from
// where it lies. session_split_test and tests/golden have the same bytes both
// ways; here is what is special about this one.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_peer.h"
#include "tests/testing/session_io.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::ElementsAre;
using wire::InputPieces;
using wire::Role;

constexpr size_t kFrameBytes = 16 << 10;
constexpr size_t kMessageBytes = 100'000;

// A message of stream `id` in frames: the one with the call header, then all
// that follow. The last has END_MESSAGE and END_STREAM.
std::vector<std::string> Chunks(wire::StreamId id, size_t message_bytes) {
  const std::string message = Pattern(message_bytes, id);
  std::vector<std::string> frames = {
      RawFrame{.type = 2,
               .flags = 0x04,
               .stream = id,
               .block = CallBlock(),
               .payload = BigEndian32(static_cast<uint32_t>(message_bytes)) +
                          message.substr(0, kFrameBytes - 4)}
          .Bytes()};
  for (size_t at = kFrameBytes - 4; at < message_bytes; at += kFrameBytes) {
    const bool last = at + kFrameBytes >= message_bytes;
    frames.push_back(RawFrame{.type = 3,
                              .flags = static_cast<uint8_t>(last ? 0x03 : 0),
                              .stream = id,
                              .payload = message.substr(at, kFrameBytes)}
                         .Bytes());
  }
  return frames;
}

std::string Cancel(wire::StreamId id) {
  return RawFrame{.type = 5, .stream = id}.Bytes();
}

std::string Join(const std::vector<std::string>& parts) {
  std::string whole;
  for (const std::string& part : parts) whole += part;
  return whole;
}

class SessionDirect : public ::testing::Test {
 protected:
  SessionDirect() : peer_(Role::kServer, Limits()) {
    peer_.Greet();
    peer_.host.log_chunks = true;
  }
  static wire::Hello Limits() {
    return {.max_frame_bytes = 64 << 10,
            .stream_window_bytes = 1 << 20,
            .connection_window_bytes = 4 << 20};
  }

  wire::Session& session() { return peer_.host.session(); }
  void Feed(std::string_view bytes) {
    Receive(session(), bytes, peer_.now, Way::kDirect);
  }
  // The first frame of a message and a part of its second.
  void BeginMessage(wire::StreamId id) {
    const std::vector<std::string> frames = Chunks(id, kMessageBytes);
    Feed(frames[0] + frames[1].substr(0, 1000));
  }

  RawPeer peer_;
};

TEST_F(SessionDirect, AMessageIsReadToWhereItIsDelivered) {
  const std::vector<std::string> frames = Chunks(1, kMessageBytes);
  Feed(frames[0] + frames[1].substr(0, 12 + 1000));
  InputPieces pieces = session().ReceiveInto();
  ASSERT_FALSE(pieces.empty());
  const char* const place = pieces[0].data();
  EXPECT_EQ(pieces[0].size(), kFrameBytes - 1000);
  EXPECT_EQ(pieces[1].size(), 12u) << "the next frame's header";
  EXPECT_EQ(pieces[2].data(), place + kFrameBytes - 1000);

  std::string rest = frames[1].substr(12 + 1000);
  for (size_t i = 2; i < frames.size(); ++i) rest += frames[i];
  Feed(rest);
  EXPECT_EQ(peer_.host.last_place() + kFrameBytes - 4 + 1000, place)
      << "without a copy";
  EXPECT_THAT(peer_.host.messages(1), ElementsAre(Pattern(kMessageBytes, 1)));
  EXPECT_EQ(peer_.host.events().back(), "half-close 1");
}

TEST_F(SessionDirect, PlacesAreOfferedForLongFramesOnly) {
  EXPECT_TRUE(session().ReceiveInto().empty());
  const std::vector<std::string> frames = Chunks(1, kMessageBytes);
  Feed(frames[0].substr(0, 11));
  EXPECT_TRUE(session().ReceiveInto().empty());
  Feed(frames[0].substr(11, 1));
  EXPECT_GE(session().ReceiveInto().bytes(), 4096u) << "of the frame";
  Feed(frames[0].substr(12));
  ASSERT_FALSE(session().ReceiveInto().empty());
  EXPECT_EQ(session().ReceiveInto()[0].size(), 12u) << "the next header";
  Feed(PingFrame("12345678"));
  EXPECT_TRUE(session().ReceiveInto().empty()) << "not so sure any more";
  Feed(frames[1].substr(0, 12));
  EXPECT_GE(session().ReceiveInto().bytes(), kFrameBytes) << "and beyond";
  Feed(Join(frames).substr(frames[0].size() + 12,
                           kMessageBytes - kFrameBytes - 4000));
  EXPECT_TRUE(session().ReceiveInto().empty()) << "little is missing";
}

// The rest of a frame, and what follows it with a header each: sixteen places
// are full with the eighth header, however much is still to come.
TEST_F(SessionDirect, PlacesAreSixteenAtTheMost) {
  wire::StreamId id = 1;
  for (const auto& [more, places] :
       {std::pair(6, 13), {7, 15}, {8, 16}, {9, 16}, {14, 16}}) {
    const size_t message_bytes = (2 + more) * kFrameBytes - 4;
    const std::vector<std::string> frames = Chunks(id, message_bytes);
    Feed(frames[0] + frames[1].substr(0, 13));
    EXPECT_EQ(session().ReceiveInto().size(), places) << more;
    Feed(Join(frames).substr(frames[0].size() + 13));
    EXPECT_THAT(peer_.host.messages(id),
                ElementsAre(Pattern(message_bytes, id)));
    id += 2;
  }
}

// What was hoped to follow does not: other streams, frames of other sizes, of
// other types, and faults. The events are those of Receive.
TEST_F(SessionDirect, WhatComesNextMayBeAnything) {
  const std::vector<std::string> one = Chunks(1, kMessageBytes);
  const std::vector<std::string> three = Chunks(3, kMessageBytes);
  const std::string ping = PingFrame("12345678", /*ack=*/false);
  const std::string small =
      RawFrame{.type = 3, .stream = 1, .payload = std::string(2000, 's')}
          .Bytes();
  const std::vector<std::vector<std::string>> stories = {
      {one[1], one[2], three[1], one[3], three[2], three[3], one[4]},
      {three[1], three[2], one[1], one[2], three[3].substr(0, 7)},
      {three[1], three[2], three[3], three[4], three[5], three[6], one[1]},
      {small, Cancel(3), one[1], Cancel(1), three[1]},
      {one[1], ping, one[2], ping, one[3]},
      {one[1], one[2], small, one[3], one[4], one[5]},
      {one[1], Cancel(1), one[2], one[3]},
      {one[1], one[2], Cancel(3), Cancel(1), one[3], three[1]},
      {one[1], one[2], std::string("\xff\xff\xff\xff garbage", 12), one[3]},
      {one[1], RawFrame{.type = 3, .stream = 2, .payload = one[2]}.Bytes()},
      {one[1], one[2], one[3], one[4], one[5], one[6], one[6], one[6]},
      {one[1], one[2], one[3].substr(0, 5)},
      {one[1], one[2], one[3].substr(0, 5000)},
  };
  for (size_t i = 0; i < stories.size(); ++i) {
    const std::string bytes = Join(stories[i]);
    std::vector<std::vector<std::string>> outcomes;
    for (const size_t first : {0, 12, 5000, 20'000, 40'000}) {
      for (const Way way : {Way::kCopied, Way::kDirect}) {
        RawPeer peer(Role::kServer, Limits());
        peer.Greet();
        peer.host.log_chunks = true;
        Receive(peer.host.session(), one[0] + three[0], peer.now, way);
        // The place where the frames are cut decides what is hoped for.
        const std::string_view all = bytes;
        const size_t cut = std::min<size_t>(first, all.size());
        Receive(peer.host.session(), all.substr(0, cut), peer.now, way);
        Receive(peer.host.session(), all.substr(cut), peer.now, way);
        std::vector<std::string> outcome = peer.host.TakeEvents();
        for (std::string& frame : peer.Frames()) outcome.push_back(frame);
        outcomes.push_back(outcome);
      }
    }
    for (const auto& outcome : outcomes) EXPECT_EQ(outcome, outcomes[0]) << i;
  }
}

// What has come of a frame when its stream ends, and what then comes, belong
// together.
TEST_F(SessionDirect, TheServerMayEndTheStreamInTheMiddleOfAFrame) {
  wire::StreamId id = 1;
  for (const size_t come : {12, 13, 5000, 16'395}) {
    const std::vector<std::string> frames = Chunks(id, kMessageBytes);
    Feed(frames[0] + frames[1].substr(0, come));
    peer_.host.Finish(id, absl::StatusCode::kAborted).IgnoreError();
    EXPECT_EQ(session().assembling_bytes(), 0u);
    Feed(frames[1].substr(come) + frames[2]);
    EXPECT_FALSE(session().closed());
    id += 2;
  }
  Feed(Join(Chunks(id, kMessageBytes)));
  EXPECT_EQ(peer_.host.messages(id).size(), 1u);
}

TEST_F(SessionDirect, TheClientMayCancelInTheMiddleOfAFrame) {
  for (const size_t come : {20'000, 30'000, 33'000, 40'000}) {
    SessionPair pair;
    pair.way = Way::kDirect;
    pair.client.Call(kUnary, "question");
    pair.Run();
    pair.server.Reply(1, Pattern(kMessageBytes)).IgnoreError();
    pair.MoveToClient(come - 10'000);
    pair.MoveToClient(10'000);
    ASSERT_FALSE(pair.client.session().ReceiveInto().empty());
    pair.client.Cancel(1);
    EXPECT_EQ(pair.client.session().assembling_bytes(), 0u);
    pair.client.Call(kUnary, "another", pair.now);
    pair.Run();
    pair.server.Reply(3, Pattern(kMessageBytes)).IgnoreError();
    pair.Run();
    EXPECT_EQ(pair.client.TakeEvents().back(), "end 3 OK");
  }
}

// At each of the chunks that one read has brought.
TEST_F(SessionDirect, TheHostMayEndTheStreamInsideACallback) {
  for (int chunk = 1; chunk <= 6; ++chunk) {
    for (const bool close : {false, true}) {
      RawPeer peer(Role::kServer, Limits());
      peer.Greet();
      peer.host.log_chunks = true;
      int seen = 0;
      peer.host.hook = [&](std::string_view event) {
        if (event.substr(0, 5) != "chunk" || seen++ != chunk) return;
        if (close) {
          peer.host.session().Close(wire::ErrorCode::kNoError, "enough");
        } else {
          peer.host.Finish(1, absl::StatusCode::kAborted).IgnoreError();
        }
      };
      const std::string bytes = Join(Chunks(1, kMessageBytes));
      const size_t cut = kFrameBytes + 200;
      Receive(peer.host.session(), bytes.substr(0, cut), peer.now,
              Way::kDirect);
      Receive(peer.host.session(), bytes.substr(cut), peer.now, Way::kDirect);
      EXPECT_EQ(seen, chunk + 1);
      EXPECT_EQ(peer.host.session().closed(), close);
      EXPECT_EQ(peer.host.session().assembling_bytes(), 0u);
      peer.host.hook = nullptr;
      if (close) continue;
      Receive(peer.host.session(), Join(Chunks(3, kMessageBytes)), peer.now,
              Way::kDirect);
      EXPECT_EQ(peer.host.messages(3).size(), 1u);
    }
  }
}

// R18: at each of the chunks, the host may have no memory for it.
TEST_F(SessionDirect, TheHostMayRefuseAChunkInTheMiddleOfARead) {
  for (size_t room = 0; room < kMessageBytes; room += 10'000) {
    RawPeer peer(Role::kServer, Limits());
    peer.Greet();
    peer.host.room = room;
    const std::string bytes = Join(Chunks(1, kMessageBytes));
    const size_t cut = kFrameBytes + 200;
    Receive(peer.host.session(), bytes.substr(0, cut), peer.now, Way::kDirect);
    Receive(peer.host.session(), bytes.substr(cut), peer.now, Way::kDirect);
    EXPECT_EQ(peer.host.events().back(), "cancel 1 fault");
    EXPECT_EQ(peer.host.session().assembling_bytes(), 0u);
    EXPECT_FALSE(peer.host.session().closed());
  }
}

// R2: it is still a frame, and has to be complete in time.
TEST_F(SessionDirect, AFrameTakesNoLongerThanAnyOther) {
  BeginMessage(1);
  for (int i = 0; i < 9; ++i) {
    peer_.Wait(absl::Seconds(1));
    const InputPieces pieces = session().ReceiveInto();
    ASSERT_FALSE(pieces.empty());
    session().ReceivedInto(1, peer_.now);
  }
  EXPECT_FALSE(session().closed());
  peer_.Wait(absl::Seconds(1));
  EXPECT_TRUE(session().closed());
  EXPECT_TRUE(session().ReceiveInto().empty());
}

TEST_F(SessionDirect, MemoryGrowsWithWhatHasCome) {
  constexpr size_t kLarge = 4 << 20;
  const std::vector<std::string> frames = Chunks(1, kLarge);
  Feed(frames[0] + frames[1].substr(0, 12));
  size_t come = kFrameBytes;
  std::string rest = frames[1].substr(12);
  for (size_t i = 2; i < frames.size(); ++i) rest += frames[i];
  while (!rest.empty()) {
    const size_t offered = session().ReceiveInto().bytes();
    EXPECT_LE(offered, std::max<size_t>(2 * come, 512 << 10)) << come;
    const size_t size = std::min<size_t>(rest.size(), 10'000);
    Feed(std::string_view(rest).substr(0, size));
    rest.erase(0, size);
    come += size;
  }
  EXPECT_EQ(peer_.host.messages(1).size(), 1u);
}

// A checksum is computed over a whole frame.
TEST(SessionDirectChecksum, ChunksWithChecksumsAreCheckedAsEver) {
  SessionPair pair({.hello = {.features = wire::kFeatureChecksum}},
                   {.hello = {.features = wire::kFeatureChecksum}});
  pair.Run();
  pair.way = Way::kDirect;
  pair.piece = 5000;
  pair.client.Call(kUnary, Pattern(100'000), pair.now);
  pair.Run();
  EXPECT_THAT(pair.server.messages(1), ElementsAre(Pattern(100'000)));
  pair.client.Call(kUnary, Pattern(100'000), pair.now);
  std::string bytes = TakeOutput(pair.client.session());
  bytes[bytes.size() / 2] ^= 1;
  Receive(pair.server.session(), std::string_view(bytes).substr(0, 20'000),
          pair.now, Way::kDirect);
  Receive(pair.server.session(), std::string_view(bytes).substr(20'000),
          pair.now, Way::kDirect);
  EXPECT_EQ(pair.server.events().back(), "closed DATA_CORRUPT");
}

// --- What is still to come ---------------------------------------------------

TEST_F(SessionDirect, TheRestOfAMessageIsAwaited) {
  EXPECT_EQ(session().AwaitedBytes(), 0u);
  const std::vector<std::string> frames = Chunks(1, kMessageBytes);
  Feed(frames[0].substr(0, 20));
  EXPECT_EQ(session().AwaitedBytes(), 0u);
  Feed(frames[0].substr(20));
  const size_t after_first = kMessageBytes - (kFrameBytes - 4);
  EXPECT_EQ(session().AwaitedBytes(), after_first);
  Feed(frames[1].substr(0, 12 + 5000));
  EXPECT_EQ(session().AwaitedBytes(), after_first - 5000);
  Feed(frames[1].substr(12 + 5000));
  EXPECT_EQ(session().AwaitedBytes(), after_first - kFrameBytes);
  for (size_t i = 2; i + 1 < frames.size(); ++i) Feed(frames[i]);
  EXPECT_EQ(session().AwaitedBytes(), after_first % kFrameBytes);
  Feed(frames.back());
  EXPECT_EQ(session().AwaitedBytes(), 0u);
}

TEST_F(SessionDirect, NothingIsAwaitedInTheMiddleOfAShortFrame) {
  const std::vector<std::string> frames = Chunks(1, kMessageBytes);
  Feed(frames[0]);
  const std::string next =
      RawFrame{.type = 3, .stream = 1, .payload = std::string(2000, 'x')}
          .Bytes();
  Feed(next.substr(0, 1000));
  EXPECT_EQ(session().AwaitedBytes(), 0u);
  Feed(next.substr(1000));
  EXPECT_EQ(session().AwaitedBytes(), kMessageBytes - (kFrameBytes - 4) - 2000);
}

TEST_F(SessionDirect, NothingIsAwaitedBesideAnotherStream) {
  Feed(UnaryFrame(1, "x"));
  BeginMessage(3);
  EXPECT_EQ(session().AwaitedBytes(), 0u);
  ASSERT_TRUE(peer_.host.Reply(1, "y").ok());
  EXPECT_GT(session().AwaitedBytes(), 0u);
}

TEST_F(SessionDirect, NothingIsAwaitedOfACallThatHasEnded) {
  BeginMessage(1);
  EXPECT_GT(session().AwaitedBytes(), 0u);
  Feed(Chunks(1, kMessageBytes)[1].substr(1000));
  Feed(Cancel(1));
  EXPECT_EQ(session().AwaitedBytes(), 0u);
}

// Of a message that is longer than the windows no more is awaited than may come
// without more credit.
TEST(SessionDirectWindow, NoMoreIsAwaitedThanMayCome) {
  constexpr uint32_t kWindow = 1 << 20;
  RawPeer peer(Role::kServer, {.max_frame_bytes = 64 << 10,
                               .stream_window_bytes = 4 << 20,
                               .connection_window_bytes = kWindow});
  peer.Greet();
  const std::vector<std::string> frames = Chunks(1, 2 << 20);
  Receive(peer.host.session(), frames[0], peer.now, Way::kDirect);
  EXPECT_EQ(peer.host.session().AwaitedBytes(), kWindow - kFrameBytes);
  Receive(peer.host.session(), frames[1].substr(0, 12 + 5000), peer.now,
          Way::kDirect);
  EXPECT_EQ(peer.host.session().AwaitedBytes(), kWindow - kFrameBytes - 5000);
}

// --- Sending -----------------------------------------------------------------

struct NobodyWaits final : wire::SessionVisitor {
  void OnMessage(wire::Stream&, wire::IncomingMessage&) override {}
  void OnEnd(wire::Stream&, const wire::StatusHeader&,
             wire::EndCause) override {}
};

TEST(SessionDirectSend, ALongMessageIsSentFromWhereItLies) {
  NobodyWaits visitor;
  const wire::SessionOptions options = {.role = Role::kClient};
  wire::Session client(&options, &visitor, RawPeer::kStart);
  TakeOutput(client);  // The greeting.

  const std::shared_ptr<char[]> bytes = std::make_shared<char[]>(50'000);
  const std::shared_ptr<const char[]> shared = bytes;
  const auto write = [](char*) { ADD_FAILURE() << "a copy"; };
  const wire::OutgoingMessage message = {
      .size = 50'000, .shared = &shared, .write = write};
  wire::CallHeader header = {.method = kUnary};
  wire::Stream* stream = nullptr;
  ASSERT_TRUE(client
                  .Start(header, {}, MonotonicTime::InfiniteFuture(),
                         /*user=*/nullptr, &message, /*half_close=*/true,
                         RawPeer::kStart, &stream)
                  .ok());
  const wire::OutputPieces pieces = client.Output();
  ASSERT_GE(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].data(), bytes.get());
  EXPECT_EQ(pieces[3].data(), bytes.get() + pieces[1].size());
  EXPECT_EQ(bytes.use_count(), 5) << "the test's two, and three long chunks";

  // A frame that has begun is sent to its end.
  client.Sent(pieces[0].size() + 1);
  client.Cancel(stream, absl::StatusCode::kCancelled, "enough");
  EXPECT_EQ(bytes.use_count(), 5);
  client.Sent(pieces[1].size() - 1);
  EXPECT_EQ(bytes.use_count(), 4);
  client.OnTransportClosed("the test is over", RawPeer::kStart);
  EXPECT_EQ(bytes.use_count(), 2);
}

// A client whose calls have what they send from the test.
class SessionLent : public ::testing::Test {
 protected:
  SessionLent() : client_(&options_, &visitor_, RawPeer::kStart) {
    TakeOutput(client_);  // The greeting.
  }

  // Starts a call with `message_` as its request, which the caller keeps.
  wire::Stream* Start(std::vector<std::string_view> pieces) {
    const auto write = [](char*) { ADD_FAILURE() << "a copy"; };
    const wire::OutgoingMessage message = {
        .size = message_.size(), .pieces = pieces, .write = write};
    wire::CallHeader header = {.method = kUnary};
    wire::Stream* stream = nullptr;
    EXPECT_TRUE(client_
                    .Start(header, {}, MonotonicTime::InfiniteFuture(),
                           /*user=*/nullptr, &message, /*half_close=*/true,
                           RawPeer::kStart, &stream)
                    .ok());
    return stream;
  }
  bool IsInMessage(std::string_view piece) const {
    return piece.data() >= message_.data() &&
           piece.data() < message_.data() + message_.size();
  }

  NobodyWaits visitor_;
  const wire::SessionOptions options_ = {.role = Role::kClient};
  wire::Session client_;
  std::string message_ = Pattern(50'000);
};

TEST_F(SessionLent, LongPiecesAreSentFromWhereTheyLieAndShortOnesCopied) {
  const std::string_view all = message_;
  Start({all.substr(0, 3), all.substr(3, 40'000), all.substr(40'003, 4095),
         all.substr(44'098)});
  // In chunks of 16 KiB and a last one, which is short.
  constexpr size_t kInLongChunks = 3 * kFrameBytes - 4;
  std::string payloads;
  size_t in_place = 0;
  const std::string bytes = OutputOf(client_);
  for (const std::string_view piece : client_.Output()) {
    if (IsInMessage(piece)) in_place += piece.size();
  }
  EXPECT_EQ(in_place, 40'000 + (kInLongChunks - 44'098));
  for (const RawFrame& frame : SplitFrames(bytes)) payloads += frame.payload;
  EXPECT_TRUE(payloads == BigEndian32(50'000) + message_);
}

TEST_F(SessionLent, WhatIsNotSentIsCopiedWhenTheCallEnds) {
  wire::Stream* const stream = Start({message_});
  const std::string copy = message_;
  const std::string before = OutputOf(client_);
  const wire::OutputPieces pieces = client_.Output();
  ASSERT_TRUE(IsInMessage(pieces[1]));
  client_.Sent(pieces[0].size() + 1);
  client_.Cancel(stream, absl::StatusCode::kCancelled, "enough");
  message_.assign(message_.size(), '!');
  for (const std::string_view piece : client_.Output()) {
    EXPECT_FALSE(IsInMessage(piece));
  }
  const std::string after = OutputOf(client_);
  EXPECT_TRUE(after.substr(0, before.size() - pieces[0].size() - 1) ==
              before.substr(pieces[0].size() + 1));
}

TEST_F(SessionLent, NothingIsKeptOfACallThatTheTransportEnds) {
  Start({message_});
  ASSERT_FALSE(client_.Output().empty());
  client_.OnTransportClosed("the test is over", RawPeer::kStart);
  EXPECT_TRUE(client_.Output().empty());
}

}  // namespace
}  // namespace tern::testing
