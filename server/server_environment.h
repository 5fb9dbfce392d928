#ifndef TERN_SERVER_SERVER_ENVIRONMENT_H_
#define TERN_SERVER_SERVER_ENVIRONMENT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tern/lib/base/elastic_threads.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/lib/net/connection.h"
#include "tern/server/memory_budget.h"
#include "tern/server/method_registry.h"
#include "tern/server/pending_handlers.h"
#include "tern/server/server_options.h"

namespace tern {

class ServerConnection;

// What all connections and calls of one server share. Outlives them.
struct ServerEnvironment {
  // Constant once the server has started.
  ServerOptions options;
  MethodRegistry registry;
  std::string instance_id;  // 16 random bytes.
  std::shared_ptr<const net::ConnectionOptions> connection_options;
  // Called on the connection's loop, last.
  std::function<void(ServerConnection*)> on_disconnected;

  // Thread-safe.
  std::unique_ptr<ThreadPool> pool;
  // For handlers of streaming methods: they may wait for messages for hours.
  std::unique_ptr<ElasticThreads> stream_threads;
  PendingHandlers pending_handlers;
  std::unique_ptr<MemoryBudget> memory;
  LogRateLimiter connection_errors;
  std::atomic<uint64_t> age_seed{0};  // Of the next connection: JitteredAge().
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_ENVIRONMENT_H_
