#ifndef TERN_LIB_WIRE_FRAME_H_
#define TERN_LIB_WIRE_FRAME_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tern::wire {

// The frame layout of proto/PROTOCOL.md, section 4: 12 bytes in network byte
// order, then a header block, then payload.
//
//   offset  size  field
//        0     4  length         bytes after these 12
//        4     4  stream id      0: the connection
//        8     1  type
//        9     1  flags
//       10     2  header length

using StreamId = uint32_t;

inline constexpr size_t kFrameHeaderBytes = 12;
inline constexpr size_t kChecksumBytes = 4;  // Behind the payload, if at all.
inline constexpr StreamId kMaxStreamId = 0x7fffffff;

// Section 2: the first bytes in each direction.
inline constexpr std::string_view kPreface("\xD4TERN\r\n\x1A", 8);

enum class FrameType : uint8_t {
  kHello = 1,
  kHeaders = 2,
  kData = 3,
  kStatus = 4,
  kCancel = 5,
  kWindow = 6,
  kPing = 7,
  kGoAway = 8,
};
inline constexpr uint8_t kOptionalTypeBit = 0x80;

inline constexpr uint8_t kFlagEndStream = 0x01;
inline constexpr uint8_t kFlagAck = 0x01;  // PING only.
inline constexpr uint8_t kFlagEndMessage = 0x02;
inline constexpr uint8_t kFlagLength = 0x04;
inline constexpr uint8_t kFlagAttachment = 0x08;
inline constexpr uint8_t kFlagCompressed = 0x10;
inline constexpr uint8_t kFlagChecksum = 0x20;
inline constexpr uint8_t kOptionalFlags = 0xc0;

// Feature bits of HELLO, section 3.
inline constexpr uint64_t kFeatureChecksum = 1u << 0;
inline constexpr uint64_t kFeatureGzip = 1u << 1;
inline constexpr uint64_t kFeatureZstd = 1u << 2;
// The bit of each is the number by which a header names it.
inline constexpr uint32_t kMaxCompression = 2;
inline constexpr uint64_t kCompressionFeatures = kFeatureGzip | kFeatureZstd;

// Section 9: why a connection ends.
enum class ErrorCode : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kFrameTooLarge = 2,
  kFlowControlError = 3,
  kVersionMismatch = 4,
  kAbuse = 5,
  kTimeout = 6,
  kDataCorrupt = 7,
  kInternalError = 8,
  kOverloaded = 9,
};
// "PROTOCOL_ERROR"; "error 77" for what is not in the table.
std::string_view ToString(ErrorCode code);

struct FrameHeader {
  uint32_t length = 0;
  StreamId stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  uint16_t header_length = 0;
};

// Network byte order. With shifts and ors GCC 12 makes 60 instructions of a
// frame's header.
inline constexpr bool kSwap = std::endian::native == std::endian::little;
inline uint16_t LoadBigEndian16(const char* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return kSwap ? __builtin_bswap16(value) : value;
}
inline uint32_t LoadBigEndian32(const char* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return kSwap ? __builtin_bswap32(value) : value;
}
inline void StoreBigEndian16(uint16_t value, char* bytes) {
  if (kSwap) value = __builtin_bswap16(value);
  std::memcpy(bytes, &value, sizeof(value));
}
inline void StoreBigEndian32(uint32_t value, char* bytes) {
  if (kSwap) value = __builtin_bswap32(value);
  std::memcpy(bytes, &value, sizeof(value));
}

// `bytes` holds at least kFrameHeaderBytes.
inline FrameHeader DecodeFrameHeader(const char* bytes) {
  return {.length = LoadBigEndian32(bytes),
          .stream = LoadBigEndian32(bytes + 4),
          .type = static_cast<uint8_t>(bytes[8]),
          .flags = static_cast<uint8_t>(bytes[9]),
          .header_length = LoadBigEndian16(bytes + 10)};
}
inline void EncodeFrameHeader(const FrameHeader& header, char* bytes) {
  StoreBigEndian32(header.length, bytes);
  StoreBigEndian32(header.stream, bytes + 4);
  bytes[8] = static_cast<char>(header.type);
  bytes[9] = static_cast<char>(header.flags);
  StoreBigEndian16(header.header_length, bytes + 10);
}

// What section 4's tables say of a type. Returns nullptr when `header` is one
// that `from_client` may send; else the reason why it is a PROTOCOL_ERROR. Not
// for types that are unknown: see IsKnownType.
inline bool IsKnownType(uint8_t type) {
  return type >= static_cast<uint8_t>(FrameType::kHello) &&
         type <= static_cast<uint8_t>(FrameType::kGoAway);
}
const char* CheckFrameHeader(const FrameHeader& header, bool from_client,
                             bool checksum_allowed);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_FRAME_H_
