#include "tern/lib/call/status_details.h"

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tern/lib/base/string_view.h"

namespace tern::call_internal {
namespace {

// As google.protobuf.Any has it.
constexpr std::string_view kPrefix = "type.googleapis.com/";

// What stands before the last '/' of a type URL is anybody's.
std::string_view TypeName(absl::string_view type_url) {
  const std::string_view url(type_url.data(), type_url.size());
  return url.substr(url.rfind('/') + 1);
}

}  // namespace

void AddDetail(const google::protobuf::MessageLite& detail,
               absl::Status* status) {
  status->SetPayload(
      absl::StrCat(ToAbsl(kPrefix), std::string(detail.GetTypeName())),
      absl::Cord(detail.SerializePartialAsString()));
}

bool ReadDetail(const absl::Status& status,
                google::protobuf::MessageLite* detail) {
  const std::string name(detail->GetTypeName());
  bool found = false;
  status.ForEachPayload(
      [&](absl::string_view type_url, const absl::Cord& payload) {
        if (found || TypeName(type_url) != name) return;
        // Partial: else protobuf logs what a peer leaves out.
        found = detail->ParsePartialFromString(std::string(payload)) &&
                detail->IsInitialized();
      });
  return found;
}

}  // namespace tern::call_internal
