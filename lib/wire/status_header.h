#ifndef TERN_LIB_WIRE_STATUS_HEADER_H_
#define TERN_LIB_WIRE_STATUS_HEADER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tern/lib/wire/certainty.h"
#include "tern/lib/wire/metadata_codec.h"

namespace tern::wire {

// The header block of STATUS and CANCEL frames: proto/tern/status.proto. An
// empty block is OK in STATUS and CANCELLED in CANCEL.

// A google.protobuf.Any.
struct DetailView {
  std::string_view type_url;
  std::string_view value;
};

// Views point into the header block, or at what the caller of Append holds.
struct StatusHeader {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string_view message;
  std::vector<DetailView> details = {};
  Certainty certainty = Certainty::kMaybeStarted;
  std::optional<uint32_t> retry_after_ms = std::nullopt;
  std::optional<uint32_t> load_permille = std::nullopt;
  std::optional<uint64_t> queue_us = std::nullopt;
  std::optional<uint64_t> handler_us = std::nullopt;
  std::vector<MetadataEntryView> trailing_metadata = {};
  bool truncated = false;
};

// INVALID_ARGUMENT or RESOURCE_EXHAUSTED, with the reason.
absl::Status ParseStatusHeader(std::string_view block,
                               const MetadataLimits& limits,
                               StatusHeader* header);

// A status as it is sent, in at most `max_bytes` (at least 64). What does not
// fit is left out in the order of PROTOCOL.md, section 8 (details, trailing
// metadata, the end of the message), and said in `truncated`. The header, and
// what its views point at, outlive the block.
class StatusBlock {
 public:
  StatusBlock(const StatusHeader& header, size_t max_bytes);
  StatusBlock(const StatusBlock&) = delete;
  StatusBlock& operator=(const StatusBlock&) = delete;

  size_t size() const { return size_; }
  // `out` has room for size() bytes.
  void Write(char* out) const;

 private:
  template <typename Fields>
  void Put(Fields& fields) const;
  bool DetailsFit(size_t max_bytes) const;
  size_t Measure() const;

  const StatusHeader& header_;
  std::string_view message_;
  std::string mended_message_;
  bool details_ = true;
  bool trailing_metadata_ = true;
  bool truncated_ = false;
  size_t size_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_STATUS_HEADER_H_
