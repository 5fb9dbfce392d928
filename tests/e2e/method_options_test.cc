// What `option (tern.method)` of a .proto does at the two ends.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tern/lib/base/thread_pool.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/frame.h"
#include "tests/e2e/method_options.tern.client.h"
#include "tests/e2e/method_options.tern.server.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Each method is what the test makes of `handler`.
class OptionedService final : public Optioned::Service {
 public:
  TestService::Handler handler = [](ServerContext&, const Message&, Message*) {
    return absl::OkStatus();
  };

#define TERN_TEST_METHOD(Name)                                      \
  absl::Status Name(ServerContext& context, const Message& request, \
                    Message* reply) override {                      \
    return handler(context, request, reply);                        \
  }
  TERN_TEST_METHOD(Plain)
  TERN_TEST_METHOD(Slow)
  TERN_TEST_METHOD(Short)
  TERN_TEST_METHOD(Two)
  TERN_TEST_METHOD(OnWorker)
  TERN_TEST_METHOD(OnLoop)
  TERN_TEST_METHOD(Urgent)
#undef TERN_TEST_METHOD
  // Tells how much of its time is left.
  absl::Status OneUpload(ServerContext& context, ServerReader<Message>& reader,
                         Message* reply) override {
    reply->set_text(absl::FormatDuration(context.deadline().Remaining()));
    Message message;
    while (reader.Read(&message)) {
    }
    return absl::OkStatus();
  }
};

class MethodOptionsTest : public EndToEnd {
 protected:
  void SetUp() override {
    more_services_ = {&optioned_};
    StartServer({.worker_threads = 1});
    channel_ = Connect({.default_timeout = absl::Minutes(7)});
    stub_ = std::make_unique<Optioned::Stub>(*channel_);
  }
  // Handlers use what tests have on their stacks.
  void TearDown() override {
    holdup_.LetGo();
    StopServer();
  }

  // What is left of the time of one call when its handler runs.
  absl::Duration TimeLeft(const std::function<absl::Status()>& call) {
    std::atomic<int64_t> left_ms{-1};
    optioned_.handler = [&](ServerContext& context, const Message&, Message*) {
      left_ms = absl::ToInt64Milliseconds(context.deadline().Remaining());
      return absl::OkStatus();
    };
    const absl::Status status = call();
    EXPECT_TRUE(status.ok()) << status;
    return absl::Milliseconds(left_ms.load());
  }
  absl::Duration TimeLeftOfSlow(const CallOptions& options = {}) {
    return TimeLeft([&] { return stub_->Slow(Message(), options).status(); });
  }

  // A call of Two, and how it ended.
  struct Pending {
    Event done;
    absl::Status status;
    CallHandle handle;
  };
  std::shared_ptr<Pending> StartTwo() {
    auto pending = std::make_shared<Pending>();
    pending->handle =
        stub_->Two(Message(), {}, [pending](absl::StatusOr<Message> reply) {
          pending->status = std::move(reply).status();
          pending->done.Notify();
        });
    return pending;
  }

  OptionedService optioned_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<Optioned::Stub> stub_;
};

// ---- timeout_ms

TEST_F(MethodOptionsTest, TimeoutHoldsWhereTheCallerGivesNone) {
  const absl::Duration left = TimeLeftOfSlow();
  EXPECT_LE(left, absl::Minutes(10));
  EXPECT_GT(left, absl::Minutes(9));
}

TEST_F(MethodOptionsTest, TimeoutOfTheCallerTakesItsPlace) {
  EXPECT_LE(TimeLeftOfSlow({.timeout = absl::Minutes(2)}), absl::Minutes(2));
  EXPECT_GT(TimeLeftOfSlow({.timeout = absl::Minutes(20)}), absl::Minutes(19));
  EXPECT_GT(TimeLeftOfSlow({.deadline = Deadline::After(absl::Minutes(20))}),
            absl::Minutes(19));
}

TEST_F(MethodOptionsTest, DeadlineOfTheCallAroundItTakesItsPlace) {
  AmbientCall around;
  around.deadline = Deadline::After(absl::Minutes(20));
  const AmbientCallScope scope(&around);
  EXPECT_GT(TimeLeftOfSlow(), absl::Minutes(19));
  EXPECT_LE(TimeLeftOfSlow({.detached = true}), absl::Minutes(10));
}

TEST_F(MethodOptionsTest, WithoutATimeoutTheChannelsHolds) {
  const absl::Duration left =
      TimeLeft([&] { return stub_->Plain(Message()).status(); });
  EXPECT_LE(left, absl::Minutes(7));
  EXPECT_GT(left, absl::Minutes(6));
}

TEST_F(MethodOptionsTest, TimeoutEndsTheCall) {
  optioned_.handler = holdup_.HandlerThatHeedsCancellation();
  EXPECT_EQ(stub_->Short(Message()).status().code(),
            StatusCode::kDeadlineExceeded);
}

// ---- runs

TEST_F(MethodOptionsTest, HandlersRunWhereTheMethodSays) {
  std::atomic<bool> on_worker{false};
  optioned_.handler = [&](ServerContext&, const Message&, Message*) {
    on_worker = ThreadPool::OnWorker();
    return absl::OkStatus();
  };
  StopServer();
  StartServer();
  const auto channel = Connect();
  stub_ = std::make_unique<Optioned::Stub>(*channel);
  // Often enough for one that is adaptive to be found short.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stub_->OnWorker(Message()).ok());
    ASSERT_TRUE(on_worker);
    ASSERT_TRUE(stub_->OnLoop(Message()).ok());
    ASSERT_FALSE(on_worker);
  }
}

// ---- max_concurrency

TEST_F(MethodOptionsTest, CallsAboveMaxConcurrencyAreRefused) {
  optioned_.handler = holdup_.Handler();
  const auto first = StartTwo();
  ASSERT_TRUE(holdup_.WaitForEntered());
  // It waits for the only worker; that counts as well.
  const auto second = StartTwo();
  WaitForArrival(*channel_);
  const absl::Status refused = stub_->Two(Message()).status();
  EXPECT_TRUE(Failed(refused, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kQueue));
  EXPECT_GT(CallError::From(refused)->retry_after, absl::ZeroDuration());
  EXPECT_EQ(CallError::From(refused)->load_permille, 2000u);
  EXPECT_NE(refused.message().find("serves 2 calls"), std::string::npos)
      << refused;
  // The limit is the method's, on all connections.
  const auto other_channel = Connect();
  Optioned::Stub other_stub(*other_channel);
  EXPECT_TRUE(Failed(other_stub.Two(Message()).status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted));
  holdup_.LetGo();
  EXPECT_TRUE(other_stub.OnLoop(Message()).ok());

  ASSERT_TRUE(first->done.Wait());
  ASSERT_TRUE(second->done.Wait());
  EXPECT_TRUE(first->status.ok()) << first->status;
  EXPECT_TRUE(second->status.ok()) << second->status;
  // Their places are free before their answers can be read.
  EXPECT_TRUE(stub_->Two(Message()).ok());
}

TEST_F(MethodOptionsTest, ACancelledCallKeepsItsPlaceUntilItsHandlerEnds) {
  optioned_.handler = holdup_.Handler();
  std::vector<std::shared_ptr<Pending>> calls = {StartTwo()};
  ASSERT_TRUE(holdup_.WaitForEntered());
  calls.push_back(StartTwo());
  WaitForArrival(*channel_);
  for (const auto& call : calls) {
    call->handle.Cancel();
    ASSERT_TRUE(call->done.Wait());
    EXPECT_EQ(call->status.code(), StatusCode::kCancelled);
  }
  // The one that waited has given up its place; the other's handler runs.
  WaitForArrival(*channel_);
  const auto third = StartTwo();
  WaitForArrival(*channel_);
  EXPECT_TRUE(Failed(stub_->Two(Message()).status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted));
  holdup_.LetGo();
  ASSERT_TRUE(third->done.Wait());
  EXPECT_TRUE(third->status.ok()) << third->status;
}

// Callers of eight connections at once: never more than two handlers.
TEST_F(MethodOptionsTest, MaxConcurrencyHoldsForManyConnectionsAtOnce) {
  StopServer();
  StartServer({.worker_threads = 8});
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> served{0};
  optioned_.handler = [&](ServerContext&, const Message&, Message*) {
    const int now = ++running;
    int before = most;
    while (now > before && !most.compare_exchange_weak(before, now)) {
    }
    std::this_thread::yield();
    --running;
    ++served;
    return absl::OkStatus();
  };
  std::atomic<int> ok{0};
  InThreads(8, [&](int) {
    const auto channel = Connect();
    Optioned::Stub stub(*channel);
    for (int i = 0; i < 200; ++i) {
      const absl::Status status = stub.Two(Message()).status();
      if (status.ok()) {
        ++ok;
      } else {
        EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                           Certainty::kNotStarted));
      }
    }
  });
  EXPECT_LE(most, 2);
  EXPECT_GT(ok, 0);
  EXPECT_EQ(ok, served);
  // Both places are free again, and there is no third.
  optioned_.handler = holdup_.Handler();
  const auto channel = Connect();
  stub_ = std::make_unique<Optioned::Stub>(*channel);
  const auto first = StartTwo();
  const auto second = StartTwo();
  ASSERT_TRUE(holdup_.WaitForEntered(2));
  EXPECT_TRUE(Failed(stub_->Two(Message()).status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted));
  holdup_.LetGo();
  EXPECT_TRUE(first->done.Wait() && second->done.Wait());
}

// A stream has its place from its beginning to its end.
TEST_F(MethodOptionsTest, MaxConcurrencyAndTimeoutHoldForStreams) {
  auto first = stub_->OneUpload();
  ASSERT_TRUE(first.Write(Message()));
  WaitForArrival(*channel_);
  EXPECT_TRUE(Failed(stub_->OneUpload().Finish().status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted,
                     CallPhase::kQueue));
  const absl::StatusOr<Message> reply = first.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  absl::Duration left;
  ASSERT_TRUE(absl::ParseDuration(reply->text(), &left)) << reply->text();
  EXPECT_LE(left, absl::Minutes(10));
  EXPECT_GT(left, absl::Minutes(9));
  EXPECT_TRUE(stub_->OneUpload().Finish().ok());
}

// ---- priority

TEST_F(MethodOptionsTest, PriorityIsToldToTheServer) {
  // By the method, or by the call, which comes first.
  for (const auto& [urgent, options, priority] :
       {std::tuple(false, CallOptions(), 0u),
        std::tuple(true, CallOptions(), 5u),
        std::tuple(true, CallOptions{.priority = 0}, 0u),
        std::tuple(false, CallOptions{.priority = 7}, 7u)}) {
    RawListener listener;
    const auto channel = Channel::Create(listener.target());
    Event done;
    const auto ended = [&](const absl::StatusOr<Message>&) { done.Notify(); };
    Optioned::Stub stub(*channel);
    if (urgent) {
      stub.Urgent(Message(), options, ended);
    } else {
      stub.Plain(Message(), options, ended);
    }
    RawConnection server = listener.Accept();
    const std::vector<RawFrame> frames = SplitFrames(
        server.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kHeaders)));
    wire::CallHeader header;
    ASSERT_TRUE(wire::ParseCallHeader(frames.back().block, {}, &header).ok());
    EXPECT_EQ(header.priority, priority);
    server.Send(GreetingBytes() + StatusFrame(1, ""));
    ASSERT_TRUE(done.Wait());
  }
}

}  // namespace
}  // namespace tern::testing
