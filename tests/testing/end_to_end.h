#ifndef TERN_TESTS_TESTING_END_TO_END_H_
#define TERN_TESTS_TESTING_END_TO_END_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/client/stub.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_error.h"
#include "tern/server/server.h"
#include "tests/testing/event.h"
#include "tests/testing/tester.tern.client.h"
#include "tests/testing/tester.tern.server.h"

namespace tern::testing {

// The handlers of a test. Both unary methods answer with their request, and the
// streaming ones do nothing, unless the test gives them something else to do,
// before they are called.
class TestService final : public Tester::Service {
 public:
  using Handler = std::function<absl::Status(
      ServerContext& context, const Message& request, Message* reply)>;
  void OnCall(Handler handler) { call_ = std::move(handler); }
  void OnOther(Handler handler) { other_ = std::move(handler); }

  using Watcher =
      std::function<absl::Status(ServerContext& context, const Message& request,
                                 ServerWriter<Message>& writer)>;
  using Uploader = std::function<absl::Status(
      ServerContext& context, ServerReader<Message>& reader, Message* reply)>;
  using Chatter = std::function<absl::Status(
      ServerContext& context, ServerStream<Message, Message>& stream)>;
  void OnWatch(Watcher watch) { watch_ = std::move(watch); }
  void OnUpload(Uploader upload) { upload_ = std::move(upload); }
  void OnChat(Chatter chat) { chat_ = std::move(chat); }

  // How many handlers have begun.
  int started() const { return started_.load(); }

 private:
  absl::Status Call(ServerContext& context, const Message& request,
                    Message* reply) override;
  absl::Status Other(ServerContext& context, const Message& request,
                     Message* reply) override;
  absl::Status Watch(ServerContext& context, const Message& request,
                     ServerWriter<Message>& writer) override;
  absl::Status Upload(ServerContext& context, ServerReader<Message>& reader,
                      Message* reply) override;
  absl::Status Chat(ServerContext& context,
                    ServerStream<Message, Message>& stream) override;

  Handler call_;
  Handler other_;
  Watcher watch_;
  Uploader upload_;
  Chatter chat_;
  std::atomic<int> started_{0};
};

// Handlers that stay in their call until they are let go.
class Holdup {
 public:
  // For TestService::OnCall. Answers with the request once let go.
  TestService::Handler Handler();
  // The same, but ends early, CANCELLED, when the call is.
  TestService::Handler HandlerThatHeedsCancellation();

  // Waits until `count` handlers have been in here, in all.
  [[nodiscard]] bool WaitForEntered(int count = 1);
  // What the handlers above do, for one of the test's own.
  void WaitUntilLetGo() {
    WaitUntilLetGo([] { return false; });
  }
  void LetGo();

 private:
  bool WaitUntilLetGo(const std::function<bool()>& over);

  Mutex mutex_;
  CondVar changed_;
  int entered_ ABSL_GUARDED_BY(mutex_) = 0;
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;
};

// A call with a callback.
class PendingCall {
 public:
  // Waits for the callback, and hands over what it was given: once. (A copy of
  // a status shares its text by a count in the packaged Abseil that TSan does
  // not see.) An INTERNAL error of our own, and a failure of the test, when it
  // does not come.
  absl::StatusOr<Message> Wait();
  absl::Status WaitForStatus() { return Wait().status(); }
  // How often the callback has been called.
  int callbacks() const { return done_.count(); }
  void Cancel() { handle_.Cancel(); }

 private:
  friend std::shared_ptr<PendingCall> StartCall(Channel&, std::string_view,
                                                const CallOptions&);
  CallHandle handle_;
  Event done_;
  Mutex mutex_;
  absl::StatusOr<Message> result_ ABSL_GUARDED_BY(mutex_);
};
std::shared_ptr<PendingCall> StartCall(Channel& channel, std::string_view text,
                                       const CallOptions& options = {});

// The same, blocking.
absl::StatusOr<Message> Call(Channel& channel, std::string_view text,
                             const CallOptions& options = {});
absl::Status CallStatus(Channel& channel, std::string_view text,
                        const CallOptions& options = {});

Message MessageWith(std::string_view text);

// A status that is an error of a call, with all that it says.
::testing::AssertionResult Failed(const absl::Status& status,
                                  absl::StatusCode code, Certainty certainty);
::testing::AssertionResult Failed(const absl::Status& status,
                                  absl::StatusCode code, Certainty certainty,
                                  CallPhase phase);

// Where the handlers of tests run that do not say so themselves: the fast path
// and the slow one have the same tests. $TERN_TEST_HANDLER_THREADS: "workers"
// or "loops"; not set: adaptive, as servers are by default.
HandlerThreads HandlerThreadsOfThisRun();

// A server of `service_` on a free port of 127.0.0.1, and channels to it.
class EndToEnd : public ::testing::Test {
 protected:
  ~EndToEnd() override;

  // `listen` is filled in when it is empty, and handler_threads by
  // HandlerThreadsOfThisRun() when it is adaptive.
  void StartServer(ServerOptions options = {});
  // The same, of another service than `service_`; it outlives the server.
  void StartServerOf(Service* service, ServerOptions options = {});
  // Stops the server, if there is one, and waits for its handlers.
  void StopServer() { server_.reset(); }

  std::string target() const;  // "127.0.0.1:40123"
  std::unique_ptr<Channel> Connect(const ChannelOptions& options = {}) const {
    return Channel::Create(target(), options);
  }

  // Returns when the channel's connection has been greeted by the server, and
  // all that was sent on it before has arrived: calls of an unknown service are
  // answered without a worker.
  static void WaitForArrival(Channel& channel);

  // Handlers use them: they outlive the server.
  Holdup holdup_;
  TestService service_;
  std::vector<Service*> more_services_;  // For StartServer.
  std::unique_ptr<Server> server_;
};

// An IPv4 loopback address that only this process uses: a port that was bound
// there stays free when it is given up. (On 127.0.0.1 the next outgoing
// connection of anybody may get it.)
std::string OwnLoopbackAddress();

// Runs `body` in as many threads, with a number from 0 on, and waits for them.
void InThreads(int threads, const std::function<void(int)>& body);

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_END_TO_END_H_
