#ifndef TERN_SERVER_SERVER_ENVIRONMENT_H_
#define TERN_SERVER_SERVER_ENVIRONMENT_H_

#include <memory>
#include <string>

#include "tern/lib/base/log.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/server/memory_budget.h"
#include "tern/server/method_registry.h"
#include "tern/server/server_options.h"

namespace tern {

// What all connections and calls of one server share. Outlives them.
struct ServerEnvironment {
  // Constant once the server has started.
  ServerOptions options;
  MethodRegistry registry;
  std::string instance_id;  // 16 random bytes.

  // Thread-safe.
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<MemoryBudget> memory;
  LogRateLimiter connection_errors;
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_ENVIRONMENT_H_
