// Messages at the limits of either side, and many of them.

#include <string>
#include <vector>

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr uint32_t kLimit = 300'000;

// Bytes that differ from those of another `seed`.
Message WithPayload(size_t size, uint32_t seed = 1) {
  std::string payload(size, '\0');
  uint32_t state = seed;
  for (char& byte : payload) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<char>(state >> 24);
  }
  Message message;
  message.set_payload(std::move(payload));
  return message;
}

// A message of `size` bytes in all.
Message MessageOfSize(size_t size) {
  const Message message = WithPayload(size);
  return WithPayload(2 * size - message.ByteSizeLong());
}

class LargeMessageTest : public EndToEnd {
 protected:
  // Handlers that answer with as many bytes as the request's text says.
  void AnswerWithTheAskedSize() {
    service_.OnCall([](ServerContext&, const Message& request, Message* reply) {
      *reply = MessageOfSize(std::stoul(request.text()));
      return absl::OkStatus();
    });
  }
};

bool Mentions(const absl::Status& status, size_t number) {
  return status.message().find(std::to_string(number)) != std::string::npos;
}

TEST_F(LargeMessageTest, ARequestMayBeAsLongAsTheServersLimit) {
  StartServer({.max_message_bytes = kLimit});
  const auto channel = Connect();
  const Message request = MessageOfSize(kLimit);
  const absl::StatusOr<Message> reply = Tester::Stub(*channel).Call(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->payload(), request.payload());
}

TEST_F(LargeMessageTest, ALongerRequestFailsBeforeItIsSent) {
  StartServer({.max_message_bytes = kLimit});
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "learns the limit").ok());
  const absl::Status status =
      Tester::Stub(*channel).Call(MessageOfSize(kLimit + 1)).status();
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_TRUE(Mentions(status, kLimit)) << status;
  EXPECT_TRUE(Mentions(status, kLimit + 1)) << status;
}

// The first call of a connection does not know the server's limit yet.
TEST_F(LargeMessageTest, ALongerFirstRequestFailsWithTheSameNumbers) {
  StartServer({.max_message_bytes = kLimit});
  for (int i = 0; i < 10; ++i) {
    const auto channel = Connect();
    const absl::Status status =
        Tester::Stub(*channel).Call(MessageOfSize(kLimit + 1)).status();
    EXPECT_TRUE(
        Failed(status, StatusCode::kResourceExhausted, Certainty::kNotStarted));
    EXPECT_TRUE(Mentions(status, kLimit)) << status;
    EXPECT_TRUE(Mentions(status, kLimit + 1)) << status;
  }
  EXPECT_EQ(service_.started(), 0);
}

TEST_F(LargeMessageTest, AFirstRequestMayBeLongerThanTheProtocolsDefault) {
  constexpr uint32_t kMore = (4 << 20) + 1;
  StartServer({.max_message_bytes = kMore});
  const auto channel = Connect({.max_message_bytes = kMore});
  const absl::StatusOr<Message> reply =
      Tester::Stub(*channel).Call(MessageOfSize(kMore));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->ByteSizeLong(), kMore);
}

TEST_F(LargeMessageTest, AResponseMayBeAsLongAsTheClientsLimit) {
  AnswerWithTheAskedSize();
  StartServer();
  const auto channel = Connect({.max_message_bytes = kLimit});
  const absl::StatusOr<Message> reply = Call(*channel, std::to_string(kLimit));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->payload(), MessageOfSize(kLimit).payload());
}

TEST_F(LargeMessageTest, ALongerResponseFailsAtTheServer) {
  AnswerWithTheAskedSize();
  StartServer();
  const auto channel = Connect({.max_message_bytes = kLimit});
  const absl::Status status = CallStatus(*channel, std::to_string(kLimit + 1));
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kFinished, CallPhase::kHandler));
  EXPECT_TRUE(Mentions(status, kLimit)) << status;
  EXPECT_TRUE(Mentions(status, kLimit + 1)) << status;
  EXPECT_TRUE(CallStatus(*channel, "10").ok());
}

// Every size around the borders of frames and windows.
TEST_F(LargeMessageTest, SizesAroundFramesAndWindows) {
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  for (const size_t border : {16u << 10, 64u << 10, 256u << 10}) {
    for (size_t size = border - 40; size <= border + 40; size += 8) {
      const Message request = WithPayload(size);
      const absl::StatusOr<Message> reply = stub.Call(request);
      ASSERT_TRUE(reply.ok()) << size << ": " << reply.status();
      ASSERT_EQ(reply->payload(), request.payload()) << size;
    }
  }
}

// L27: more than the windows and the limits on unsent bytes hold, both ways at
// once. An end that stops reading while it waits for windows waits for ever.
TEST_F(LargeMessageTest, ManyAtOnceDoNotBlockEachOtherOrSmallOnes) {
  StartServer({.max_unsent_bytes = 64 << 10});
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  constexpr int kCalls = 16;
  constexpr size_t kSize = 512 << 10;
  Event answered;
  for (int i = 0; i < kCalls; ++i) {
    stub.Call(WithPayload(kSize, i), {},
              [&answered, i](const absl::StatusOr<Message>& reply) {
                EXPECT_TRUE(reply.ok()) << reply.status();
                if (reply.ok()) {
                  EXPECT_EQ(reply->payload(), WithPayload(kSize, i).payload());
                }
                answered.Notify();
              });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(CallStatus(*channel, "small").ok());
  }
  EXPECT_TRUE(answered.Wait(kCalls));
}

TEST_F(LargeMessageTest, ManyResponsesAtOnce) {
  AnswerWithTheAskedSize();
  StartServer();
  const auto channel = Connect();
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < 12; ++i) {
    calls.push_back(StartCall(*channel, std::to_string((1 << 20) + i)));
  }
  for (int i = 0; i < 12; ++i) {
    const absl::StatusOr<Message> reply = calls[i]->Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->ByteSizeLong(), (1u << 20) + i);
  }
}

}  // namespace
}  // namespace tern::testing
