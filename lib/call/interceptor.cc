#include "tern/lib/call/interceptor.h"

#include <atomic>
#include <utility>

#include "tern/lib/base/monotonic_time.h"

namespace tern {

using google::protobuf::MessageLite;

size_t MessageInPassing::ByteSize() const {
  return message_ != nullptr ? message_->ByteSizeLong() : raw_->size();
}

MessageLite* MessageInPassing::mutable_message() {
  if (mutable_message_ == nullptr) {
    copy_.reset(message_->New());
    copy_->CheckTypeAndMergeFrom(*message_);
    message_ = mutable_message_ = copy_.get();
  }
  return mutable_message_;
}

RawMessage* MessageInPassing::mutable_raw() {
  if (mutable_raw_ == nullptr) {
    raw_copy_ = *raw_;
    raw_ = mutable_raw_ = &raw_copy_;
  }
  return mutable_raw_;
}

namespace {

using Calls = std::vector<std::unique_ptr<CallInterceptor>>;

class Chain final : public call_internal::CallChain {
 public:
  Chain(MonotonicTime started_at, CallSide side, Calls calls)
      : started_at_(started_at),
        end_is_last_(side == CallSide::kServer),
        calls_(std::move(calls)) {}

  absl::Status Pass(Way way, MessageLite* message) noexcept override {
    MessageInPassing passing(message);
    return Show(way, passing);
  }
  absl::Status Pass(Way way, RawMessage* message) noexcept override {
    MessageInPassing passing(message);
    return Show(way, passing);
  }
  absl::Status PassOn(Way way, const MessageLite& message,
                      GoOn<MessageLite> go_on) noexcept override {
    MessageInPassing passing(message);
    absl::Status refusal = Show(way, passing);
    if (refusal.ok()) go_on(*passing.message());
    return refusal;
  }
  absl::Status PassOn(Way way, const RawMessage& message,
                      GoOn<RawMessage> go_on) noexcept override {
    MessageInPassing passing(message);
    absl::Status refusal = Show(way, passing);
    if (refusal.ok()) go_on(*passing.raw());
    return refusal;
  }

  void End(CallEnd* end) noexcept override {
    end->elapsed = MonotonicTime::Now() - started_at_;
    for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
      (*call)->OnEnd(*end);
    }
    // The call itself may be given up where no code of the user's may run.
    if (end_is_last_) Leave();
  }

 private:
  // The refusal, if there is one.
  absl::Status Show(Way way, MessageInPassing& passing) {
    if (!Enter()) return absl::CancelledError("the call has ended");
    const size_t count = calls_.size();
    for (size_t i = 0; i < count && passing.refusal().ok(); ++i) {
      if (way == Way::kRequest) {
        calls_[i]->OnRequest(passing);
      } else {
        calls_[count - 1 - i]->OnReply(passing);
      }
    }
    Leave();
    return passing.TakeRefusal();
  }

  // At the server calls_ go with the last hook. That is the end, unless the
  // handler has answered while a read or a write of its own was outstanding.
  bool Enter() {
    int users = users_.load(std::memory_order_relaxed);
    while (users != 0) {
      if (users_.compare_exchange_weak(users, users + 1,
                                       std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void Leave() {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) calls_.clear();
  }

  const MonotonicTime started_at_;
  const bool end_is_last_;
  std::atomic<int> users_{1};
  Calls calls_;
};

}  // namespace

std::unique_ptr<call_internal::CallChain> Interceptor::Begin(
    const Interceptors& all, CallStart* start) noexcept {
  const MonotonicTime now = MonotonicTime::Now();
  Calls calls;
  for (const std::shared_ptr<Interceptor>& interceptor : all) {
    std::unique_ptr<CallInterceptor> call = interceptor->OnStart(*start);
    if (call != nullptr) calls.push_back(std::move(call));
    if (!start->refusal.ok()) break;
  }
  if (calls.empty()) return nullptr;
  return std::make_unique<Chain>(now, start->side, std::move(calls));
}

}  // namespace tern
