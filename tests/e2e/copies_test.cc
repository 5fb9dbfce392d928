// How often the bytes of a long field or attachment are copied by this process,
// client and server together: memcpy and memmove are ours here, and count.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "absl/strings/cord.h"
#include "tests/testing/end_to_end.h"

// The sanitizers have their own.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
#define TERN_TEST_COUNTS_COPIES 0
#else
#define TERN_TEST_COUNTS_COPIES 1
#endif

namespace {

std::atomic<size_t> copied_bytes{0};
std::atomic<bool> counting{false};

}  // namespace

#if TERN_TEST_COUNTS_COPIES

extern "C" void* memcpy(void* to, const void* from, size_t size) noexcept {
  if (counting.load(std::memory_order_relaxed)) {
    copied_bytes.fetch_add(size, std::memory_order_relaxed);
  }
  void* destination = to;
  // Not a loop: the compiler would make a call of memcpy of it.
  asm volatile("rep movsb"
               : "+D"(destination), "+S"(from), "+c"(size)
               :
               : "memory");
  return to;
}

extern "C" void* memmove(void* to, const void* from, size_t size) noexcept {
  auto* const destination = static_cast<char*>(to);
  const auto* const source = static_cast<const char*>(from);
  if (destination <= source || destination >= source + size) {
    return memcpy(to, from, size);
  }
  if (counting.load(std::memory_order_relaxed)) {
    copied_bytes.fetch_add(size, std::memory_order_relaxed);
  }
  for (size_t i = size; i-- > 0;) {
    reinterpret_cast<volatile char*>(destination)[i] = source[i];
  }
  return to;
}

#endif

namespace tern::testing {
namespace {

constexpr size_t kBytes = size_t{3} << 20;
// What is read before it is known where it belongs: a buffer full at each end.
constexpr size_t kSlack = size_t{512} << 10;

class CopiesTest : public EndToEnd {
 protected:
  void SetUp() override {
    if (!TERN_TEST_COUNTS_COPIES) GTEST_SKIP() << "memcpy is the sanitizer's";
    StartServer();
    channel_ = Connect();
  }

  // Of a call with `attachment`: the least of ten, as the first ones take the
  // memory that the others use again.
  size_t BytesCopied(const absl::Cord& attachment,
                     const Message& request = MessageWith("x")) {
    Tester::Stub stub(*channel_);
    size_t least = SIZE_MAX;
    for (int i = 0; i < 10; ++i) {
      CallInfo info;
      const CallOptions options = {.attachment = attachment, .info = &info};
      copied_bytes = 0;
      counting = true;
      const absl::StatusOr<Message> reply = stub.Call(request, options);
      counting = false;
      EXPECT_TRUE(reply.ok()) << reply.status();
      reply_bytes_ = info.attachment.size();
      least = std::min(least, copied_bytes.load());
    }
    RecordProperty("bytes_copied", std::to_string(least));
    return least;
  }

  std::unique_ptr<Channel> channel_;
  size_t reply_bytes_ = 0;
};

TEST_F(CopiesTest, NoneOnTheWayToTheHandler) {
  size_t received = 0;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    received = context.attachment().size();
    return absl::OkStatus();
  });
  const size_t copied = BytesCopied(absl::Cord(std::string(kBytes, 'x')));
  EXPECT_EQ(received, kBytes);
  EXPECT_LE(copied, kSlack);
}

TEST_F(CopiesTest, NoneOnTheWayBack) {
  const absl::Cord reply_attachment(std::string(kBytes, 'x'));
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    context.set_reply_attachment(reply_attachment);
    return absl::OkStatus();
  });
  const size_t copied = BytesCopied({});
  EXPECT_EQ(reply_bytes_, kBytes);
  EXPECT_LE(copied, kSlack);
}

TEST_F(CopiesTest, NoneWhenItIsSentBack) {
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    context.set_reply_attachment(context.attachment());
    return absl::OkStatus();
  });
  const size_t copied = BytesCopied(absl::Cord(std::string(kBytes, 'x')));
  EXPECT_EQ(reply_bytes_, kBytes);
  EXPECT_LE(copied, 2 * kSlack);
}

// The parser's, where it takes a field out of what has come.
TEST_F(CopiesTest, OneOfAFieldOnTheWayToTheHandler) {
  size_t received = 0;
  service_.OnCall([&](ServerContext&, const Message& request, Message*) {
    received = request.payload().size();
    return absl::OkStatus();
  });
  Message request;
  request.set_payload(std::string(kBytes, 'x'));
  const size_t copied = BytesCopied({}, request);
  EXPECT_EQ(received, kBytes);
  EXPECT_GE(copied, kBytes);
  EXPECT_LE(copied, kBytes + kSlack);
}

TEST_F(CopiesTest, OneOfAFieldOnTheWayBack) {
  service_.OnCall([](ServerContext&, const Message&, Message* reply) {
    reply->mutable_payload()->resize(kBytes, 'x');  // Copies nothing.
    return absl::OkStatus();
  });
  const size_t copied = BytesCopied({});
  EXPECT_GE(copied, kBytes);
  EXPECT_LE(copied, kBytes + kSlack);
}

// On a stream, where the handler sends back what it has read.
TEST_F(CopiesTest, OneEachWayOnAStream) {
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    Message message;
    absl::Cord attachment;
    while (stream.Read(&message, &attachment)) {
      EXPECT_TRUE(stream.Write(message, attachment));
    }
    return absl::OkStatus();
  });
  auto stream = Tester::Stub(*channel_).Chat();
  const absl::Cord attachment(std::string(kBytes, 'x'));
  size_t least = SIZE_MAX;
  for (int i = 0; i < 10; ++i) {
    Message message;
    absl::Cord read;
    copied_bytes = 0;
    counting = true;
    const bool written = stream.Write(MessageWith("x"), attachment);
    const bool came = stream.Read(&message, &read);
    counting = false;
    ASSERT_TRUE(written && came);
    EXPECT_EQ(read.size(), kBytes);
    least = std::min(least, copied_bytes.load());
  }
  EXPECT_TRUE(stream.Finish().ok());
  RecordProperty("bytes_copied", std::to_string(least));
  EXPECT_GE(least, 2 * kBytes);
  EXPECT_LE(least, 2 * kBytes + 2 * kSlack);
}

}  // namespace
}  // namespace tern::testing
