#ifndef TERN_LIB_CALL_METHOD_INFO_H_
#define TERN_LIB_CALL_METHOD_INFO_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "tern/lib/call/compression.h"

namespace tern {

// Where handlers run.
enum class HandlerThreads : uint8_t {
  // Where their times say: the short ones on the thread that has read the
  // request, without a hand-off, the others on workers. See ARCHITECTURE.md.
  kAdaptive,
  kWorkers,  // All on workers.
  // All where the request was read, however long they take; on workers only
  // while more than worker_threads of them stall there.
  kLoops,
};

// What it means to run a method twice with the same request.
enum class Idempotency : uint8_t {
  kUnknown,        // Twice may be different from once.
  kIdempotent,     // Twice is the same as once.
  kNoSideEffects,  // It changes nothing.
};

// What `option (tern.method)` says in the .proto: proto/tern/method.proto has
// the meaning and the ranges, which the generator has checked.
struct MethodSettings {
  int64_t timeout_ms = 0;        // 0: the channel's default.
  uint32_t max_concurrency = 0;  // 0: no limit of the method's own.
  uint8_t priority = 0;          // Up to wire::kMaxPriority.
  Idempotency idempotency = Idempotency::kUnknown;
  // nullopt: as ServerOptions::handler_threads says.
  std::optional<HandlerThreads> handler_threads = std::nullopt;
  // nullopt: as ChannelOptions and ServerOptions say.
  std::optional<Compression> compression = std::nullopt;
};

// What both ends know of a method from its .proto. A constant that generated
// code defines: it and its `full_name` have static storage, unless `generic`.
struct MethodInfo {
  std::string_view full_name;     // "kv.v1.KeyValue/Get"
  bool client_streaming = false;  // Many request messages.
  bool server_streaming = false;  // Many response messages.
  // Of no .proto: what the messages are is not known, and who keeps this keeps
  // a copy of the name.
  bool generic = false;
  MethodSettings settings = {};
};

}  // namespace tern

#endif  // TERN_LIB_CALL_METHOD_INFO_H_
