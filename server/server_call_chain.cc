// Calls of a server with interceptors.

#include <utility>

#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/interceptor.h"
#include "tern/server/server_call.h"
#include "tern/server/server_connection.h"

namespace tern {

using call_internal::CallChain;

// Where its handler begins, as a part of that.
__attribute__((cold)) bool ServerCall::BeginChain() {
  CallExtras& extras = MutableExtras();
  CallStart start = {.side = CallSide::kServer,
                     .method = method(),
                     .peer = peer(),
                     .deadline = ambient_.deadline,
                     .metadata = metadata_,
                     .trace = ambient_.trace,
                     .response_metadata = &extras.response_metadata};
  extras.chain = call_internal::BeginCall(
      connection_->environment().options.interceptors, &start);
  status_ = std::move(start.refusal);
  CallChain* const chain = extras.chain.get();
  if (chain != nullptr) {
    if (status_.ok() && !streams_requests()) {
      google::protobuf::MessageLite* const request = messages_.request.get();
      status_ = chain->Pass(CallChain::Way::kRequest, request);
      request_bytes_ = request->ByteSizeLong();  // See CallMessagesCache.
    }
    if (streaming_ != nullptr) streaming_->messages.SetChain(chain);
  }
  if (status_.ok()) return true;
  certainty_ = Certainty::kNotStarted;
  if (chain != nullptr) EndChain();
  return false;
}

// Once, with the outcome that the handler has set.
__attribute__((cold)) void ServerCall::EndChain() {
  // Wherever that is: a call that is made there inherits from this one.
  const AmbientCallScope scope(&ambient_);
  CallChain& chain = *extras_->chain;
  if (status_.ok() && !streams_replies()) {
    status_ = chain.Pass(CallChain::Way::kReply, messages_.reply.get());
    CheckReply();
  }
  CallEnd end = {.status = std::move(status_),
                 .trailing_metadata = trailing_metadata_,
                 .cancelled = cancelled(),
                 .queue_time = absl::Microseconds(queue_us_)};
  chain.End(&end);
  status_ = std::move(end.status);
  CheckReply();  // OK now, or changed by what was asked to refuse it.
}

}  // namespace tern
