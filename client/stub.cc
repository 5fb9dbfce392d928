#include "tern/client/stub.h"

#include <utility>

#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/client/co_call.h"
#include "tern/client/intercepted_call.h"
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
                      .request_stays = true,
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

namespace {

absl::Status MakeAndWait(const std::shared_ptr<ChannelCore>& core,
                         const MethodInfo& method, const OneMessages& messages,
                         const CallOptions& options,
                         const InterceptedCall* intercepted) {
  if (absl::Status status =
          CheckCall(*core, method, messages, options, /*blocking=*/true);
      !status.ok()) {
    return WithError(std::move(status), *core, method);
  }
  return ClientCall::StartAndWait(
      MakeCall(core, method, messages, options, nullptr, intercepted));
}

// `core`: the channel may be gone when the call has ended.
absl::Status InterceptAndWait(std::shared_ptr<ChannelCore> core,
                              const MethodInfo& method,
                              const OneMessages& messages,
                              CallOptions options) {
  InterceptedCall intercepted(*core, method, &options);
  absl::Status status;
  absl::Status refusal =
      intercepted.Begin(messages, [&](const OneMessages& passed) {
        status = MakeAndWait(core, method, passed, options, &intercepted);
      });
  if (!refusal.ok()) status = WithError(std::move(refusal), *core, method);
  return intercepted.End(std::move(status), messages);
}

// Ends a call that cannot be made, later.
void FailLater(const std::shared_ptr<ChannelCore>& core,
               const MethodInfo& method, absl::Status status,
               std::unique_ptr<UnaryCompletion> completion) {
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
}

CallHandle MakeAndStart(const std::shared_ptr<ChannelCore>& core,
                        const MethodInfo& method, const OneMessages& messages,
                        const CallOptions& options,
                        std::unique_ptr<UnaryCompletion> completion,
                        const InterceptedCall* intercepted) {
  absl::Status status =
      CheckCall(*core, method, messages, options, /*blocking=*/false);
  if (status.ok() && core->loop() == nullptr) status = core->error();
  if (!status.ok()) {
    FailLater(core, method, std::move(status), std::move(completion));
    return CallHandle();
  }
  std::shared_ptr<ClientCall> call = MakeCall(
      core, method, messages, options, std::move(completion), intercepted);
  core->Start(call);
  return CallHandle(std::move(call));
}

// Has the interceptors see the end of the call before its user does.
class InterceptedCompletion final : public UnaryCompletion {
 public:
  InterceptedCompletion(const std::shared_ptr<ChannelCore>& core,
                        const MethodInfo& method, const OneMessages& messages,
                        CallOptions* options,
                        std::unique_ptr<UnaryCompletion> users)
      : core_(core),
        messages_({.reply = messages.reply, .raw_reply = messages.raw_reply}),
        users_(std::move(users)),
        call_(*core, method, options) {}

  google::protobuf::MessageLite* reply() override { return users_->reply(); }
  void Done(absl::Status status) override {
    users_->Done(call_.End(std::move(status), messages_));
  }
  InterceptedCall& call() { return call_; }

 private:
  const std::shared_ptr<ChannelCore> core_;  // It may end after its call.
  const OneMessages messages_;
  const std::unique_ptr<UnaryCompletion> users_;
  InterceptedCall call_;
};

CallHandle InterceptAndStart(const std::shared_ptr<ChannelCore>& core,
                             const MethodInfo& method,
                             const OneMessages& messages, CallOptions options,
                             std::unique_ptr<UnaryCompletion> users) {
  auto completion = std::make_unique<InterceptedCompletion>(
      core, method, messages, &options, std::move(users));
  InterceptedCall& intercepted = completion->call();
  CallHandle handle;
  absl::Status refusal =
      intercepted.Begin(messages, [&](const OneMessages& passed) {
        handle = MakeAndStart(core, method, passed, options,
                              std::move(completion), &intercepted);
      });
  if (!refusal.ok()) {
    FailLater(core, method, std::move(refusal), std::move(completion));
  }
  return handle;
}

}  // namespace

absl::Status CallAndWait(Channel& channel, const MethodInfo& method,
                         const OneMessages& messages,
                         const CallOptions& options) {
  Forget(options.info);
  const std::shared_ptr<ChannelCore>& core = channel.core();
  return core->options().interceptors.empty()
             ? MakeAndWait(core, method, messages, options, nullptr)
             : InterceptAndWait(core, method, messages, options);
}

CallHandle StartCall(Channel& channel, const MethodInfo& method,
                     const OneMessages& messages, const CallOptions& options,
                     std::unique_ptr<UnaryCompletion> completion) {
  Forget(options.info);
  const std::shared_ptr<ChannelCore>& core = channel.core();
  return core->options().interceptors.empty()
             ? MakeAndStart(core, method, messages, options,
                            std::move(completion), nullptr)
             : InterceptAndStart(core, method, messages, options,
                                 std::move(completion));
}

}  // namespace tern::client_internal
