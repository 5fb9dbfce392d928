#include "tern/client/intercepted_call.h"

#include <optional>
#include <utility>

#include "tern/client/make_call.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/interceptor.h"

namespace tern::client_internal {

using call_internal::CallChain;

InterceptedCall::InterceptedCall(const ChannelCore& core,
                                 const MethodInfo& method, CallOptions* options)
    : core_(core), method_(method.full_name) {
  const AmbientCall* const ambient =
      options->detached ? nullptr : CurrentAmbientCall();
  // Making the call finds the same.
  options->deadline =
      DeadlineOf(core, method, *options, ambient, MonotonicTime::Now());
  options->timeout.reset();
  if (options->info == nullptr) options->info = &own_info_;
  info_ = options->info;
  if (ambient != nullptr) trace_ = ambient->trace;
  CallStart start = {.side = CallSide::kClient,
                     .method = method_,
                     .peer = core.target(),
                     .deadline = *options->deadline,
                     .metadata = options->metadata,
                     .trace = trace_};
  chain_ = call_internal::BeginCall(core.options().interceptors, &start);
  refusal_ = std::move(start.refusal);
}

absl::Status InterceptedCall::Begin(
    const OneMessages& messages,
    absl::FunctionRef<void(const OneMessages&)> start) {
  if (!refusal_.ok()) return std::move(refusal_);
  if (chain_ != nullptr && messages.request != nullptr) {
    return chain_->PassOn(
        CallChain::Way::kRequest, *messages.request,
        [&messages, start](const google::protobuf::MessageLite& request) {
          OneMessages passed = messages;
          passed.request = &request;
          passed.request_size = request.ByteSizeLong();
          start(passed);
        });
  }
  if (chain_ != nullptr && messages.raw_request != nullptr) {
    return chain_->PassOn(CallChain::Way::kRequest, *messages.raw_request,
                          [&messages, start](const RawMessage& request) {
                            OneMessages passed = messages;
                            passed.raw_request = &request;
                            passed.request_size = request.size();
                            start(passed);
                          });
  }
  start(messages);
  return absl::OkStatus();
}

absl::Status InterceptedCall::End(absl::Status status,
                                  const OneMessages& messages) {
  if (chain_ == nullptr) return status;
  if (status.ok()) {
    if (messages.reply != nullptr) {
      status = chain_->Pass(CallChain::Way::kReply, messages.reply);
    } else if (messages.raw_reply != nullptr) {
      status = chain_->Pass(CallChain::Way::kReply, messages.raw_reply);
    }
    if (!status.ok()) AddError(&status);
  }
  const std::optional<CallError> error = CallError::From(status);
  CallEnd end = {.status = std::move(status),
                 .trailing_metadata = info_->trailing_metadata,
                 .queue_time = info_->queue_time,
                 .handler_time = info_->handler_time};
  chain_->End(&end);
  if (!end.status.ok() && !CallError::From(end.status).has_value()) {
    if (error.has_value()) {
      error->AttachTo(&end.status);
    } else {
      AddError(&end.status);
    }
  }
  return std::move(end.status);
}

void InterceptedCall::AddError(absl::Status* status) const {
  CallError error = {.certainty = Certainty::kFinished,
                     .phase = CallPhase::kReceive,
                     .method = method_,
                     .peer = core_.target(),
                     .local = info_->local,
                     .elapsed = info_->elapsed};
  if (!info_->peer.empty()) error.peer = info_->peer;
  error.AttachTo(status);
}

}  // namespace tern::client_internal
