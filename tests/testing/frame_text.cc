#include "tests/testing/frame_text.h"

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tern/call.pb.h"
#include "tern/hello.pb.h"
#include "tern/lib/base/string_view.h"
#include "tern/status.pb.h"

namespace tern::testing {
namespace {

constexpr std::string_view kPrefaceBytes("\xD4TERN\r\n\x1A", 8);
constexpr size_t kHeaderBytes = 12;

constexpr std::array<std::string_view, 17> kCodes = {"OK",
                                                     "CANCELLED",
                                                     "UNKNOWN",
                                                     "INVALID_ARGUMENT",
                                                     "DEADLINE_EXCEEDED",
                                                     "NOT_FOUND",
                                                     "ALREADY_EXISTS",
                                                     "PERMISSION_DENIED",
                                                     "RESOURCE_EXHAUSTED",
                                                     "FAILED_PRECONDITION",
                                                     "ABORTED",
                                                     "OUT_OF_RANGE",
                                                     "UNIMPLEMENTED",
                                                     "INTERNAL",
                                                     "UNAVAILABLE",
                                                     "DATA_LOSS",
                                                     "UNAUTHENTICATED"};
constexpr std::array<std::string_view, 10> kErrors = {
    "NO_ERROR",         "PROTOCOL_ERROR",
    "FRAME_TOO_LARGE",  "FLOW_CONTROL_ERROR",
    "VERSION_MISMATCH", "ABUSE",
    "TIMEOUT",          "DATA_CORRUPT",
    "INTERNAL_ERROR",   "OVERLOADED"};
constexpr std::array<std::string_view, 6> kFlags = {"END_STREAM", "END_MESSAGE",
                                                    "LENGTH",     "ATTACHMENT",
                                                    "COMPRESSED", "CHECKSUM"};

uint32_t Load32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

template <size_t kSize>
absl::string_view Name(const std::array<std::string_view, kSize>& names,
                       uint32_t value) {
  return value < kSize ? ToAbsl(names[value]) : "?";
}

std::string Flags(uint8_t flags) {
  std::vector<std::string> names;
  for (size_t bit = 0; bit < 8; ++bit) {
    if ((flags >> bit & 1) == 0) continue;
    names.push_back(bit < kFlags.size() ? std::string(kFlags[bit])
                                        : absl::StrCat("bit", bit));
  }
  return names.empty() ? "" : " " + absl::StrJoin(names, "|");
}

std::string Sizes(const RawFrame& frame) {
  std::string text;
  if (!frame.block.empty())
    absl::StrAppend(&text, " block=", frame.block.size());
  if (!frame.payload.empty()) {
    absl::StrAppend(&text, " payload=", frame.payload.size());
  }
  return text;
}

std::string DescribeStatus(const RawFrame& frame, bool cancel) {
  wire::v1::Status status;
  if (!status.ParseFromString(frame.block)) return "? malformed status";
  uint32_t code = status.code();
  if (code == 0 && cancel) code = 1;
  std::string text = absl::StrCat(cancel ? "CANCEL " : "STATUS ", frame.stream,
                                  " ", Name(kCodes, code));
  if (code != 0) {
    absl::StrAppend(&text, " ", wire::v1::Certainty_Name(status.certainty()));
  }
  if (status.truncated()) text += " truncated";
  if (!frame.payload.empty()) {
    absl::StrAppend(&text, " payload=", frame.payload.size());
  }
  return text;
}

std::string Describe(const RawFrame& frame) {
  switch (frame.type) {
    case 1: {
      wire::v1::Hello hello;
      return hello.ParseFromString(frame.payload) ? "HELLO"
                                                  : "? malformed HELLO";
    }
    case 2:
      return absl::StrCat("HEADERS ", frame.stream, Flags(frame.flags),
                          Sizes(frame));
    case 3:
      return absl::StrCat("DATA ", frame.stream, Flags(frame.flags),
                          Sizes(frame));
    case 4:
      return DescribeStatus(frame, /*cancel=*/false);
    case 5:
      return DescribeStatus(frame, /*cancel=*/true);
    case 6:
      if (frame.payload.size() != 4) return "? malformed WINDOW";
      return absl::StrCat("WINDOW ", frame.stream, " ", Load32(frame.payload));
    case 7:
      return absl::StrCat("PING ", (frame.flags & 1) != 0 ? "ACK " : "",
                          absl::BytesToHexString(frame.payload));
    case 8:
      if (frame.payload.size() < 8) return "? malformed GOAWAY";
      return absl::StrCat("GOAWAY ", Load32(frame.payload), " ",
                          Name(kErrors, Load32(frame.payload.substr(4))));
  }
  return absl::StrCat("? type ", frame.type);
}

// Takes the next frame off `bytes`; false when it is not complete.
bool TakeFrame(std::string_view* bytes, RawFrame* frame) {
  if (bytes->size() < kHeaderBytes) return false;
  const size_t length = Load32(*bytes);
  const size_t block = static_cast<unsigned char>((*bytes)[10]) << 8 |
                       static_cast<unsigned char>((*bytes)[11]);
  if (bytes->size() - kHeaderBytes < length || block > length) return false;
  const std::string_view body = bytes->substr(kHeaderBytes, length);
  *frame = {.type = static_cast<uint8_t>((*bytes)[8]),
            .flags = static_cast<uint8_t>((*bytes)[9]),
            .stream = Load32(bytes->substr(4)),
            .block = std::string(body.substr(0, block)),
            .payload = std::string(body.substr(block))};
  bytes->remove_prefix(kHeaderBytes + length);
  return true;
}

}  // namespace

std::string BigEndian32(uint32_t value) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i) {
    bytes[i] = static_cast<char>(value >> (24 - 8 * i));
  }
  return bytes;
}

std::string RawFrame::Bytes() const {
  std::string bytes =
      BigEndian32(static_cast<uint32_t>(block.size() + payload.size()));
  bytes += BigEndian32(stream);
  bytes.push_back(static_cast<char>(type));
  bytes.push_back(static_cast<char>(flags));
  bytes.push_back(static_cast<char>(block.size() >> 8));
  bytes.push_back(static_cast<char>(block.size()));
  return bytes + block + payload;
}

std::string PrefaceBytes() { return std::string(kPrefaceBytes); }

std::string HelloFrame(std::string_view payload) {
  return RawFrame{.type = 1, .payload = std::string(payload)}.Bytes();
}

std::string GreetingBytes() {
  return PrefaceBytes() + HelloFrame("\x08\x01\x10\x01");
}

std::string CallBlock(std::string_view method) {
  wire::v1::CallHeader header;
  header.set_method(std::string(method));
  header.set_timeout_us(60'000'000);
  return header.SerializeAsString();
}

std::string UnaryFrame(uint32_t stream, std::string_view message,
                       std::string_view method) {
  return RawFrame{.type = 2,
                  .flags = 0x03,
                  .stream = stream,
                  .block = method.empty() ? CallBlock() : CallBlock(method),
                  .payload = std::string(message)}
      .Bytes();
}

std::string StatusFrame(uint32_t stream, std::string_view message) {
  return RawFrame{.type = 4,
                  .flags = 0x02,
                  .stream = stream,
                  .payload = std::string(message)}
      .Bytes();
}

std::string MessageFrame(uint32_t stream, std::string_view message) {
  return RawFrame{.type = 3,
                  .flags = 0x02,
                  .stream = stream,
                  .payload = std::string(message)}
      .Bytes();
}

std::string WindowFrame(uint32_t stream, uint32_t increment) {
  return RawFrame{
      .type = 6, .stream = stream, .payload = BigEndian32(increment)}
      .Bytes();
}

std::string PingFrame(std::string_view opaque8, bool ack) {
  return RawFrame{.type = 7,
                  .flags = static_cast<uint8_t>(ack ? 1 : 0),
                  .payload = std::string(opaque8)}
      .Bytes();
}

std::string GoAwayFrame(uint32_t last, uint32_t error,
                        std::string_view reason) {
  return RawFrame{
      .type = 8,
      .payload = BigEndian32(last) + BigEndian32(error) + std::string(reason)}
      .Bytes();
}

std::vector<std::string> DescribeFrames(std::string_view bytes) {
  std::vector<std::string> lines;
  if (bytes.substr(0, kPrefaceBytes.size()) == kPrefaceBytes) {
    lines.push_back("PREFACE");
    bytes.remove_prefix(kPrefaceBytes.size());
  }
  RawFrame frame;
  while (TakeFrame(&bytes, &frame)) lines.push_back(Describe(frame));
  if (!bytes.empty()) {
    lines.push_back(
        absl::StrCat("? ", bytes.size(), " bytes that are no frame"));
  }
  return lines;
}

std::vector<RawFrame> SplitFrames(std::string_view bytes) {
  if (bytes.substr(0, kPrefaceBytes.size()) == kPrefaceBytes) {
    bytes.remove_prefix(kPrefaceBytes.size());
  }
  std::vector<RawFrame> frames;
  RawFrame frame;
  while (TakeFrame(&bytes, &frame)) frames.push_back(frame);
  return frames;
}

uint64_t CreditIn(std::string_view bytes, uint32_t stream) {
  uint64_t credit = 0;
  for (const RawFrame& frame : SplitFrames(bytes)) {
    if (frame.type != 6 || frame.stream != stream) continue;
    for (int shift = 24, i = 0; i < 4; ++i, shift -= 8) {
      credit += uint64_t{static_cast<unsigned char>(frame.payload[i])} << shift;
    }
  }
  return credit;
}

}  // namespace tern::testing
