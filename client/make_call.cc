#include "tern/client/make_call.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/client/intercepted_call.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/wire/call_header.h"

namespace tern::client_internal {

Deadline DeadlineOf(const ChannelCore& core, const MethodInfo& method,
                    const CallOptions& options, const AmbientCall* ambient,
                    MonotonicTime now) {
  Deadline deadline;
  if (options.timeout) deadline = Deadline(now + *options.timeout);
  if (options.deadline) deadline = std::min(deadline, *options.deadline);
  if (ambient != nullptr) deadline = std::min(deadline, ambient->deadline);
  if (!deadline.is_infinite()) return deadline;
  if (method.settings.timeout_ms != 0) {
    return Deadline(now + absl::Milliseconds(method.settings.timeout_ms));
  }
  const bool streaming = method.client_streaming || method.server_streaming;
  return streaming ? deadline : Deadline(now + core.options().default_timeout);
}

uint8_t PriorityOf(const MethodInfo& method, const CallOptions& options,
                   const AmbientCall* ambient) {
  if (options.priority) return static_cast<uint8_t>(*options.priority);
  const uint8_t inherited = ambient == nullptr ? uint8_t{0} : ambient->priority;
  return std::max(inherited, method.settings.priority);
}

absl::Status CheckCall(const ChannelCore& core, const MethodInfo& method,
                       const OneMessages& messages, const CallOptions& options,
                       bool blocking) {
  const google::protobuf::MessageLite* const request = messages.request;
  const size_t request_size = messages.request_size;
  if (core.forked()) {
    return absl::FailedPreconditionError(
        "the channel belongs to the parent of this process, which was forked "
        "without exec");
  }
  if (blocking && net::EventLoop::OnAnyLoopThread()) {
    return absl::FailedPreconditionError(
        "a blocking call on an I/O thread would stall its connections");
  }
  if (blocking && OnTimerThread()) {
    return absl::FailedPreconditionError(
        "a blocking call on the timer thread would stall the sleeps of others");
  }
  if (request != nullptr && !request->IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("required fields are not set: ",
                     std::string(request->InitializationErrorString())));
  }
  if (method.generic && !wire::IsMethodName(method.full_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the name of a method, \"package.Service/Method\": \"",
                     EscapeForLog(method.full_name), "\""));
  }
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (request_size > kMaxBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "request of ", request_size, " bytes exceeds protobuf's limit of ",
        kMaxBytes, " bytes"));
  }
  if (options.compression.value_or(Compression::kNone) != Compression::kNone &&
      core.options().compressors.Find(*options.compression) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "CallOptions::compression is ", NameOf(*options.compression),
        ", not one of the channel's compressors"));
  }
  if (const int priority = options.priority.value_or(0);
      priority < 0 || priority > static_cast<int>(wire::kMaxPriority)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "CallOptions::priority is ", priority, ", not from 0 to 7"));
  }
  if (options.attachment.empty()) return absl::OkStatus();
  if (!messages.has_request()) {
    return absl::InvalidArgumentError(
        "an attachment goes with one request, and this call streams them");
  }
  // Before it is copied.
  if (options.attachment.size() > kMaxBytes - request_size) {
    return absl::ResourceExhaustedError(
        absl::StrCat("request of ", request_size + options.attachment.size(),
                     " bytes with its attachment exceeds the protocol's limit "
                     "of ",
                     kMaxBytes, " bytes"));
  }
  return absl::OkStatus();
}

std::shared_ptr<ClientCall> MakeCall(
    const std::shared_ptr<ChannelCore>& core, const MethodInfo& method,
    const OneMessages& messages, const CallOptions& options,
    std::unique_ptr<UnaryCompletion> completion,
    const InterceptedCall* intercepted) {
  const AmbientCall* ambient =
      options.detached ? nullptr : CurrentAmbientCall();
  const MonotonicTime now = MonotonicTime::Now();
  auto call = ClientCall::Create(
      core, method, options, now,
      DeadlineOf(*core, method, options, ambient, now),
      PriorityOf(method, options, ambient), messages, std::move(completion));
  if (intercepted != nullptr) call->set_trace(intercepted->trace());
  if (ambient != nullptr && ambient->cancellation != nullptr) {
    ClientCall::CancelWith(call, ambient->cancellation->ShareCancellation());
  }
  return call;
}

absl::Status WithError(absl::Status status, const ChannelCore& core,
                       const MethodInfo& method) {
  CallError error = {.certainty = Certainty::kNotStarted,
                     .phase = CallPhase::kSend,
                     .method = std::string(method.full_name),
                     .peer = core.target(),
                     .local = {},
                     .retry_after = std::nullopt};
  error.AttachTo(&status);
  return status;
}

}  // namespace tern::client_internal
