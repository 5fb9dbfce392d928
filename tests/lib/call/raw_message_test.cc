#include "tern/lib/call/raw_message.h"

#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_pipe.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {
namespace {

constexpr size_t kLong = RawMessage::kMinSharedBytes;
static_assert(kLong == MessageBatch::kMinLongBytes);

TEST(RawMessage, HoldsItsBytes) {
  EXPECT_EQ(RawMessage().view(), "");
  EXPECT_EQ(RawMessage(std::string("\0a", 2)).view(), std::string("\0a", 2));
  RawMessage message;
  for (const size_t size :
       {size_t{0}, kLong - 1, kLong, size_t{100'000}, size_t{3}}) {
    const std::string bytes(size, 'x');
    EXPECT_EQ(RawMessage(bytes).view(), bytes);
    message.CopyFrom(bytes);
    EXPECT_EQ(message.view(), bytes);
    EXPECT_EQ(message.size(), size);
  }
}

TEST(RawMessage, SharesLongBytes) {
  const RawMessage few(std::string(kLong - 1, 'x'));
  EXPECT_EQ(few.shared(), nullptr);
  std::string bytes(kLong, 'x');
  const char* const place = bytes.data();
  const RawMessage many(std::move(bytes));
  EXPECT_EQ(many.view().data(), place);
  EXPECT_EQ(many.shared().get(), place);
  const RawMessage copy = many;  // NOLINT: a copy is meant.
  EXPECT_EQ(copy.view().data(), place);
}

class QuietHost final : public StreamPipe::Host {
 public:
  void OnPipeWork() override {}
};

class RawStreamTest : public ::testing::Test {
 protected:
  QuietHost host_;
  StreamPipe pipe_{&host_, 1 << 20, 1 << 20};
  MessageStream stream_{&pipe_, MessageStream::End::kServer};
};

// What comes in long and goes out again stays where it was received.
TEST_F(RawStreamTest, PassesLongMessagesOnWithoutCopying) {
  wire::ByteBuffer received;
  received.Reserve(kLong);
  std::memset(received.end(), 'x', kLong);
  received.Extend(kLong);
  const char* const place = received.view().data();
  EXPECT_EQ(pipe_.Deliver(received.view(), &received),
            StreamPipe::Delivery::kDone);
  RawMessage message;
  ASSERT_EQ(stream_.TryRead(&message), Poll::kReady);
  EXPECT_EQ(message.view().data(), place);
  ASSERT_EQ(stream_.TryWrite(message), Poll::kReady);
  const MessageBatch::Message sent = pipe_.TakeWork().messages->Next();
  EXPECT_EQ(sent.bytes.data(), place);
  EXPECT_EQ(sent.bytes.size(), kLong);
  EXPECT_NE(sent.owner, nullptr);
}

TEST_F(RawStreamTest, CopiesShortOnes) {
  EXPECT_EQ(pipe_.Deliver("short", nullptr), StreamPipe::Delivery::kDone);
  RawMessage message;
  ASSERT_EQ(stream_.TryRead(&message), Poll::kReady);
  ASSERT_EQ(stream_.TryWrite(message), Poll::kReady);
  ASSERT_EQ(stream_.TryWrite(RawMessage()), Poll::kReady);
  const StreamPipe::Work work = pipe_.TakeWork();
  EXPECT_EQ(work.messages->Next().bytes, "short");
  EXPECT_EQ(work.messages->Next().bytes, "");
}

// In one that holds its bytes with an owner although they are few.
TEST_F(RawStreamTest, CopiesShortOnesThatAreShared) {
  auto owner = std::make_shared<char[]>(1);
  owner[0] = 'x';
  ASSERT_EQ(stream_.TryWrite(RawMessage(owner, 1)), Poll::kReady);
  EXPECT_EQ(pipe_.TakeWork().messages->Next().bytes, "x");
}

TEST_F(RawStreamTest, WritesWaitForRoom) {
  const RawMessage message(std::string(1 << 20, 'x'));
  EXPECT_EQ(stream_.TryWrite(message), Poll::kReady);
  EXPECT_EQ(stream_.TryWrite(message), Poll::kNotYet);
  EXPECT_EQ(stream_.TryWrite(RawMessage()), Poll::kNotYet);
  EXPECT_FALSE(pipe_.Close(/*at_once=*/true));
  EXPECT_EQ(stream_.TryWrite(message), Poll::kOver);
}

}  // namespace
}  // namespace tern
