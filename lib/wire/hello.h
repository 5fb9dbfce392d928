#ifndef TERN_LIB_WIRE_HELLO_H_
#define TERN_LIB_WIRE_HELLO_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tern/lib/wire/metadata_codec.h"

namespace tern::wire {

// What a side announces (proto/tern/hello.proto), defaults filled in: also what
// holds before the peer's HELLO has come.
struct Hello {
  static constexpr uint32_t kMinFrameBytes = 16 << 10;
  static constexpr uint32_t kMaxFrameBytes = 16 << 20;
  static constexpr uint32_t kMinStreamWindowBytes = 64 << 10;
  static constexpr uint32_t kMinConnectionWindowBytes = 256 << 10;
  static constexpr uint32_t kMaxWindowBytes = 0x7fffffff;

  uint32_t min_version = 1;
  uint32_t max_version = 1;
  uint64_t features = 0;
  uint32_t max_frame_bytes = kMinFrameBytes;
  uint32_t max_message_bytes = 4 << 20;
  uint32_t stream_window_bytes = kMinStreamWindowBytes;
  uint32_t connection_window_bytes = kMinConnectionWindowBytes;
  uint32_t max_concurrent_calls = 100;
  uint32_t min_ping_interval_ms = 10'000;
  MetadataLimits metadata;
  std::string instance_id;  // Empty or 16 bytes.
  std::string agent;        // At most 128 bytes.
};

// INVALID_ARGUMENT names the field that is out of range or malformed.
absl::StatusOr<Hello> ParseHello(std::string_view payload);
// The same checks, for what this side is about to announce.
absl::Status CheckHello(const Hello& hello);
void AppendHello(const Hello& hello, std::string* out);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_HELLO_H_
