#include "tern/client/stub.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/net/event_loop.h"

namespace tern::client_internal {
namespace {

Deadline DeadlineOf(const ChannelCore& core, const MethodInfo& method,
                    const CallOptions& options, const AmbientCall* ambient,
                    MonotonicTime now) {
  Deadline deadline;
  if (options.timeout) deadline = Deadline(now + *options.timeout);
  if (options.deadline) deadline = std::min(deadline, *options.deadline);
  if (ambient != nullptr) deadline = std::min(deadline, ambient->deadline);
  if (deadline.is_infinite()) {
    const int64_t timeout_ms = method.settings.timeout_ms;
    deadline =
        Deadline(now + (timeout_ms != 0 ? absl::Milliseconds(timeout_ms)
                                        : core.options().default_timeout));
  }
  return deadline;
}

// Why the call cannot even be made.
absl::Status CheckCall(const ChannelCore& core,
                       const google::protobuf::MessageLite& request,
                       size_t request_size, size_t attachment_bytes,
                       bool blocking) {
  if (core.forked()) {
    return absl::FailedPreconditionError(
        "the channel belongs to the parent of this process, which was forked "
        "without exec");
  }
  if (blocking && net::EventLoop::OnAnyLoopThread()) {
    return absl::FailedPreconditionError(
        "a blocking call on an I/O thread would stall its connections");
  }
  if (!request.IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("required fields are not set: ",
                     std::string(request.InitializationErrorString())));
  }
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (request_size > kMaxBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "request of ", request_size, " bytes exceeds protobuf's limit of ",
        kMaxBytes, " bytes"));
  }
  // Before it is copied.
  if (attachment_bytes > kMaxBytes - request_size) {
    return absl::ResourceExhaustedError(
        absl::StrCat("request of ", request_size + attachment_bytes,
                     " bytes with its attachment exceeds the protocol's limit "
                     "of ",
                     kMaxBytes, " bytes"));
  }
  return absl::OkStatus();
}

std::shared_ptr<ClientCall> MakeCall(
    const std::shared_ptr<ChannelCore>& core, const MethodInfo& method,
    const google::protobuf::MessageLite& request, size_t request_size,
    google::protobuf::MessageLite* reply, const CallOptions& options,
    std::unique_ptr<UnaryCompletion> completion) {
  const AmbientCall* ambient =
      options.detached ? nullptr : CurrentAmbientCall();
  const MonotonicTime now = MonotonicTime::Now();
  auto call = std::allocate_shared<ClientCall>(
      RecyclingAllocator<ClientCall>(), core, method, options, now,
      DeadlineOf(*core, method, options, ambient, now), request, request_size,
      reply, std::move(completion));
  if (ambient != nullptr && ambient->cancellation != nullptr) {
    call->CancelWith(ambient->cancellation->ShareCancellation());
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

}  // namespace

absl::Status CallUnary(Channel& channel, const MethodInfo& method,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* reply,
                       const CallOptions& options) {
  const std::shared_ptr<ChannelCore>& core = channel.core();
  const size_t size = request.ByteSizeLong();
  if (absl::Status status =
          CheckCall(*core, request, size, options.attachment.size(),
                    /*blocking=*/true);
      !status.ok()) {
    return WithError(std::move(status), *core, method);
  }
  const std::shared_ptr<ClientCall> call =
      MakeCall(core, method, request, size, reply, options, nullptr);
  core->Start(call, /*waits=*/true);
  return call->Wait();
}

CallHandle StartUnary(Channel& channel, const MethodInfo& method,
                      const google::protobuf::MessageLite& request,
                      const CallOptions& options,
                      std::unique_ptr<UnaryCompletion> completion) {
  const std::shared_ptr<ChannelCore>& core = channel.core();
  const size_t size = request.ByteSizeLong();
  absl::Status status =
      CheckCall(*core, request, size, options.attachment.size(),
                /*blocking=*/false);
  if (status.ok() && core->loop() == nullptr) status = core->error();
  if (!status.ok()) {
    status = WithError(std::move(status), *core, method);
    if (core->loop() == nullptr || core->forked()) {
      // No thread is left to call it later.
      completion->Done(std::move(status));
    } else {
      core->loop()->Post([completion = std::move(completion),
                          status = std::move(status)]() mutable {
        completion->Done(std::move(status));
      });
    }
    return CallHandle();
  }
  google::protobuf::MessageLite* const reply = completion->reply();
  const std::shared_ptr<ClientCall> call = MakeCall(
      core, method, request, size, reply, options, std::move(completion));
  core->Start(call);
  return CallHandle(call);
}

}  // namespace tern::client_internal
