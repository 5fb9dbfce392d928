// Thousands of random things that two honest hosts may do, over a transport
// that cuts and delays at random: whatever the order, every call ends once on
// each side, every message arrives whole and in order, nothing stays behind,
// and neither side finds fault with the other.

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/session_io.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

class RandomHosts {
 public:
  RandomHosts(uint64_t seed, const wire::SessionOptions& client,
              const wire::SessionOptions& server)
      : random_(seed), pair_(client, server) {
    pair_.server.finish_cancelled = false;
    pair_.client.consume = false;
    pair_.server.consume = false;
    pair_.client.hook = [this](std::string_view event) {
      Note(event, pair_.client, sent_by_server_, &client_calls_);
    };
    pair_.server.hook = [this](std::string_view event) {
      Note(event, pair_.server, sent_by_client_, &server_calls_);
    };
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      Step();
      ASSERT_FALSE(pair_.client.session().closed()) << Last(pair_.client);
      ASSERT_FALSE(pair_.server.session().closed()) << Last(pair_.server);
    }
    Finish();
  }

 private:
  struct Call {
    std::string method;
    bool half_closed = false;    // By the client, or seen by the server.
    bool said_anything = false;  // Server: header or message.
    uint64_t unconsumed = 0;
  };
  using Calls = std::map<wire::StreamId, Call>;
  using Sent = std::map<wire::StreamId, std::vector<std::string>>;

  static std::string Last(const RecordingHost& host) {
    return absl::StrCat(host.events().empty() ? "" : host.events().back(), ": ",
                        host.last_text());
  }

  // An event of either side: checks what was received against what was sent.
  void Note(std::string_view event, RecordingHost& host, Sent& sent,
            Calls* calls) {
    const bool is_client = &host == &pair_.client;
    const std::string_view verb = event.substr(0, event.find(' '));
    if (verb == "goaway" || verb == "closed") return;
    const wire::StreamId id = StreamOf(event);
    if (verb == "call") {
      (*calls)[id] = {.method = host.method(id)};
    } else if (verb == "half-close") {
      (*calls)[id].half_closed = true;
      EXPECT_EQ(host.messages(id), sent[id]) << "half-closed before the end";
    } else if (verb == "message") {
      const std::vector<std::string>& received = host.messages(id);
      ASSERT_LE(received.size(), sent[id].size());
      ASSERT_TRUE(received.back() == sent[id][received.size() - 1]);
      (*calls)[id].unconsumed += received.back().size();
    } else if (verb == "end") {
      if (is_client && event == absl::StrCat("end ", id, " OK")) {
        EXPECT_EQ(host.messages(id), sent[id]);
      }
      calls->erase(id);
    }
  }

  uint64_t Below(uint64_t limit) { return random_() % limit; }
  bool Chance(int percent) {
    return Below(100) < static_cast<uint64_t>(percent);
  }

  TestMessage RandomMessage() {
    static constexpr size_t kSizes[] = {
        0, 1, 100, 1000, 16'000, 16'384, 16'400, 65'536, 70'000, 200'000};
    const size_t most = kSizes[Below(std::size(kSizes))];
    const size_t size = Chance(50) ? most : Below(most + 1);
    return TestMessage(Pattern(size, static_cast<uint32_t>(random_())),
                       Chance(30) ? Below(size + 1) : 0);
  }

  static constexpr wire::StreamId kNone = 0;
  wire::StreamId AnyOf(const Calls& calls) {
    if (calls.empty()) return kNone;
    auto found = calls.begin();
    std::advance(found, Below(calls.size()));
    return found->first;
  }

  void Step() {
    switch (Below(14)) {
      case 0:
      case 1:
        return StartCall();
      case 2:
      case 3:
        return ClientSends();
      case 4:
        return ClientEnds();
      case 5:
      case 6:
        return ServerSends();
      case 7:
      case 8:
        return ServerEnds();
      case 9:
        return Consume(pair_.client, &client_calls_);
      case 10:
        return Consume(pair_.server, &server_calls_);
      case 11:
        pair_.piece = Chance(20) ? SessionPair::kAll : 1 + Below(20'000);
        pair_.way = Chance(50) ? Way::kDirect : Way::kCopied;
        pair_.MoveToServer(Chance(30) ? SessionPair::kAll : Below(100'000));
        return;
      case 12:
        pair_.piece = Chance(20) ? SessionPair::kAll : 1 + Below(20'000);
        pair_.way = Chance(50) ? Way::kDirect : Way::kCopied;
        pair_.MoveToClient(Chance(30) ? SessionPair::kAll : Below(100'000));
        return;
      case 13:
        pair_.now = pair_.now + absl::Milliseconds(Below(200));
        pair_.client.session().OnTime(pair_.now);
        pair_.server.session().OnTime(pair_.now);
        return;
    }
  }

  void StartCall() {
    if (pair_.client.session().CanStart() != wire::Session::StartBlock::kNone) {
      return;
    }
    static constexpr std::string_view kMethods[] = {
        kUnary, kClientStreaming, kServerStreaming, kBidirectional};
    const std::string_view method = kMethods[Below(4)];
    RecordingHost::CallArguments arguments;
    if (Chance(30)) {
      arguments.deadline = pair_.now + absl::Milliseconds(1 + Below(5000));
    }
    arguments.half_close = !ShapeOf(method).client_streaming || Chance(20);
    wire::StreamId id;
    if (ShapeOf(method).client_streaming && Chance(50)) {
      id = pair_.client.Open(method, pair_.now);
      arguments.half_close = false;
    } else {
      const TestMessage message = RandomMessage();
      id = pair_.client.Call(method, message, pair_.now, arguments);
      sent_by_client_[id].push_back(message.bytes);
    }
    ASSERT_NE(id, 0u) << pair_.client.start_status();
    client_calls_[id] = {.method = std::string(method),
                         .half_closed = arguments.half_close};
  }

  void ClientSends() {
    const wire::StreamId id = AnyOf(client_calls_);
    if (id == kNone || client_calls_[id].half_closed) return;
    const TestMessage message = RandomMessage();
    const bool half_close = Chance(20);
    client_calls_[id].half_closed = half_close;
    sent_by_client_[id].push_back(message.bytes);
    ASSERT_TRUE(pair_.client.Send(id, message, half_close).ok());
  }

  void ClientEnds() {
    const wire::StreamId id = AnyOf(client_calls_);
    if (id == kNone) return;
    if (Chance(20)) return pair_.client.Cancel(id);
    if (client_calls_[id].half_closed) return;
    client_calls_[id].half_closed = true;
    pair_.client.HalfClose(id);
  }

  void ServerSends() {
    const wire::StreamId id = AnyOf(server_calls_);
    if (id == kNone) return;
    Call& call = server_calls_[id];
    if (!call.said_anything && Chance(30)) {
      call.said_anything = true;
      ASSERT_TRUE(pair_.server.session()
                      .SendResponseHeader(pair_.server.stream(id),
                                          {.metadata = {{"k", "v"}}})
                      .ok());
    }
    if (!ShapeOf(call.method).server_streaming) return;
    call.said_anything = true;
    const TestMessage message = RandomMessage();
    sent_by_server_[id].push_back(message.bytes);
    ASSERT_TRUE(pair_.server.Send(id, message).ok());
  }

  void ServerEnds() {
    const wire::StreamId id = AnyOf(server_calls_);
    if (id == kNone) return;
    const Call call = server_calls_[id];
    if (!call.half_closed && Chance(90)) return;
    server_calls_.erase(id);
    if (Chance(30) || !call.half_closed) {
      pair_.server.Finish(id, absl::StatusCode::kAborted).IgnoreError();
    } else if (ShapeOf(call.method).server_streaming) {
      pair_.server.Finish(id).IgnoreError();
    } else {
      const TestMessage message = RandomMessage();
      sent_by_server_[id].push_back(message.bytes);
      ASSERT_TRUE(pair_.server.Reply(id, message).ok());
    }
  }

  void Consume(RecordingHost& host, Calls* calls) {
    const wire::StreamId id = AnyOf(*calls);
    if (id == kNone) return;
    const uint64_t bytes = Below((*calls)[id].unconsumed + 1);
    (*calls)[id].unconsumed -= bytes;
    host.session().Consume(host.stream(id), bytes);
  }

  // Lets every call end in the ordinary way.
  void Finish() {
    pair_.piece = SessionPair::kAll;
    for (int round = 0; round < 1000; ++round) {
      pair_.Run();
      const Calls at_client = client_calls_;
      for (const auto& [id, call] : at_client) {
        if (pair_.client.stream(id) == nullptr) continue;
        if (!call.half_closed) pair_.client.HalfClose(id);
        client_calls_[id].half_closed = true;
        pair_.client.session().Consume(pair_.client.stream(id),
                                       client_calls_[id].unconsumed);
        client_calls_[id].unconsumed = 0;
      }
      const Calls at_server = server_calls_;
      for (const auto& [id, call] : at_server) {
        pair_.server.session().Consume(pair_.server.stream(id),
                                       server_calls_[id].unconsumed);
        server_calls_[id].unconsumed = 0;
        if (!call.half_closed) continue;
        server_calls_.erase(id);
        pair_.server.Finish(id, absl::StatusCode::kAborted).IgnoreError();
      }
      if (client_calls_.empty() && round > 2) break;
      ASSERT_LT(round, 900) << "calls that never end";
    }
    pair_.Run();
    // Cancelled calls whose handlers still run.
    while (!server_calls_.empty()) {
      const wire::StreamId id = server_calls_.begin()->first;
      server_calls_.erase(id);
      pair_.server.Finish(id).IgnoreError();
    }
    pair_.Run();
    for (RecordingHost* host : {&pair_.client, &pair_.server}) {
      EXPECT_FALSE(host->session().closed()) << Last(*host);
      EXPECT_EQ(host->session().open_streams(), 0u);
      EXPECT_EQ(host->live_streams(), 0u);
      EXPECT_EQ(host->session().unsent_bytes(), 0u);
      EXPECT_EQ(host->session().assembling_bytes(), 0u);
    }
    // The connection still works, and ends in order.
    pair_.now = pair_.now + absl::Minutes(1);
    const wire::StreamId id = pair_.client.Call(kUnary, "last", pair_.now);
    client_calls_[id] = {.method = std::string(kUnary)};
    sent_by_client_[id] = {"last"};
    sent_by_server_[id] = {"answer"};
    pair_.Run();
    pair_.server.session().Drain("end", pair_.now);
    pair_.Run();
    ASSERT_TRUE(pair_.server.Reply(id, "answer").ok());
    pair_.Run();
    EXPECT_EQ(pair_.client.events().back(), "closed NO_ERROR");
    EXPECT_EQ(pair_.server.events().back(), "closed NO_ERROR");
  }

  std::mt19937_64 random_;
  SessionPair pair_;
  Calls client_calls_, server_calls_;
  Sent sent_by_client_, sent_by_server_;
};

class SessionRandom : public ::testing::TestWithParam<int> {};

TEST_P(SessionRandom, HonestHostsUnderstandEachOther) {
  wire::SessionOptions client, server;
  const int seed = GetParam();
  // Some with the smallest limits there are, some with generous ones.
  if (seed % 3 == 1) server.hello.max_concurrent_calls = 3;
  if (seed % 4 == 1) {
    client.hello.max_frame_bytes = 1 << 20;
    server.hello.stream_window_bytes = 1 << 20;
    server.hello.connection_window_bytes = 4 << 20;
  }
  if (seed % 5 == 1) {
    client.keepalive_interval = absl::Seconds(1);
    server.hello.min_ping_interval_ms = 1000;
  }
  if (seed % 2 == 1) {
    client.hello.features = server.hello.features = wire::kFeatureChecksum;
  }
  RandomHosts hosts(seed, client, server);
  hosts.Run(1500);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SessionRandom, ::testing::Range(0, 20));

}  // namespace
}  // namespace tern::testing
