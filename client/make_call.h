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
#include "tern/lib/call/method_info.h"

// What all kinds of calls have in common before they are started.
namespace tern::client_internal {

// Why a call cannot even be made.
absl::Status CheckCall(const ChannelCore& core, const MethodInfo& method,
                       const OneMessages& messages, const CallOptions& options,
                       bool blocking);

// See ClientCall's constructor. Inherits from the call that this thread
// handles.
std::shared_ptr<ClientCall> MakeCall(
    const std::shared_ptr<ChannelCore>& core, const MethodInfo& method,
    const OneMessages& messages, const CallOptions& options,
    std::unique_ptr<UnaryCompletion> completion);

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
