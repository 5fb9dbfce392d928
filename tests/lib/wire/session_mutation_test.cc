// Recorded conversations with bytes flipped, cut out, repeated and moved: no
// input makes a session crash, forget a call or send what is no frame. Run it
// under ASan (`./dev asan`).

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/session_io.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

constexpr MonotonicTime kStart = MonotonicTime::FromNanoseconds(1'000'000'000);

// The client's half of the story, up to what it hears.
void StartCalls(RecordingHost& client) {
  client.Call(kUnary, "small", kStart,
              {.deadline = kStart + absl::Seconds(20),
               .metadata = {{"user", "ann"}, {"raw-bin", "\xff"}}});
  client.Call(kUnary, TestMessage(Pattern(20'000), 100), kStart);
  client.Open(kBidirectional, kStart);
  client.Send(5, "one").IgnoreError();
  client.Send(5, Pattern(3000)).IgnoreError();
  client.Send(5, "", /*half_close=*/true).IgnoreError();
  client.Call(kServerStreaming, "all", kStart);
}

// Answers as soon as it can.
void Answer(RecordingHost& server, std::string_view event) {
  if (event.substr(0, 10) != "half-close") return;
  const wire::StreamId id = StreamOf(event);
  const std::string method = server.method(id);
  if (!ShapeOf(method).server_streaming) {
    server.Reply(id, TestMessage(Pattern(id == 3 ? 20'000 : 10), 5))
        .IgnoreError();
    return;
  }
  server.session()
      .SendResponseHeader(server.stream(id), {.metadata = {{"k", "v"}}})
      .IgnoreError();
  server.Send(id, "first").IgnoreError();
  server.Send(id, Pattern(18'000)).IgnoreError();
  server
      .Finish(id, {.code = id == 5 ? absl::StatusCode::kNotFound
                                   : absl::StatusCode::kOk,
                   .message = "what the handler says",
                   .details = {{"type.googleapis.com/x", "detail"}},
                   .certainty = Certainty::kFinished,
                   .trailing_metadata = {{"shard", "7"}}})
      .IgnoreError();
}

struct Conversation {
  std::string to_server, to_client;
};

Conversation Record() {
  SessionPair pair;
  pair.server.hook = [&](std::string_view event) {
    Answer(pair.server, event);
  };
  StartCalls(pair.client);
  pair.Run();
  EXPECT_EQ(pair.client.session().open_streams(), 0u);
  pair.server.session().Drain("end", pair.now);
  pair.Run();
  return {pair.sent_to_server, pair.sent_to_client};
}

std::string Damage(std::string bytes, std::mt19937_64& random) {
  for (uint64_t left = 1 + random() % 4; left > 0 && !bytes.empty(); --left) {
    // Often in the first frames, where headers are.
    const size_t at =
        random() % (random() % 2 == 0 ? std::min<size_t>(bytes.size(), 400)
                                      : bytes.size());
    const size_t size = std::min<size_t>(1 + random() % 40, bytes.size() - at);
    switch (random() % 7) {
      case 0:
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes[at] = static_cast<char>(random());
        break;
      case 3:
        bytes.erase(at, size);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, size));
        break;
      case 5:
        bytes.insert(at, size, static_cast<char>(random()));
        break;
      case 6:
        bytes.resize(at);
        break;
    }
  }
  return bytes;
}

void Feed(RecordingHost& host, std::string_view bytes,
          std::mt19937_64& random) {
  std::string sent;
  MonotonicTime now = kStart;
  while (!bytes.empty()) {
    const size_t size = std::min<size_t>(bytes.size(), 1 + random() % 5000);
    // Storage of exactly that size: a read beyond it is an error to ASan.
    const std::vector<char> piece(bytes.begin(), bytes.begin() + size);
    Receive(host.session(), {piece.data(), size}, now,
            random() % 2 == 0 ? Way::kDirect : Way::kCopied);
    bytes.remove_prefix(size);
    if (random() % 2 == 0) sent += TakeOutput(host.session());
    EXPECT_LE(host.session().assembling_bytes(), 100u * (4 << 20));
  }
  now = now + absl::Seconds(random() % 30);
  host.session().OnTime(now);
  for (;;) {
    const std::string output = TakeOutput(host.session());
    if (output.empty()) break;
    sent += output;
  }
  host.session().OnTransportClosed("end of the test", now);
  for (const std::string& line : DescribeFrames(sent)) {
    ASSERT_NE(line.front(), '?') << line;
  }
  ASSERT_TRUE(host.closed_told());
  ASSERT_EQ(host.session().assembling_bytes(), 0u);
  ASSERT_EQ(host.session().open_streams(), 0u);
  ASSERT_EQ(host.live_streams(), 0u);
}

TEST(SessionMutation, NothingThatAClientSendsCrashesAServer) {
  const Conversation conversation = Record();
  for (int seed = 0; seed < 3000 && !HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    const std::string bytes = Damage(conversation.to_server, random);
    RecordingHost server({.role = wire::Role::kServer}, kStart);
    server.hook = [&](std::string_view event) { Answer(server, event); };
    Feed(server, bytes, random);
  }
}

TEST(SessionMutation, NothingThatAServerSendsCrashesAClient) {
  const Conversation conversation = Record();
  for (int seed = 0; seed < 3000 && !HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    const std::string bytes = Damage(conversation.to_client, random);
    RecordingHost client({.role = wire::Role::kClient}, kStart);
    StartCalls(client);
    Feed(client, bytes, random);
  }
}

// Frames that are well-formed one by one, in an order that means nothing.
TEST(SessionMutation, FramesInAnyOrder) {
  const Conversation conversation = Record();
  for (const bool to_server : {true, false}) {
    const std::vector<RawFrame> frames = SplitFrames(
        to_server ? conversation.to_server : conversation.to_client);
    for (int seed = 0; seed < 2000 && !HasFailure(); ++seed) {
      std::mt19937_64 random(seed);
      std::string bytes = GreetingBytes();
      for (uint64_t left = 1 + random() % 30; left > 0; --left) {
        RawFrame frame = frames[1 + random() % (frames.size() - 1)];
        if (random() % 4 == 0) frame.stream = random() % 12;
        if (random() % 4 == 0) frame.flags ^= 1 << random() % 8;
        if (random() % 8 == 0) frame.type = 1 + random() % 9;
        if (random() % 8 == 0) frame.payload.resize(random() % 20);
        bytes += frame.Bytes();
      }
      RecordingHost host(
          {.role = to_server ? wire::Role::kServer : wire::Role::kClient},
          kStart);
      if (to_server) {
        host.hook = [&](std::string_view event) { Answer(host, event); };
      } else {
        StartCalls(host);
      }
      Feed(host, bytes, random);
    }
  }
}

}  // namespace
}  // namespace tern::testing
