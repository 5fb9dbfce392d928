// F7: the same bytes, cut anywhere, give the same events and the same answers
// on both sides.

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_io.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using Story = std::function<void(SessionPair&)>;

// What a conversation leaves behind.
struct Record {
  std::vector<std::string> client_events;
  std::vector<std::string> server_events;
  std::string to_server;
  std::string to_client;
  friend bool operator==(const Record&, const Record&) = default;
};

Record Tell(const Story& story, size_t piece, size_t cut_to_server,
            size_t cut_to_client, Way way = Way::kCopied) {
  SessionPair pair({.hello = {.agent = "c"}}, {.hello = {.agent = "s"}});
  pair.piece = piece;
  pair.way = way;
  pair.cut_to_server = cut_to_server;
  pair.cut_to_client = cut_to_client;
  pair.client.log_details = true;
  pair.server.log_details = true;
  story(pair);
  return {.client_events = pair.client.TakeEvents(),
          .server_events = pair.server.TakeEvents(),
          .to_server = pair.sent_to_server,
          .to_client = pair.sent_to_client};
}

constexpr size_t kNoCut = SessionPair::kAll;

// Everything that small frames can do.
void SmallStory(SessionPair& pair) {
  pair.client.Call(kUnary, "before HELLO");
  pair.Run();
  pair.server.Reply(1, TestMessage("answer", 2)).IgnoreError();
  pair.client.Call(kUnary, TestMessage("question", 3), pair.now,
                   {.deadline = pair.now + absl::Seconds(1),
                    .metadata = {{"user", "ann"}, {"raw-bin", "\xff"}}});
  pair.Run();
  pair.server.session()
      .SendResponseHeader(pair.server.stream(3), {.metadata = {{"k", "v"}}})
      .IgnoreError();
  pair.server
      .Finish(3, {.code = absl::StatusCode::kNotFound,
                  .message = "no such key",
                  .details = {{"type.googleapis.com/x", "detail"}},
                  .certainty = Certainty::kFinished,
                  .trailing_metadata = {{"shard", "7"}}})
      .IgnoreError();
  pair.client.Open(kBidirectional, pair.now);
  pair.client.Send(5, "one").IgnoreError();
  pair.client.Send(5, "").IgnoreError();
  pair.Run();
  pair.server.Send(5, "re: one").IgnoreError();
  pair.client.Send(5, "two", /*half_close=*/true).IgnoreError();
  pair.Run();
  pair.client.Call(kUnary, "to be cancelled", pair.now);
  pair.Run();
  pair.client.Cancel(7);
  pair.client.Call(kUnary, "refused", pair.now, {.codec = 3});
  pair.server.Finish(5).IgnoreError();
  pair.Run();
  pair.client.Call(kUnary, "during drain", pair.now);
  pair.server.session().Drain("restart", pair.now);
  pair.Run();
  pair.server.Reply(11, "last").IgnoreError();
  pair.Run();
}

TEST(SessionSplit, EveryCutInTwo) {
  const Record whole = Tell(SmallStory, kNoCut, kNoCut, kNoCut);
  ASSERT_EQ(whole.server_events.back(), "closed NO_ERROR");
  ASSERT_EQ(whole.client_events.back(), "closed NO_ERROR");
  ASSERT_GT(whole.client_events.size(), 10u);
  for (size_t cut = 1; cut < whole.to_server.size(); ++cut) {
    ASSERT_EQ(Tell(SmallStory, kNoCut, cut, kNoCut), whole) << cut;
  }
  for (size_t cut = 1; cut < whole.to_client.size(); ++cut) {
    ASSERT_EQ(Tell(SmallStory, kNoCut, kNoCut, cut), whole) << cut;
  }
}

TEST(SessionSplit, PiecesOfEverySize) {
  const Record whole = Tell(SmallStory, kNoCut, kNoCut, kNoCut);
  for (size_t piece = 1; piece <= 100; ++piece) {
    ASSERT_EQ(Tell(SmallStory, piece, kNoCut, kNoCut), whole) << piece;
  }
}

// Chunks, windows and turns.
void LargeStory(SessionPair& pair) {
  pair.client.Call(kUnary, TestMessage(Pattern(90'000, 1), 50'000));
  pair.client.Call(kUnary, Pattern(30'000, 3));
  pair.client.Open(kBidirectional);
  for (int i = 0; i < 6; ++i) {
    pair.client.Send(5, Pattern(15'000, i)).IgnoreError();
  }
  pair.client.HalfClose(5);
  pair.Run();
  pair.server.Reply(1, Pattern(100'000)).IgnoreError();
  for (int i = 0; i < 6; ++i) {
    pair.server.Send(5, Pattern(15'000, i)).IgnoreError();
  }
  pair.Run();
  pair.client.Cancel(3);
  pair.server.Finish(5).IgnoreError();
  pair.Run();
}

// Where frames begin and end, and what is near.
std::vector<size_t> NearFrames(const std::string& bytes) {
  std::vector<size_t> cuts;
  size_t at = PrefaceBytes().size();
  for (const RawFrame& frame : SplitFrames(bytes)) {
    for (size_t near = 0; near <= 21; ++near) cuts.push_back(at + near);
    at += 12 + frame.block.size() + frame.payload.size();
    for (size_t near = 1; near <= 3; ++near) cuts.push_back(at - near);
  }
  EXPECT_EQ(at, bytes.size());
  return cuts;
}

TEST(SessionSplit, ChunksCutNearTheirEnds) {
  const Record whole = Tell(LargeStory, kNoCut, kNoCut, kNoCut);
  ASSERT_EQ(whole.client_events.back(), "end 5 OK");
  for (const Way way : {Way::kCopied, Way::kDirect}) {
    for (const size_t cut : NearFrames(whole.to_server)) {
      ASSERT_EQ(Tell(LargeStory, kNoCut, cut, kNoCut, way), whole) << cut;
    }
    for (const size_t cut : NearFrames(whole.to_client)) {
      ASSERT_EQ(Tell(LargeStory, kNoCut, kNoCut, cut, way), whole) << cut;
    }
    for (const size_t piece :
         {1, 2, 3, 11, 12, 13, 1000, 1448, 4096, 16'384, 16'396, 16'397, 20'000,
          32'792, 50'000, 65'536}) {
      ASSERT_EQ(Tell(LargeStory, piece, kNoCut, kNoCut, way), whole) << piece;
    }
  }
}

}  // namespace
}  // namespace tern::testing
