#include "tern/lib/call/packed_message.h"

#include <string>

#include "gtest/gtest.h"
#include "tern/lib/compress/zstd_compressor.h"
#include "tern/lib/wire/byte_buffer.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

PackedMessage Pack(const testing::Message& message,
                   const absl::Cord& attachment, const Compressor* compressor) {
  return PackMessage(message, message.ByteSizeLong(), attachment, compressor);
}

std::string_view Bytes(const PackedMessage& packed) {
  return {packed.bytes.get(), packed.size};
}

TEST(PackedMessage, PutsTheAttachmentBehind) {
  testing::Message message;
  message.set_text("hello");
  const PackedMessage packed = Pack(message, absl::Cord("bytes"), nullptr);
  EXPECT_EQ(Bytes(packed), message.SerializeAsString() + "bytes");
  EXPECT_EQ(packed.attachment_bytes, 5u);
  EXPECT_EQ(packed.inflated_bytes, 0u);
}

TEST(PackedMessage, CompressesAllButTheAttachment) {
  testing::Message message;
  message.set_text(std::string(5000, 'x'));
  const std::string attachment(3000, 'a');
  const PackedMessage packed =
      Pack(message, absl::Cord(attachment), ZstdCompressor());
  EXPECT_EQ(packed.inflated_bytes, message.ByteSizeLong() + attachment.size());
  EXPECT_EQ(packed.attachment_bytes, attachment.size());
  ASSERT_GT(packed.size, attachment.size());
  ASSERT_LT(packed.size, attachment.size() + 1000);
  const std::string_view compressed =
      Bytes(packed).substr(0, packed.size - attachment.size());
  EXPECT_EQ(Bytes(packed).substr(compressed.size()), attachment);
  wire::ByteBuffer inflated;
  EXPECT_EQ(ZstdCompressor()->Inflate(
                compressed, 10'000, [](size_t) { return true; }, &inflated),
            Compressor::Inflated::kDone);
  EXPECT_EQ(inflated.view(), message.SerializeAsString());
}

TEST(PackedMessage, LeavesAsItIsWhatWouldNotBecomeShorter) {
  testing::Message message;
  for (const char* text : {"", "x", "xy"}) {
    message.set_text(text);
    const PackedMessage packed =
        Pack(message, absl::Cord("a"), ZstdCompressor());
    EXPECT_EQ(packed.inflated_bytes, 0u);
    EXPECT_EQ(Bytes(packed), message.SerializeAsString() + "a");
  }
}

}  // namespace
}  // namespace tern
