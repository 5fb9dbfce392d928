#ifndef TERN_CLIENT_CO_CALL_H_
#define TERN_CLIENT_CO_CALL_H_

#include <coroutine>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tern/client/call_handle.h"
#include "tern/client/call_options.h"
#include "tern/client/stub.h"
#include "tern/lib/call/task.h"

namespace tern {

// A call that a task awaits, made by the generated stub.Co():
//
//   absl::StatusOr<GetReply> reply = co_await stub.Co().Get(request);
//
// It begins when it is awaited, on that thread, and the task goes on on the
// channel's I/O thread, where it must not block, or where it is, when the reply
// is there before it could wait. It is the stub's call with a
// callback: what that says of deadline, cancellation and inheritance holds
// here, and whoever mocks or wraps that has this, too. It is cancelled with the
// call that the task belongs to; for less than that there is WhenAny().
//
// The request and the options are not copied: they must live until the call is
// awaited. A Task that is made of it has its own, so that many can be started
// at a time:
//
//   std::vector<tern::Task<absl::StatusOr<GetReply>>> calls;
//   for (...) calls.push_back(stub.Co().Get(request));
//   auto replies = co_await tern::WhenAll(std::move(calls));
//
// `Stub` is the generated StubInterface.
template <typename Stub, typename Request, typename Reply>
class [[nodiscard]] CoCall {
 public:
  using Method = CallHandle (Stub::*)(const Request&, const CallOptions&,
                                      ReplyCallback<Reply>);

  CoCall(Stub& stub, Method method, const Request& request,
         const CallOptions& options)
      : stub_(stub), method_(method), request_(request), options_(options) {}
  CoCall(const CoCall&) = delete;
  CoCall& operator=(const CoCall&) = delete;

  class Awaiter;
  Awaiter operator co_await() && { return Awaiter(*this); }

  // Copies the request. The stub lives until the task has ended.
  Task<absl::StatusOr<Reply>> AsTask() && {
    return Run(stub_, method_, request_, options_);
  }
  operator Task<absl::StatusOr<Reply>>() && {  // NOLINT: meant to be implicit.
    return std::move(*this).AsTask();
  }

 private:
  static Task<absl::StatusOr<Reply>> Run(Stub& stub, Method method,
                                         Request request, CallOptions options) {
    co_return co_await CoCall(stub, method, request, options);
  }

  Stub& stub_;
  const Method method_;
  const Request& request_;
  const CallOptions& options_;
};

// Of calls that are awaited: no temporary, which would take place in the
// coroutine as long as the call takes.
const CallOptions& DefaultCallOptions();

template <typename Stub, typename Request, typename Reply>
class CoCall<Stub, Request, Reply>::Awaiter {
 public:
  explicit Awaiter(const CoCall& call) : call_(call) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    (call_.stub_.*call_.method_)(call_.request_, call_.options_, Done(this));
    return !both_.Arrive();
  }
  absl::StatusOr<Reply> await_resume() { return std::move(result_); }

 private:
  // The callback. One that is dropped uncalled, as by a mock that nobody has
  // told what to do, is an answer as well: else the task would wait for ever.
  class Done {
   public:
    explicit Done(Awaiter* awaiter) : awaiter_(awaiter) {}
    Done(Done&& other) noexcept
        : awaiter_(std::exchange(other.awaiter_, nullptr)) {}
    ~Done() {
      if (awaiter_ != nullptr) {
        (*this)(absl::InternalError("the call's callback was dropped"));
      }
    }
    void operator()(absl::StatusOr<Reply> result) {
      Awaiter* const awaiter = std::exchange(awaiter_, nullptr);
      awaiter->result_ = std::move(result);
      if (awaiter->both_.Arrive()) awaiter->waiter_.resume();
    }

   private:
    Awaiter* awaiter_;
  };

  const CoCall& call_;
  std::coroutine_handle<> waiter_;
  absl::StatusOr<Reply> result_;
  task_internal::Rendezvous both_;
};

}  // namespace tern

#endif  // TERN_CLIENT_CO_CALL_H_
