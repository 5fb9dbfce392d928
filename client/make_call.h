#ifndef TERN_CLIENT_MAKE_CALL_H_
#define TERN_CLIENT_MAKE_CALL_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "tern/client/call_handle.h"
#include "tern/client/call_options.h"
#include "tern/client/channel.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/client/stub.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/method_info.h"

// What all kinds of calls have in common before they are started.
namespace tern::client_internal {

class InterceptedCall;

// By when a call is to end that begins now, inside of `ambient` (may be null).
Deadline DeadlineOf(const ChannelCore& core, const MethodInfo& method,
                    const CallOptions& options, const AmbientCall* ambient,
                    MonotonicTime now);

// How urgent such a call is. REQUIRES: `options` have been checked.
uint8_t PriorityOf(const MethodInfo& method, const CallOptions& options,
                   const AmbientCall* ambient);

// What an earlier call has told there is not this one's. Null: nothing.
inline void Forget(CallInfo* info) {
  if (info != nullptr) *info = CallInfo();
}

// Why a call cannot even be made.
absl::Status CheckCall(const ChannelCore& core, const MethodInfo& method,
                       const OneMessages& messages, const CallOptions& options,
                       bool blocking);

// See ClientCall's constructor. Inherits from the call that this thread
// handles. `intercepted`: null where there are no interceptors.
std::shared_ptr<ClientCall> MakeCall(
    const std::shared_ptr<ChannelCore>& core, const MethodInfo& method,
    const OneMessages& messages, const CallOptions& options,
    std::unique_ptr<UnaryCompletion> completion,
    const InterceptedCall* intercepted);

// The two kinds of calls with one message each way, from the check on. The
// completion's reply is where `messages` say.
absl::Status CallAndWait(Channel& channel, const MethodInfo& method,
                         const OneMessages& messages,
                         const CallOptions& options);
CallHandle StartCall(Channel& channel, const MethodInfo& method,
                     const OneMessages& messages, const CallOptions& options,
                     std::unique_ptr<UnaryCompletion> completion);

// `status`, of a call that was not started.
absl::Status WithError(absl::Status status, const ChannelCore& core,
                       const MethodInfo& method);

}  // namespace tern::client_internal

#endif  // TERN_CLIENT_MAKE_CALL_H_
