#include "tern/client/stream_call.h"

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "tern/client/channel_core.h"
#include "tern/client/client_call.h"
#include "tern/client/make_call.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_error.h"

namespace tern::client_internal {

// Filled by the call's completion, and waited for by its user.
class StreamCall::Ending {
 public:
  explicit Ending(std::unique_ptr<google::protobuf::MessageLite> reply)
      : reply_(std::move(reply)) {}

  google::protobuf::MessageLite* reply() const { return reply_.get(); }

  void Set(absl::Status status) {
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
  class Completion final : public UnaryCompletion {
   public:
    explicit Completion(std::shared_ptr<Ending> ending)
        : ending_(std::move(ending)) {}
    google::protobuf::MessageLite* reply() override { return ending_->reply(); }
    void Done(absl::Status status) override { ending_->Set(std::move(status)); }

   private:
    const std::shared_ptr<Ending> ending_;
  };
  const std::shared_ptr<ChannelCore>& core = channel.core();
  OneMessages one = {
      .request = request,
      .request_size = request == nullptr ? 0 : request->ByteSizeLong(),
      .reply = ending_->reply()};
  absl::Status status =
      CheckCall(*core, method, one, options, /*blocking=*/false);
  if (status.ok() && core->loop() == nullptr) status = core->error();
  const bool fit = status.ok();
  if (!fit) one = {.reply = ending_->reply()};
  call_ = MakeCall(core, method, one, options,
                   std::make_unique<Completion>(ending_));
  if (fit) {
    core->Start(call_);
    return;
  }
  (void)call_->streaming()->pipe.Close(/*at_once=*/true);  // Nobody waits yet.
  ending_->Set(WithError(std::move(status), *core, method));
}

StreamCall& StreamCall::operator=(StreamCall&& other) noexcept {
  if (this == &other) return *this;
  Drop();
  call_ = std::move(other.call_);
  ending_ = std::move(other.ending_);
  return *this;
}

void StreamCall::Drop() {
  if (call_ == nullptr) return;
  call_->streaming()->pipe.DiscardReads();
  if (ending_->IsForsaken()) call_->RequestCancel();
}

MessageStream* StreamCall::messages() const {
  return &call_->streaming()->messages;
}

google::protobuf::MessageLite* StreamCall::reply() const {
  return ending_->reply();
}

void StreamCall::Cancel() { call_->RequestCancel(); }

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
  status = messages.TakeFailure();
  CallError error = {.certainty = Certainty::kFinished,
                     .phase = CallPhase::kReceive,
                     .method = std::string(call.method()),
                     .peer = call.core()->target(),
                     .elapsed = MonotonicTime::Now() - call.started_at()};
  error.AttachTo(&status);
  return status;
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
