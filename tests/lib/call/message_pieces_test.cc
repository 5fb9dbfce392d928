#include "tern/lib/call/message_pieces.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/testing/pattern.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

using Fields = MessagePieces::Fields;
using testing::Pattern;

constexpr size_t kMin = MessagePieces::kMinPieceBytes;

std::string Joined(const MessagePieces& pieces) {
  std::string joined;
  for (const std::string_view piece : pieces.pieces()) {
    EXPECT_FALSE(piece.empty());
    joined += piece;
  }
  std::string copied(joined.size(), '\0');
  pieces.CopyTo(copied.data());
  EXPECT_EQ(copied, joined);
  return joined;
}

// How many bytes of `field` lie where they are.
size_t BytesIn(const std::string& field, const MessagePieces& pieces) {
  size_t bytes = 0;
  for (const std::string_view piece : pieces.pieces()) {
    if (piece.data() >= field.data() &&
        piece.data() < field.data() + field.size()) {
      bytes += piece.size();
    }
  }
  return bytes;
}

MessagePieces PiecesOf(const google::protobuf::MessageLite& message,
                       Fields fields = Fields::kStay,
                       absl::Cord attachment = {}) {
  return MessagePieces(message, message.ByteSizeLong(), fields,
                       std::move(attachment));
}

TEST(MessagePieces, AreTheMessageSerialised) {
  for (const size_t text : {size_t{0}, size_t{1}, size_t{127}, size_t{128},
                            kMin - 20, kMin - 1, kMin, kMin + 1, 3 * kMin}) {
    for (const size_t payload :
         {size_t{0}, size_t{1}, kMin - 17, kMin - 16, kMin - 1, kMin, kMin + 1,
          size_t{100'000}, size_t{1} << 20}) {
      for (const Fields fields : {Fields::kStay, Fields::kCopied}) {
        testing::Message message;
        message.set_text(std::string(text, 't'));
        message.set_payload(Pattern(payload));
        EXPECT_TRUE(Joined(PiecesOf(message, fields)) ==
                    message.SerializeAsString())
            << text << ", " << payload;
      }
    }
  }
}

TEST(MessagePieces, ALongFieldStaysWhereItIs) {
  testing::Message message;
  message.set_text("short");
  message.set_payload(Pattern(100'000));
  const MessagePieces pieces = PiecesOf(message);
  EXPECT_EQ(BytesIn(message.payload(), pieces), 100'000u);
  EXPECT_EQ(pieces.pieces().size(), 2u) << "with what stands before it";
}

TEST(MessagePieces, ALongFieldIsCopiedWhereItMayNotStay) {
  testing::Message message;
  message.set_payload(Pattern(100'000));
  const MessagePieces pieces = PiecesOf(message, Fields::kCopied);
  EXPECT_EQ(BytesIn(message.payload(), pieces), 0u);
}

// Lists in lists, with strings of all lengths.
TEST(MessagePieces, FieldsOfSubmessagesStayWhereTheyAre) {
  google::protobuf::ListValue outer;
  size_t size = 1;
  for (int i = 0; i < 40; ++i) {
    google::protobuf::ListValue* const inner =
        outer.add_values()->mutable_list_value();
    for (int j = 0; j < 40; ++j) {
      size = size * 31 % 50'021;
      inner->add_values()->set_string_value(std::string(size, 's'));
    }
  }
  const MessagePieces pieces = PiecesOf(outer);
  EXPECT_TRUE(Joined(pieces) == outer.SerializeAsString());
  size_t in_place = 0;
  for (const auto& inner : outer.values()) {
    for (const auto& value : inner.list_value().values()) {
      in_place += BytesIn(value.string_value(), pieces);
    }
  }
  EXPECT_GT(in_place, outer.ByteSizeLong() / 2);
}

TEST(MessagePieces, OfManyShortFieldsAreFew) {
  google::protobuf::ListValue list;
  for (int i = 0; i < 100'000; ++i) {
    list.add_values()->set_string_value("0123456789");
  }
  const MessagePieces pieces = PiecesOf(list);
  EXPECT_TRUE(Joined(pieces) == list.SerializeAsString());
  EXPECT_LE(pieces.pieces().size(),
            list.ByteSizeLong() / MessagePieces::kMaxBlockBytes + 1);
}

TEST(MessagePieces, AnAttachmentStaysWhereItIs) {
  testing::Message message;
  message.set_text("before");
  const auto first = std::make_unique<std::string>(Pattern(70'000, 1));
  const auto second = std::make_unique<std::string>(Pattern(5'000, 2));
  int released = 0;
  {
    absl::Cord attachment = absl::MakeCordFromExternal(
        absl::string_view(first->data(), first->size()),
        [&released](absl::string_view) { ++released; });
    attachment.Append(absl::MakeCordFromExternal(
        absl::string_view(second->data(), second->size()),
        [&released](absl::string_view) { ++released; }));
    const MessagePieces pieces =
        PiecesOf(message, Fields::kCopied, std::move(attachment));
    EXPECT_EQ(released, 0);
    EXPECT_TRUE(Joined(pieces) ==
                message.SerializeAsString() + *first + *second);
    EXPECT_EQ(BytesIn(*first, pieces), first->size());
    EXPECT_EQ(BytesIn(*second, pieces), second->size());
  }
  EXPECT_EQ(released, 2);
}

TEST(MessagePieces, AShortAttachmentIsThere) {
  testing::Message message;
  message.set_payload(Pattern(70'000));
  for (const size_t size : {0, 1, 15, 16, 1000}) {
    const std::string attached = Pattern(size, 3);
    const MessagePieces pieces =
        PiecesOf(message, Fields::kStay, absl::Cord(attached));
    EXPECT_TRUE(Joined(pieces) == message.SerializeAsString() + attached);
  }
}

// A view of each byte would be longer than the byte.
TEST(MessagePieces, ShortPartsOfAnAttachmentArePutTogether) {
  const std::string attached = Pattern(100'000, 5);
  absl::Cord attachment;
  for (const char& byte : attached) {
    attachment.Append(absl::MakeCordFromExternal(absl::string_view(&byte, 1),
                                                 [](absl::string_view) {}));
  }
  const MessagePieces pieces("m", attachment);
  EXPECT_TRUE(Joined(pieces) == "m" + attached);
  EXPECT_LE(pieces.pieces().size(),
            attached.size() / MessagePieces::kMaxBlockBytes + 1);
}

TEST(MessagePieces, PartsFromALimitOnStayWhereTheyAre) {
  for (const size_t size : {kMin - 1, kMin}) {
    const std::string message = Pattern(size);
    const std::string attached = Pattern(size, 6);
    const MessagePieces pieces(
        message, absl::MakeCordFromExternal(
                     absl::string_view(attached.data(), attached.size()),
                     [](absl::string_view) {}));
    EXPECT_TRUE(Joined(pieces) == message + attached);
    const size_t stays = size == kMin ? size : 0;
    EXPECT_EQ(BytesIn(message, pieces), stays);
    EXPECT_EQ(BytesIn(attached, pieces), stays);
  }
}

TEST(MessagePieces, KnowWhetherTheyNeedTheMessage) {
  testing::Message message;
  message.set_payload(Pattern(100'000));
  EXPECT_TRUE(PiecesOf(message).need_message());
  EXPECT_FALSE(PiecesOf(message, Fields::kCopied).need_message());
  google::protobuf::ListValue list;
  for (int i = 0; i < 10'000; ++i) {
    list.add_values()->set_string_value("0123456789");
  }
  EXPECT_FALSE(PiecesOf(list, Fields::kStay, absl::Cord(Pattern(100'000)))
                   .need_message());
}

TEST(MessagePieces, OfASerialisedMessageAreItAndItsAttachment) {
  const std::string message = Pattern(10'000);
  const std::string attached = Pattern(20'000, 4);
  const MessagePieces pieces(message, absl::Cord(attached));
  EXPECT_TRUE(Joined(pieces) == message + attached);
  EXPECT_EQ(BytesIn(message, pieces), message.size());
  EXPECT_EQ(Joined(MessagePieces("", absl::Cord("x"))), "x");
  EXPECT_EQ(Joined(MessagePieces("x", {})), "x");
}

TEST(MessagePieces, AKeeperKeepsThem) {
  testing::Message message;
  message.set_text("x");
  auto owner = std::make_shared<const MessagePieces>(
      message, message.ByteSizeLong(), Fields::kCopied, absl::Cord());
  const std::weak_ptr<const MessagePieces> watch = owner;
  std::shared_ptr<const char[]> keeper = KeeperOf(std::move(owner));
  EXPECT_NE(keeper, nullptr);
  EXPECT_FALSE(watch.expired());
  keeper.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(MessagePiecesDeathTest, OfAMessageThatHasGrownMeanwhileAreNone) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  testing::Message message;
  message.set_text("x");
  const size_t size = message.ByteSizeLong();
  message.set_payload(Pattern(100'000));
  EXPECT_DEATH(MessagePieces(message, size, Fields::kStay, {}), "");
}

}  // namespace
}  // namespace tern
