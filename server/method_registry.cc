#include "tern/server/method_registry.h"

#include "absl/strings/str_cat.h"
#include "tern/lib/base/string_view.h"

namespace tern {

absl::Status MethodRegistry::Register(Service* service) {
  const std::string_view name = service->TernServiceName();
  if (!services_.emplace(name, service).second) {
    return absl::InvalidArgumentError(
        absl::StrCat("service ", ToAbsl(name), " is registered twice"));
  }
  for (const MethodHandler& handler : service->TernMethods()) {
    methods_[handler.info.full_name] = {.service = service,
                                        .handler = &handler};
  }
  return absl::OkStatus();
}

}  // namespace tern
