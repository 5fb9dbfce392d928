#ifndef TERN_LIB_WIRE_FRAME_H_
#define TERN_LIB_WIRE_FRAME_H_

#include <cstddef>
#include <cstdint>
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

// `bytes` holds at least kFrameHeaderBytes.
FrameHeader DecodeFrameHeader(const char* bytes);
void EncodeFrameHeader(const FrameHeader& header, char* bytes);

inline uint32_t LoadBigEndian32(const char* bytes) {
  const auto* u = reinterpret_cast<const unsigned char*>(bytes);
  return uint32_t{u[0]} << 24 | uint32_t{u[1]} << 16 | uint32_t{u[2]} << 8 |
         uint32_t{u[3]};
}
inline void StoreBigEndian32(uint32_t value, char* bytes) {
  bytes[0] = static_cast<char>(value >> 24);
  bytes[1] = static_cast<char>(value >> 16);
  bytes[2] = static_cast<char>(value >> 8);
  bytes[3] = static_cast<char>(value);
}

// What section 4's tables say of a type. Returns nullptr when `header` is one
// that `from_client` may send; else the reason why it is a PROTOCOL_ERROR. Not
// for types that are unknown: see IsKnownType.
bool IsKnownType(uint8_t type);
const char* CheckFrameHeader(const FrameHeader& header, bool from_client,
                             bool checksum_allowed);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_FRAME_H_
