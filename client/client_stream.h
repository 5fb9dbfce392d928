#ifndef TERN_CLIENT_CLIENT_STREAM_H_
#define TERN_CLIENT_CLIENT_STREAM_H_

#include <coroutine>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"
#include "tern/client/call_options.h"
#include "tern/client/channel.h"
#include "tern/client/stream_call.h"
#include "tern/lib/call/method_info.h"
#include "tern/lib/call/stream_ends.h"

// What generated stubs return for streaming methods. See StreamReader and
// StreamWriter for reading and writing, in three forms each.
//
// All are move-only. A call that is dropped before Finish() is cancelled.
// Cancel() may be called from any thread; the rest as StreamReader says.
namespace tern {
namespace client_internal {

template <typename Reply>
absl::StatusOr<Reply> ReplyOr(absl::Status status,
                              google::protobuf::MessageLite* reply) {
  if (!status.ok()) return status;
  return std::move(*static_cast<Reply*>(reply));
}

inline StreamCall::OnEnd IgnoringReply(
    absl::AnyInvocable<void(absl::Status) &&> done) {
  return [done = std::move(done)](
             absl::Status status,
             google::protobuf::MessageLite* /*reply*/) mutable {
    std::move(done)(std::move(status));
  };
}

// co_await call.CoFinish(): its status. Resumes on the channel's I/O thread.
class StatusAwaiter {
 public:
  explicit StatusAwaiter(StreamCall& call) : call_(call) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    call_.Finish([this, handle](absl::Status status,
                                google::protobuf::MessageLite* /*reply*/) {
      status_ = std::move(status);
      handle.resume();
    });
  }
  absl::Status await_resume() { return std::move(status_); }

 private:
  StreamCall& call_;
  absl::Status status_;
};

// The same for a call with one reply.
template <typename Reply>
class ReplyAwaiter {
 public:
  explicit ReplyAwaiter(StreamCall& call) : call_(call), status_(call) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    status_.await_suspend(handle);
  }
  absl::StatusOr<Reply> await_resume() {
    return ReplyOr<Reply>(status_.await_resume(), call_.reply());
  }

 private:
  StreamCall& call_;
  StatusAwaiter status_;
};

}  // namespace client_internal

// The replies of a server that streams.
template <typename Reply>
class ClientReader final : public StreamReader<Reply> {
 public:
  explicit ClientReader(client_internal::StreamCall call)
      : StreamReader<Reply>(call.messages()), call_(std::move(call)) {}

  // How the call ended; waits for it, and drops what has not been read. Once.
  absl::Status Finish() { return call_.Finish(); }
  // Calls `done` with that, on the channel's I/O thread, which it must not
  // block.
  void Finish(absl::AnyInvocable<void(absl::Status) &&> done) {
    call_.Finish(client_internal::IgnoringReply(std::move(done)));
  }
  [[nodiscard]] client_internal::StatusAwaiter CoFinish() {
    return client_internal::StatusAwaiter(call_);
  }
  void Cancel() { call_.Cancel(); }

 private:
  client_internal::StreamCall call_;
};

// The requests of a client that streams; the server answers with one reply.
template <typename Request, typename Reply>
class ClientWriter final : public StreamWriter<Request> {
 public:
  explicit ClientWriter(client_internal::StreamCall call)
      : StreamWriter<Request>(call.messages()), call_(std::move(call)) {}

  // Says that there are no more requests, and waits for the reply. Once.
  absl::StatusOr<Reply> Finish() {
    return client_internal::ReplyOr<Reply>(call_.Finish(), call_.reply());
  }
  // Calls `done` with that, on the channel's I/O thread, which it must not
  // block.
  void Finish(absl::AnyInvocable<void(absl::StatusOr<Reply>) &&> done) {
    call_.Finish(
        [done = std::move(done)](absl::Status status,
                                 google::protobuf::MessageLite* reply) mutable {
          std::move(done)(
              client_internal::ReplyOr<Reply>(std::move(status), reply));
        });
  }
  [[nodiscard]] client_internal::ReplyAwaiter<Reply> CoFinish() {
    return client_internal::ReplyAwaiter<Reply>(call_);
  }
  void Cancel() { call_.Cancel(); }

 private:
  client_internal::StreamCall call_;
};

// Both, where either side may speak at any time.
template <typename Request, typename Reply>
class ClientStream final : public StreamReader<Reply>,
                           public StreamWriter<Request> {
 public:
  explicit ClientStream(client_internal::StreamCall call)
      : StreamReader<Reply>(call.messages()),
        StreamWriter<Request>(call.messages()),
        call_(std::move(call)) {}

  // No more requests: the server's reads end. Replies may still come.
  void EndWrites() { call_.messages()->EndWrites(); }

  // Ends the requests; how the call ended; drops what has not been read. Once.
  absl::Status Finish() { return call_.Finish(); }
  void Finish(absl::AnyInvocable<void(absl::Status) &&> done) {
    call_.Finish(client_internal::IgnoringReply(std::move(done)));
  }
  [[nodiscard]] client_internal::StatusAwaiter CoFinish() {
    return client_internal::StatusAwaiter(call_);
  }
  void Cancel() { call_.Cancel(); }

 private:
  client_internal::StreamCall call_;
};

// For generated code.
template <typename Reply>
ClientReader<Reply> StartServerStream(
    Channel& channel, const MethodInfo& method,
    const google::protobuf::MessageLite& request, const CallOptions& options) {
  return ClientReader<Reply>(
      client_internal::StreamCall(channel, method, &request, nullptr, options));
}
template <typename Request, typename Reply>
ClientWriter<Request, Reply> StartClientStream(Channel& channel,
                                               const MethodInfo& method,
                                               const CallOptions& options) {
  return ClientWriter<Request, Reply>(client_internal::StreamCall(
      channel, method, nullptr, std::make_unique<Reply>(), options));
}
template <typename Request, typename Reply>
ClientStream<Request, Reply> StartStream(Channel& channel,
                                         const MethodInfo& method,
                                         const CallOptions& options) {
  return ClientStream<Request, Reply>(
      client_internal::StreamCall(channel, method, nullptr, nullptr, options));
}

}  // namespace tern

#endif  // TERN_CLIENT_CLIENT_STREAM_H_
