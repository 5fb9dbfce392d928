#ifndef TERN_SERVER_SERVER_CONNECTION_H_
#define TERN_SERVER_SERVER_CONNECTION_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "tern/lib/base/priority_queue.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/net/connection.h"
#include "tern/server/aborted_calls.h"
#include "tern/server/memory_budget.h"
#include "tern/server/server_call.h"
#include "tern/server/server_environment.h"

namespace tern {

// One client's connection: turns what its session tells into calls, and
// completed calls into answers.
//
// The visitor's callbacks run with the driver's role (see net::Connection);
// Complete() may be called from any thread.
class ServerConnection final : public net::Connection {
 public:
  // `environment` outlives it.
  ServerConnection(ServerEnvironment* environment, net::EventLoop* loop,
                   net::FileDescriptor socket, const net::Address& peer,
                   bool over_limit);
  ~ServerConnection() override;

  // Any thread: `call` has its status; it is answered soon.
  void Complete(std::shared_ptr<ServerCall> call);
  // The same, where one may come behind the other: as the sleeps of many calls
  // end. While many are open, their answers leave together.
  void CompleteInSuccession(std::shared_ptr<ServerCall> call,
                            MonotonicTime now);

  // Any thread: the call's pipe has work; it is done soon.
  void TakePipeWork(std::shared_ptr<ServerCall::Streaming> streaming);

  // Any thread, soon: tells the client and the calls; see Session::Drain.
  void DrainSoon();
  // Any thread: whether they have been told, by the above or because the
  // connection has reached its maximum age; and a callback for then.
  bool draining() const { return draining_.load(); }
  Cancellation::Registration OnDrain(absl::AnyInvocable<void()> callback);
  // Any thread, soon: ends every call with `code`, and runs none that waits,
  // then closes.
  void AbortSoon(absl::StatusCode code, std::string_view reason,
                 absl::AnyInvocable<void(AbortedCalls)> on_aborted);

  ServerEnvironment& environment() { return *environment_; }

 private:
  // SessionVisitor.
  wire::PathFacts GetPathFacts() override;
  void OnHello(const wire::Hello& peer) override;
  void OnCall(wire::Stream& stream, const wire::CallHeader& header,
              wire::CallShape* shape) override;
  void OnExcessCall(wire::StatusHeader* status) override;
  bool OnMessageChunk(wire::Stream& stream, size_t bytes) override;
  void OnMessage(wire::Stream& stream, wire::IncomingMessage& message) override;
  void OnHalfClose(wire::Stream& stream) override;
  void OnCancel(wire::Stream& stream, wire::CancelCause cause) override;
  void OnWritable(wire::Stream& stream) override;
  void OnEnd(wire::Stream&, const wire::StatusHeader&,
             wire::EndCause) override {}

  // Connection.
  void TakeSubmissions() override;
  MonotonicTime NextHostTimeout() const override;
  void OnHostTime(MonotonicTime now) override;
  void OnTurnEnd() override;
  void OnIdle() override;
  void OnDisconnected(wire::ErrorCode code, const std::string& reason) override;

  class TellDrain;
  void Drain(std::string_view reason, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  AbortedCalls Abort(absl::StatusCode code, std::string_view reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Its maximum age, and that age's grace.
  void OnAge(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void OnAgeGraceOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);

  // The handler can begin.
  void MakeReady(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Has it run, here or by a worker.
  void Dispatch(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // A message of a client that streams.
  void DeliverRequest(ServerCall& call, wire::IncomingMessage& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void EndStream(ServerCall& call, std::string_view why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Moves what is in the pipe on, in both directions. False when that ended the
  // call: a message is above the client's limit.
  bool MovePipe(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // The handler of a streaming method is not to go on.
  void ClosePipe(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Answers a call that never ran.
  void Refuse(ServerCall& call, absl::StatusCode code, std::string_view message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // The same for one that there is no room for, and for one that may have run.
  void RefuseForLoad(ServerCall& call, std::string_view message,
                     Certainty certainty = Certainty::kNotStarted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // What all such answers say.
  void AddLoad(wire::StatusHeader* status) const;
  void Answer(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // The same for one that failed, or that has more than a message and an OK.
  void AnswerInFull(ServerCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // How replies are compressed, if at all.
  ABSL_ATTRIBUTE_COLD void ChooseCompression(ServerCall& call, uint32_t asked)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // With the reply, if there is one; and its attachment.
  void FinishWithReply(ServerCall& call, const wire::StatusHeader& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  ABSL_ATTRIBUTE_COLD void FinishPacked(ServerCall& call,
                                        const wire::StatusHeader& status,
                                        const PackedMessage& packed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // A long one: it is sent from where it lies.
  ABSL_ATTRIBUTE_COLD void FinishInPieces(ServerCall& call,
                                          const wire::StatusHeader& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Once, before the first message. Not OK: nothing was sent of it.
  absl::Status SendResponseHeader(ServerCall& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // Gives the stream's answer; the call is done for this connection.
  void Finish(ServerCall& call, const wire::StatusHeader& status,
              const wire::OutgoingMessage* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);

  ServerEnvironment* const environment_;
  const bool over_limit_;

  std::atomic<bool> draining_{false};
  bool aged_ ABSL_GUARDED_BY(role_) = false;
  // When its age, and once it is aged_ the grace, is over.
  MonotonicTime age_over_at_ ABSL_GUARDED_BY(role_);
  // Who wants to be told of a drain; made when somebody does. Owned.
  std::atomic<Cancellation*> drain_notice_{nullptr};

  SubmissionQueue<ServerCall> completed_;
  SubmissionQueue<ServerCall::Streaming> pipes_;  // That have work.
  MethodRegistry::Entry* last_method_ ABSL_GUARDED_BY(role_) = nullptr;
  MemoryAccount memory_ ABSL_GUARDED_BY(role_);
  // Ready, but not to be run before the client has taken more of the answers;
  // then all of them, in this order.
  // Never empty: most connections have no such call, and no list.
  using HeldBack = PriorityQueue<ServerCall>;
  std::unique_ptr<HeldBack> held_back_ ABSL_GUARDED_BY(role_);
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_CONNECTION_H_
