#include "tern/lib/wire/field_codec.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"
#include "tests/testing/append_fields.h"

namespace tern::wire {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

// True when all of `bytes` can be read.
bool Reads(std::string_view bytes) {
  FieldReader reader(bytes);
  while (reader.Next()) {
  }
  return reader.ok();
}

std::string Varint(uint64_t value) {
  char buffer[10];
  return std::string(buffer, WriteVarint(value, buffer));
}

std::vector<uint64_t> InterestingNumbers() {
  std::vector<uint64_t> numbers = {0, std::numeric_limits<uint64_t>::max()};
  for (int bit = 0; bit < 64; ++bit) {
    numbers.push_back(uint64_t{1} << bit);
    numbers.push_back((uint64_t{1} << bit) - 1);
  }
  return numbers;
}

TEST(FieldCodec, WritesVarintsAsProtobufDoes) {
  for (const uint64_t number : InterestingNumbers()) {
    std::string expected;
    {
      StringOutputStream stream(&expected);
      CodedOutputStream coded(&stream);
      coded.WriteVarint64(number);
    }
    EXPECT_EQ(Varint(number), expected);
    EXPECT_EQ(VarintSize(number), expected.size());
  }
}

TEST(FieldCodec, ReadsWhatItWrites) {
  for (const uint64_t number : InterestingNumbers()) {
    std::string bytes;
    AppendVarintField(1, number, &bytes);
    AppendFixed64Field(536870911, number, &bytes);
    AppendBytesField(2, "text", &bytes);
    AppendBytesField(3, "", &bytes);

    FieldReader reader(bytes);
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.field(), 1u);
    EXPECT_EQ(reader.type(), WireType::kVarint);
    EXPECT_EQ(reader.varint(), number);
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.field(), 536870911u);
    EXPECT_EQ(reader.fixed64(), number);
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.bytes(), "text");
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.bytes(), "");
    EXPECT_FALSE(reader.Next());
    EXPECT_TRUE(reader.ok());
  }
}

TEST(FieldCodec, ReadsNothingFromNothing) {
  FieldReader reader((std::string_view()));
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

// F25.
TEST(FieldCodec, VarintsHaveAtMostTenBytesAndSixtyFourBits) {
  const std::string tag = "\x08";
  EXPECT_TRUE(Reads(tag + std::string(9, '\x80') + '\x01'));
  EXPECT_TRUE(Reads(tag + std::string(9, '\x80') + std::string(1, '\0')))
      << "padded";
  EXPECT_FALSE(Reads(tag + std::string(9, '\xff') + '\x02')) << "65 bits";
  EXPECT_FALSE(Reads(tag + std::string(10, '\x80') + '\x01')) << "11 bytes";
  EXPECT_FALSE(Reads(tag + std::string(100'000, '\x80')));
}

TEST(FieldCodec, TagsHaveAtMostFiveBytesAndFieldsCountFromOne) {
  EXPECT_TRUE(Reads(std::string("\x88\x80\x80\x80") + '\0' + '\x01'));
  EXPECT_FALSE(Reads(std::string("\x88\x80\x80\x80\x80") + '\0' + '\x01'));
  EXPECT_FALSE(Reads(std::string(2, '\0'))) << "field 0";
  EXPECT_TRUE(Reads(Varint(0xfffffff8) + '\x01')) << "field 2^29-1";
  EXPECT_FALSE(Reads(Varint(0x100000000) + '\x01'));
}

TEST(FieldCodec, GroupsAndUnknownWireTypesAreMalformed) {
  for (const int type : {3, 4, 6, 7}) {
    EXPECT_FALSE(Reads(std::string(1, static_cast<char>(8 | type)) + "\x01"));
  }
}

// F6, F30: a block is not believed about its own lengths.
TEST(FieldCodec, EveryTruncationIsMalformed) {
  std::string bytes;
  AppendVarintField(1, 300, &bytes);
  const size_t first = bytes.size();
  AppendFixed64Field(2, 1, &bytes);
  const size_t second = bytes.size();
  AppendBytesField(3, "0123456789", &bytes);
  const size_t third = bytes.size();
  bytes += "\x25 1234";  // fixed32
  bytes.erase(third + 1, 1);
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const bool whole = size == 0 || size == first || size == second ||
                       size == third || size == bytes.size();
    EXPECT_EQ(Reads(std::string_view(bytes).substr(0, size)), whole) << size;
  }
  EXPECT_FALSE(
      Reads("\x0a\x05"
            "1234"));
  EXPECT_FALSE(Reads("\x0a" + Varint(std::numeric_limits<uint64_t>::max())));
}

TEST(FieldCodec, ReadingAnotherTypeIsMalformed) {
  std::string bytes;
  AppendVarintField(1, 5, &bytes);
  FieldReader as_bytes(bytes);
  ASSERT_TRUE(as_bytes.Next());
  EXPECT_EQ(as_bytes.bytes(), "");
  EXPECT_FALSE(as_bytes.ok());
  EXPECT_FALSE(as_bytes.Next());

  FieldReader as_fixed(bytes);
  ASSERT_TRUE(as_fixed.Next());
  EXPECT_EQ(as_fixed.fixed64(), 0u);
  EXPECT_FALSE(as_fixed.ok());

  FieldReader fixed32(
      "\x0d"
      "1234");
  ASSERT_TRUE(fixed32.Next());
  EXPECT_EQ(fixed32.varint(), 0u);
  EXPECT_FALSE(fixed32.ok());
}

TEST(FieldCodec, Varint32EndsAtThirtyTwoBits) {
  for (const uint64_t value : {uint64_t{0xffffffff}, uint64_t{0x100000000}}) {
    std::string bytes;
    AppendVarintField(1, value, &bytes);
    FieldReader reader(bytes);
    ASSERT_TRUE(reader.Next());
    reader.varint32();
    EXPECT_EQ(reader.ok(), value == 0xffffffff);
  }
}

// F28.
TEST(FieldCodec, ASingularFieldOccursOnce) {
  std::string bytes;
  AppendVarintField(63, 1, &bytes);
  AppendVarintField(1, 1, &bytes);
  AppendVarintField(63, 1, &bytes);
  FieldReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  reader.Singular();
  ASSERT_TRUE(reader.Next());
  reader.Singular();
  EXPECT_TRUE(reader.ok());
  ASSERT_TRUE(reader.Next());
  reader.Singular();
  EXPECT_FALSE(reader.ok());
}

// Random bytes: whatever this reader takes, protobuf's reads the same way.
TEST(FieldCodec, AgreesWithProtobufOnRandomBytes) {
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 32);
    }
    if (!Reads(bytes)) continue;
    ++accepted;
    FieldReader reader(bytes);
    CodedInputStream coded(reinterpret_cast<const uint8_t*>(bytes.data()),
                           static_cast<int>(bytes.size()));
    while (reader.Next()) {
      const uint32_t tag = coded.ReadTag();
      ASSERT_EQ(tag >> 3, reader.field());
      ASSERT_EQ(static_cast<WireType>(tag & 7), reader.type());
      uint64_t number = 0;
      uint32_t number32 = 0;
      std::string text;
      switch (reader.type()) {
        case WireType::kVarint:
          ASSERT_TRUE(coded.ReadVarint64(&number));
          ASSERT_EQ(reader.varint(), number);
          break;
        case WireType::kFixed64:
          ASSERT_TRUE(coded.ReadLittleEndian64(&number));
          ASSERT_EQ(reader.fixed64(), number);
          break;
        case WireType::kFixed32:
          ASSERT_TRUE(coded.ReadLittleEndian32(&number32));
          break;
        case WireType::kBytes:
          ASSERT_TRUE(coded.ReadVarint32(&number32));
          ASSERT_TRUE(coded.ReadString(&text, static_cast<int>(number32)));
          ASSERT_EQ(reader.bytes(), text);
          break;
      }
    }
    ASSERT_EQ(coded.ReadTag(), 0u);
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace tern::wire
