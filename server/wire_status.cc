#include "tern/server/wire_status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/call_error.h"

namespace tern {
namespace {

constexpr size_t kMaxEscapedMessageBytes = 1024;

}  // namespace

WireStatus::WireStatus(absl::Status status, const Metadata& trailing_metadata) {
  CallError::RemoveFrom(&status);  // What it says is of an inner call.
  message_ = std::string(status.message());
  if (!wire::IsUtf8(message_)) {
    message_ = EscapeForLog(message_, kMaxEscapedMessageBytes);
  }
  status.ForEachPayload(
      [this](absl::string_view type_url, const absl::Cord& payload) {
        details_.emplace_back(std::string(type_url), std::string(payload));
      });
  header.code = status.code();
  header.message = message_;
  for (const auto& [type_url, value] : details_) {
    header.details.push_back({.type_url = type_url, .value = value});
  }
  header.trailing_metadata = ViewsOf(trailing_metadata);
}

std::vector<wire::MetadataEntryView> ViewsOf(const Metadata& metadata) {
  std::vector<wire::MetadataEntryView> views;
  views.reserve(metadata.entries().size());
  for (const auto& [key, value] : metadata.entries()) {
    views.push_back({.key = key, .value = value});
  }
  return views;
}

absl::Status CheckHandlersMetadata(std::string_view kind,
                                   const Metadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    const absl::Status valid = wire::CheckMetadataEntry(key, value);
    if (valid.ok()) continue;
    return absl::InternalError(absl::StrCat("the handler's ", ToAbsl(kind),
                                            " metadata: ", valid.message()));
  }
  return absl::OkStatus();
}

}  // namespace tern
