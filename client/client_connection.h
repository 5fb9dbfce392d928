#ifndef TERN_CLIENT_CLIENT_CONNECTION_H_
#define TERN_CLIENT_CLIENT_CONNECTION_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/attributes.h"
#include "tern/client/client_call.h"
#include "tern/lib/base/priority_queue.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/net/connection.h"

namespace tern {

class ChannelCore;

// A channel's connection: turns submitted calls into streams, and what becomes
// of those into the calls' ends. See net::Connection for who runs what.
class ClientConnection final : public net::Connection {
 public:
  ClientConnection(std::weak_ptr<ChannelCore> core, net::EventLoop* loop,
                   net::FileDescriptor socket, const net::Address& peer,
                   std::shared_ptr<const net::ConnectionOptions> options,
                   size_t max_pending_calls);

  // Any thread: starts the call, soon. One that can't be started here any more
  // goes back to the channel. False, and nothing happens, when calls are
  // submitted faster than they are looked at, and too many wait for that.
  // `waits`: this thread is going to wait for the call, and may do so here.
  bool Submit(const std::shared_ptr<ClientCall>& call, bool waits);
  // The same, left to the next turn, which the caller sees to.
  void Enqueue(std::shared_ptr<ClientCall> call);
  // Any thread: has a thread in Submit() look whether its call has ended.
  using Connection::WakeReader;
  // DriveAndReadStream, for the call's messages. The caller holds a share.
  bool FetchRead(const ClientCall& call, absl::FunctionRef<bool()> over,
                 MonotonicTime until);
  using Connection::ReadByLoop;
  // Any thread: ends the call, soon, when its cancellation was requested or its
  // deadline has passed.
  void Reconsider(std::shared_ptr<ClientCall> call);

  // Any thread: the call's pipe has work; it is done soon, if the call is here,
  // or `at_once`.
  void TakePipeWork(std::shared_ptr<ClientCall::Streaming> streaming,
                    bool at_once);

  // Any thread, soon: ends all calls with CANCELLED, and the connection.
  void ShutDownSoon(std::string_view reason);

 private:
  // SessionVisitor.
  void OnHello(const wire::Hello& peer) override;
  void OnWritable(wire::Stream& stream) override;
  void OnResponseHeader(wire::Stream& stream,
                        const wire::ResponseHeader& header) override;
  void OnMessage(wire::Stream& stream, wire::IncomingMessage& message) override;
  void OnEnd(wire::Stream& stream, const wire::StatusHeader& status,
             wire::EndCause cause) override;
  void OnGoAway(wire::ErrorCode code, std::string_view reason) override;
  void OnClosed(wire::ErrorCode code, std::string_view reason) override;

  // Connection.
  void TakeSubmissions() override;
  MonotonicTime NextHostTimeout() const override;
  void OnHostTime(MonotonicTime now) override;
  void OnDisconnected(wire::ErrorCode code, const std::string& reason) override;

  // A call to look at again. (A ClientCall itself is in one queue at a time.)
  struct Look {
    std::shared_ptr<ClientCall> call;
    SubmissionLink<Look> submission;
  };

  void TakeCall(std::shared_ptr<ClientCall> call, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void LookAt(const std::shared_ptr<ClientCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void GiveBack(const std::shared_ptr<ClientCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Takes the call, unless it is false: then it must wait for the server's
  // HELLO, which may allow more than the protocol's defaults do.
  bool StartStream(std::shared_ptr<ClientCall>& call, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // For a server that lacks the call's codec. False: it has been ended.
  ABSL_ATTRIBUTE_COLD bool DoWithoutCompression(
      const std::shared_ptr<ClientCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Moves what is in the pipe on, in both directions.
  void MovePipe(ClientCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void Deliver(std::shared_ptr<ClientCall> call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void StartPending() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void EndUnstarted(const std::shared_ptr<ClientCall>& call,
                    absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Why a call ends here by its deadline, in words: `missing`, unless nothing
  // has come yet, as from one that does not speak Tern. And one in `pending_`.
  std::string Late(std::string_view missing)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  std::string LatePending() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Tells the channel to use another connection.
  void GiveUp(wire::ErrorCode code, std::string_view why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);

  const std::weak_ptr<ChannelCore> core_;
  const size_t max_pending_calls_;
  SubmissionQueue<ClientCall> submissions_;
  std::atomic<size_t> submitted_{0};  // In there.
  SubmissionQueue<Look> looks_;
  SubmissionQueue<ClientCall::Streaming> pipes_;  // That have work.

  bool answered_ ABSL_GUARDED_BY(role_) = false;
  // Calls above the server's limit of concurrent ones, until one ends; before
  // HELLO all of them, until they are in order; and those that wait for it.
  using PendingCalls = PriorityQueue<ClientCall>;
  PendingCalls pending_ ABSL_GUARDED_BY(role_);
  MonotonicTime earliest_pending_deadline_ ABSL_GUARDED_BY(role_) =
      MonotonicTime::InfiniteFuture();
};

}  // namespace tern

#endif  // TERN_CLIENT_CLIENT_CONNECTION_H_
