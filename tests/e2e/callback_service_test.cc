// Handlers that answer by their responder, when and where they like.

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tests/testing/end_to_end.h"
#include "tests/testing/logged_errors.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class CallbackTestService final : public Tester::CallbackService {
 public:
  using Handler =
      std::function<void(ServerContext& context, const Message& request,
                         Message* reply, Responder responder)>;
  void OnCall(Handler handler) { call_ = std::move(handler); }

 private:
  void Call(ServerContext& context, const Message& request, Message* reply,
            Responder responder) override {
    call_(context, request, reply, std::move(responder));
  }

  Handler call_;
};

class CallbackServiceTest : public EndToEnd {
 protected:
  ~CallbackServiceTest() override {
    { const Responder unanswered = TakeKept(); }
    StopServer();
  }

  void Start(CallbackTestService::Handler handler, ServerOptions options = {}) {
    callback_service_.OnCall(std::move(handler));
    StartServerOf(&callback_service_, std::move(options));
  }
  // A handler that echoes, and whose responder the test answers.
  CallbackTestService::Handler Keeping() {
    return [this](ServerContext& context, const Message& request,
                  Message* reply, Responder responder) {
      *reply = request;
      {
        MutexLock lock(mutex_);
        kept_ = std::move(responder);
        context_ = &context;
      }
      entered_.Notify();
    };
  }
  Responder TakeKept() {
    MutexLock lock(mutex_);
    return std::move(kept_);
  }
  ServerContext& context() {
    MutexLock lock(mutex_);
    return *context_;
  }

  Mutex mutex_;
  Responder kept_ ABSL_GUARDED_BY(mutex_);
  ServerContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Event entered_;
  CallbackTestService callback_service_;
};

TEST_F(CallbackServiceTest, AnswersAtOnce) {
  Start([](ServerContext&, const Message& request, Message* reply,
           Responder responder) {
    EXPECT_TRUE(responder);
    *reply = request;
    responder.Answer(absl::OkStatus());
    EXPECT_FALSE(responder);
    // The answer is not sent yet: both are still here.
    EXPECT_EQ(reply->text(), request.text());
  });
  const auto channel = Connect();
  for (int i = 0; i < 200; ++i) {
    const absl::StatusOr<Message> reply = Call(*channel, std::to_string(i));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(i));
  }
}

TEST_F(CallbackServiceTest, AnswersLater) {
  Start(Keeping(), {.loop_threads = 1, .worker_threads = 1});
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  WaitForArrival(*channel);
  EXPECT_EQ(call->callbacks(), 0);
  context().trailing_metadata().Add("key", "value");
  TakeKept().Answer(absl::OkStatus());
  const absl::StatusOr<Message> reply = call->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "x");
}

TEST_F(CallbackServiceTest, AnswersWithAnError) {
  Start(Keeping());
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  TakeKept().Answer(absl::NotFoundError("none"));
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kNotFound,
                     Certainty::kFinished));
}

// The answer on one thread meets the method's return on another.
TEST_F(CallbackServiceTest, AnswersWhileItReturns) {
  std::vector<std::thread> threads;
  Start([&](ServerContext&, const Message& request, Message* reply,
            Responder responder) {
    MutexLock lock(mutex_);
    threads.emplace_back(
        [&request, reply, responder = std::move(responder)]() mutable {
          *reply = request;
          responder.Answer(absl::OkStatus());
        });
  });
  const auto channel = Connect();
  for (int i = 0; i < 300; ++i) {
    const absl::StatusOr<Message> reply = Call(*channel, std::to_string(i));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(i));
  }
  StopServer();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CallbackServiceTest, ThatDropsItsResponderEndsInternal) {
  const LoggedErrors errors;
  Start([](ServerContext&, const Message&, Message*, Responder) {});
  EXPECT_TRUE(Failed(CallStatus(*Connect(), "x"), StatusCode::kInternal,
                     Certainty::kFinished));
  EXPECT_TRUE(errors.Have("tern.testing.Tester/Call dropped its responder"))
      << errors.text();
}

TEST_F(CallbackServiceTest, ThatDropsItsResponderLaterEndsInternal) {
  const LoggedErrors errors;
  Start(Keeping());
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  Responder responder = TakeKept();
  responder = Responder();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kInternal,
                     Certainty::kFinished));
  EXPECT_TRUE(errors.Have("dropped its responder")) << errors.text();
}

TEST_F(CallbackServiceTest, AnswersOnce) {
  const LoggedErrors errors;
  Start([](ServerContext&, const Message& request, Message* reply,
           Responder responder) {
    *reply = request;
    responder.Answer(absl::OkStatus());
    responder.Answer(absl::InternalError("second"));
  });
  EXPECT_TRUE(CallStatus(*Connect(), "x").ok());
  EXPECT_TRUE(errors.Have("second")) << errors.text();
}

TEST_F(CallbackServiceTest, ThatThrowsEndsUnknown) {
  const LoggedErrors errors;
  Start([](ServerContext&, const Message&, Message*, Responder) {
    throw std::runtime_error("a secret");
  });
  EXPECT_TRUE(Failed(CallStatus(*Connect(), "x"), StatusCode::kUnknown,
                     Certainty::kFinished));
  EXPECT_TRUE(errors.Have("threw an exception")) << errors.text();
  EXPECT_FALSE(errors.Have("secret")) << errors.text();
}

TEST_F(CallbackServiceTest, ThatThrowsBehindItsAnswerHasAnswered) {
  const LoggedErrors errors;
  Start([](ServerContext&, const Message&, Message*, Responder responder) {
    responder.Answer(absl::OkStatus());
    throw std::runtime_error("a secret");
  });
  EXPECT_TRUE(CallStatus(*Connect(), "x").ok());
  EXPECT_TRUE(errors.Have("threw an exception")) << errors.text();
}

TEST_F(CallbackServiceTest, ThatThrowsAndHasGivenItsResponderAwayAnswers) {
  Start([keep = Keeping()](ServerContext& context, const Message& request,
                           Message* reply, Responder responder) {
    keep(context, request, reply, std::move(responder));
    throw std::runtime_error("a secret");
  });
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  TakeKept().Answer(absl::OkStatus());
  EXPECT_TRUE(call->Wait().ok());
}

TEST_F(CallbackServiceTest, IsToldOfItsCancellation) {
  Start(Keeping());
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  Event over;
  auto registration = context().cancellation().OnCancel([&] { over.Notify(); });
  call->Cancel();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  ASSERT_TRUE(over.Wait());
  EXPECT_TRUE(context().cancelled());
  registration.Reset();
  TakeKept().Answer(absl::CancelledError(""));
}

TEST_F(CallbackServiceTest, IsWaitedForByStop) {
  Start(Keeping());
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered_.Wait());
  Event stopped;
  std::thread stopper([&] {
    server_->Stop();
    stopped.Notify();
  });
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
  EXPECT_EQ(stopped.count(), 0);
  TakeKept().Answer(absl::OkStatus());
  ASSERT_TRUE(stopped.Wait());
  stopper.join();
}

TEST_F(CallbackServiceTest, WhatIsNotOverriddenIsUnimplemented) {
  Tester::CallbackService nothing;
  StartServerOf(&nothing);
  EXPECT_EQ(CallStatus(*Connect(), "x").code(), StatusCode::kUnimplemented);
  StopServer();
}

}  // namespace
}  // namespace tern::testing
