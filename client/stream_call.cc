#include "tern/client/stream_call.h"

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/client/intercepted_call.h"
#include "tern/client/make_call.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_error.h"

namespace tern::client_internal {

// Filled by the call's completion, and waited for by its user. The last of the
// two destroys it, where the user's code may run: interceptors are a part.
class StreamCall::Ending {
 public:
  explicit Ending(std::unique_ptr<google::protobuf::MessageLite> reply)
      : reply_(std::move(reply)) {}

  google::protobuf::MessageLite* reply() const { return reply_.get(); }

  // Before the call is started. Its messages go through `by`, too.
  void Intercept(std::unique_ptr<InterceptedCall> by, MessageStream* messages) {
    intercepted_ = std::move(by);
    messages->SetChain(intercepted_->chain());
  }

  void Set(absl::Status status) {
    if (intercepted_ != nullptr) {
      status = intercepted_->End(std::move(status), {.reply = reply()});
    }
    OnEnd done;
    {
      MutexLock lock(mutex_);
      ended_ = true;
      done = std::move(done_);
      if (done == nullptr) {
        status_ = std::move(status);
        return changed_.NotifyAll();
      }
    }
    std::move(done)(std::move(status), reply());
  }

  // Each claims the status: for one of them.
  absl::Status Wait() {
    MutexLock lock(mutex_);
    claimed_ = true;
    while (!ended_) changed_.Wait(mutex_);
    return std::move(status_);
  }
  // False, and `*done` is kept, when it is there already.
  bool TellLater(OnEnd* done) {
    MutexLock lock(mutex_);
    claimed_ = true;
    if (ended_) return false;
    done_ = std::move(*done);
    return true;
  }
  absl::Status Take() {
    MutexLock lock(mutex_);
    return std::move(status_);
  }

  // Whether nobody is interested in how the call goes on.
  bool IsForsaken() {
    MutexLock lock(mutex_);
    return !ended_ && !claimed_;
  }

 private:
  const std::unique_ptr<google::protobuf::MessageLite> reply_;
  std::unique_ptr<InterceptedCall> intercepted_;  // Null: there is none.
  Mutex mutex_;
  CondVar changed_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool claimed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  OnEnd done_ ABSL_GUARDED_BY(mutex_);
};

StreamCall::StreamCall(Channel& channel, const MethodInfo& method,
                       const google::protobuf::MessageLite* request,
                       std::unique_ptr<google::protobuf::MessageLite> reply,
                       const CallOptions& options)
    : ending_(std::make_shared<Ending>(std::move(reply))) {
  Forget(options.info);
  const std::shared_ptr<ChannelCore>& core = channel.core();
  const OneMessages messages = {
      .request = request,
      .request_size = request == nullptr ? 0 : request->ByteSizeLong(),
      .reply = ending_->reply()};
  if (core->options().interceptors.empty()) {
    Start(core, method, messages, options, nullptr, absl::OkStatus());
    return;
  }
  CallOptions changed = options;
  auto intercepted = std::make_unique<InterceptedCall>(*core, method, &changed);
  absl::Status refusal =
      intercepted->Begin(messages, [&](const OneMessages& passed) {
        Start(core, method, passed, changed, std::move(intercepted),
              absl::OkStatus());
      });
  if (refusal.ok()) return;
  Start(core, method, messages, changed, std::move(intercepted),
        std::move(refusal));
}

void StreamCall::Start(const std::shared_ptr<ChannelCore>& core,
                       const MethodInfo& method, const OneMessages& messages,
                       const CallOptions& options,
                       std::unique_ptr<InterceptedCall> intercepted,
                       absl::Status status) {
  class Completion final : public UnaryCompletion {
   public:
    explicit Completion(std::shared_ptr<Ending> ending)
        : ending_(std::move(ending)) {}
    google::protobuf::MessageLite* reply() override { return ending_->reply(); }
    void Done(absl::Status status) override { ending_->Set(std::move(status)); }

   private:
    const std::shared_ptr<Ending> ending_;
  };
  if (status.ok()) {
    status = CheckCall(*core, method, messages, options, /*blocking=*/false);
  }
  if (status.ok() && core->loop() == nullptr) status = core->error();
  const bool fit = status.ok();
  call_ = MakeCall(
      core, method, fit ? messages : OneMessages{.reply = ending_->reply()},
      options, std::make_unique<Completion>(ending_), intercepted.get());
  if (intercepted != nullptr) {
    ending_->Intercept(std::move(intercepted), &call_->streaming()->messages);
  }
  if (fit) return core->Start(call_);
  (void)call_->streaming()->pipe.Close(/*at_once=*/true);  // Nobody waits yet.
  ending_->Set(WithError(std::move(status), *core, method));
}

StreamCall& StreamCall::operator=(StreamCall&& other) noexcept {
  if (this == &other) return *this;
  Drop();
  ending_ = std::move(other.ending_);  // First: the call's channel outlives it.
  call_ = std::move(other.call_);
  return *this;
}

void StreamCall::Drop() {
  if (call_ == nullptr) return;
  call_->streaming()->pipe.DiscardReads();
  if (ending_->IsForsaken()) ClientCall::RequestCancel(call_);
}

MessageStream* StreamCall::messages() const {
  return &call_->streaming()->messages;
}

google::protobuf::MessageLite* StreamCall::reply() const {
  return ending_->reply();
}

void StreamCall::Cancel() { ClientCall::RequestCancel(call_); }

absl::Status StreamCall::Finish() {
  StreamPipe& pipe = call_->streaming()->pipe;
  if (!call_->streaming()->MayBlock()) {
    Cancel();
    return WithError(absl::FailedPreconditionError(
                         "a blocking Finish() on an I/O thread would stall its "
                         "connections"),
                     *call_->core(), call_->method_info());
  }
  pipe.EndWrites();
  pipe.DiscardReads();
  return OrFailure(ending_->Wait(), *call_);
}

absl::Status StreamCall::OrFailure(absl::Status status, ClientCall& call) {
  MessageStream& messages = call.streaming()->messages;
  if (!status.ok() || !messages.failed()) return status;
  absl::Status failure = messages.TakeFailure();
  if (failure.ok()) return status;  // The call has ended with it, see End().
  CallError error = {.certainty = Certainty::kFinished,
                     .phase = CallPhase::kReceive,
                     .method = std::string(call.method()),
                     .peer = call.core()->target(),
                     .elapsed = MonotonicTime::Now() - call.started_at()};
  error.AttachTo(&failure);
  return failure;
}

void StreamCall::Finish(OnEnd done) {
  call_->streaming()->pipe.EndWrites();
  call_->streaming()->pipe.DiscardReads();
  if (messages()->failed()) {
    done = [call = call_, done = std::move(done)](
               absl::Status status,
               google::protobuf::MessageLite* reply) mutable {
      std::move(done)(OrFailure(std::move(status), *call), reply);
    };
  }
  if (ending_->TellLater(&done)) return;
  const std::shared_ptr<ChannelCore>& core = call_->core();
  absl::Status status = ending_->Take();
  if (core->loop() == nullptr || core->forked()) {
    return std::move(done)(std::move(status), reply());
  }
  core->loop()->Post([ending = ending_, done = std::move(done),
                      status = std::move(status)]() mutable {
    std::move(done)(std::move(status), ending->reply());
  });
}

}  // namespace tern::client_internal
