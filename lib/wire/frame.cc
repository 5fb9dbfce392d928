#include "tern/lib/wire/frame.h"

namespace tern::wire {
namespace {

constexpr uint8_t kMessageFlags = kFlagEndMessage | kFlagLength |
                                  kFlagAttachment | kFlagCompressed |
                                  kFlagChecksum;

// One row of PROTOCOL.md's table of types, for one direction.
struct Rule {
  enum Where : uint8_t { kNowhere, kConnection, kStream, kEither } where;
  enum Block : uint8_t { kNone, kAllowed, kRequired } block;
  uint8_t flags;
  uint32_t min_payload;
  uint32_t max_payload;
};

constexpr uint32_t kAnyLength = 0xffffffff;
constexpr uint32_t kMaxHelloBytes = 1024;
constexpr uint32_t kMaxReasonBytes = 256;

constexpr Rule kNever = {Rule::kNowhere, Rule::kNone, 0, 0, 0};
constexpr Rule kHello = {Rule::kConnection, Rule::kNone, 0, 0, kMaxHelloBytes};
constexpr Rule kCancel = {Rule::kStream, Rule::kAllowed, kFlagChecksum, 0, 0};
constexpr Rule kWindow = {Rule::kEither, Rule::kNone, kFlagChecksum, 4, 4};
constexpr Rule kPing = {Rule::kConnection, Rule::kNone,
                        kFlagAck | kFlagChecksum, 8, 8};
constexpr Rule kGoAway = {Rule::kConnection, Rule::kNone, kFlagChecksum, 8,
                          8 + kMaxReasonBytes};

constexpr Rule kFromClient[] = {
    kNever,
    kHello,
    // HEADERS: a client's must say which method.
    {Rule::kStream, Rule::kRequired, kMessageFlags | kFlagEndStream, 0,
     kAnyLength},
    // DATA
    {Rule::kStream, Rule::kNone, kMessageFlags | kFlagEndStream, 0, kAnyLength},
    kNever,  // STATUS
    kCancel,
    kWindow,
    kPing,
    kGoAway,
};
constexpr Rule kFromServer[] = {
    kNever,
    kHello,
    // HEADERS
    {Rule::kStream, Rule::kAllowed, kMessageFlags, 0, kAnyLength},
    // DATA
    {Rule::kStream, Rule::kNone, kMessageFlags, 0, kAnyLength},
    // STATUS
    {Rule::kStream, Rule::kAllowed, kMessageFlags, 0, kAnyLength},
    kCancel,
    kWindow,
    kPing,
    kGoAway,
};

// What most frames are: true only of a good one that carries a message (or part
// of one) behind a header block, without a checksum.
bool IsPlain(const FrameHeader& header, const Rule& rule) {
  return rule.block != Rule::kNone && rule.max_payload == kAnyLength &&
         (header.flags & ~(rule.flags & ~kFlagChecksum)) == 0 &&
         header.stream != 0 && header.header_length <= header.length &&
         (header.header_length != 0 || rule.block == Rule::kAllowed);
}

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

const char* CheckFrameHeader(const FrameHeader& header, bool from_client,
                             bool checksum_allowed) {
  const Rule& rule = (from_client ? kFromClient : kFromServer)[header.type];
  if (IsPlain(header, rule)) return nullptr;
  if (rule.where == Rule::kNowhere) {
    return "frame of a type that this side may not send";
  }
  if ((header.flags & ~(rule.flags | kOptionalFlags)) != 0) {
    return "flag that the frame's type does not have";
  }
  const bool checksum = (header.flags & kFlagChecksum) != 0;
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
  if (rule.block == Rule::kRequired && header.header_length == 0) {
    return "HEADERS without a header block";
  }
  return nullptr;
}

}  // namespace tern::wire
