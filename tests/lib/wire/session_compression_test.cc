// Compressed messages as a session sees them: bytes that it does not look into.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/session_pair.h"

namespace tern::testing {
namespace {

using ::testing::ElementsAre;

constexpr uint32_t kGzip = 1;
constexpr uint32_t kZstd = 2;

TestMessage Compressed(std::string_view bytes, uint32_t inflated_bytes,
                       size_t attachment = 0) {
  TestMessage message(bytes, attachment);
  message.inflated_bytes = inflated_bytes;
  return message;
}

wire::SessionOptions Announcing(uint64_t features) {
  return {.hello = {.features = features, .max_message_bytes = 1 << 20}};
}

TEST(SessionCompression, KnowsWhatThePeerInflates) {
  SessionPair pair(Announcing(wire::kFeatureZstd),
                   Announcing(wire::kFeatureGzip | wire::kFeatureChecksum));
  EXPECT_FALSE(pair.client.session().PeerInflates(kGzip));
  pair.Run();
  for (const auto& [host, gzip, zstd] :
       {std::tuple(&pair.client, true, false),
        std::tuple(&pair.server, false, true)}) {
    EXPECT_EQ(host->session().PeerInflates(kGzip), gzip);
    EXPECT_EQ(host->session().PeerInflates(kZstd), zstd);
    EXPECT_FALSE(host->session().PeerInflates(0));
    EXPECT_FALSE(host->session().PeerInflates(3));
    EXPECT_FALSE(host->session().PeerInflates(0xffffffff));
  }
}

// In one frame, in many, and behind others that wait.
TEST(SessionCompression, CarriesTheMarkOverFramesAndQueues) {
  SessionPair pair(Announcing(wire::kFeatureZstd),
                   Announcing(wire::kFeatureZstd));
  pair.Run();
  const std::string big = Pattern(200'000);
  EXPECT_EQ(
      pair.client.Call(kBidirectional, Compressed("packed", 100), pair.now,
                       {.half_close = false, .compression = kZstd}),
      1u);
  pair.client.Send(1, Compressed(big, 300'000, 1'000)).IgnoreError();
  pair.client.Send(1, "plain").IgnoreError();
  pair.client.Send(1, Compressed("last", 5), /*half_close=*/true).IgnoreError();
  pair.Run();
  EXPECT_THAT(
      pair.server.TakeEvents(),
      ElementsAre("call 1 test.Test/Bidirectional", "message 1 zstd \"packed\"",
                  "message 1 zstd 199000 bytes + 1000 bytes",
                  "message 1 \"plain\"", "message 1 zstd \"last\"",
                  "half-close 1"));
}

// What it would be when inflated is what the peer's limit is for.
TEST(SessionCompression, CountsInflatedBytesTowardsThePeersLimit) {
  SessionPair pair({.hello = {.max_message_bytes = 2000}},
                   {.hello = {.max_message_bytes = 1000}});
  pair.Run();
  EXPECT_NE(pair.client.Call(kUnary, Compressed("q", 1000), pair.now), 0u);
  EXPECT_EQ(pair.client.Call(kUnary, Compressed("q", 1001), pair.now), 0u);
  EXPECT_EQ(pair.client.start_status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pair.client.start_status().message(),
            "request of 1001 bytes exceeds the server's limit of 1000 bytes "
            "(max_message_bytes)");
}

TEST(SessionCompression, ServerCountsInflatedBytesToo) {
  SessionPair pair({.hello = {.max_message_bytes = 2000}});
  pair.Run();
  for (const uint32_t size : {2000u, 2001u}) {
    const wire::StreamId id = pair.client.Call(kUnary, "q", pair.now);
    pair.Run();
    EXPECT_EQ(pair.server.Reply(id, Compressed("a", size)).code(),
              size == 2000 ? absl::StatusCode::kOk
                           : absl::StatusCode::kResourceExhausted);
  }
}

// What only the host can find counts like what the session finds.
TEST(SessionCompression, HostCanCountFaults) {
  SessionPair pair;
  pair.Run();
  for (int i = 0; i < 100; ++i) {
    pair.server.session().CountFault("bombs");
    ASSERT_FALSE(pair.server.session().closed());
  }
  pair.server.session().CountFault("bombs");
  EXPECT_TRUE(pair.server.session().closed());
  pair.Run();
  EXPECT_THAT(pair.server.TakeEvents(), ElementsAre("closed ABUSE"));
}

}  // namespace
}  // namespace tern::testing
