// Handlers that are tasks.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tern/lib/base/thread_pool.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/task.h"
#include "tern/lib/call/when.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/gate.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Both methods answer with their request unless the test says what they do.
class CoTestService final : public Tester::CoService {
 public:
  using Handler = std::function<Task<absl::Status>(
      ServerContext& context, const Message& request, Message* reply)>;
  void OnCall(Handler handler) { call_ = std::move(handler); }

  Task<absl::Status> Call(ServerContext& context, const Message& request,
                          Message* reply) override {
    if (call_) return call_(context, request, reply);
    return Echo(request, reply);
  }
  Task<absl::Status> Other(ServerContext&, const Message& request,
                           Message* reply) override {
    return Echo(request, reply);
  }

 private:
  static Task<absl::Status> Echo(const Message& request, Message* reply) {
    *reply = request;
    co_return absl::OkStatus();
  }

  Handler call_;
};

class CoServiceTest : public EndToEnd {
 protected:
  ~CoServiceTest() override {
    gate_.Open();
    StopServer();
  }

  void StartCoServer(ServerOptions options = {}) {
    StartServerOf(&co_service_, std::move(options));
  }
  // A handler that waits at gate_, then answers with its request.
  CoTestService::Handler AtTheGate() {
    return [this](ServerContext&, const Message& request,
                  Message* reply) -> Task<absl::Status> {
      ++entered_;
      entered_event_.Notify();
      co_await gate_;
      *reply = request;
      co_return absl::OkStatus();
    };
  }

  Gate gate_;
  std::atomic<int> entered_{0};
  Event entered_event_;
  CoTestService co_service_;
};

TEST_F(CoServiceTest, AnswersWithoutHavingWaited) {
  StartCoServer();
  const auto channel = Connect();
  for (int i = 0; i < 200; ++i) {
    const std::string text = std::to_string(i);
    const absl::StatusOr<Message> reply = Call(*channel, text);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), text);
  }
}

TEST_F(CoServiceTest, AnswersWhereWhatItAwaitsHappens) {
  service_.OnOther({});
  co_service_.OnCall([&](ServerContext& context, const Message& request,
                         Message* reply) -> Task<absl::Status> {
    entered_event_.Notify();
    co_await gate_;
    reply->set_text(request.text() + " " + std::string(context.method()));
    context.trailing_metadata().Add("key", "value");
    co_return absl::OkStatus();
  });
  StartCoServer();
  const auto channel = Connect();
  CallInfo info;
  const auto call = StartCall(*channel, std::string(500, 'x'), {.info = &info});
  ASSERT_TRUE(entered_event_.Wait());
  WaitForArrival(*channel);
  EXPECT_EQ(call->callbacks(), 0);
  gate_.Open();  // On this thread.
  const absl::StatusOr<Message> reply = call->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), std::string(500, 'x') + " tern.testing.Tester/Call");
  EXPECT_EQ(info.trailing_metadata.Get("key"), "value");
}

TEST_F(CoServiceTest, HoldsNoThreadWhileItWaits) {
  constexpr int kCalls = 100;
  co_service_.OnCall(AtTheGate());
  StartCoServer({.loop_threads = 1, .worker_threads = 1});
  const auto channel = Connect();
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(StartCall(*channel, std::to_string(i)));
  }
  ASSERT_TRUE(entered_event_.Wait(kCalls));
  EXPECT_TRUE(Tester::Stub(*channel).Other(MessageWith("short")).ok());
  gate_.Open();
  for (int i = 0; i < kCalls; ++i) {
    const absl::StatusOr<Message> reply = calls[i]->Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(i));
    EXPECT_EQ(calls[i]->callbacks(), 1);
  }
}

TEST_F(CoServiceTest, GivesItsStatus) {
  co_service_.OnCall(
      [](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        (void)co_await tern::SleepFor(absl::Milliseconds(1));
        co_return absl::NotFoundError("none");
      });
  StartCoServer();
  EXPECT_TRUE(Failed(CallStatus(*Connect(), "x"), StatusCode::kNotFound,
                     Certainty::kFinished));
}

TEST_F(CoServiceTest, ThatThrowsEndsUnknown) {
  co_service_.OnCall([](ServerContext&, const Message& request,
                        Message*) -> Task<absl::Status> {
    if (request.text() == "late") {
      (void)co_await tern::SleepFor(absl::Milliseconds(1));
    }
    throw std::runtime_error("a secret");
  });
  StartCoServer();
  const auto channel = Connect();
  for (const char* when : {"early", "late"}) {
    const absl::Status status = CallStatus(*channel, when);
    EXPECT_TRUE(Failed(status, StatusCode::kUnknown, Certainty::kFinished));
    EXPECT_EQ(status.message().find("secret"), absl::string_view::npos);
  }
}

TEST_F(CoServiceTest, ThatThrowsBeforeItIsATaskEndsUnknown) {
  co_service_.OnCall(
      [](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        throw std::runtime_error("a secret");
      });
  StartCoServer();
  EXPECT_TRUE(Failed(CallStatus(*Connect(), "x"), StatusCode::kUnknown,
                     Certainty::kFinished));
}

// ---- Cancellation and deadlines

TEST_F(CoServiceTest, IsWokenByItsCancellation) {
  Event over;
  absl::Status slept;
  co_service_.OnCall([&](ServerContext& context, const Message&,
                         Message*) -> Task<absl::Status> {
    entered_event_.Notify();
    slept = co_await tern::SleepFor(absl::InfiniteDuration());
    EXPECT_TRUE(context.cancelled());
    over.Notify();
    co_return absl::OkStatus();
  });
  StartCoServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_event_.Wait());
  call->Cancel();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  ASSERT_TRUE(over.Wait());
  EXPECT_EQ(slept.code(), StatusCode::kCancelled);
}

TEST_F(CoServiceTest, IsWokenWhenTheClientGoesAway) {
  Event over;
  co_service_.OnCall(
      [&](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        entered_event_.Notify();
        (void)co_await tern::SleepFor(absl::InfiniteDuration());
        over.Notify();
        co_return absl::OkStatus();
      });
  StartCoServer();
  auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_event_.Wait());
  channel.reset();
  ASSERT_TRUE(over.Wait());
  EXPECT_FALSE(call->Wait().ok());
}

TEST_F(CoServiceTest, IsWokenByItsDeadline) {
  Event over;
  std::atomic<bool> slept_to_the_end = false;
  co_service_.OnCall(
      [&](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        const absl::Status status = co_await tern::SleepFor(absl::Hours(1));
        slept_to_the_end = status.ok();
        over.Notify();
        co_return status;
      });
  StartCoServer();
  const auto channel = Connect();
  // On a busy machine the time may be up before the handler has begun.
  for (int tries = 0; tries < 20 && over.count() == 0; ++tries) {
    EXPECT_EQ(
        CallStatus(*channel, "x", {.timeout = absl::Milliseconds(50)}).code(),
        StatusCode::kDeadlineExceeded);
  }
  EXPECT_TRUE(over.Wait());
  StopServer();  // No handler uses `over` any more.
  EXPECT_FALSE(slept_to_the_end);
}

// Its child calls inherit, also those that it makes where it goes on.
TEST_F(CoServiceTest, HandsItsCallDownWhereverItIs) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  absl::Duration left;
  service_.OnOther([&](ServerContext& context, const Message&, Message*) {
    left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  const std::unique_ptr<Server> inner_server = std::move(server_);
  const auto inner =
      Channel::Create(inner_server->addresses().at(0), ChannelOptions());
  Event over;
  absl::Status inner_status;
  co_service_.OnCall([&](ServerContext&, const Message& request,
                         Message*) -> Task<absl::Status> {
    Tester::Stub stub(*inner);
    (void)co_await tern::SleepFor(absl::Milliseconds(1));
    EXPECT_TRUE((co_await stub.Co().Other(request)).ok());
    inner_status = (co_await stub.Co().Call(request)).status();
    over.Notify();
    co_return absl::OkStatus();
  });
  StartCoServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x", {.timeout = absl::Seconds(29)});
  ASSERT_TRUE(holdup_.WaitForEntered());
  EXPECT_LE(left, absl::Seconds(29));
  call->Cancel();
  ASSERT_TRUE(over.Wait());
  EXPECT_TRUE(
      Failed(inner_status, StatusCode::kCancelled, Certainty::kMaybeStarted));
  EXPECT_FALSE(call->Wait().ok());
}

TEST_F(CoServiceTest, MeetsCancellationsOnce) {
  co_service_.OnCall([](ServerContext&, const Message& request,
                        Message* reply) -> Task<absl::Status> {
    *reply = request;
    co_return co_await tern::SleepFor(absl::Microseconds(50));
  });
  StartCoServer();
  const auto channel = Connect();
  // Fewer than the protocol allows to be begun and cancelled in a second.
  for (int i = 0; i < 400; ++i) {
    const auto call = StartCall(*channel, std::to_string(i));
    for (volatile int spin = 0; spin < i * 200;) spin = spin + 1;
    call->Cancel();
    const absl::StatusOr<Message> reply = call->Wait();
    if (reply.ok()) {
      EXPECT_EQ(reply->text(), std::to_string(i));
    } else {
      EXPECT_EQ(reply.status().code(), StatusCode::kCancelled);
    }
    EXPECT_EQ(call->callbacks(), 1);
  }
}

// ---- The end of the server

TEST_F(CoServiceTest, IsFinishedByADrain) {
  co_service_.OnCall(AtTheGate());
  StartCoServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_event_.Wait());
  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  gate_.Open();
  EXPECT_TRUE(call->Wait().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(CoServiceTest, IsCancelledAtTheEndOfADrain) {
  Event over;
  co_service_.OnCall(
      [&](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        entered_event_.Notify();
        const absl::Status status =
            co_await tern::SleepFor(absl::InfiniteDuration());
        over.Notify();
        co_return status;
      });
  StartCoServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_event_.Wait());
  EXPECT_EQ(server_->Drain(absl::Milliseconds(20)).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(over.count(), 1);  // The drain has waited for it.
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
}

TEST_F(CoServiceTest, IsWaitedForByStop) {
  co_service_.OnCall(AtTheGate());
  StartCoServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_event_.Wait());
  Event stopped;
  std::thread stopper([&] {
    server_->Stop();
    stopped.Notify();
  });
  // The client is told at once; the handler does not heed its cancellation.
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
  EXPECT_EQ(stopped.count(), 0);
  gate_.Open();
  ASSERT_TRUE(stopped.Wait());
  stopper.join();
}

TEST_F(CoServiceTest, MayAskForADrainWhereverItIs) {
  co_service_.OnCall([&](ServerContext&, const Message& request,
                         Message* reply) -> Task<absl::Status> {
    (void)co_await tern::SleepFor(absl::Milliseconds(1));
    *reply = request;
    co_return server_->Drain(absl::Minutes(10));
  });
  StartCoServer();
  const auto channel = Connect();
  const absl::StatusOr<Message> reply = Call(*channel, "stop, please");
  EXPECT_TRUE(reply.ok()) << reply.status();
  server_->Wait();
}

// Destroyed at once when the last handler ends, with answers under way.
TEST_F(CoServiceTest, EndsOnOtherThreadsWhileTheServerGoes) {
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> ended = 0;
    co_service_.OnCall(
        [&](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
          entered_event_.Notify();
          (void)co_await tern::SleepFor(absl::Microseconds(round * 50));
          ++ended;
          co_return absl::OkStatus();
        });
    const int before = entered_event_.count();
    StartCoServer();
    const auto channel = Connect();
    std::vector<std::shared_ptr<PendingCall>> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(StartCall(*channel, "x"));
    ASSERT_TRUE(entered_event_.Wait(before + 10));
    StopServer();
    EXPECT_EQ(ended, entered_event_.count() - before);
    for (const auto& call : calls) (void)call->Wait();
  }
}

// ---- Where it runs, and what is measured

TEST_F(CoServiceTest, IsShortByWhatItTakesUntilItWaits) {
  std::atomic<bool> on_worker = true;
  co_service_.OnCall(
      [&](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        on_worker = ThreadPool::OnWorker();
        co_return co_await tern::SleepFor(absl::Milliseconds(3));
      });
  ServerOptions options;
  if (HandlerThreadsOfThisRun() != HandlerThreads::kAdaptive) {
    GTEST_SKIP() << "it runs where it is told to";
  }
  StartCoServer(options);
  const auto channel = Connect();
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  do {
    ASSERT_TRUE(CallStatus(*channel, "x").ok());
    ASSERT_LT(MonotonicTime::Now(), until) << "it stays on the workers";
  } while (on_worker);
}

TEST_F(CoServiceTest, TellsTheClientHowLongItHasTakenInAll) {
  co_service_.OnCall(
      [](ServerContext&, const Message&, Message*) -> Task<absl::Status> {
        co_return co_await tern::SleepFor(absl::Milliseconds(5));
      });
  StartCoServer();
  CallInfo info;
  ASSERT_TRUE(CallStatus(*Connect(), "x", {.info = &info}).ok());
  ASSERT_TRUE(info.handler_time.has_value());
  EXPECT_GE(*info.handler_time, absl::Milliseconds(5));
  EXPECT_LE(*info.handler_time, info.elapsed);
}

TEST_F(CoServiceTest, CallsOthersAtATime) {
  StartServer();
  const std::unique_ptr<Server> inner_server = std::move(server_);
  const auto inner =
      Channel::Create(inner_server->addresses().at(0), ChannelOptions());
  co_service_.OnCall([&](ServerContext&, const Message& request,
                         Message* reply) -> Task<absl::Status> {
    Tester::Stub stub(*inner);
    auto [one, two] =
        co_await WhenAll(stub.Co().Call(request), stub.Co().Other(request));
    if (!one.ok()) co_return std::move(one).status();
    if (!two.ok()) co_return std::move(two).status();
    reply->set_text(one->text() + two->text());
    co_return absl::OkStatus();
  });
  StartCoServer();
  const auto channel = Connect();
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<Message> reply = Call(*channel, "x");
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), "xx");
  }
}

TEST_F(CoServiceTest, WhatIsNotOverriddenIsUnimplemented) {
  Tester::CoService nothing;
  StartServerOf(&nothing);
  EXPECT_EQ(CallStatus(*Connect(), "x").code(), StatusCode::kUnimplemented);
  StopServer();
}

}  // namespace
}  // namespace tern::testing
