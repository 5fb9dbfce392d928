#include "tern/server/method_registry.h"

#include <utility>

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
    auto entry = std::make_unique<Entry>();
    entry->service = service;
    entry->handler = &handler;
    if (handler.info.generic) unknown_ = entry.get();
    methods_[handler.info.full_name] = std::move(entry);
  }
  return absl::OkStatus();
}

}  // namespace tern
