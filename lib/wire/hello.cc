#include "tern/lib/wire/hello.h"

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {
namespace {

constexpr size_t kInstanceIdBytes = 16;
constexpr size_t kMaxAgentBytes = 128;

absl::Status CheckRange(const char* name, uint64_t value, uint64_t low,
                        uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "HELLO's ", name, " is ", value, ", not from ", low, " to ", high));
}

}  // namespace

absl::Status CheckHello(const Hello& hello) {
  if (hello.min_version < 1 || hello.max_version < hello.min_version) {
    return absl::InvalidArgumentError(
        absl::StrCat("HELLO's versions ", hello.min_version, " to ",
                     hello.max_version, " are no range"));
  }
  absl::Status status =
      CheckRange("max_frame_bytes", hello.max_frame_bytes,
                 Hello::kMinFrameBytes, Hello::kMaxFrameBytes);
  status.Update(CheckRange("max_message_bytes", hello.max_message_bytes, 1,
                           Hello::kMaxWindowBytes));
  status.Update(CheckRange("stream_window_bytes", hello.stream_window_bytes,
                           Hello::kMinStreamWindowBytes,
                           Hello::kMaxWindowBytes));
  status.Update(
      CheckRange("connection_window_bytes", hello.connection_window_bytes,
                 Hello::kMinConnectionWindowBytes, Hello::kMaxWindowBytes));
  if (!hello.instance_id.empty() &&
      hello.instance_id.size() != kInstanceIdBytes) {
    status.Update(
        absl::InvalidArgumentError("HELLO's instance_id has not 16 bytes"));
  }
  if (hello.agent.size() > kMaxAgentBytes || !IsUtf8(hello.agent)) {
    status.Update(absl::InvalidArgumentError(
        "HELLO's agent is not UTF-8 of at most 128 bytes"));
  }
  return status;
}

absl::StatusOr<Hello> ParseHello(std::string_view payload) {
  Hello hello;
  hello.min_version = 0;
  hello.max_version = 0;
  FieldReader reader(payload);
  // 0 is what proto3 sends as absent: the default stays.
  const auto limit = [&reader](uint32_t* field) {
    if (const uint32_t value = reader.varint32(); value != 0) *field = value;
  };
  while (reader.Next()) {
    if (reader.field() > 13) continue;
    reader.Singular();
    switch (reader.field()) {
      case 1:
        hello.min_version = reader.varint32();
        break;
      case 2:
        hello.max_version = reader.varint32();
        break;
      case 3:
        hello.features = reader.varint();
        break;
      case 4:
        limit(&hello.max_frame_bytes);
        break;
      case 5:
        limit(&hello.max_message_bytes);
        break;
      case 6:
        limit(&hello.stream_window_bytes);
        break;
      case 7:
        limit(&hello.connection_window_bytes);
        break;
      case 8:
        limit(&hello.max_concurrent_calls);
        break;
      case 9:
        limit(&hello.min_ping_interval_ms);
        break;
      case 10:
        limit(&hello.metadata.max_bytes);
        break;
      case 11:
        limit(&hello.metadata.max_entries);
        break;
      case 12:
        hello.instance_id = std::string(reader.bytes());
        break;
      case 13:
        hello.agent = std::string(reader.bytes());
        break;
    }
  }
  if (!reader.ok()) return absl::InvalidArgumentError("malformed HELLO");
  if (absl::Status status = CheckHello(hello); !status.ok()) return status;
  return hello;
}

void AppendHello(const Hello& hello, std::string* out) {
  AppendFields(
      [&](auto& fields) {
        fields.Varint(1, hello.min_version);
        fields.Varint(2, hello.max_version);
        if (hello.features != 0) fields.Varint(3, hello.features);
        fields.Varint(4, hello.max_frame_bytes);
        fields.Varint(5, hello.max_message_bytes);
        fields.Varint(6, hello.stream_window_bytes);
        fields.Varint(7, hello.connection_window_bytes);
        fields.Varint(8, hello.max_concurrent_calls);
        fields.Varint(9, hello.min_ping_interval_ms);
        fields.Varint(10, hello.metadata.max_bytes);
        fields.Varint(11, hello.metadata.max_entries);
        if (!hello.instance_id.empty()) fields.Bytes(12, hello.instance_id);
        if (!hello.agent.empty()) fields.Bytes(13, hello.agent);
      },
      out);
}

}  // namespace tern::wire
