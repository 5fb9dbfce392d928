#include "tern/server/server_load.h"

#include <algorithm>

namespace tern {

uint32_t Permille(int64_t used, int64_t capacity) {
  return static_cast<uint32_t>(
      std::clamp(1000.0 * static_cast<double>(used) /
                     static_cast<double>(std::max<int64_t>(capacity, 1)),
                 0.0, 4e9));
}

uint32_t LoadPermille(const ServerEnvironment& environment) {
  const ServerOptions& options = environment.options;
  const ThreadPool& pool = *environment.pool;
  const auto calls = static_cast<int64_t>(pool.queued()) + pool.busy();
  const int64_t memory_bytes =
      options.max_request_memory_bytes - environment.memory->available();
  return std::max(
      {Permille(calls, pool.threads()),
       Permille(environment.stream_threads->busy(), options.max_stream_threads),
       Permille(memory_bytes, options.max_request_memory_bytes)});
}

}  // namespace tern
