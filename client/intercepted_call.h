#ifndef TERN_CLIENT_INTERCEPTED_CALL_H_
#define TERN_CLIENT_INTERCEPTED_CALL_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "tern/client/call_options.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/method_info.h"
#include "tern/lib/wire/call_header.h"

namespace tern::client_internal {

// A call of a channel with interceptors: what stands around all that is done
// for others, from before it is made until its user is told of its end.
//
// One thread at a time; its messages, if they stream, go through chain().
class InterceptedCall {
 public:
  // Shows the interceptors the start. `*options` are made those that the call
  // is to be made with; what they point to belongs to this. `core` outlives it.
  InterceptedCall(const ChannelCore& core, const MethodInfo& method,
                  CallOptions* options);
  InterceptedCall(const InterceptedCall&) = delete;
  InterceptedCall& operator=(const InterceptedCall&) = delete;

  // Calls `start` with what is to be sent. Not OK: the call was refused, and
  // `start` not called. It may end the call, and this: nothing is touched here
  // after that.
  absl::Status Begin(const OneMessages& messages,
                     absl::FunctionRef<void(const OneMessages&)> start);

  // How the user is told that the call has ended: once. Its reply, if there is
  // one, is in `messages`.
  absl::Status End(absl::Status status, const OneMessages& messages);

  // nullptr when nobody is interested.
  call_internal::CallChain* chain() const { return chain_.get(); }
  const wire::TraceContext& trace() const { return trace_; }

 private:
  // The error of a call of which the reply has come.
  void AddError(absl::Status* status) const;

  const ChannelCore& core_;
  const std::string method_;
  wire::TraceContext trace_;
  CallInfo own_info_;  // When the user wants none.
  CallInfo* info_;
  std::unique_ptr<call_internal::CallChain> chain_;
  absl::Status refusal_;
};

}  // namespace tern::client_internal

#endif  // TERN_CLIENT_INTERCEPTED_CALL_H_
