#include "tern/client/stub.h"

#include <utility>

#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/client/co_call.h"
#include "tern/client/make_call.h"
#include "tern/lib/net/event_loop.h"

namespace tern {

const CallOptions& DefaultCallOptions() {
  static const CallOptions& options = *new CallOptions;
  return options;
}

}  // namespace tern

namespace tern::client_internal {

absl::Status CallUnary(Channel& channel, const MethodInfo& method,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* reply,
                       const CallOptions& options) {
  return CallAndWait(channel, method,
                     {.request = &request,
                      .request_size = request.ByteSizeLong(),
                      .reply = reply},
                     options);
}

CallHandle StartUnary(Channel& channel, const MethodInfo& method,
                      const google::protobuf::MessageLite& request,
                      const CallOptions& options,
                      std::unique_ptr<UnaryCompletion> completion) {
  google::protobuf::MessageLite* const reply = completion->reply();
  return StartCall(channel, method,
                   {.request = &request,
                    .request_size = request.ByteSizeLong(),
                    .reply = reply},
                   options, std::move(completion));
}

absl::Status CallAndWait(Channel& channel, const MethodInfo& method,
                         const OneMessages& messages,
                         const CallOptions& options) {
  const std::shared_ptr<ChannelCore>& core = channel.core();
  if (absl::Status status =
          CheckCall(*core, method, messages, options, /*blocking=*/true);
      !status.ok()) {
    return WithError(std::move(status), *core, method);
  }
  const std::shared_ptr<ClientCall> call =
      MakeCall(core, method, messages, options, nullptr);
  core->Start(call, /*waits=*/true);
  return call->Wait();
}

CallHandle StartCall(Channel& channel, const MethodInfo& method,
                     const OneMessages& messages, const CallOptions& options,
                     std::unique_ptr<UnaryCompletion> completion) {
  const std::shared_ptr<ChannelCore>& core = channel.core();
  absl::Status status =
      CheckCall(*core, method, messages, options, /*blocking=*/false);
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
  const std::shared_ptr<ClientCall> call =
      MakeCall(core, method, messages, options, std::move(completion));
  core->Start(call);
  return CallHandle(call);
}

}  // namespace tern::client_internal
