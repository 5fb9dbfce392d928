#include "tests/testing/end_to_end.h"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/cancellation.h"

namespace tern::testing {

absl::Status TestService::Call(ServerContext& context, const Message& request,
                               Message* reply) {
  ++started_;
  if (call_) return call_(context, request, reply);
  *reply = request;
  return absl::OkStatus();
}

absl::Status TestService::Other(ServerContext& context, const Message& request,
                                Message* reply) {
  ++started_;
  if (other_) return other_(context, request, reply);
  *reply = request;
  return absl::OkStatus();
}

absl::Status TestService::Watch(ServerContext& context, const Message& request,
                                ServerWriter<Message>& writer) {
  ++started_;
  return watch_ ? watch_(context, request, writer) : absl::OkStatus();
}

absl::Status TestService::Upload(ServerContext& context,
                                 ServerReader<Message>& reader,
                                 Message* reply) {
  ++started_;
  return upload_ ? upload_(context, reader, reply) : absl::OkStatus();
}

absl::Status TestService::Chat(ServerContext& context,
                               ServerStream<Message, Message>& stream) {
  ++started_;
  return chat_ ? chat_(context, stream) : absl::OkStatus();
}

TestService::Handler Holdup::Handler() {
  return [this](ServerContext&, const Message& request, Message* reply) {
    WaitUntilLetGo([] { return false; });
    *reply = request;
    return absl::OkStatus();
  };
}

TestService::Handler Holdup::HandlerThatHeedsCancellation() {
  return
      [this](ServerContext& context, const Message& request, Message* reply) {
        const Cancellation::Registration registration =
            context.cancellation().OnCancel([this] {
              MutexLock lock(mutex_);
              changed_.NotifyAll();
            });
        if (WaitUntilLetGo([&context] { return context.cancelled(); })) {
          return absl::CancelledError("the handler has seen it");
        }
        *reply = request;
        return absl::OkStatus();
      };
}

// True when it was `over`.
bool Holdup::WaitUntilLetGo(const std::function<bool()>& over) {
  // By a clock that no FakeClock sets ahead.
  using Clock = std::chrono::steady_clock;
  const Clock::time_point until =
      Clock::now() + absl::ToChronoSeconds(kPatience);
  MutexLock lock(mutex_);
  ++entered_;
  changed_.NotifyAll();
  while (!let_go_) {
    if (over()) return true;
    if (Clock::now() >= until) {
      ADD_FAILURE() << "a handler was not let go";
      return false;
    }
    changed_.WaitUntil(mutex_, MonotonicTime::Now() + kPatience);
  }
  return false;
}

bool Holdup::WaitForEntered(int count) {
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  MutexLock lock(mutex_);
  while (entered_ < count && MonotonicTime::Now() < until) {
    changed_.WaitUntil(mutex_, until);
  }
  return entered_ >= count;
}

void Holdup::LetGo() {
  MutexLock lock(mutex_);
  let_go_ = true;
  changed_.NotifyAll();
}

absl::StatusOr<Message> PendingCall::Wait() {
  if (!done_.Wait()) {
    ADD_FAILURE() << "the callback was not called";
    return absl::InternalError("the test has lost its patience");
  }
  MutexLock lock(mutex_);
  return std::move(result_);
}

std::shared_ptr<PendingCall> StartCall(Channel& channel, std::string_view text,
                                       const CallOptions& options) {
  auto call = std::make_shared<PendingCall>();
  Tester::Stub stub(channel);
  call->handle_ = stub.Call(MessageWith(text), options,
                            [call](absl::StatusOr<Message> result) {
                              {
                                MutexLock lock(call->mutex_);
                                call->result_ = std::move(result);
                              }
                              call->done_.Notify();
                            });
  return call;
}

absl::StatusOr<Message> Call(Channel& channel, std::string_view text,
                             const CallOptions& options) {
  return Tester::Stub(channel).Call(MessageWith(text), options);
}

absl::Status CallStatus(Channel& channel, std::string_view text,
                        const CallOptions& options) {
  return Call(channel, text, options).status();
}

Message MessageWith(std::string_view text) {
  Message message;
  message.set_text(std::string(text));
  return message;
}

::testing::AssertionResult Failed(const absl::Status& status,
                                  absl::StatusCode code, Certainty certainty) {
  const std::optional<CallError> error = CallError::From(status);
  if (status.code() == code && error.has_value() &&
      error->certainty == certainty) {
    return ::testing::AssertionSuccess() << status;
  }
  return ::testing::AssertionFailure()
         << status << "; expected " << absl::StatusCodeToString(code) << ", "
         << ToString(certainty);
}

::testing::AssertionResult Failed(const absl::Status& status,
                                  absl::StatusCode code, Certainty certainty,
                                  CallPhase phase) {
  ::testing::AssertionResult result = Failed(status, code, certainty);
  if (!result) return result;
  if (CallError::From(status)->phase == phase) return result;
  return ::testing::AssertionFailure()
         << status << "; expected in " << ToString(phase);
}

EndToEnd::~EndToEnd() {
  holdup_.LetGo();  // A server that stops waits for its handlers.
}

HandlerThreads HandlerThreadsOfThisRun() {
  const char* const name = getenv("TERN_TEST_HANDLER_THREADS");
  if (name == nullptr) return HandlerThreads::kAdaptive;
  if (std::string_view(name) == "workers") return HandlerThreads::kWorkers;
  if (std::string_view(name) == "loops") return HandlerThreads::kLoops;
  ADD_FAILURE() << "TERN_TEST_HANDLER_THREADS=" << name;
  return HandlerThreads::kAdaptive;
}

void EndToEnd::StartServer(ServerOptions options) {
  StartServerOf(&service_, std::move(options));
}

void EndToEnd::StartServerOf(Service* service, ServerOptions options) {
  if (options.listen.empty()) options.listen = {"127.0.0.1:0"};
  if (options.handler_threads == HandlerThreads::kAdaptive) {
    options.handler_threads = HandlerThreadsOfThisRun();
  }
  server_ = std::make_unique<Server>(std::move(options));
  server_->Register(service);
  for (Service* more : more_services_) server_->Register(more);
  const absl::Status status = server_->Start();
  ASSERT_TRUE(status.ok()) << status;
}

void EndToEnd::WaitForArrival(Channel& channel) {
  EXPECT_EQ(Absent::Stub(channel).Call(Message()).status().code(),
            absl::StatusCode::kUnimplemented);
}

std::string EndToEnd::target() const { return server_->addresses().at(0); }

std::string OwnLoopbackAddress() {
  const auto pid = static_cast<uint32_t>(getpid());
  return "127." + std::to_string(1 + (pid >> 16) % 250) + "." +
         std::to_string((pid >> 8) % 256) + "." + std::to_string(pid % 256);
}

void InThreads(int threads, const std::function<void(int)>& body) {
  std::vector<std::thread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) running.emplace_back(body, i);
  for (std::thread& thread : running) thread.join();
}

}  // namespace tern::testing
