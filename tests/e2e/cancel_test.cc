// A call can be cancelled wherever it is, and ends once all the same.

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class CancelTest : public EndToEnd {};

TEST_F(CancelTest, EndsACallThatWaitsForAConnection) {
  const auto channel = Channel::Create("127.0.0.1:0");  // Nobody is there.
  const auto call = StartCall(
      *channel, "x", {.timeout = absl::Hours(1), .wait_for_ready = true});
  call->Cancel();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kNotStarted, CallPhase::kConnect));
}

TEST_F(CancelTest, EndsACallThatWaitsForAPlaceOnTheConnection) {
  service_.OnCall(holdup_.Handler());
  StartServer({.max_concurrent_calls = 1});
  const auto channel = Connect();
  WaitForArrival(*channel);  // It knows the limit now.
  const auto first = StartCall(*channel, "first");
  ASSERT_TRUE(holdup_.WaitForEntered());
  const auto second = StartCall(*channel, "second");
  second->Cancel();
  EXPECT_TRUE(Failed(second->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kNotStarted, CallPhase::kSend));
  holdup_.LetGo();
  EXPECT_TRUE(first->Wait().ok());
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(CancelTest, EndsACallInTheServersQueueUnrun) {
  service_.OnCall(holdup_.Handler());
  // On workers, in every run: it is about their queue.
  StartServer({.loop_threads = 1,
               .worker_threads = 1,
               .handler_threads = HandlerThreads::kWorkers});
  const auto channel = Connect();
  const auto first = StartCall(*channel, "first");
  ASSERT_TRUE(holdup_.WaitForEntered());
  const auto queued = StartCall(*channel, "queued");
  WaitForArrival(*channel);
  queued->Cancel();
  EXPECT_TRUE(Failed(queued->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  WaitForArrival(*channel);  // Of the cancellation.
  holdup_.LetGo();
  EXPECT_TRUE(first->Wait().ok());
  EXPECT_TRUE(CallStatus(*channel, "last").ok());
  EXPECT_EQ(service_.started(), 2);
}

TEST_F(CancelTest, IsSeenByTheHandler) {
  Event seen;
  Event entered;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    EXPECT_FALSE(context.cancelled());
    EXPECT_FALSE(context.cancellation().cancelled());
    Event over;
    const auto registration =
        context.cancellation().OnCancel([&] { over.Notify(); });
    entered.Notify();
    EXPECT_TRUE(over.Wait());
    EXPECT_TRUE(context.cancelled());
    EXPECT_TRUE(context.cancellation().cancelled());
    seen.Notify();
    return absl::CancelledError("");
  });
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered.Wait());
  call->Cancel();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  EXPECT_TRUE(seen.Wait());
}

// A lost connection is the end of its calls, too.
TEST_F(CancelTest, IsSeenByTheHandlerWhenTheClientGoesAway) {
  Event seen;
  Event entered;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    Event over;
    const auto registration =
        context.cancellation().OnCancel([&] { over.Notify(); });
    entered.Notify();
    EXPECT_TRUE(over.Wait());
    seen.Notify();
    return absl::OkStatus();
  });
  StartServer();
  auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered.Wait());
  channel.reset();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  EXPECT_TRUE(seen.Wait());
}

TEST_F(CancelTest, OfACallThatHasEndedDoesNothing) {
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(call->Wait().ok());
  call->Cancel();
  call->Cancel();
  ASSERT_TRUE(CallStatus(*channel, "another").ok());
  EXPECT_EQ(call->callbacks(), 1);
}

TEST_F(CancelTest, MayOutliveItsChannel) {
  StartServer();
  auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(call->Wait().ok());
  channel.reset();
  call->Cancel();
  CallHandle().Cancel();  // Names no call.
}

// Wherever the cancellation meets the answer, there is one end.
TEST_F(CancelTest, RacesWithTheAnswer) {
  StartServer();
  const auto channel = Connect();
  int answered = 0;
  // Fewer than the protocol allows to be begun and cancelled in a second.
  for (int i = 0; i < 400; ++i) {
    const auto call = StartCall(*channel, std::to_string(i));
    if (i % 2 == 0) {
      // Later and later in the call's life.
      for (volatile int spin = 0; spin < i * 100;) spin = spin + 1;
    }
    call->Cancel();
    const absl::StatusOr<Message> reply = call->Wait();
    if (reply.ok()) {
      ++answered;
      EXPECT_EQ(reply->text(), std::to_string(i));
    } else {
      EXPECT_EQ(reply.status().code(), StatusCode::kCancelled)
          << reply.status();
    }
    EXPECT_EQ(call->callbacks(), 1);
  }
  RecordProperty("answered", answered);
  EXPECT_TRUE(CallStatus(*channel, "the connection lives").ok());
}

TEST_F(CancelTest, IsInheritedByCallsThatAHandlerMakes) {
  std::unique_ptr<Channel> inner;
  Event inner_over;
  absl::Status inner_status;
  service_.OnCall([&](ServerContext&, const Message& request, Message*) {
    inner_status = Tester::Stub(*inner).Other(request).status();
    inner_over.Notify();
    return inner_status;
  });
  service_.OnOther(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  call->Cancel();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  ASSERT_TRUE(inner_over.Wait());
  EXPECT_TRUE(
      Failed(inner_status, StatusCode::kCancelled, Certainty::kMaybeStarted));
  StopServer();  // Its handlers have seen it, else this does not return.
}

TEST_F(CancelTest, IsNotInheritedByDetachedCalls) {
  std::unique_ptr<Channel> inner;
  Event inner_over;
  absl::Status inner_status;
  Event cancelled;
  service_.OnCall(
      [&](ServerContext& context, const Message& request, Message*) {
        const auto registration =
            context.cancellation().OnCancel([&] { cancelled.Notify(); });
        inner_status =
            Tester::Stub(*inner).Other(request, {.detached = true}).status();
        inner_over.Notify();
        return absl::OkStatus();
      });
  service_.OnOther(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  call->Cancel();
  ASSERT_TRUE(cancelled.Wait());
  holdup_.LetGo();
  ASSERT_TRUE(inner_over.Wait());
  EXPECT_TRUE(inner_status.ok()) << inner_status;
}

// A handler that has been cancelled begins no more calls.
TEST_F(CancelTest, IsInheritedByCallsThatBeginLater) {
  std::unique_ptr<Channel> inner;
  Event over;
  absl::Status inner_status;
  Event entered;
  service_.OnCall(
      [&](ServerContext& context, const Message& request, Message*) {
        Event cancelled;
        const auto registration =
            context.cancellation().OnCancel([&] { cancelled.Notify(); });
        entered.Notify();
        EXPECT_TRUE(cancelled.Wait());
        inner_status = Tester::Stub(*inner).Other(request).status();
        over.Notify();
        return absl::OkStatus();
      });
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(entered.Wait());
  call->Cancel();
  ASSERT_TRUE(over.Wait());
  EXPECT_TRUE(Failed(inner_status, StatusCode::kCancelled,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_EQ(service_.started(), 1);
}

}  // namespace
}  // namespace tern::testing
