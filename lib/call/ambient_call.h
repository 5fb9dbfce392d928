#ifndef TERN_LIB_CALL_AMBIENT_CALL_H_
#define TERN_LIB_CALL_AMBIENT_CALL_H_

#include <cstdint>
#include <memory>

#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/wire/call_header.h"

namespace tern {

// Where a call's Cancellation comes from: made when somebody first asks, as
// most calls are over before anybody does.
class CancellationSource {
 public:
  // Thread-safe. Cancelled already when the call is.
  virtual std::shared_ptr<Cancellation> ShareCancellation() = 0;

 protected:
  ~CancellationSource() = default;
};

// The call that the current thread is handling. A call made by the handler
// inherits from it: what is left of its deadline, its cancellation, its trace,
// its priority.
struct AmbientCall {
  Deadline deadline;
  CancellationSource* cancellation = nullptr;  // Null: never cancelled.
  wire::TraceContext trace;
  uint8_t priority = 0;  // Up to wire::kMaxPriority.
};

// The innermost call of this thread, or nullptr outside handlers.
const AmbientCall* CurrentAmbientCall();
// Makes `call` the current one and returns the one before. For what opens and
// closes no scope: a coroutine, which ends its stay on one thread and goes on
// elsewhere (lib/call/task.h).
const AmbientCall* ExchangeAmbientCall(const AmbientCall* call);

// Makes `call` the current one for a scope, on this thread. A handler that goes
// on in a thread of its own opens one there to keep inheriting
// (ServerContext::ambient()).
class AmbientCallScope {
 public:
  explicit AmbientCallScope(const AmbientCall* call);
  ~AmbientCallScope();
  AmbientCallScope(const AmbientCallScope&) = delete;
  AmbientCallScope& operator=(const AmbientCallScope&) = delete;

 private:
  const AmbientCall* const previous_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_AMBIENT_CALL_H_
