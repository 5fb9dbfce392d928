// A call ends by its deadline, wherever it is then.

#include <atomic>
#include <future>
#include <memory>
#include <optional>

#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/cancellation.h"
#include "tern/testing/fake_clock.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class DeadlineTest : public EndToEnd {
 protected:
  static bool Says(const absl::Status& status, std::string_view text) {
    return std::string(status.message()).find(text) != std::string::npos;
  }
};

constexpr absl::Duration kShort = absl::Milliseconds(50);

TEST_F(DeadlineTest, IsToldToTheHandler) {
  absl::Duration left;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x", {.timeout = absl::Hours(1)}).ok());
  EXPECT_LE(left, absl::Hours(1));
  EXPECT_GT(left, absl::Minutes(59));
}

TEST_F(DeadlineTest, IsTheChannelsDefaultWhenNoneIsGiven) {
  absl::Duration left;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect({.default_timeout = absl::Minutes(7)});
  const CallOptions never = {.timeout = absl::InfiniteDuration(),
                             .deadline = Deadline()};
  for (const CallOptions& options : {CallOptions{}, never}) {
    ASSERT_TRUE(CallStatus(*channel, "x", options).ok());
    EXPECT_LE(left, absl::Minutes(7));
    EXPECT_GT(left, absl::Minutes(6));
  }
}

TEST_F(DeadlineTest, IsTheEarliestOfThoseGiven) {
  absl::Duration left;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x",
                         {.timeout = absl::Hours(2),
                          .deadline = Deadline::After(absl::Hours(1))})
                  .ok());
  EXPECT_LE(left, absl::Hours(1));
  ASSERT_TRUE(CallStatus(*channel, "x",
                         {.timeout = absl::Hours(1),
                          .deadline = Deadline::After(absl::Hours(2))})
                  .ok());
  EXPECT_LE(left, absl::Hours(1));
}

TEST_F(DeadlineTest, ThatHasPassedEndsTheCallBeforeAnythingIsSent) {
  StartServer();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "connects").ok());
  for (const CallOptions& options :
       {CallOptions{.timeout = absl::ZeroDuration()},
        CallOptions{.timeout = -absl::Seconds(1)},
        CallOptions{.timeout = -absl::InfiniteDuration()},
        CallOptions{.deadline = Deadline(MonotonicTime())}}) {
    EXPECT_TRUE(Failed(CallStatus(*channel, "x", options),
                       StatusCode::kDeadlineExceeded, Certainty::kNotStarted,
                       CallPhase::kSend));
    const absl::Status status =
        StartCall(*channel, "x", options)->WaitForStatus();
    EXPECT_TRUE(Failed(status, StatusCode::kDeadlineExceeded,
                       Certainty::kNotStarted, CallPhase::kSend));
    EXPECT_TRUE(Says(status, "at the client before the call was sent"))
        << status;
  }
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(DeadlineTest, EndsABlockingCallWhoseHandlerRuns) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  const MonotonicTime before = MonotonicTime::Now();
  const absl::Status status = CallStatus(*channel, "x", {.timeout = kShort});
  EXPECT_GE(MonotonicTime::Now() - before, kShort);
  EXPECT_TRUE(
      Failed(status, StatusCode::kDeadlineExceeded, Certainty::kMaybeStarted));
  EXPECT_GE(CallError::From(status)->elapsed, kShort);
}

TEST_F(DeadlineTest, EndsACallbackCallWhoseHandlerRuns) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x", {.timeout = kShort});
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kDeadlineExceeded,
                     Certainty::kMaybeStarted));
  // The reply that the handler gives now comes too late to be a second end.
  ASSERT_TRUE(holdup_.WaitForEntered());
  holdup_.LetGo();
  ASSERT_TRUE(CallStatus(*channel, "another").ok());
  EXPECT_EQ(call->callbacks(), 1);
}

TEST_F(DeadlineTest, CancelsTheHandler) {
  Event seen;
  std::atomic<bool> entered = false;
  bool cancelled = false;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    entered = true;
    Event over;
    const auto registration =
        context.cancellation().OnCancel([&] { over.Notify(); });
    EXPECT_TRUE(over.Wait());
    cancelled = context.cancelled();
    seen.Notify();
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  // On a busy machine the time may be up before the handler has begun.
  for (int tries = 0; tries < 20 && !entered; ++tries) {
    EXPECT_EQ(CallStatus(*channel, "x", {.timeout = kShort}).code(),
              StatusCode::kDeadlineExceeded);
  }
  ASSERT_TRUE(seen.Wait());
  EXPECT_TRUE(cancelled);
}

// The server itself lets a call go whose turn does not come in time.
TEST_F(DeadlineTest, EndsACallInTheServersQueueUnrun) {
  service_.OnCall(holdup_.Handler());
  // On workers, in every run: it is about their queue.
  StartServer({.loop_threads = 1,
               .worker_threads = 1,
               .handler_threads = HandlerThreads::kWorkers});
  const auto channel = Connect();
  const auto first = StartCall(*channel, "first");
  ASSERT_TRUE(holdup_.WaitForEntered());
  // Whoever is first to notice: only the server knows that it has not begun.
  EXPECT_EQ(CallStatus(*channel, "queued", {.timeout = kShort}).code(),
            StatusCode::kDeadlineExceeded);
  holdup_.LetGo();
  ASSERT_TRUE(first->Wait().ok());
  // One more, so that the worker has seen what was in its queue.
  ASSERT_TRUE(CallStatus(*channel, "last").ok());
  EXPECT_EQ(service_.started(), 2);
}

TEST_F(DeadlineTest, EndsACallThatWaitsForAConnection) {
  // Nobody ever listens there.
  const auto channel = Channel::Create("127.0.0.1:0");
  const CallOptions options = {.timeout = kShort, .wait_for_ready = true};
  const absl::Status status = CallStatus(*channel, "x", options);
  EXPECT_TRUE(Failed(status, StatusCode::kDeadlineExceeded,
                     Certainty::kNotStarted, CallPhase::kConnect));
  EXPECT_TRUE(Says(status, "at the client while waiting for a connection"))
      << status;
  EXPECT_TRUE(Says(status, "127.0.0.1:0")) << status;
  EXPECT_TRUE(Failed(StartCall(*channel, "x", options)->WaitForStatus(),
                     StatusCode::kDeadlineExceeded, Certainty::kNotStarted,
                     CallPhase::kConnect));
}

TEST_F(DeadlineTest, EndsACallThatWaitsForAPlaceOnTheConnection) {
  service_.OnCall(holdup_.Handler());
  StartServer({.max_concurrent_calls = 1});
  const auto channel = Connect();
  WaitForArrival(*channel);  // It knows the limit now.
  const auto first = StartCall(*channel, "first");
  ASSERT_TRUE(holdup_.WaitForEntered());
  const std::string why =
      "at the client: " + target() + " takes no more than 1 calls at once";
  absl::Status status;
  // On a busy machine the time may be up before the connection has the call.
  for (int tries = 0; tries < 20 && !Says(status, why); ++tries) {
    status = CallStatus(*channel, "second", {.timeout = kShort});
    EXPECT_TRUE(Failed(status, StatusCode::kDeadlineExceeded,
                       Certainty::kNotStarted, CallPhase::kSend));
  }
  EXPECT_TRUE(Says(status, why)) << status;
  holdup_.LetGo();
  EXPECT_TRUE(first->Wait().ok());
  EXPECT_EQ(service_.started(), 1);
}

// Each hop sees what is left, not what the first one began with.
TEST_F(DeadlineTest, IsInheritedByCallsThatAHandlerMakes) {
  std::unique_ptr<Channel> inner;
  absl::Duration inner_left;
  absl::Duration detached_left;
  bool detached = false;
  service_.OnCall([&](ServerContext&, const Message& request, Message* reply) {
    absl::StatusOr<Message> answer =
        Tester::Stub(*inner).Other(request, {.timeout = absl::Hours(2)});
    detached = true;
    if (answer.ok()) {
      answer = Tester::Stub(*inner).Other(
          request, {.timeout = absl::Hours(2), .detached = true});
    }
    if (answer.ok()) *reply = *answer;
    return answer.status();
  });
  service_.OnOther([&](ServerContext& context, const Message&, Message*) {
    (detached ? detached_left : inner_left) = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x", {.timeout = absl::Hours(1)}).ok());
  EXPECT_LE(inner_left, absl::Hours(1));
  EXPECT_GT(inner_left, absl::Minutes(59));
  EXPECT_GT(detached_left, absl::Hours(1));
}

// A handler that goes on elsewhere takes its call along.
TEST_F(DeadlineTest, IsInheritedInAnotherThreadOfTheHandlers) {
  std::unique_ptr<Channel> inner;
  absl::Duration inner_left;
  service_.OnCall(
      [&](ServerContext& context, const Message& request, Message*) {
        absl::Status status;
        std::thread([&] {
          const AmbientCallScope scope(&context.ambient());
          status = Tester::Stub(*inner).Other(request).status();
        }).join();
        return status;
      });
  service_.OnOther([&](ServerContext& context, const Message&, Message*) {
    inner_left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x", {.timeout = absl::Seconds(20)}).ok());
  EXPECT_LE(inner_left, absl::Seconds(20));
}

// A call made in one whose handler is told of its deadline, and that deadline:
// either may come first to the call's end. Here the cancellation nearly always
// does, as the other one waits for a timer.
class InheritedDeadlineTest : public DeadlineTest {
 protected:
  // A call that inherits from one that ends within an hour.
  std::shared_ptr<PendingCall> StartInner(Channel& channel,
                                          const CallOptions& options = {}) {
    const AmbientCallScope scope(&outer_);
    return StartCall(channel, "inner", options);
  }
  void PassDeadline() { clock_.Advance(absl::Hours(1)); }
  void CancelOuter() { source_.cancellation->Cancel(); }
  void TearDown() override { StopServer(); }  // Before its clock.

 private:
  struct Source final : CancellationSource {
    std::shared_ptr<Cancellation> ShareCancellation() override {
      return cancellation;
    }
    const std::shared_ptr<Cancellation> cancellation =
        std::make_shared<Cancellation>();
  };

  FakeClock clock_;
  Source source_;
  const AmbientCall outer_ = {.deadline = Deadline::After(absl::Hours(1)),
                              .cancellation = &source_,
                              .trace = {}};
};

TEST_F(InheritedDeadlineTest, IsWhyACallIsCancelledAtItsStart) {
  StartServer();
  const auto channel = Connect();
  PassDeadline();
  CancelOuter();
  const absl::Status status = StartInner(*channel)->WaitForStatus();
  EXPECT_TRUE(Failed(status, StatusCode::kDeadlineExceeded,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_TRUE(Says(status, "at the client: cancelled by the caller")) << status;
  EXPECT_EQ(service_.started(), 0);
}

TEST_F(InheritedDeadlineTest, IsNotWhyACallIsCancelledAtItsStartBefore) {
  StartServer();
  const auto channel = Connect();
  CancelOuter();
  EXPECT_TRUE(Failed(StartInner(*channel)->WaitForStatus(),
                     StatusCode::kCancelled, Certainty::kNotStarted,
                     CallPhase::kSend));
}

TEST_F(InheritedDeadlineTest, IsWhyACallIsCancelledThatWaitsForAConnection) {
  const auto channel = Channel::Create(OwnLoopbackAddress() + ":1");
  const auto call = StartInner(*channel, {.wait_for_ready = true});
  PassDeadline();
  CancelOuter();
  // Where it waited is said by one of the two ends only: of the last attempt.
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kDeadlineExceeded,
                     Certainty::kNotStarted));
}

TEST_F(InheritedDeadlineTest, IsNotWhyACallIsCancelledThatWaitsBefore) {
  const auto channel = Channel::Create(OwnLoopbackAddress() + ":1");
  const auto call = StartInner(*channel, {.wait_for_ready = true});
  CancelOuter();
  PassDeadline();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kNotStarted, CallPhase::kConnect));
}

TEST_F(InheritedDeadlineTest, IsWhyACallIsCancelledThatRuns) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  const auto call = StartInner(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  PassDeadline();
  CancelOuter();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kDeadlineExceeded,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  holdup_.LetGo();
}

TEST_F(InheritedDeadlineTest, IsNotWhyACallIsCancelledThatRunsBefore) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  const auto call = StartInner(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  CancelOuter();
  PassDeadline();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  holdup_.LetGo();
}

// In time, but looked at late: the loop is in a callback, in which the deadline
// passes, and comes to the call behind that.
TEST_F(InheritedDeadlineTest, IsNotWhyACallIsCancelledThatRunsBeforeItIsSeen) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  const auto call = StartInner(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  std::promise<void> passed;  // (An Event's patience is of Tern's clock.)
  Tester::Stub(*channel).Other(Message(), {},
                               [&](const absl::StatusOr<Message>&) {
                                 CancelOuter();
                                 EXPECT_EQ(call->callbacks(), 0);
                                 PassDeadline();
                                 passed.set_value();
                               });
  passed.get_future().wait();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  holdup_.LetGo();
}

// Larger than the wire, or the clock, can count.
TEST_F(DeadlineTest, FarAwayIsNotPast) {
  StartServer();
  const auto channel = Connect();
  for (const absl::Duration timeout :
       {absl::Hours(24 * 365 * 100), absl::Hours(int64_t{24} * 365 * 1'000'000),
        absl::Nanoseconds(INT64_MAX), absl::Seconds(INT64_MAX)}) {
    EXPECT_TRUE(CallStatus(*channel, "x", {.timeout = timeout}).ok())
        << timeout;
  }
}

}  // namespace
}  // namespace tern::testing
