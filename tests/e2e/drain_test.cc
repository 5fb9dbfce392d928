// How a server ends: drained, stopped, or told to by a signal.

#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "tern/lib/call/task.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/logged.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::StartsWith;

class DrainTest : public EndToEnd {
 protected:
  // Returns once the server has no place for new calls on `channel`. (Those
  // that are under way when the server begins to drain are served, or expire.)
  static void WaitUntilNewCallsFail(Channel& channel) {
    const MonotonicTime until = MonotonicTime::Now() + kPatience;
    while (MonotonicTime::Now() < until) {
      const absl::Status status =
          CallStatus(channel, "x", {.timeout = absl::Milliseconds(20)});
      if (status.code() != StatusCode::kUnavailable) continue;
      EXPECT_TRUE(
          Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted));
      return;
    }
    ADD_FAILURE() << "new calls are still served";
  }
};

TEST_F(DrainTest, WithoutCallsIsOver) {
  StartServer();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x").ok());
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kUnavailable,
                     Certainty::kNotStarted, CallPhase::kConnect));
}

TEST_F(DrainTest, LetsCallsInFlightFinish) {
  service_.OnCall(holdup_.Handler());
  StartServer({.worker_threads = 1});
  const auto channel = Connect();
  const auto running = StartCall(*channel, "running");
  ASSERT_TRUE(holdup_.WaitForEntered());
  const auto queued = StartCall(*channel, "queued");
  WaitForArrival(*channel);
  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  WaitUntilNewCallsFail(*channel);
  holdup_.LetGo();
  EXPECT_TRUE(running->Wait().ok());
  EXPECT_TRUE(queued->Wait().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(DrainTest, CancelsCallsThatOutlastTheGrace) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  const absl::Status drained = server_->Drain(absl::Milliseconds(20));
  EXPECT_EQ(drained.code(), StatusCode::kDeadlineExceeded) << drained;
  EXPECT_NE(drained.message().find("1 call was"), std::string::npos) << drained;
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
}

// A Watch that ends early, to be begun anew elsewhere.
TEST_F(DrainTest, TellsHandlersAndLetsThemEnd) {
  service_.OnWatch([](ServerContext& context, const Message&,
                      ServerWriter<Message>& writer) {
    EXPECT_FALSE(context.draining());
    Event told;
    const auto registration = context.OnDrain([&told] { told.Notify(); });
    EXPECT_TRUE(writer.Write(MessageWith("watching")));
    EXPECT_TRUE(told.Wait());
    EXPECT_TRUE(context.draining());
    Event late;
    const auto at_once = context.OnDrain([&late] { late.Notify(); });
    EXPECT_EQ(late.count(), 1);
    EXPECT_TRUE(writer.Write(MessageWith("go on elsewhere")));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  const absl::Status drained = server_->Drain(absl::Minutes(10));
  EXPECT_TRUE(drained.ok()) << drained;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_EQ(message.text(), "go on elsewhere");
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(DrainTest, TellsEveryHandlerOfAConnection) {
  constexpr int kStreams = 5;
  service_.OnWatch([](ServerContext& context, const Message&,
                      ServerWriter<Message>& writer) {
    Event told;
    const auto registration = context.OnDrain([&told] { told.Notify(); });
    EXPECT_TRUE(writer.Write(MessageWith("watching")));
    EXPECT_TRUE(told.Wait());
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  std::vector<ClientReader<Message>> readers;
  Message message;
  for (int i = 0; i < kStreams; ++i) {
    readers.push_back(Tester::Stub(*channel).Watch(MessageWith("")));
    ASSERT_TRUE(readers.back().Read(&message));
  }
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  for (auto& reader : readers) EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(DrainTest, TellsNoHandlerThatHasEnded) {
  std::atomic<int> told{0};
  service_.OnCall([&told](ServerContext& context, const Message&, Message*) {
    const auto registration = context.OnDrain([&told] { ++told; });
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x").ok());
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  EXPECT_EQ(told, 0);
}

// Ends them as a handler's messages end, so that it can say how far it is.
TEST_F(DrainTest, EndsReadsOfAHandlerThatWantsThat) {
  Event read;
  service_.OnUpload([&read](ServerContext& context,
                            ServerReader<Message>& reader, Message*) {
    const auto on_drain = context.OnDrain([&reader] { reader.StopReads(); });
    Message message;
    int count = 0;
    while (reader.Read(&message)) {
      ++count;
      read.Notify();
    }
    EXPECT_TRUE(context.draining());
    EXPECT_FALSE(context.cancelled());
    return absl::UnavailableError(std::to_string(count));
  });
  StartServer();
  const auto channel = Connect();
  auto writer = Tester::Stub(*channel).Upload();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer.Write(Message()));
  ASSERT_TRUE(read.Wait(3));
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  const absl::Status status = writer.Finish().status();
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kFinished));
  EXPECT_EQ(status.message(), "3");
}

// The same without a thread.
class CoReadingService final : public Tester::CoService {
 public:
  Task<absl::Status> Chat(ServerContext& context,
                          ServerStream<Message, Message>& stream) override {
    const auto on_drain = context.OnDrain([&stream] { stream.StopReads(); });
    Message message;
    while (co_await stream.CoRead(&message)) {
      if (!co_await stream.CoWrite(message)) break;
    }
    EXPECT_FALSE(context.cancelled());
    co_return absl::UnavailableError(context.draining() ? "draining" : "");
  }
};

TEST_F(DrainTest, EndsReadsOfACoroutineThatWantsThat) {
  CoReadingService service;
  StartServerOf(&service);
  const auto channel = Connect();
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Write(message));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  EXPECT_FALSE(stream.Read(&message));
  const absl::Status status = stream.Finish();
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kFinished));
  EXPECT_EQ(status.message(), "draining");
  StopServer();
}

TEST_F(DrainTest, ListsTheCallsThatItCancels) {
  const Logged warnings(LogSeverity::kWarning);
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  ASSERT_TRUE(Tester::Stub(*channel).Other(Message(), {.info = &info}).ok());
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  EXPECT_FALSE(server_->Drain(absl::Milliseconds(20)).ok());
  EXPECT_FALSE(call->WaitForStatus().ok());
  EXPECT_THAT(warnings.lines(),
              ElementsAre("the drain's grace is over; calls cancelled: 1",
                          AllOf(StartsWith("tern.testing.Tester/Call for " +
                                           info.local + ", "),
                                EndsWith(" old"))));
}

TEST_F(DrainTest, ListsSomeOfManyCallsThatItCancels) {
  constexpr int kCalls = 23;
  const Logged warnings(LogSeverity::kWarning);
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer({.worker_threads = 1});
  const std::unique_ptr<Channel> channels[] = {Connect(), Connect()};
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(StartCall(*channels[i % 2], "x"));
  }
  ASSERT_TRUE(holdup_.WaitForEntered());
  for (const auto& channel : channels) WaitForArrival(*channel);
  EXPECT_FALSE(server_->Drain(absl::ZeroDuration()).ok());
  for (const auto& call : calls) EXPECT_FALSE(call->WaitForStatus().ok());
  const std::vector<std::string> lines = warnings.lines();
  ASSERT_EQ(lines.size(), 22u);
  EXPECT_EQ(lines.front(), "the drain's grace is over; calls cancelled: 23");
  EXPECT_EQ(lines.back(), "and 3 more");
}

TEST_F(DrainTest, WithoutGraceCancelsAtOnce) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  EXPECT_EQ(server_->Drain(absl::ZeroDuration()).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

TEST_F(DrainTest, CanBeAskedForByAHandler) {
  service_.OnCall([&](ServerContext&, const Message& request, Message* reply) {
    const absl::Status status = server_->Drain(absl::Minutes(10));
    *reply = request;
    return status;
  });
  StartServer();
  const auto channel = Connect();
  const absl::StatusOr<Message> reply = Call(*channel, "stop, please");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "stop, please");
  server_->Wait();
}

TEST_F(DrainTest, CanBeAskedForOnce) {
  service_.OnCall([&](ServerContext&, const Message&, Message*) {
    const absl::Status first = server_->Drain(absl::Minutes(10));
    return first.ok() ? server_->Drain(absl::Minutes(10)) : first;
  });
  StartServer();
  const auto channel = Connect();
  EXPECT_EQ(CallStatus(*channel, "x").code(), StatusCode::kFailedPrecondition);
  server_->Wait();
  EXPECT_EQ(server_->Drain(absl::Minutes(10)).code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(DrainTest, NeedsAServerThatRuns) {
  Server server({.listen = {"127.0.0.1:0"}});
  EXPECT_EQ(server.Drain(absl::Seconds(1)).code(),
            StatusCode::kFailedPrecondition);
  server.Stop();
  server.Wait();
}

TEST_F(DrainTest, StopEndsCallsAndWaitsForTheirHandlers) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  // On workers, in every run: it is about their queue.
  StartServer(
      {.worker_threads = 1, .handler_threads = HandlerThreads::kWorkers});
  const auto channel = Connect();
  const auto running = StartCall(*channel, "running");
  ASSERT_TRUE(holdup_.WaitForEntered());
  WaitForArrival(*channel);
  const auto queued = StartCall(*channel, "queued");
  WaitForArrival(*channel);
  server_->Stop();
  EXPECT_TRUE(Failed(running->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
  EXPECT_TRUE(Failed(queued->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kNotStarted, CallPhase::kQueue));
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(DrainTest, NoHandlerRunsAfterStop) {
  std::atomic<bool> stopped{false};
  std::atomic<int> late{0};
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    const auto registration = context.cancellation().OnCancel([&] {
      if (stopped) ++late;
    });
    if (stopped) ++late;
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  std::atomic<bool> enough{false};
  Event answered;
  std::thread caller([&] {
    while (!enough) {
      if (CallStatus(*channel, "x").ok()) answered.Notify();
    }
  });
  EXPECT_TRUE(answered.Wait(20));
  server_->Stop();
  stopped = true;
  enough = true;
  caller.join();
  StopServer();
  EXPECT_EQ(late, 0);
}

TEST_F(DrainTest, StopMayBeCalledByMany) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  InThreads(6, [&](int i) {
    if (i < 2) {
      server_->Wait();
    } else if (i < 4) {
      (void)server_->Drain(absl::ZeroDuration());
    } else {
      server_->Stop();
    }
  });
  EXPECT_FALSE(call->Wait().ok());
  server_->Stop();
  EXPECT_EQ(server_->Start().code(), StatusCode::kFailedPrecondition);
}

TEST_F(DrainTest, DestroyingTheServerStopsIt) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  StopServer();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

// A signal that is blocked until Wait() takes it, whenever it comes.
class SignalTest : public DrainTest {
 protected:
  SignalTest() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalTest() override { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

TEST_F(SignalTest, SigtermDrains) {
  service_.OnCall(holdup_.Handler());
  StartServer({.drain_grace = absl::Minutes(10)});
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  std::thread other([&] {
    kill(getpid(), SIGTERM);
    WaitUntilNewCallsFail(*channel);
    holdup_.LetGo();
  });
  server_->Wait();
  other.join();
  EXPECT_TRUE(call->Wait().ok());
}

TEST_F(SignalTest, ASecondOneEndsTheGrace) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer({.drain_grace = absl::Minutes(10)});
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  ASSERT_TRUE(holdup_.WaitForEntered());
  std::thread other([&] {
    kill(getpid(), SIGINT);
    WaitUntilNewCallsFail(*channel);
    kill(getpid(), SIGTERM);
  });
  server_->Wait();
  other.join();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

}  // namespace
}  // namespace tern::testing
