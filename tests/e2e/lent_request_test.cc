// A long request of a blocking call is sent from the caller's message, which is
// his again when the call returns, whatever became of it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/pattern.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

constexpr auto kData = static_cast<uint8_t>(wire::FrameType::kData);
constexpr auto kPing = static_cast<uint8_t>(wire::FrameType::kPing);

// More than the buffers of two sockets hold.
constexpr size_t kPayloadBytes = size_t{24} << 20;

std::string Greeting() {
  constexpr uint32_t kMuch = 64 << 20;
  std::string payload;
  wire::AppendHello({.max_message_bytes = kMuch,
                     .stream_window_bytes = kMuch,
                     .connection_window_bytes = kMuch},
                    &payload);
  return PrefaceBytes() + HelloFrame(payload);
}

// What the DATA frames among them have brought: behind 4 bytes, the length, the
// request of the only call.
std::string PayloadOf(std::string_view bytes) {
  std::string payload;
  for (const RawFrame& frame : SplitFrames(bytes)) {
    if (frame.type == kData) payload += frame.payload;
  }
  return payload;
}

class LentRequestTest : public ::testing::Test {
 protected:
  LentRequestTest() { request_.set_payload(Pattern(kPayloadBytes)); }

  // A blocking call, behind which the request becomes another.
  absl::Status CallAndOverwrite() {
    const absl::Status status = Tester::Stub(*channel_).Call(request_).status();
    request_.mutable_payload()->assign(kPayloadBytes, '!');
    return status;
  }

  RawListener listener_;
  const std::unique_ptr<Channel> channel_ =
      Channel::Create(listener_.target(), {.max_message_bytes = 64 << 20});
  Message request_;
};

// The server answers before it has all.
TEST_F(LentRequestTest, IsTheCallersAgainThoughItIsBeingSent) {
  const std::string serialised = request_.SerializeAsString();
  absl::Status status;
  std::thread caller([&] { status = CallAndOverwrite(); });
  RawConnection server = listener_.Accept();
  server.Send(Greeting());
  std::string sent = PayloadOf(server.ReadUntilFrame(kData));
  server.Send(StatusFrame(1, ""));
  caller.join();
  EXPECT_TRUE(status.ok()) << status;

  server.Send(PingFrame("the rest"));
  sent += PayloadOf(server.ReadUntilFrame(kPing));
  ASSERT_GT(sent.size(), 4u);
  EXPECT_LT(sent.size(), serialised.size());
  EXPECT_TRUE(sent.substr(4) == serialised.substr(0, sent.size() - 4));
}

TEST_F(LentRequestTest, IsSentOnceMoreOverAnotherConnection) {
  const std::string serialised = request_.SerializeAsString();
  absl::Status status;
  std::thread caller([&] { status = CallAndOverwrite(); });
  RawConnection first = listener_.Accept();
  first.Send(Greeting());
  first.ReadUntilFrame(kData);
  first.Send(GoAwayFrame(/*last=*/0, /*error=*/0, "elsewhere"));
  RawConnection second = listener_.Accept();
  second.Send(Greeting());
  std::string sent;
  while (sent.size() < 4 + serialised.size() && !HasFailure()) {
    sent += PayloadOf(second.ReadUntilFrame(kData));
  }
  EXPECT_TRUE(sent == BigEndian32(static_cast<uint32_t>(serialised.size())) +
                          serialised);
  second.Send(StatusFrame(1, ""));
  caller.join();
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace tern::testing
