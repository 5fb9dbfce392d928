#include "tern/server/service.h"

#include "absl/strings/str_cat.h"
#include "tern/lib/base/string_view.h"

namespace tern::server_internal {

absl::Status Unimplemented(std::string_view method) {
  return absl::UnimplementedError(
      absl::StrCat(ToAbsl(method), " is not implemented"));
}

}  // namespace tern::server_internal
