#include "tern/client/request_bytes.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/cord.h"
#include "gtest/gtest.h"
#include "tern/lib/call/message_pieces.h"
#include "tern/lib/call/raw_message.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

testing::Message MessageOfSize(size_t size) {
  testing::Message message;
  message.set_text(std::string(size, 'x'));
  message.set_text(std::string(2 * size - message.ByteSizeLong(), 'x'));
  EXPECT_EQ(message.ByteSizeLong(), size);
  return message;
}

bool IsInside(const RequestBytes& bytes) {
  const auto* const begin = reinterpret_cast<const char*>(&bytes);
  const char* const data = bytes.view().data();
  return data >= begin && data < begin + sizeof(bytes);
}

TEST(RequestBytes, AreTheMessageSerialised) {
  for (const size_t size :
       {size_t{3}, size_t{100}, RequestBytes::kInlineBytes,
        RequestBytes::kInlineBytes + 1, RequestBytes::kRecycledBytes,
        RequestBytes::kRecycledBytes + 1, size_t{100'000}}) {
    const testing::Message message = MessageOfSize(size);
    const RequestBytes bytes(&message, nullptr, message.ByteSizeLong(), {});
    EXPECT_EQ(std::string(bytes.view()), message.SerializeAsString());
  }
}

TEST(RequestBytes, OfAnEmptyMessageAreNone) {
  const testing::Message message;
  const RequestBytes bytes(&message, nullptr, message.ByteSizeLong(), {});
  EXPECT_TRUE(bytes.view().empty());
}

TEST(RequestBytes, OfNoMessageAreNone) {
  const RequestBytes bytes(nullptr, nullptr, 0, {});
  EXPECT_TRUE(bytes.view().empty());
  EXPECT_EQ(bytes.shared(), nullptr);
}

TEST(RequestBytes, UpToALimitNeedNoMemoryOfTheirOwn) {
  testing::Message message = MessageOfSize(RequestBytes::kInlineBytes);
  EXPECT_TRUE(
      IsInside(RequestBytes(&message, nullptr, message.ByteSizeLong(), {})));
  message = MessageOfSize(RequestBytes::kInlineBytes + 1);
  EXPECT_FALSE(
      IsInside(RequestBytes(&message, nullptr, message.ByteSizeLong(), {})));
}

// Where the bytes of a request of this size lay that is gone by now.
const void* RoomOf(size_t size) {
  const testing::Message message = MessageOfSize(size);
  return RequestBytes(&message, nullptr, message.ByteSizeLong(), {})
      .view()
      .data();
}

TEST(RequestBytes, UpToALongerLimitHaveMemoryThatIsUsedAgain) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  GTEST_SKIP() << "nothing is used again under AddressSanitizer";
#endif
  const void* const room = RoomOf(RequestBytes::kInlineBytes + 1);
  // Had malloc got it back, one of these would have it now.
  std::vector<std::unique_ptr<char[]>> others;
  for (size_t more = 0; more <= 64; more += 8) {
    others.push_back(
        std::make_unique<char[]>(RequestBytes::kRecycledBytes + more));
  }
  EXPECT_EQ(RoomOf(RequestBytes::kRecycledBytes), room);
  EXPECT_NE(RoomOf(RequestBytes::kRecycledBytes + 1), room);
}

TEST(RequestBytes, HaveTheAttachmentBehindTheMessage) {
  constexpr size_t kMessage = 40;
  const testing::Message message = MessageOfSize(kMessage);
  for (const size_t size : {size_t{1}, RequestBytes::kInlineBytes - kMessage,
                            RequestBytes::kInlineBytes - kMessage + 1}) {
    absl::Cord attachment(std::string(size / 2, 'a'));
    attachment.Append(std::string(size - size / 2, 'b'));
    const RequestBytes bytes(&message, nullptr, message.ByteSizeLong(),
                             attachment);
    EXPECT_EQ(bytes.attachment_bytes(), size);
    EXPECT_EQ(std::string(bytes.view()),
              message.SerializeAsString() + std::string(attachment));
    EXPECT_EQ(IsInside(bytes), size + kMessage <= RequestBytes::kInlineBytes);
  }
}

TEST(RequestBytes, OfARawMessageAreItsOwn) {
  for (const size_t size :
       {size_t{0}, RequestBytes::kInlineBytes, RequestBytes::kInlineBytes + 1,
        RawMessage::kMinSharedBytes - 1, RawMessage::kMinSharedBytes}) {
    const RawMessage raw(std::string(size, 'x'));
    const RequestBytes bytes(nullptr, &raw, size, {});
    EXPECT_EQ(bytes.view(), raw.view());
    EXPECT_EQ(IsInside(bytes), size <= RequestBytes::kInlineBytes);
    // A long one is not copied.
    EXPECT_EQ(bytes.view().data() == raw.view().data(),
              size >= RawMessage::kMinSharedBytes);
    EXPECT_EQ(bytes.shared() != nullptr, size > RequestBytes::kInlineBytes);

    const absl::Cord attachment("beside");
    const RequestBytes both(nullptr, &raw, size, attachment);
    EXPECT_EQ(both.view(), std::string(raw.view()) + "beside");
    EXPECT_EQ(both.attachment_bytes(), 6u);
  }
}

std::string Joined(const RequestBytes& bytes) {
  std::string joined;
  for (const std::string_view piece : bytes.pieces()) joined += piece;
  EXPECT_EQ(joined.size(), bytes.size());
  std::string copied(bytes.size(), '\0');
  bytes.CopyTo(copied.data());
  EXPECT_TRUE(copied == joined);
  return joined;
}

bool HasPieceIn(std::string_view place, const RequestBytes& bytes) {
  for (const std::string_view piece : bytes.pieces()) {
    if (piece.data() >= place.data() &&
        piece.data() < place.data() + place.size()) {
      return true;
    }
  }
  return false;
}

TEST(RequestBytes, OfALongMessageThatStaysAreInIt) {
  for (const size_t size :
       {MessagePieces::kMinBytes - 1, MessagePieces::kMinBytes}) {
    const testing::Message message = MessageOfSize(size);
    const RequestBytes bytes(&message, nullptr, size, {}, nullptr,
                             MessagePieces::Fields::kStay);
    if (size < MessagePieces::kMinBytes) {
      EXPECT_TRUE(bytes.pieces().empty());
      EXPECT_TRUE(bytes.view() == message.SerializeAsString());
      continue;
    }
    EXPECT_TRUE(Joined(bytes) == message.SerializeAsString());
    EXPECT_TRUE(HasPieceIn(message.text(), bytes));
    EXPECT_EQ(bytes.shared(), nullptr) << "not theirs to share";
  }
}

TEST(RequestBytes, OfALongMessageThatMayGoAreTheirOwn) {
  const testing::Message message = MessageOfSize(MessagePieces::kMinBytes);
  const RequestBytes bytes(&message, nullptr, message.ByteSizeLong(), {});
  EXPECT_TRUE(bytes.pieces().empty());
  EXPECT_NE(bytes.shared(), nullptr);
}

TEST(RequestBytes, ALongAttachmentStaysWhereItIs) {
  constexpr size_t kLong = MessagePieces::kMinBytes;
  const testing::Message message = MessageOfSize(2 * kLong);
  const std::string expected = message.SerializeAsString();
  for (const size_t size : {kLong - 1, kLong}) {
    const std::string attached(size, 'a');
    const absl::Cord attachment =
        absl::MakeCordFromExternal(attached, [](absl::string_view) {});
    for (const bool stays : {false, true}) {
      const RequestBytes bytes(&message, nullptr, message.ByteSizeLong(),
                               attachment, nullptr,
                               stays ? MessagePieces::Fields::kStay
                                     : MessagePieces::Fields::kCopied);
      EXPECT_EQ(bytes.attachment_bytes(), size);
      if (!stays && size < kLong) {
        EXPECT_TRUE(bytes.view() == expected + attached);
        continue;
      }
      EXPECT_TRUE(Joined(bytes) == expected + attached);
      EXPECT_TRUE(HasPieceIn(attached, bytes));
      EXPECT_EQ(HasPieceIn(message.text(), bytes), stays);
      EXPECT_EQ(bytes.shared() == nullptr, stays);
    }
    const RawMessage raw(message.SerializeAsString());
    const RequestBytes bytes(nullptr, &raw, raw.size(), attachment);
    if (size < kLong) {
      EXPECT_TRUE(bytes.view() == expected + attached);
      continue;
    }
    EXPECT_TRUE(Joined(bytes) == expected + attached);
    EXPECT_TRUE(HasPieceIn(attached, bytes));
    EXPECT_TRUE(HasPieceIn(raw.view(), bytes));
    EXPECT_NE(bytes.shared(), nullptr);
  }
}

}  // namespace
}  // namespace tern
