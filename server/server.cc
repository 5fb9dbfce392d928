#include "tern/server/server.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/base/thread.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/net/address.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/listener.h"
#include "tern/lib/net/resolver.h"
#include "tern/lib/net/socket.h"
#include "tern/server/aborted_calls.h"
#include "tern/server/server_call.h"
#include "tern/server/server_connection.h"
#include "tern/server/server_environment.h"
#include "tern/server/stop_signals.h"

namespace tern {
namespace {

constexpr int kBacklog = 1024;
// Connections above the limit that are kept just to be told of it.
constexpr size_t kMaxRefusedConnections = 64;
// After the last call has been answered or cancelled, for bytes to be sent.
constexpr absl::Duration kFlushTime = absl::Seconds(1);

// "fd:3". (A host of that name is "dns:///fd:3".)
constexpr std::string_view kInheritedPrefix = "fd:";

absl::StatusOr<net::FileDescriptor> Inherited(std::string_view text) {
  const char* const end = text.data() + text.size();
  int number = -1;
  const auto [stop, error] =
      std::from_chars(text.data() + kInheritedPrefix.size(), end, number);
  if (error == std::errc() && stop == end) return net::ShareListening(number);
  return absl::InvalidArgumentError(absl::StrCat(
      "address \"", EscapeForLog(text), "\": not the number of a descriptor"));
}

void LogCancelled(const AbortedCalls& calls) {
  if (calls.count() == 0) return;
  TERN_LOG(kWarning) << "the drain's grace is over; calls cancelled: "
                     << calls.count();
  for (const std::string& line : calls.Lines()) TERN_LOG(kWarning) << line;
}

std::string RandomInstanceId() {
  std::random_device device;
  std::string id(16, '\0');
  for (char& byte : id) byte = static_cast<char>(device());
  return id;
}

}  // namespace

// The server's parts and their life: nothing, then started, then draining, then
// stopped.
class ServerCore {
 public:
  explicit ServerCore(ServerOptions options) {
    environment_.options = std::move(options);
  }
  ~ServerCore();

  void Register(Service* service) {
    TERN_CHECK(!started()) << "Register after Start";
    registered_.Update(environment_.registry.Register(service));
  }
  absl::Status Start();
  std::vector<std::string> addresses() const;
  uint16_t port() const;
  void Wait();
  absl::Status Drain(absl::Duration grace);
  void Stop();

 private:
  enum class State { kIdle, kStarted, kStopping, kStopped };
  using Connections = absl::flat_hash_set<std::shared_ptr<ServerConnection>>;

  bool started() const {
    MutexLock lock(mutex_);
    return state_ != State::kIdle;
  }
  bool stopped() const {
    MutexLock lock(mutex_);
    return state_ == State::kStopped;
  }
  absl::Status StartParts();
  absl::Status Listen(const std::string& text);
  net::Listener::OnAccept Accepting();
  void Add(std::unique_ptr<net::Listener> listener);
  void OnAccept(net::FileDescriptor socket, const net::Address& peer);
  void Forget(ServerConnection* connection);
  void StopLoops();  // And what connections are left.
  std::vector<std::shared_ptr<ServerConnection>> CopyConnections();
  bool BeginDrain();
  // False when the time or a signal came first.
  bool WaitForNoConnections(MonotonicTime until, StopSignals* signals);
  absl::Status FinishDrain(absl::Duration grace, StopSignals* signals);
  AbortedCalls AbortCalls(absl::StatusCode code, std::string_view reason);
  void WakeWaiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (StopSignals* waiter : waiters_) waiter->Wake();
  }

  ServerEnvironment environment_;
  absl::Status registered_;

  std::unique_ptr<net::EventLoopGroup> loops_;

  mutable Mutex mutex_;
  CondVar changed_;  // state_ or connections_.
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  Connections connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<net::Listener>> listeners_
      ABSL_GUARDED_BY(mutex_);
  std::vector<net::Address> addresses_ ABSL_GUARDED_BY(mutex_);
  std::vector<StopSignals*> waiters_ ABSL_GUARDED_BY(mutex_);
  std::thread drainer_ ABSL_GUARDED_BY(mutex_);  // Of a drain from a handler.
};

ServerCore::~ServerCore() {
  Stop();
  std::thread drainer;
  {
    MutexLock lock(mutex_);
    drainer = std::move(drainer_);
  }
  if (drainer.joinable()) drainer.join();
}

// --- Start -------------------------------------------------------------------

absl::Status ServerCore::Start() {
  if (started()) {
    return absl::FailedPreconditionError("the server has been started before");
  }
  TERN_RETURN_IF_ERROR(registered_);
  TERN_RETURN_IF_ERROR(CheckServerOptions(environment_.options));
  absl::Status status = StartParts();
  if (status.ok()) {
    MutexLock lock(mutex_);
    state_ = State::kStarted;
    return status;
  }
  // Nothing is left half started: the next Start() begins anew.
  std::vector<std::unique_ptr<net::Listener>> listeners;
  {
    MutexLock lock(mutex_);
    listeners.swap(listeners_);
    addresses_.clear();
  }
  listeners.clear();
  for (const auto& connection : CopyConnections()) {
    connection->AbortSoon(absl::StatusCode::kUnavailable,
                          "the server did not start", [](AbortedCalls) {});
  }
  StopLoops();
  environment_.pool.reset();
  environment_.stream_threads.reset();
  loops_.reset();
  return status;
}

absl::Status ServerCore::StartParts() {
  environment_.options = ResolveServerDefaults(environment_.options);
  environment_.instance_id = RandomInstanceId();
  const ServerOptions& options = environment_.options;
  environment_.connection_options = std::make_shared<net::ConnectionOptions>(
      ToConnectionOptions(options, environment_.instance_id));
  environment_.on_disconnected = [this](ServerConnection* gone) {
    Forget(gone);
  };
  environment_.memory =
      std::make_unique<MemoryBudget>(options.max_request_memory_bytes);
  TERN_ASSIGN_OR_RETURN(
      loops_,
      net::EventLoopGroup::Create(options.loop_threads, "tern-server",
                                  // So many handlers may stall where they are.
                                  /*max_standby_drivers=*/options.loop_threads +
                                      options.worker_threads));
  environment_.pool = std::make_unique<ThreadPool>(
      ThreadPool::Options{.threads = options.worker_threads,
                          .max_queued_tasks = options.max_queued_calls,
                          .name = "tern-worker"});
  environment_.stream_threads =
      std::make_unique<ElasticThreads>(ElasticThreads::Options{
          .max_threads = options.max_stream_threads, .name = "tern-stream"});
  for (const std::string& text : options.listen) {
    TERN_RETURN_IF_ERROR(Listen(text));
  }
  return absl::OkStatus();
}

absl::Status ServerCore::Listen(const std::string& text) {
  if (text.starts_with(kInheritedPrefix)) {
    TERN_ASSIGN_OR_RETURN(net::FileDescriptor socket, Inherited(text));
    TERN_ASSIGN_OR_RETURN(
        std::unique_ptr<net::Listener> listener,
        net::Listener::StartOn(loops_->Next(), std::move(socket), Accepting()));
    Add(std::move(listener));
    return absl::OkStatus();
  }
  TERN_ASSIGN_OR_RETURN(const net::Endpoint endpoint, net::ParseEndpoint(text));
  TERN_ASSIGN_OR_RETURN(const std::vector<net::Address> addresses,
                        net::ResolveBlocking(endpoint));
  for (const net::Address& address : addresses) {
    TERN_ASSIGN_OR_RETURN(
        std::unique_ptr<net::Listener> listener,
        net::Listener::Start(loops_->Next(), address, kBacklog, Accepting()));
    Add(std::move(listener));
  }
  return absl::OkStatus();
}

void ServerCore::Add(std::unique_ptr<net::Listener> listener) {
  MutexLock lock(mutex_);
  addresses_.push_back(listener->address());
  listeners_.push_back(std::move(listener));
}

net::Listener::OnAccept ServerCore::Accepting() {
  return [this](net::FileDescriptor socket, const net::Address& peer) {
    OnAccept(std::move(socket), peer);
  };
}

// On the listener's loop.
void ServerCore::OnAccept(net::FileDescriptor socket,
                          const net::Address& peer) {
  net::EventLoop* const loop = loops_->Next();
  std::shared_ptr<ServerConnection> connection;
  {
    MutexLock lock(mutex_);
    const size_t limit = environment_.options.max_connections;
    // (What is accepted while a drain begins is served, and drained: its client
    // could not know whether its calls have been started.)
    if (state_ == State::kStopping || state_ == State::kStopped ||
        connections_.size() >= limit + kMaxRefusedConnections) {
      return;  // Closes it.
    }
    connection = std::make_shared<ServerConnection>(
        &environment_, loop, std::move(socket), peer,
        /*over_limit=*/connections_.size() >= limit);
    connections_.insert(connection);
  }
  loop->Post([connection] { connection->Start(); });
}

void ServerCore::Forget(ServerConnection* connection) {
  std::shared_ptr<ServerConnection> last;  // Dropped after the lock.
  MutexLock lock(mutex_);
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  last = std::move(connections_.extract(found).value());
  changed_.NotifyAll();
  if (draining_ && connections_.empty()) WakeWaiters();
}

std::vector<std::shared_ptr<ServerConnection>> ServerCore::CopyConnections() {
  MutexLock lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

std::vector<std::string> ServerCore::addresses() const {
  std::vector<std::string> result;
  MutexLock lock(mutex_);
  for (const net::Address& address : addresses_) {
    result.push_back(address.ToString());
  }
  return result;
}

uint16_t ServerCore::port() const {
  MutexLock lock(mutex_);
  for (const net::Address& address : addresses_) {
    if (!address.is_unix()) return address.port();
  }
  return 0;
}

void ServerCore::StopLoops() {
  if (loops_ == nullptr) return;
  loops_->Stop();
  // Those that an errand of theirs has started since Stop() looked.
  environment_.pending_handlers.WaitForNone();
  for (const auto& connection : CopyConnections()) connection->Abandon();
}

// --- End ---------------------------------------------------------------------

bool ServerCore::BeginDrain() {
  std::vector<std::unique_ptr<net::Listener>> listeners;
  {
    MutexLock lock(mutex_);
    if (state_ != State::kStarted || draining_) return false;
    draining_ = true;
    listeners.swap(listeners_);
  }
  listeners.clear();  // Waits for their loops: no connection comes after this.
  for (const auto& connection : CopyConnections()) connection->DrainSoon();
  return true;
}

bool ServerCore::WaitForNoConnections(MonotonicTime until,
                                      StopSignals* signals) {
  while (true) {
    {
      MutexLock lock(mutex_);
      if (connections_.empty()) return true;
      if (signals == nullptr) {
        if (!changed_.WaitUntil(mutex_, until) &&
            MonotonicTime::Now() >= until) {
          return connections_.empty();
        }
        continue;
      }
    }
    if (signals->Wait(until)) return false;
    MutexLock lock(mutex_);
    if (connections_.empty()) return true;
    if (MonotonicTime::Now() >= until) return false;
  }
}

AbortedCalls ServerCore::AbortCalls(absl::StatusCode code,
                                    std::string_view reason) {
  struct Sum {
    Mutex mutex;
    CondVar changed;
    size_t waiting = 0;
    AbortedCalls aborted;
  };
  const auto sum = std::make_shared<Sum>();
  const auto connections = CopyConnections();
  sum->waiting = connections.size();
  for (const auto& connection : connections) {
    connection->AbortSoon(code, reason, [sum](AbortedCalls aborted) {
      MutexLock lock(sum->mutex);
      --sum->waiting;
      sum->aborted.Add(std::move(aborted));
      sum->changed.NotifyAll();
    });
  }
  MutexLock lock(sum->mutex);
  while (sum->waiting > 0) sum->changed.Wait(sum->mutex);
  return std::move(sum->aborted);
}

absl::Status ServerCore::FinishDrain(absl::Duration grace,
                                     StopSignals* signals) {
  size_t cancelled = 0;
  if (!WaitForNoConnections(MonotonicTime::Now() + grace, signals)) {
    const AbortedCalls aborted = AbortCalls(absl::StatusCode::kCancelled,
                                            "the server's drain has ended");
    LogCancelled(aborted);
    cancelled = aborted.count();
  }
  Stop();
  if (cancelled == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat(cancelled, cancelled == 1 ? " call was" : " calls were",
                   " cancelled at the end of the drain"));
}

absl::Status ServerCore::Drain(absl::Duration grace) {
  if (!BeginDrain()) {
    return absl::FailedPreconditionError(
        "the server is not running, or is draining already");
  }
  if (!ServerCall::OnHandlerThread()) return FinishDrain(grace, nullptr);
  // The handler that asks is one of those that are waited for.
  absl::StatusOr<std::thread> thread = StartThread(
      "tern-drain", [this, grace] { (void)FinishDrain(grace, nullptr); });
  if (!thread.ok()) return thread.status();
  MutexLock lock(mutex_);
  drainer_ = *std::move(thread);
  return absl::OkStatus();
}

void ServerCore::Stop() {
  TERN_CHECK(!ServerCall::OnHandlerThread())
      << "a handler can't wait for its own end";
  std::vector<std::unique_ptr<net::Listener>> listeners;
  {
    MutexLock lock(mutex_);
    if (state_ == State::kStopping) {
      while (state_ != State::kStopped) changed_.Wait(mutex_);
      return;
    }
    if (state_ != State::kStarted) return;
    state_ = State::kStopping;
    draining_ = true;
    listeners.swap(listeners_);
  }
  listeners.clear();
  AbortCalls(absl::StatusCode::kUnavailable, "the server was stopped");
  environment_.pool->Stop();
  environment_.stream_threads->Stop();
  environment_.pending_handlers.WaitForNone();
  WaitForNoConnections(MonotonicTime::Now() + kFlushTime, nullptr);
  StopLoops();
  MutexLock lock(mutex_);
  state_ = State::kStopped;
  changed_.NotifyAll();
  WakeWaiters();
}

void ServerCore::Wait() {
  StopSignals signals(environment_.options.drain_on_signals);
  {
    MutexLock lock(mutex_);
    if (state_ == State::kIdle) return;
    waiters_.push_back(&signals);
  }
  while (!stopped()) {
    if (!signals.Wait(MonotonicTime::InfiniteFuture())) continue;
    const absl::Duration grace = environment_.options.drain_grace;
    absl::Status drained;
    if (BeginDrain()) {
      TERN_LOG(kInfo) << "draining for at most " << grace;
      drained = FinishDrain(grace, &signals);
    } else if (signals.Wait(MonotonicTime::InfiniteFuture())) {
      // Somebody else drains; this is the second signal.
      LogCancelled(
          AbortCalls(absl::StatusCode::kCancelled, "the server was stopped"));
    }
    if (!drained.ok()) TERN_LOG(kWarning) << drained.message();
  }
  MutexLock lock(mutex_);
  std::erase(waiters_, &signals);
}

// --- The facade --------------------------------------------------------------

Server::Server(ServerOptions options)
    : core_(std::make_unique<ServerCore>(std::move(options))) {}
Server::~Server() = default;
void Server::Register(Service* service) { core_->Register(service); }
absl::Status Server::Start() { return core_->Start(); }
std::vector<std::string> Server::addresses() const {
  return core_->addresses();
}
uint16_t Server::port() const { return core_->port(); }
void Server::Wait() { core_->Wait(); }
absl::Status Server::Drain(absl::Duration grace) { return core_->Drain(grace); }
void Server::Stop() { core_->Stop(); }

}  // namespace tern
