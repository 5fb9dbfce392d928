#ifndef TERN_CLIENT_CHANNEL_CORE_H_
#define TERN_CLIENT_CHANNEL_CORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "tern/client/backoff.h"
#include "tern/client/channel.h"
#include "tern/client/client_call.h"
#include "tern/client/client_connection.h"
#include "tern/client/waiting_calls.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/net/address.h"
#include "tern/lib/net/connector.h"
#include "tern/lib/net/event_loop.h"

namespace tern {

// The inside of a Channel: where calls wait, and the one connection.
//
//   idle ---a call---> connecting ---connected---> ready
//    ^                  |     ^                      |
//    |               failed   | timer and            | lost, GOAWAY
//    |                  v     | calls waiting        |
//    +----timer----- backoff -+                      |
//    +-----------------------------------------------+
//
// Held by shared_ptr: by the Channel, and by calls in flight.
class ChannelCore : public std::enable_shared_from_this<ChannelCore> {
 public:
  static std::shared_ptr<ChannelCore> Create(std::string_view target,
                                             const ChannelOptions& options);

  const std::string& target() const { return target_; }
  const ChannelOptions& options() const { return options_; }
  // nullptr when the process has no I/O threads: see error().
  net::EventLoop* loop() const { return loop_; }
  // Why no call can be made, ever: a target that makes no sense.
  const absl::Status& error() const { return error_; }
  // In the child of a fork() the I/O threads are missing.
  bool forked() const;

  // Any thread. Takes a new call, or one that a connection has given back.
  // `waits`: the thread is going to wait for it, and may begin to in here.
  void Start(const std::shared_ptr<ClientCall>& call, bool waits = false);
  // Any thread: the call's cancellation was requested, or its deadline has
  // passed.
  void Reconsider(std::shared_ptr<ClientCall> call);
  // Any thread: the call's pipe has work for its connection, if it has one:
  // else that looks itself when it starts the call. `at_once`: not by the loop.
  void TakePipeWork(std::shared_ptr<ClientCall::Streaming> streaming,
                    bool at_once);
  // Any thread: where it has been handed; null when nowhere, or in the child of
  // a fork().
  std::shared_ptr<ClientConnection> ConnectionOf(const ClientCall& call);
  // Any thread, once: ends all calls.
  void ShutDown();

  // From the connection, any thread: no new calls there. `was_well`: the
  // server may be tried again at once.
  void OnUnusable(ClientConnection* connection, const absl::Status& why,
                  bool was_well);
  // From the connection: the server has answered a call.
  void OnAnswered();
  // From the connection: its server does not inflate that.
  void OnLacking(const ClientConnection* connection, Compression compression);

  // Any thread: whether it is known that the server does not inflate that.
  bool ServerLacks(Compression compression) const {
    return (server_lacks_.load(std::memory_order_relaxed) >>
                static_cast<int>(compression) &
            1) != 0;
  }

 private:
  enum class State { kIdle, kConnecting, kReady, kBackoff, kShutDown };
  using Calls = WaitingCalls::Calls;

  ChannelCore(std::string target, const ChannelOptions& options);

  // Loop thread.
  void Connect();
  void OnResolved(absl::StatusOr<std::vector<net::Address>> addresses);
  void OnConnected(absl::StatusOr<net::Connector::Connected> connected);
  void OnBackoffOver();
  void OnWaitingTimer();
  void UpdateWaitingTimer();
  void TearDown();

  // The call is to wait. False: there are too many now.
  bool AddWaiting(std::shared_ptr<ClientCall> call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnFailed(CallPhase phase, const absl::Status& why);
  // Sets the state and takes out the calls that do not wait for a connection.
  Calls EnterBackoff(CallPhase phase, const absl::Status& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How calls end whose deadline passes while they wait; `*phase` is set when
  // it is known better.
  absl::Status NoConnectionInTime(CallPhase* phase) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndCalls(const Calls& calls, const absl::Status& status,
                CallPhase phase);
  template <typename Method>
  void PostToLoop(Method method);

  const std::string target_;
  const ChannelOptions options_;
  const uint32_t fork_generation_;
  absl::Status error_;      // Constant once created.
  net::Endpoint endpoint_;  // Likewise.
  net::EventLoop* loop_ = nullptr;

  // Loop thread.
  std::unique_ptr<net::Connector> connector_;
  std::optional<net::EventLoop::Timer> backoff_timer_;
  std::optional<net::EventLoop::Timer> waiting_timer_;

  // A bit for each Compression. Written under mutex_: of the connection there.
  std::atomic<uint32_t> server_lacks_{0};

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  std::shared_ptr<ClientConnection> connection_ ABSL_GUARDED_BY(mutex_);
  WaitingCalls waiting_ ABSL_GUARDED_BY(mutex_);
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  // Connections in a row that ended without having answered a call.
  int unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the last attempt; OK once one has succeeded.
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  CallPhase failure_phase_ ABSL_GUARDED_BY(mutex_) = CallPhase::kConnect;
};

}  // namespace tern

#endif  // TERN_CLIENT_CHANNEL_CORE_H_
