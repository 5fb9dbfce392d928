#include "tern/lib/wire/frame.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace tern::wire {
namespace {

std::string Encoded(const FrameHeader& header) {
  std::string bytes(kFrameHeaderBytes, '\0');
  EncodeFrameHeader(header, bytes.data());
  return bytes;
}

TEST(Frame, HeaderHasTheBytesOfTheTable) {
  const std::string bytes = Encoded({.length = 0x01020304,
                                     .stream = 0x05060708,
                                     .type = 0x09,
                                     .flags = 0x0a,
                                     .header_length = 0x0b0c});
  EXPECT_EQ(bytes, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c");
}

TEST(Frame, HeaderReadsBackWhateverItHolds) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 10'000; ++round) {
    std::string bytes(kFrameHeaderBytes, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_EQ(Encoded(DecodeFrameHeader(bytes.data())), bytes);
  }
}

TEST(Frame, PrefaceIsNeitherTextNorTls) {
  EXPECT_EQ(kPreface.size(), 8u);
  EXPECT_EQ(kPreface, std::string_view("\xD4TERN\r\n\x1A", 8));
}

TEST(Frame, EveryErrorHasAName) {
  for (uint32_t code = 0; code <= 9; ++code) {
    EXPECT_NE(ToString(static_cast<ErrorCode>(code)), "an unknown error");
  }
  EXPECT_EQ(ToString(static_cast<ErrorCode>(10)), "an unknown error");
}

// --- PROTOCOL.md's table of types, written out again
// --------------------------

struct Row {
  FrameType type;
  bool stream_zero, stream_other;  // Which streams it may be on.
  bool from_client, from_server;
  int client_flags, server_flags;  // Without the optional ones.
  bool block_forbidden, block_required_from_client;
  uint32_t least_payload, most_payload;
};

constexpr uint32_t kNoLimit = 0x7fffffff;
constexpr Row kTable[] = {
    {FrameType::kHello, true, false, true, true, 0, 0, true, false, 0, 1024},
    {FrameType::kHeaders, false, true, true, true, 0x3f, 0x3e, false, true, 0,
     kNoLimit},
    {FrameType::kData, false, true, true, true, 0x3f, 0x3e, true, false, 0,
     kNoLimit},
    {FrameType::kStatus, false, true, false, true, 0, 0x3e, false, false, 0,
     kNoLimit},
    {FrameType::kCancel, false, true, true, true, 0x20, 0x20, false, false, 0,
     0},
    {FrameType::kWindow, true, true, true, true, 0x20, 0x20, true, false, 4, 4},
    {FrameType::kPing, true, false, true, true, 0x21, 0x21, true, false, 8, 8},
    {FrameType::kGoAway, true, false, true, true, 0x20, 0x20, true, false, 8,
     264},
};

bool Allows(const Row& row, const FrameHeader& header, bool from_client) {
  if (!(from_client ? row.from_client : row.from_server)) return false;
  if (!(header.stream == 0 ? row.stream_zero : row.stream_other)) return false;
  const int flags = header.flags & 0x3f;
  if ((flags & ~(from_client ? row.client_flags : row.server_flags)) != 0) {
    return false;
  }
  if (row.block_forbidden && header.header_length != 0) return false;
  if (row.block_required_from_client && from_client &&
      header.header_length == 0) {
    return false;
  }
  const int64_t payload = int64_t{header.length} - header.header_length -
                          ((flags & kFlagChecksum) != 0 ? 4 : 0);
  return payload >= row.least_payload && payload <= row.most_payload;
}

// F4, F11, F12, F13: every type, direction, flag and size.
TEST(Frame, HeadersAreJudgedByTheTable) {
  for (const Row& row : kTable) {
    const auto type = static_cast<uint8_t>(row.type);
    EXPECT_TRUE(IsKnownType(type));
    for (const bool from_client : {true, false}) {
      for (int flags = 0; flags < 256; ++flags) {
        for (const StreamId stream : {0u, 1u}) {
          for (const uint16_t block : {0, 1, 300}) {
            for (const uint32_t extra :
                 {0u, 3u, 4u, 5u, 7u, 8u, 9u, 11u, 12u, 13u, 264u, 265u, 268u,
                  269u, 1024u, 1025u}) {
              const FrameHeader header = {.length = block + extra,
                                          .stream = stream,
                                          .type = type,
                                          .flags = static_cast<uint8_t>(flags),
                                          .header_length = block};
              const bool allowed =
                  CheckFrameHeader(header, from_client,
                                   /*checksum_allowed=*/true) == nullptr;
              ASSERT_EQ(allowed, Allows(row, header, from_client))
                  << "type " << int{type} << " flags " << flags << " stream "
                  << stream << " block " << block << " extra " << extra
                  << (from_client ? " from client" : " from server");
            }
          }
        }
      }
    }
  }
}

TEST(Frame, ABlockIsNotLongerThanItsFrame) {
  FrameHeader header = {
      .length = 9, .stream = 1, .type = 2, .flags = 0, .header_length = 10};
  EXPECT_NE(CheckFrameHeader(header, true, false), nullptr);
  header.length = 10;
  EXPECT_EQ(CheckFrameHeader(header, true, false), nullptr);
  header.length = 0;
  header.header_length = 0xffff;
  EXPECT_NE(CheckFrameHeader(header, true, false), nullptr);
}

TEST(Frame, ChecksumsNeedTheFeature) {
  const FrameHeader header = {
      .length = 12, .type = 7, .flags = kFlagChecksum, .header_length = 0};
  EXPECT_EQ(CheckFrameHeader(header, true, true), nullptr);
  EXPECT_NE(CheckFrameHeader(header, true, false), nullptr);
}

TEST(Frame, OtherTypesAreUnknown) {
  for (int type = 0; type < 256; ++type) {
    EXPECT_EQ(IsKnownType(static_cast<uint8_t>(type)), type >= 1 && type <= 8);
  }
}

}  // namespace
}  // namespace tern::wire
