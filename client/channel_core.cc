#include "tern/client/channel_core.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/client/client_process.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/net/resolver.h"

namespace tern {
namespace {

// A server that greets and then ends connections is not asked at once for ever.
constexpr int kMaxUnanswered = 5;

constexpr char kAgent[] = "tern-cpp/0.1.0";

uint64_t RandomSeed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

net::ConnectionOptions ToConnectionOptions(const ChannelOptions& options) {
  net::ConnectionOptions result;
  result.session.role = wire::Role::kClient;
  result.session.keepalive_interval = options.keepalive_interval;
  result.session.keepalive_timeout = options.keepalive_timeout;
  // What a client reads makes it send no more: it never stops reading, so that
  // two ends which both have much to send cannot wait for each other.
  result.max_unsent_bytes = std::numeric_limits<size_t>::max();
  wire::Hello& hello = result.session.hello;
  hello.max_frame_bytes = options.max_frame_bytes;
  hello.max_message_bytes = options.max_message_bytes;
  hello.stream_window_bytes = options.stream_window_bytes;
  hello.connection_window_bytes = options.connection_window_bytes;
  hello.features = options.compressors.features();
  if (options.checksums) hello.features |= wire::kFeatureChecksum;
  result.session.max_stream_window_bytes = options.max_stream_window_bytes;
  hello.agent = kAgent;
  return result;
}

bool HasNull(const std::vector<std::shared_ptr<Interceptor>>& interceptors) {
  return std::count(interceptors.begin(), interceptors.end(), nullptr) != 0;
}

// Every call of a channel whose options make no sense fails, and is not shown
// to interceptors that are not there.
ChannelOptions WithoutNull(ChannelOptions options) {
  if (HasNull(options.interceptors)) options.interceptors.clear();
  return options;
}

absl::Status CheckChannelOptions(const ChannelOptions& options) {
  const std::pair<const char*, absl::Duration> durations[] = {
      {"default_timeout", options.default_timeout},
      {"connect_timeout", options.connect_timeout},
      {"initial_backoff", options.initial_backoff},
      {"max_backoff", options.max_backoff},
      {"keepalive_interval", options.keepalive_interval},
      {"keepalive_timeout", options.keepalive_timeout}};
  for (const auto& [name, value] : durations) {
    if (value >= absl::Milliseconds(1) && value <= absl::Hours(24 * 365)) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("ChannelOptions::", name, " is ",
                     absl::FormatDuration(value), ", not from 1ms to a year"));
  }
  if (options.max_waiting_calls < 1) {
    return absl::InvalidArgumentError("ChannelOptions::max_waiting_calls is 0");
  }
  if (options.max_stream_unsent_bytes < 1) {
    return absl::InvalidArgumentError(
        "ChannelOptions::max_stream_unsent_bytes is 0");
  }
  if (options.max_backoff < options.initial_backoff) {
    return absl::InvalidArgumentError(
        "ChannelOptions::max_backoff is less than initial_backoff");
  }
  if (HasNull(options.interceptors)) {
    return absl::InvalidArgumentError(
        "ChannelOptions::interceptors has one that is null");
  }
  if (options.compression != Compression::kNone &&
      options.compressors.Find(options.compression) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("ChannelOptions::compression is ",
                     NameOf(options.compression), ", not one of compressors"));
  }
  return wire::CheckHello(ToConnectionOptions(options).session.hello);
}

// One that shares nothing with `status`, whose text other threads may let go of
// at any time: the prebuilt Abseil's count of owners is out of TSan's sight.
absl::Status OwnCopy(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

}  // namespace

std::shared_ptr<ChannelCore> ChannelCore::Create(
    std::string_view target, const ChannelOptions& options) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<ChannelCore> core(
      new ChannelCore(std::string(target), options));
  absl::StatusOr<net::Endpoint> endpoint = net::ParseEndpoint(target);
  absl::StatusOr<net::EventLoop*> loop = NextClientLoop();
  core->error_ = CheckChannelOptions(options);
  core->error_.Update(endpoint.status());
  core->error_.Update(loop.status());
  if (endpoint.ok()) core->endpoint_ = *std::move(endpoint);
  if (!loop.ok()) return core;
  core->loop_ = *loop;
  ChannelCore* const self = core.get();  // TearDown() ends the timers.
  core->backoff_timer_.emplace(*loop, [self] { self->OnBackoffOver(); });
  core->waiting_timer_.emplace(*loop, [self] { self->OnWaitingTimer(); });
  return core;
}

ChannelCore::ChannelCore(std::string target, const ChannelOptions& options)
    : target_(std::move(target)),
      options_(WithoutNull(options)),
      fork_generation_(ForkGeneration()),
      backoff_(options.initial_backoff, options.max_backoff, RandomSeed()) {}

bool ChannelCore::forked() const {
  return ForkGeneration() != fork_generation_;
}

template <typename Method>
void ChannelCore::PostToLoop(Method method) {
  loop_->Post([self = shared_from_this(), method] { (self.get()->*method)(); });
}

// --- Calls -------------------------------------------------------------------

void ChannelCore::Start(const std::shared_ptr<ClientCall>& call, bool waits) {
  absl::Status refusal = error_;
  CallPhase phase = CallPhase::kSend;
  ClientConnection* connection = nullptr;
  std::shared_ptr<ClientConnection> share;
  std::shared_ptr<ClientCall> last;  // Makes room for it.
  if (refusal.ok() && call->cancel_requested) {
    refusal = absl::CancelledError("cancelled by the caller");
  }
  // (The connection looks at the time, too: a new call is cheaper to let pass.)
  const bool is_new = call->attempts == 0;
  if (refusal.ok() && call->deadline() <= (is_new ? call->started_at()
                                                  : MonotonicTime::Now())) {
    refusal = absl::DeadlineExceededError(ToAbsl(wire::Session::kLateToStart));
  }
  if (refusal.ok()) {
    MutexLock lock(mutex_);
    if (call->cancel_requested) {
      refusal = absl::CancelledError("cancelled by the caller");
    } else if (state_ == State::kShutDown) {
      refusal = absl::CancelledError("the channel was destroyed");
    } else if (state_ == State::kReady) {
      connection = connection_.get();
      call->connection = connection_;
      // (Its loop's thread knows that the loop has a share.)
      if (!loop_->IsDrivenHere()) share = connection_;
    } else if (state_ == State::kBackoff && !call->wait_for_ready()) {
      refusal = OwnCopy(failure_);
      phase = failure_phase_;
    } else {
      if (AddWaiting(call)) return;
      last = waiting_.TakeLast();
      refusal = absl::ResourceExhaustedError(absl::StrCat(
          options_.max_waiting_calls, " calls wait for a connection to ",
          target_, ", the channel's limit, and none is less urgent"));
    }
  }
  if (connection != nullptr) {
    if (connection->Submit(call, waits)) return;
    refusal = absl::ResourceExhaustedError(
        absl::StrCat(options_.max_waiting_calls,
                     " calls wait for their turn on the connection to ",
                     target_, ", the channel's limit"));
  }
  EndCalls({last != nullptr ? std::move(last) : call}, refusal, phase);
}

bool ChannelCore::AddWaiting(std::shared_ptr<ClientCall> call) {
  if (call->deadline() < waiting_.earliest_deadline()) {
    PostToLoop(&ChannelCore::UpdateWaitingTimer);
  }
  if (state_ == State::kIdle) {
    state_ = State::kConnecting;
    PostToLoop(&ChannelCore::Connect);
  }
  call->connection = nullptr;
  waiting_.Add(std::move(call));
  return waiting_.size() <= options_.max_waiting_calls;
}

void ChannelCore::Reconsider(std::shared_ptr<ClientCall> call) {
  std::shared_ptr<ClientConnection> connection;
  absl::Status status;
  CallPhase phase = CallPhase::kConnect;
  {
    MutexLock lock(mutex_);
    if (call->waiting) {
      if (call->cancel_requested) {
        status = absl::CancelledError("cancelled by the caller");
      } else if (call->deadline() <= MonotonicTime::Now()) {
        status = NoConnectionInTime(&phase);
      } else {
        return;
      }
      waiting_.Remove(call);
    } else {
      connection = call->connection;
      if (connection == nullptr) return;  // Ended, or Start() will see it.
    }
  }
  if (connection != nullptr) return connection->Reconsider(std::move(call));
  EndCalls({std::move(call)}, status, phase);
}

void ChannelCore::TakePipeWork(std::shared_ptr<ClientCall::Streaming> streaming,
                               bool at_once) {
  const auto connection = ConnectionOf(*streaming->call);
  if (connection == nullptr) return;
  connection->TakePipeWork(std::move(streaming), at_once);
}

std::shared_ptr<ClientConnection> ChannelCore::ConnectionOf(
    const ClientCall& call) {
  if (forked()) return nullptr;
  MutexLock lock(mutex_);
  return call.connection;
}

absl::Status ChannelCore::NoConnectionInTime(CallPhase* phase) const {
  std::string message =
      "deadline exceeded at the client while waiting for a connection";
  if (!failure_.ok()) {
    *phase = failure_phase_;
    absl::StrAppend(&message, ": ", failure_.message());
  }
  return absl::DeadlineExceededError(message);
}

void ChannelCore::EndCalls(const Calls& calls, const absl::Status& status,
                           CallPhase phase) {
  for (const std::shared_ptr<ClientCall>& call : calls) {
    if (call->End(status, {.certainty = Certainty::kNotStarted,
                           .phase = phase,
                           .method = {},
                           .peer = {},
                           .local = {},
                           .retry_after = std::nullopt})) {
      ClientCall::Deliver(call);
    }
  }
}

void ChannelCore::ShutDown() {
  if (forked()) {
    // All this is the parent's, locks and timers included: leave it alone.
    new std::shared_ptr<ChannelCore>(shared_from_this());
    return;
  }
  std::shared_ptr<ClientConnection> connection;
  Calls calls;
  {
    MutexLock lock(mutex_);
    state_ = State::kShutDown;
    connection = std::move(connection_);
    calls = waiting_.TakeAll();
  }
  EndCalls(calls, absl::CancelledError("the channel was destroyed"),
           CallPhase::kConnect);
  if (loop_ == nullptr) return;
  if (connection != nullptr) {
    connection->ShutDownSoon("the channel was destroyed");
  }
  PostToLoop(&ChannelCore::TearDown);
}

void ChannelCore::TearDown() {
  connector_.reset();
  backoff_timer_.reset();
  waiting_timer_.reset();
}

// The deadlines of calls that wait.
void ChannelCore::UpdateWaitingTimer() {
  if (!waiting_timer_.has_value()) return;
  MutexLock lock(mutex_);
  waiting_timer_->Set(waiting_.earliest_deadline());
}

void ChannelCore::OnWaitingTimer() {
  Calls due;
  const MonotonicTime now = loop_->now();
  CallPhase phase = CallPhase::kConnect;
  absl::Status status;
  {
    MutexLock lock(mutex_);
    due = waiting_.TakeDue(now);
    status = NoConnectionInTime(&phase);
  }
  EndCalls(due, status, phase);
  UpdateWaitingTimer();
}

// --- The connection ----------------------------------------------------------

void ChannelCore::Connect() {
  {
    MutexLock lock(mutex_);
    if (state_ != State::kConnecting) return;
  }
  if (auto addresses = net::ResolveNumeric(endpoint_)) {
    return OnResolved(*std::move(addresses));
  }
  net::ResolveAsync(
      endpoint_, [weak = weak_from_this(), loop = loop_](
                     absl::StatusOr<std::vector<net::Address>> addresses) {
        loop->Post([weak, addresses = std::move(addresses)]() mutable {
          if (auto self = weak.lock()) self->OnResolved(std::move(addresses));
        });
      });
}

void ChannelCore::OnResolved(
    absl::StatusOr<std::vector<net::Address>> addresses) {
  if (!addresses.ok()) {
    return OnFailed(CallPhase::kResolve, addresses.status());
  }
  {
    MutexLock lock(mutex_);
    if (state_ != State::kConnecting) return;
  }
  connector_ = std::make_unique<net::Connector>(
      loop_, *std::move(addresses), options_.connect_timeout,
      [this](absl::StatusOr<net::Connector::Connected> connected) {
        OnConnected(std::move(connected));
      });
}

void ChannelCore::OnConnected(
    absl::StatusOr<net::Connector::Connected> connected) {
  connector_.reset();
  if (!connected.ok()) {
    return OnFailed(CallPhase::kConnect, connected.status());
  }
  const auto connection = std::make_shared<ClientConnection>(
      weak_from_this(), loop_, std::move(connected->socket), connected->peer,
      std::make_shared<net::ConnectionOptions>(ToConnectionOptions(options_)),
      options_.max_waiting_calls);
  {
    MutexLock lock(mutex_);
    if (state_ != State::kConnecting) return;
    state_ = State::kReady;
    server_lacks_.store(0, std::memory_order_relaxed);
    connection_ = connection;
    failure_ = absl::OkStatus();
    for (const auto& call : waiting_.TakeAll()) {
      call->connection = connection;
      connection->Enqueue(call);
    }
  }
  connection->Start();
}

void ChannelCore::OnFailed(CallPhase phase, const absl::Status& why) {
  Calls calls;
  {
    MutexLock lock(mutex_);
    if (state_ != State::kConnecting) return;
    calls = EnterBackoff(phase, why);
  }
  EndCalls(calls, why, phase);
}

ChannelCore::Calls ChannelCore::EnterBackoff(CallPhase phase,
                                             const absl::Status& why) {
  state_ = State::kBackoff;
  failure_ = OwnCopy(why);
  failure_phase_ = phase;
  const MonotonicTime until = MonotonicTime::Now() + backoff_.Next();
  loop_->Post([self = shared_from_this(), until] {
    if (self->backoff_timer_.has_value()) self->backoff_timer_->Set(until);
  });
  return waiting_.TakeIf(
      [](const ClientCall& call) { return !call.wait_for_ready(); });
}

void ChannelCore::OnBackoffOver() {
  {
    MutexLock lock(mutex_);
    if (state_ != State::kBackoff) return;
    state_ = waiting_.empty() ? State::kIdle : State::kConnecting;
  }
  Connect();
}

void ChannelCore::OnUnusable(ClientConnection* connection,
                             const absl::Status& why, bool was_well) {
  std::shared_ptr<ClientConnection> last;  // Dropped after the lock.
  Calls calls;
  {
    MutexLock lock(mutex_);
    if (connection_.get() != connection) return;
    last = std::move(connection_);
    if (was_well && ++unanswered_ < kMaxUnanswered) {
      state_ = State::kIdle;
      return;
    }
    calls = EnterBackoff(CallPhase::kConnect, why);
  }
  EndCalls(calls, why, CallPhase::kConnect);
}

void ChannelCore::OnAnswered() {
  MutexLock lock(mutex_);
  backoff_.Reset();
  unanswered_ = 0;
}

void ChannelCore::OnLacking(const ClientConnection* connection,
                            Compression compression) {
  MutexLock lock(mutex_);
  if (connection_.get() != connection) return;
  server_lacks_.fetch_or(1u << static_cast<int>(compression),
                         std::memory_order_relaxed);
}

}  // namespace tern
