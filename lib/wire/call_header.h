#ifndef TERN_LIB_WIRE_CALL_HEADER_H_
#define TERN_LIB_WIRE_CALL_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tern/lib/wire/metadata_codec.h"

namespace tern::wire {

// The header blocks of HEADERS frames: proto/tern/call.proto, read and written
// by hand so that a call costs no allocation and every rule of PROTOCOL.md,
// section 5, is checked while reading. tests/lib/wire compares them with the
// generated classes.

inline constexpr size_t kMaxHeaderBlockBytes = 24'576;
inline constexpr size_t kMaxMethodBytes = 256;
inline constexpr uint32_t kMaxPriority = 7;

struct TraceContext {
  uint64_t trace_id_high = 0;
  uint64_t trace_id_low = 0;
  uint64_t span_id = 0;
  uint32_t flags = 0;
  bool empty() const { return (trace_id_high | trace_id_low) == 0; }
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

struct RequestId {
  uint64_t client = 0;
  uint64_t sequence = 0;
  uint32_t attempt = 0;
  friend bool operator==(const RequestId&, const RequestId&) = default;
};

// Views point into the header block, or at what the caller of Append holds.
struct CallHeader {
  std::string_view method;
  uint64_t timeout_us = 0;
  std::vector<MetadataEntryView> metadata = {};
  uint32_t priority = 0;
  uint64_t required_features = 0;
  RequestId request_id;
  TraceContext trace;
  uint32_t codec = 0;
  uint32_t compression = 0;
};

// INVALID_ARGUMENT or RESOURCE_EXHAUSTED, with the reason.
absl::Status ParseCallHeader(std::string_view block,
                             const MetadataLimits& limits, CallHeader* header);
size_t CallHeaderSize(const CallHeader& header);
// `out` has room for that many bytes.
void WriteCallHeader(const CallHeader& header, char* out);

struct ResponseHeader {
  std::vector<MetadataEntryView> metadata = {};
  uint32_t compression = 0;
};
absl::Status ParseResponseHeader(std::string_view block,
                                 const MetadataLimits& limits,
                                 ResponseHeader* header);
void AppendResponseHeader(const ResponseHeader& header, std::string* out);

// "package.Service/Method" and nothing else: see PROTOCOL.md.
bool IsMethodName(std::string_view name);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_CALL_HEADER_H_
