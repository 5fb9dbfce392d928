// Limits on behaviour (PROTOCOL.md, section 10) that need too many frames for a
// golden vector; the others are in tests/golden/abuse.txt.

#include <malloc.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_peer.h"

namespace tern::testing {
namespace {

using wire::Role;

std::string Cancel(uint32_t id) {
  return RawFrame{.type = 5, .stream = id}.Bytes();
}

// R7: 501 calls within a second, and 250 of them cancelled; then one more.
TEST(SessionAbuse, CallsBegunAndCancelled) {
  RawPeer peer(Role::kServer, {.max_concurrent_calls = 1000});
  peer.Greet();
  for (uint32_t i = 0; i < 501; ++i) peer.Feed(UnaryFrame(2 * i + 1, "q"));
  for (uint32_t i = 0; i < 250; ++i) peer.Feed(Cancel(2 * i + 1));
  EXPECT_FALSE(peer.host.session().closed());
  EXPECT_EQ(peer.host.session().open_streams(), 251u);
  peer.Feed(Cancel(501));
  EXPECT_EQ(peer.host.events().back(), "closed ABUSE");
  EXPECT_EQ(peer.host.session().open_streams(), 0u);
}

TEST(SessionAbuse, FiveHundredCallsMayAllBeCancelled) {
  RawPeer peer(Role::kServer);
  peer.Greet();
  for (uint32_t i = 0; i < 500; ++i) {
    peer.Feed(UnaryFrame(2 * i + 1, "q") + Cancel(2 * i + 1));
  }
  EXPECT_FALSE(peer.host.session().closed());
  peer.Wait(absl::Seconds(1));
  for (uint32_t i = 500; i < 1000; ++i) {
    peer.Feed(UnaryFrame(2 * i + 1, "q") + Cancel(2 * i + 1));
  }
  EXPECT_FALSE(peer.host.session().closed());
}

// A CANCEL at the deadline is what a client is asked to send.
TEST(SessionAbuse, CancelsAfterTheDeadlineDoNotCount) {
  RawPeer peer(Role::kServer, {.max_concurrent_calls = 1000});
  peer.host.finish_cancelled = false;
  peer.Greet();
  for (uint32_t i = 0; i < 600; ++i) peer.Feed(UnaryFrame(2 * i + 1, "q"));
  peer.Wait(absl::Minutes(1));
  for (uint32_t i = 0; i < 600; ++i) peer.Feed(Cancel(2 * i + 1));
  EXPECT_FALSE(peer.host.session().closed());
}

// R6: what the client may not have known costs nothing, what it must have known
// does.
TEST(SessionAbuse, CallsAboveTheAnnouncedNumber) {
  RawPeer peer(Role::kServer, {.max_concurrent_calls = 1});
  peer.Greet();
  uint32_t id = 1;
  for (; id < 200; id += 2) peer.Feed(UnaryFrame(id, "q"));
  // The budget is whole: a hundred more, and then it is empty.
  for (int i = 0; i < 100; ++i, id += 2) peer.Feed(UnaryFrame(id, "q"));
  EXPECT_FALSE(peer.host.session().closed());
  EXPECT_EQ(peer.host.session().open_streams(), 1u);
  peer.Frames();
  peer.Feed(UnaryFrame(id, "q"));
  EXPECT_EQ(peer.host.events().back(), "closed ABUSE");
  EXPECT_THAT(peer.Frames(),
              ::testing::ElementsAre("STATUS 401 UNAVAILABLE NOT_STARTED",
                                     "GOAWAY 401 ABUSE"));
}

// F6: a hundred promises of 4 MiB are not 400 MiB, whether touched or not.
TEST(SessionAbuse, MemoryGrowsWithWhatHasComeNotWithWhatWasPromised) {
  const auto allocated = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  RawPeer peer(Role::kServer);
  peer.Greet();
  const size_t before = allocated();
  for (uint32_t i = 0; i < 100; ++i) {
    peer.Feed(RawFrame{.type = 2,
                       .flags = 0x04,
                       .stream = 2 * i + 1,
                       .block = CallBlock(),
                       .payload = BigEndian32(4 << 20) + std::string(1024, 'x')}
                  .Bytes());
  }
  EXPECT_EQ(peer.host.session().assembling_bytes(), 100u * (4 << 20));
  EXPECT_LT(allocated(), before + 100 * (300 << 10));
  EXPECT_FALSE(peer.host.session().closed());
  for (uint32_t i = 0; i < 100; ++i) peer.Feed(Cancel(2 * i + 1));
  EXPECT_EQ(peer.host.session().assembling_bytes(), 0u);
}

}  // namespace
}  // namespace tern::testing
