#include "tern/lib/wire/frame.h"

namespace tern::wire {
namespace {

constexpr uint8_t kMessageFlags = kFlagEndMessage | kFlagLength |
                                  kFlagAttachment | kFlagCompressed |
                                  kFlagChecksum;

// One row of PROTOCOL.md's table of types.
struct Rule {
  enum Where { kConnection, kStream, kEither } where;
  enum Block { kNone, kAllowed, kRequired } block;
  bool from_client;
  bool from_server;
  uint8_t client_flags;
  uint8_t server_flags;
  uint32_t min_payload;
  uint32_t max_payload;
};

constexpr uint32_t kAnyLength = 0xffffffff;
constexpr uint32_t kMaxHelloBytes = 1024;
constexpr uint32_t kMaxReasonBytes = 256;

constexpr Rule kRules[] = {
    {Rule::kConnection, Rule::kNone, false, false, 0, 0, 0, 0},  // Type 0.
    // HELLO
    {Rule::kConnection, Rule::kNone, true, true, 0, 0, 0, kMaxHelloBytes},
    // HEADERS: a client's must say which method.
    {Rule::kStream, Rule::kAllowed, true, true, kMessageFlags | kFlagEndStream,
     kMessageFlags, 0, kAnyLength},
    // DATA
    {Rule::kStream, Rule::kNone, true, true, kMessageFlags | kFlagEndStream,
     kMessageFlags, 0, kAnyLength},
    // STATUS
    {Rule::kStream, Rule::kAllowed, false, true, 0, kMessageFlags, 0,
     kAnyLength},
    // CANCEL
    {Rule::kStream, Rule::kAllowed, true, true, kFlagChecksum, kFlagChecksum, 0,
     0},
    // WINDOW
    {Rule::kEither, Rule::kNone, true, true, kFlagChecksum, kFlagChecksum, 4,
     4},
    // PING
    {Rule::kConnection, Rule::kNone, true, true, kFlagAck | kFlagChecksum,
     kFlagAck | kFlagChecksum, 8, 8},
    // GOAWAY
    {Rule::kConnection, Rule::kNone, true, true, kFlagChecksum, kFlagChecksum,
     8, 8 + kMaxReasonBytes},
};

}  // namespace

std::string_view ToString(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoError:
      return "NO_ERROR";
    case ErrorCode::kProtocolError:
      return "PROTOCOL_ERROR";
    case ErrorCode::kFrameTooLarge:
      return "FRAME_TOO_LARGE";
    case ErrorCode::kFlowControlError:
      return "FLOW_CONTROL_ERROR";
    case ErrorCode::kVersionMismatch:
      return "VERSION_MISMATCH";
    case ErrorCode::kAbuse:
      return "ABUSE";
    case ErrorCode::kTimeout:
      return "TIMEOUT";
    case ErrorCode::kDataCorrupt:
      return "DATA_CORRUPT";
    case ErrorCode::kInternalError:
      return "INTERNAL_ERROR";
    case ErrorCode::kOverloaded:
      return "OVERLOADED";
  }
  return "an unknown error";
}

FrameHeader DecodeFrameHeader(const char* bytes) {
  const auto* u = reinterpret_cast<const unsigned char*>(bytes);
  return {.length = LoadBigEndian32(bytes),
          .stream = LoadBigEndian32(bytes + 4),
          .type = u[8],
          .flags = u[9],
          .header_length = static_cast<uint16_t>(u[10] << 8 | u[11])};
}

void EncodeFrameHeader(const FrameHeader& header, char* bytes) {
  StoreBigEndian32(header.length, bytes);
  StoreBigEndian32(header.stream, bytes + 4);
  bytes[8] = static_cast<char>(header.type);
  bytes[9] = static_cast<char>(header.flags);
  bytes[10] = static_cast<char>(header.header_length >> 8);
  bytes[11] = static_cast<char>(header.header_length);
}

bool IsKnownType(uint8_t type) {
  return type >= static_cast<uint8_t>(FrameType::kHello) &&
         type <= static_cast<uint8_t>(FrameType::kGoAway);
}

const char* CheckFrameHeader(const FrameHeader& header, bool from_client,
                             bool checksum_allowed) {
  const Rule& rule = kRules[header.type];
  if (!(from_client ? rule.from_client : rule.from_server)) {
    return "frame of a type that this side may not send";
  }
  const uint8_t allowed =
      (from_client ? rule.client_flags : rule.server_flags) | kOptionalFlags;
  if ((header.flags & ~allowed) != 0) {
    return "flag that the frame's type does not have";
  }
  const bool checksum = (header.flags & kFlagChecksum) != 0 &&
                        header.type != static_cast<uint8_t>(FrameType::kHello);
  if (checksum && !checksum_allowed) {
    return "checksum without the feature";
  }
  if (rule.where == Rule::kConnection && header.stream != 0) {
    return "stream id on a frame of the connection";
  }
  if (rule.where == Rule::kStream && header.stream == 0) {
    return "no stream id on a frame of a stream";
  }
  if (rule.block == Rule::kNone && header.header_length != 0) {
    return "header block on a frame that has none";
  }
  const uint64_t other =
      uint64_t{header.header_length} + (checksum ? kChecksumBytes : 0);
  if (other > header.length) {
    return "header block longer than its frame";
  }
  const uint64_t payload = header.length - other;
  if (payload < rule.min_payload || payload > rule.max_payload) {
    return "payload of a size that the frame's type does not have";
  }
  if (from_client && header.header_length == 0 &&
      header.type == static_cast<uint8_t>(FrameType::kHeaders)) {
    return "HEADERS without a header block";
  }
  return nullptr;
}

}  // namespace tern::wire
