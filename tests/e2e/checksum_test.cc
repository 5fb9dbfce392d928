// Checksums behind frames: who sends them, and what a changed frame does.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tern/lib/wire/frame.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/pattern.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr auto kHeaders = static_cast<uint8_t>(wire::FrameType::kHeaders);
constexpr auto kStatus = static_cast<uint8_t>(wire::FrameType::kStatus);

// A channel whose connection goes through the test.
class ChecksumTest : public EndToEnd {
 protected:
  void Start(const ServerOptions& server, const ChannelOptions& client) {
    StartServer(server);
    channel_ = Channel::Create(listener_.target(), client);
  }
  // The first call, after which either side has the other's HELLO.
  void CallOnce() {
    const auto call = StartCall(*channel_, "first");
    to_client_ = listener_.Accept();
    to_server_ = RawConnection::To(target());
    to_server_.Send(to_client_.ReadUntilFrame(kHeaders));
    to_client_.Send(to_server_.ReadUntilFrame(kStatus));
    EXPECT_TRUE(call->WaitForStatus().ok());
  }
  // The flags of the request and of the answer of one more call.
  std::vector<uint8_t> FlagsOfCall() {
    const auto call = StartCall(*channel_, "second");
    const std::string request = to_client_.ReadUntilFrame(kHeaders);
    to_server_.Send(request);
    const std::string answer = to_server_.ReadUntilFrame(kStatus);
    to_client_.Send(answer);
    EXPECT_TRUE(call->WaitForStatus().ok());
    return {SplitFrames(request).back().flags,
            SplitFrames(answer).back().flags};
  }

  RawListener listener_;
  std::unique_ptr<Channel> channel_;
  RawConnection to_client_, to_server_;
};

// "second" becomes "sfcond".
std::string Changed(std::string bytes) {
  const size_t at = bytes.find("second");
  EXPECT_NE(at, std::string::npos);
  ++bytes.at(at + 1);
  return bytes;
}

TEST_F(ChecksumTest, AreSentWhenBothEndsSaySo) {
  Start({}, {.checksums = true});
  CallOnce();
  for (const uint8_t flags : FlagsOfCall()) {
    EXPECT_TRUE(flags & wire::kFlagChecksum);
  }
}

// Which are sent from where they lie, without checksums.
TEST_F(ChecksumTest, HoldForLongMessagesAndAttachments) {
  service_.OnCall(
      [](ServerContext& context, const Message& request, Message* reply) {
        *reply = request;
        context.set_reply_attachment(context.attachment());
        return absl::OkStatus();
      });
  StartServer();
  const auto channel = Connect({.checksums = true});
  CallInfo info;
  for (const size_t size :
       {size_t{64} << 10, size_t{100'000}, size_t{1} << 20}) {
    Message request;
    request.set_payload(Pattern(size, 1));
    const std::string bytes = Pattern(size, 2);
    const absl::StatusOr<Message> reply = Tester::Stub(*channel).Call(
        request, {.attachment = absl::Cord(bytes), .info = &info});
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_TRUE(reply->payload() == request.payload());
    EXPECT_TRUE(info.attachment == bytes);
  }
}

TEST_F(ChecksumTest, AreNotSentWhenTheClientDoesNotAsk) {
  Start({}, {});
  CallOnce();
  for (const uint8_t flags : FlagsOfCall()) {
    EXPECT_FALSE(flags & wire::kFlagChecksum);
  }
}

TEST_F(ChecksumTest, AreNotSentWhenTheServerDoesNotOfferThem) {
  Start({.checksums = false}, {.checksums = true});
  CallOnce();
  for (const uint8_t flags : FlagsOfCall()) {
    EXPECT_FALSE(flags & wire::kFlagChecksum);
  }
}

TEST_F(ChecksumTest, AChangedRequestDoesNotRun) {
  Start({}, {.checksums = true});
  CallOnce();
  const auto call = StartCall(*channel_, "second");
  to_server_.Send(Changed(to_client_.ReadUntilFrame(kHeaders)));
  to_client_.Send(to_server_.ReadUntilClosed());
  to_client_.Close();
  const absl::Status status = call->WaitForStatus();
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted));
  EXPECT_NE(status.message().find("DATA_CORRUPT"), std::string::npos) << status;
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(ChecksumTest, AChangedAnswerIsNotBelieved) {
  Start({}, {.checksums = true});
  CallOnce();
  const auto call = StartCall(*channel_, "second");
  to_server_.Send(to_client_.ReadUntilFrame(kHeaders));
  to_client_.Send(Changed(to_server_.ReadUntilFrame(kStatus)));
  const absl::Status status = call->WaitForStatus();
  EXPECT_TRUE(
      Failed(status, StatusCode::kUnavailable, Certainty::kMaybeStarted));
  EXPECT_NE(status.message().find("checksum"), std::string::npos) << status;
}

// Each piece of a long message has one of its own.
TEST_F(ChecksumTest, LongMessagesComeWell) {
  StartServer();
  const auto channel = Channel::Create(target(), {.checksums = true});
  ASSERT_TRUE(CallStatus(*channel, "first").ok());
  std::string text;
  while (text.size() < 3 << 20) absl::StrAppend(&text, text.size(), " ");
  const absl::StatusOr<Message> reply = Call(*channel, text);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->text() == text);
}

}  // namespace
}  // namespace tern::testing
