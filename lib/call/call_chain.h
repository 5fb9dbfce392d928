#ifndef TERN_LIB_CALL_CALL_CHAIN_H_
#define TERN_LIB_CALL_CALL_CHAIN_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"

namespace tern {

class RawMessage;
struct CallEnd;

namespace call_internal {

// The interceptors of one call, as those see them who carry it: see
// tern/lib/call/interceptor.h. All is virtual, so that what it takes is linked
// into those programs only that have an interceptor.
class CallChain {
 public:
  enum class Way { kRequest, kReply };

  virtual ~CallChain() = default;

  // Has a message seen by all. Not OK: it has been refused, and the call ends
  // with that.
  virtual absl::Status Pass(
      Way way, google::protobuf::MessageLite* message) noexcept = 0;
  virtual absl::Status Pass(Way way, RawMessage* message) noexcept = 0;

  // The same for one that is not ours to change: `go_on` is called with it, or
  // with what it has been replaced by, unless it is refused. Nothing of the
  // chain is used after that: `go_on` may start a call that ends at once.
  template <typename Message>
  using GoOn = absl::FunctionRef<void(const Message&)>;
  virtual absl::Status PassOn(
      Way way, const google::protobuf::MessageLite& message,
      GoOn<google::protobuf::MessageLite> go_on) noexcept = 0;
  virtual absl::Status PassOn(Way way, const RawMessage& message,
                              GoOn<RawMessage> go_on) noexcept = 0;

  // The call has ended: once.
  virtual void End(CallEnd* end) noexcept = 0;
};

}  // namespace call_internal
}  // namespace tern

#endif  // TERN_LIB_CALL_CALL_CHAIN_H_
