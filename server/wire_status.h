#ifndef TERN_SERVER_WIRE_STATUS_H_
#define TERN_SERVER_WIRE_STATUS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/wire/metadata_codec.h"
#include "tern/lib/wire/status_header.h"

namespace tern {

// Of a handler's absl::Status, what travels. Holds what the header's views
// point at.
class WireStatus {
 public:
  // `trailing_metadata` outlives it.
  WireStatus(absl::Status status, const Metadata& trailing_metadata);
  WireStatus(const WireStatus&) = delete;
  WireStatus& operator=(const WireStatus&) = delete;

  wire::StatusHeader header;

 private:
  std::string message_;
  std::vector<std::pair<std::string, std::string>> details_;
};

// Views into `metadata`.
std::vector<wire::MetadataEntryView> ViewsOf(const Metadata& metadata);

// INTERNAL when what a handler has put into its `kind` ("trailing", "response")
// metadata breaks the rules.
absl::Status CheckHandlersMetadata(std::string_view kind,
                                   const Metadata& metadata);

}  // namespace tern

#endif  // TERN_SERVER_WIRE_STATUS_H_
