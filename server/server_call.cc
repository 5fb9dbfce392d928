#include "tern/server/server_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/server/server_connection.h"

namespace tern {
namespace {

// Told to callers that are refused because the queue is full.
constexpr uint32_t kRetryAfterMs = 100;

uint64_t Microseconds(absl::Duration duration) {
  return static_cast<uint64_t>(
      std::max<int64_t>(0, absl::ToInt64Microseconds(duration)));
}

// Runs the user's cancellation callbacks outside the driver's role.
class CancelLater final : public net::Connection::Deferred {
 public:
  explicit CancelLater(std::shared_ptr<ServerCall> call)
      : call_(std::move(call)) {}
  void RunDeferred() override { call_->cancellation().Cancel(); }

 private:
  const std::shared_ptr<ServerCall> call_;
};

}  // namespace

ServerCall::ServerCall(std::shared_ptr<ServerConnection> connection,
                       const MethodRegistry::Entry& entry,
                       const wire::CallHeader& header, MonotonicTime deadline)
    : connection_(std::move(connection)), entry_(entry) {
  ambient_.deadline = Deadline(deadline);
  ambient_.trace = header.trace;
  for (const wire::MetadataEntryView& item : header.metadata) {
    metadata_.Add(item.key, item.value);
  }
}

const std::string& ServerCall::peer() const { return connection_->peer(); }
const std::string& ServerCall::local() const { return connection_->local(); }

absl::Status ServerCall::TakeRequest(wire::IncomingMessage& message) {
  if (message.storage == nullptr) return ParseRequest(message.bytes);
  unparsed_request_ = std::move(*message.storage);
  unparsed_request_.resize(message.bytes.size());  // The attachment is behind.
  return absl::OkStatus();
}

absl::Status ServerCall::ParseRequest(std::string_view bytes) {
  request_ = entry_.handler->new_request(&arena_);
  // Partial: else protobuf logs what a peer leaves out.
  if (request_->ParsePartialFromArray(bytes.data(),
                                      static_cast<int>(bytes.size())) &&
      request_->IsInitialized()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the request is not a well-formed ",
                   std::string(request_->GetTypeName())));
}

bool ServerCall::TryWithdraw() {
  State state = state_.load();
  switch (state) {
    case State::kReceiving:
      state_.store(State::kWithdrawn);
      return true;
    case State::kReady:
      if (state_.compare_exchange_strong(state, State::kWithdrawn)) return true;
      [[fallthrough]];
    case State::kQueued:
      if (!connection_->environment().pool->Withdraw(this)) return false;
      pools_share_.reset();
      return true;
    case State::kWithdrawn:
      return false;
  }
  return false;
}

std::shared_ptr<net::Connection::Deferred> ServerCall::Cancel() {
  cancel_requested_.store(true);
  return std::make_shared<CancelLater>(shared_from_this());
}

void ServerCall::RunDeferred() {
  State expected = State::kReady;
  queued_at_ = MonotonicTime::Now();
  if (!state_.compare_exchange_strong(expected, State::kQueued)) return;
  pools_share_ = shared_from_this();
  connection_->environment().pool->Submit(this, ambient_.deadline.time());
}

void ServerCall::Run() {
  const MonotonicTime started_at = MonotonicTime::Now();
  queue_us_ = Microseconds(started_at - queued_at_);
  if (cancelled()) {
    return Complete(
        ambient_.deadline.HasPassed()
            ? absl::DeadlineExceededError(
                  "the deadline passed before the call was started")
            : absl::CancelledError("cancelled before it was started"),
        Certainty::kNotStarted);
  }
  if (request_ == nullptr) {
    absl::Status parsed = ParseRequest(unparsed_request_);
    std::string().swap(unparsed_request_);
    if (!parsed.ok()) {
      return Complete(std::move(parsed), Certainty::kNotStarted);
    }
  }
  RunHandler();
  handler_us_ = Microseconds(MonotonicTime::Now() - started_at);
  Complete(std::move(status_), Certainty::kFinished);
}

void ServerCall::RunHandler() {
  ambient_.cancellation = cancellation_;
  const AmbientCallScope scope(&ambient_);
  google::protobuf::MessageLite* reply = entry_.handler->new_reply(&arena_);
  try {
    status_ = entry_.handler->invoke(*entry_.service, *this, *request_, reply);
  } catch (...) {
    // What it says may hold secrets: it stays here.
    TERN_LOG(kError) << "the handler of " << method()
                     << " threw an exception; its call ends UNKNOWN";
    status_ = absl::UnknownError("the handler threw an exception");
  }
  if (!status_.ok()) return;
  if (!reply->IsInitialized()) {
    status_ = absl::InternalError(
        absl::StrCat("the handler left required fields of its ",
                     std::string(reply->GetTypeName()), " unset"));
    return;
  }
  reply_ = reply;
  reply_bytes_ = reply->ByteSizeLong();
}

void ServerCall::OnDropped(ThreadPool::Drop why) {
  queue_us_ = Microseconds(MonotonicTime::Now() - queued_at_);
  switch (why) {
    case ThreadPool::Drop::kExpired:
      return Complete(absl::DeadlineExceededError(absl::StrCat(
                          "the deadline passed in the server's queue, after ",
                          absl::FormatDuration(absl::Microseconds(queue_us_)))),
                      Certainty::kNotStarted);
    case ThreadPool::Drop::kFull:
      retry_after_ms_ = kRetryAfterMs;
      return Complete(absl::ResourceExhaustedError(absl::StrCat(
                          "the server's queue is full: ",
                          connection_->environment().options.max_queued_calls,
                          " calls wait")),
                      Certainty::kNotStarted);
    case ThreadPool::Drop::kStopped:
      return Complete(absl::UnavailableError("the server is stopping"),
                      Certainty::kNotStarted);
  }
}

void ServerCall::Complete(absl::Status status, Certainty certainty) {
  status_ = std::move(status);
  certainty_ = certainty;
  connection_->Complete(std::move(pools_share_));
}

}  // namespace tern
