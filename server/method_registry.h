#ifndef TERN_SERVER_METHOD_REGISTRY_H_
#define TERN_SERVER_METHOD_REGISTRY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "tern/server/call_messages.h"
#include "tern/server/concurrency.h"
#include "tern/server/run_times.h"
#include "tern/server/service.h"

namespace tern {

// Which service answers which method. Filled before the server starts, then
// constant and read by all threads.
class MethodRegistry {
 public:
  // One method. What is not constant is thread-safe.
  struct Entry {
    Service* service;
    const MethodHandler* handler;
    RunTimes run_times;
    Concurrency concurrency;  // Counted where the method has a limit.
    CallMessagesCache messages;
  };

  // INVALID_ARGUMENT when a service of that name is registered.
  absl::Status Register(Service* service);

  // nullptr when nobody answers "package.Service/Method"; who answers what
  // nobody else does has a method without a name.
  Entry* Find(std::string_view full_name) const {
    const auto found = methods_.find(full_name);
    return found == methods_.end() ? unknown_ : found->second.get();
  }
  bool HasService(std::string_view name) const {
    return services_.find(name) != services_.end();
  }

 private:
  // Keys are the constants of generated code.
  absl::flat_hash_map<std::string_view, std::unique_ptr<Entry>> methods_;
  absl::flat_hash_map<std::string_view, Service*> services_;
  Entry* unknown_ = nullptr;
};

}  // namespace tern

#endif  // TERN_SERVER_METHOD_REGISTRY_H_
