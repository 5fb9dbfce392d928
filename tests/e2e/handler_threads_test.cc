// Where handlers run, and what those that block keep from going on: nothing
// but their own calls.

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tern/lib/base/thread_pool.h"
#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using Calls = std::vector<std::shared_ptr<PendingCall>>;

constexpr auto kPing = static_cast<uint8_t>(wire::FrameType::kPing);

// Call is what the test says; Other is short, and knows where it has run.
class HandlerThreadsTest : public EndToEnd {
 protected:
  HandlerThreadsTest() {
    service_.OnOther(
        [this](ServerContext&, const Message& request, Message* reply) {
          other_on_worker_ = ThreadPool::OnWorker();
          reply->set_text(request.text());
          return absl::OkStatus();
        });
  }

  static Calls StartCalls(Channel& channel, int count,
                          const CallOptions& options = {}) {
    Calls calls;
    for (int i = 0; i < count; ++i) {
      calls.push_back(StartCall(channel, std::to_string(i), options));
    }
    return calls;
  }
  static void ExpectEcho(Channel& channel, int count) {
    Tester::Stub stub(channel);
    for (int i = 0; i < count; ++i) {
      const std::string text = std::to_string(i);
      const absl::StatusOr<Message> reply = stub.Other(MessageWith(text));
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->text(), text);
    }
  }
  // Calls `call` until its handler runs where the request was read.
  template <typename Function>
  static void ShowThatItIsShort(std::atomic<bool>& on_worker, Function call) {
    const MonotonicTime until = MonotonicTime::Now() + kPatience;
    do {
      ASSERT_TRUE(call().ok());
      ASSERT_LT(MonotonicTime::Now(), until) << "it stays on the workers";
    } while (on_worker);
  }
  void ShowThatOtherIsShort(Channel& channel) {
    ShowThatItIsShort(other_on_worker_, [&] {
      return Tester::Stub(channel).Other(MessageWith("x")).status();
    });
  }

  std::atomic<bool> other_on_worker_{true};
};

// ---- Where

TEST_F(HandlerThreadsTest, WorkersRunAllWhenAskedTo) {
  StartServer({.handler_threads = HandlerThreads::kWorkers});
  const auto channel = Connect();
  for (int i = 0; i < 100; ++i) {
    ExpectEcho(*channel, 1);
    EXPECT_TRUE(other_on_worker_);
  }
}

TEST_F(HandlerThreadsTest, LoopsRunAllWhenAskedTo) {
  StartServer({.handler_threads = HandlerThreads::kLoops});
  const auto channel = Connect();
  for (int i = 0; i < 100; ++i) {
    ExpectEcho(*channel, 1);
    EXPECT_FALSE(other_on_worker_);
  }
}

TEST_F(HandlerThreadsTest, AMethodBeginsOnTheWorkersAndShowsThatItIsShort) {
  StartServer();
  const auto channel = Connect();
  ExpectEcho(*channel, 1);
  EXPECT_TRUE(other_on_worker_);
  ShowThatOtherIsShort(*channel);
}

TEST_F(HandlerThreadsTest, AMethodThatIsLongStaysOnTheWorkers) {
  std::atomic<int> elsewhere{0};
  service_.OnCall([&](ServerContext&, const Message&, Message*) {
    if (!ThreadPool::OnWorker()) ++elsewhere;
    const MonotonicTime until = MonotonicTime::Now() + absl::Milliseconds(1);
    while (MonotonicTime::Now() < until) {
    }
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(CallStatus(*channel, "x").ok());
  EXPECT_EQ(elsewhere, 0);
}

// A request that came in pieces is parsed where it is run: on a worker while
// other connections use the loop, too. (The pieces are as small as may be:
// else, on a machine that is busy enough, it is too slow for the loop.)
TEST_F(HandlerThreadsTest, ALongRequestRunsWhereItKeepsNobodyWaiting) {
  constexpr uint32_t kFrameBytes = wire::Hello::kMinFrameBytes;
  StartServer({.loop_threads = 1, .max_frame_bytes = kFrameBytes});
  const auto channel = Connect();
  const auto other = Connect();
  ShowThatOtherIsShort(*channel);
  Message request;
  request.set_payload(std::string(kFrameBytes, 'x'));
  const auto call = [&] { return Tester::Stub(*channel).Other(request); };
  ShowThatItIsShort(other_on_worker_, [&] { return call().status(); });
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  do {
    ExpectEcho(*other, 1);
    ASSERT_TRUE(call().ok());
    ASSERT_LT(MonotonicTime::Now(), until) << "it stays on the loop";
  } while (!other_on_worker_);
}

// ---- Methods that were short, and stall where they run

class StallTest : public HandlerThreadsTest {
 protected:
  static constexpr int kFewWorkers = 4;
  static constexpr int kStandby = kFewWorkers + 1;  // One for each loop, too.
  // Call's handler is short, and stays in holdup_ when the request says so.
  void StartServerWithShortCall(bool heeds_cancellation = false) {
    service_.OnCall(
        [this, stall = heeds_cancellation
                           ? holdup_.HandlerThatHeedsCancellation()
                           : holdup_.Handler()](
            ServerContext& context, const Message& request, Message* reply) {
          call_on_worker_ = ThreadPool::OnWorker();
          if (request.text() == "stall") return stall(context, request, reply);
          *reply = request;
          return absl::OkStatus();
        });
    // One loop: what is held up would show.
    StartServer({.loop_threads = 1, .worker_threads = kFewWorkers});
    channel_ = Connect();
    ShowThatOtherIsShort(*channel_);
    ShowThatCallIsShort();
  }
  void ShowThatCallIsShort() {
    ShowThatItIsShort(call_on_worker_,
                      [&] { return CallStatus(*channel_, "short"); });
  }
  // A handler that stalls where its request was read.
  std::shared_ptr<PendingCall> Stall(const CallOptions& options = {}) {
    auto call = StartCall(*channel_, "stall", options);
    EXPECT_TRUE(holdup_.WaitForEntered(++stalls_));
    EXPECT_FALSE(call_on_worker_);
    return call;
  }

  std::atomic<bool> call_on_worker_{true};
  int stalls_ = 0;
  std::unique_ptr<Channel> channel_;
};

TEST_F(StallTest, OwnAndOtherConnectionsGoOn) {
  StartServerWithShortCall();
  const auto stalled = Stall();
  ExpectEcho(*channel_, 100);
  ExpectEcho(*Connect(), 100);
  EXPECT_EQ(stalled->callbacks(), 0);
  holdup_.LetGo();
  EXPECT_TRUE(stalled->Wait().ok());
}

// Each of them takes another thread; when the threads that stand by are used
// up, the rest are for the workers, and then for the queue.
TEST_F(StallTest, SoDoTheyHoweverManyStall) {
  StartServerWithShortCall();
  Calls stalled;
  for (int i = 0; i < kStandby; ++i) stalled.push_back(Stall());
  for (int i = 0; i < 40; ++i) {
    stalled.push_back(StartCall(*channel_, "stall"));
  }
  ASSERT_TRUE(holdup_.WaitForEntered(kStandby + kFewWorkers));
  EXPECT_TRUE(call_on_worker_);
  for (int i = 0; i < 20; ++i) WaitForArrival(*channel_);
  WaitForArrival(*Connect());
  holdup_.LetGo();
  for (const auto& call : stalled) EXPECT_TRUE(call->Wait().ok());
  for (const auto& call : stalled) EXPECT_EQ(call->callbacks(), 1);
}

TEST_F(StallTest, IsToldOfItsCancellation) {
  StartServerWithShortCall(/*heeds_cancellation=*/true);
  const auto stalled = Stall();
  stalled->Cancel();
  EXPECT_TRUE(Failed(stalled->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  StopServer();  // Returns when the handler has.
}

TEST_F(StallTest, IsToldOfItsDeadline) {
  StartServerWithShortCall(/*heeds_cancellation=*/true);
  const auto stalled =
      StartCall(*channel_, "stall", {.timeout = absl::Milliseconds(50)});
  // Either end may be the first to see that the time is up; the handler that is
  // told then answers CANCELLED.
  const absl::Status status = stalled->WaitForStatus();
  EXPECT_TRUE(status.code() == StatusCode::kDeadlineExceeded ||
              status.code() == StatusCode::kCancelled)
      << status;
  StopServer();  // Returns when the handler has.
}

TEST_F(StallTest, IsToldWhenItsClientGoesAway) {
  StartServerWithShortCall(/*heeds_cancellation=*/true);
  const auto stalled = Stall();
  channel_.reset();
  EXPECT_EQ(stalled->WaitForStatus().code(), StatusCode::kCancelled);
  // Its connection is gone as well, before the handler of another returns.
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
}

TEST_F(StallTest, PingsAreAnswered) {
  StartServerWithShortCall();
  const auto stalled = Stall();
  RawConnection client = RawConnection::To(target());
  client.Send(GreetingBytes() + PingFrame("12345678"));
  client.ReadUntilFrame(kPing);
  holdup_.LetGo();
  EXPECT_TRUE(stalled->Wait().ok());
}

TEST_F(StallTest, DrainLetsItFinish) {
  StartServerWithShortCall();
  const auto stalled = Stall();
  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  while (
      CallStatus(*Connect(), "x", {.timeout = absl::Milliseconds(50)}).ok() &&
      MonotonicTime::Now() < until) {
  }
  EXPECT_EQ(stalled->callbacks(), 0);
  holdup_.LetGo();
  EXPECT_TRUE(stalled->Wait().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(StallTest, DrainWithoutGraceTellsIt) {
  StartServerWithShortCall(/*heeds_cancellation=*/true);
  const auto stalled = Stall();
  EXPECT_EQ(server_->Drain(absl::ZeroDuration()).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Failed(stalled->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

TEST_F(StallTest, StopTellsIt) {
  StartServerWithShortCall(/*heeds_cancellation=*/true);
  const auto stalled = Stall();
  server_->Stop();
  EXPECT_TRUE(Failed(stalled->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

// Which needs the listener's loop: the one that the handler has come from.
TEST_F(StallTest, MayDrainItsServer) {
  std::atomic<bool> on_worker{true};
  service_.OnCall([&](ServerContext&, const Message& request, Message* reply) {
    on_worker = ThreadPool::OnWorker();
    *reply = request;
    return request.text() == "drain" ? server_->Drain(absl::Minutes(10))
                                     : absl::OkStatus();
  });
  StartServer({.loop_threads = 1, .worker_threads = 1});
  const auto channel = Connect();
  ShowThatItIsShort(on_worker, [&] { return CallStatus(*channel, "x"); });
  EXPECT_TRUE(CallStatus(*channel, "drain").ok());
  server_->Wait();
}

// On a machine that is busy enough, the way back to the workers is over before
// the next call is there: then it stalls once more, for four times as long.
TEST_F(StallTest, SendsTheMethodToTheWorkersForAWhile) {
  std::atomic<bool> on_worker{true};
  service_.OnCall([&](ServerContext&, const Message& request, Message*) {
    on_worker = ThreadPool::OnWorker();
    if (request.text() == "stall" && !on_worker) {
      const MonotonicTime until = MonotonicTime::Now() + absl::Milliseconds(2);
      while (MonotonicTime::Now() < until) {
      }
    }
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  ShowThatItIsShort(on_worker, [&] { return CallStatus(*channel, "x"); });
  int tries = 0;
  for (; tries < 20 && !on_worker; ++tries) {
    EXPECT_TRUE(CallStatus(*channel, "stall").ok());
  }
  EXPECT_TRUE(on_worker) << tries;
  // And back again.
  ShowThatItIsShort(on_worker, [&] { return CallStatus(*channel, "x"); });
}

// ---- Handlers that block, wherever they run

constexpr int kWorkers = 8;

struct Blocked {
  HandlerThreads threads;
  int count;
};

class BlockedTest : public HandlerThreadsTest,
                    public ::testing::WithParamInterface<Blocked> {};

TEST_P(BlockedTest, KeepNoShortCallFromItsAnswer) {
  service_.OnCall(holdup_.Handler());
  StartServer(
      {.worker_threads = kWorkers, .handler_threads = GetParam().threads});
  const auto channel = Connect();
  const auto other = Connect();
  if (GetParam().threads == HandlerThreads::kAdaptive) {
    ShowThatOtherIsShort(*channel);
  }
  const Calls blocked = StartCalls(*channel, GetParam().count);
  ASSERT_TRUE(holdup_.WaitForEntered(GetParam().count));
  ExpectEcho(*channel, 50);
  ExpectEcho(*other, 50);
  Event answered;
  Tester::Stub stub(*channel);
  for (int i = 0; i < 100; ++i) {
    stub.Other(MessageWith("x"), {}, [&](const absl::StatusOr<Message>& reply) {
      EXPECT_TRUE(reply.ok()) << reply.status();
      answered.Notify();
    });
  }
  EXPECT_TRUE(answered.Wait(100));
  for (const auto& call : blocked) EXPECT_EQ(call->callbacks(), 0);
  holdup_.LetGo();
  for (const auto& call : blocked) EXPECT_TRUE(call->Wait().ok());
  for (const auto& call : blocked) EXPECT_EQ(call->callbacks(), 1);
}

std::vector<Blocked> AllBlocked() {
  std::vector<Blocked> all;
  for (const int count : {4, kWorkers - 1, kWorkers}) {
    // (With all workers blocked, kWorkers has nobody left for anything.)
    if (count < kWorkers) all.push_back({HandlerThreads::kWorkers, count});
    all.push_back({HandlerThreads::kLoops, count});
    all.push_back({HandlerThreads::kAdaptive, count});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    All, BlockedTest, ::testing::ValuesIn(AllBlocked()),
    [](const ::testing::TestParamInfo<Blocked>& info) {
      const HandlerThreads threads = info.param.threads;
      return std::string(threads == HandlerThreads::kWorkers ? "Workers"
                         : threads == HandlerThreads::kLoops ? "Loops"
                                                             : "Adaptive") +
             std::to_string(info.param.count);
    });

class OnLoops : public HandlerThreadsTest {
 protected:
  void StartServerOnLoops(int loops, int workers) {
    StartServer({.loop_threads = loops,
                 .worker_threads = workers,
                 .handler_threads = HandlerThreads::kLoops});
  }
};

// However many of them block: the loop that would tell them is never blocked.
TEST_F(OnLoops, HandlersThatBlockAreToldOfTheirCancellation) {
  for (const int count : {1, 2, 3, 20}) {
    Holdup holdup;
    service_.OnCall(holdup.HandlerThatHeedsCancellation());
    StartServerOnLoops(/*loops=*/1, /*workers=*/1);
    const auto channel = Connect();
    const Calls calls = StartCalls(*channel, count);
    const int entered = std::min(count, 3);
    ASSERT_TRUE(holdup.WaitForEntered(entered));
    for (const auto& call : calls) call->Cancel();
    // Behind those that have entered, some may not have been sent yet.
    int maybe_started = 0;
    for (const auto& call : calls) {
      const absl::Status ended = call->WaitForStatus();
      EXPECT_EQ(ended.code(), StatusCode::kCancelled) << ended;
      if (Failed(ended, StatusCode::kCancelled, Certainty::kMaybeStarted)) {
        ++maybe_started;
      }
    }
    EXPECT_GE(maybe_started, entered);
    // Returns when the last handler has.
    StopServer();
  }
}

// ---- Many of everything

// Handlers that are short, block, or wait for their cancellation, with calls
// that are cancelled or expire, from several connections and threads; and in
// the end a server that stops in the middle of it.
class ManyThings : public HandlerThreadsTest,
                   public ::testing::WithParamInterface<HandlerThreads> {};

TEST_P(ManyThings, EndEachCallOnce) {
  std::atomic<int> handlers{0};
  const auto handler = [&](ServerContext& context, const Message& request,
                           Message* reply) {
    ++handlers;
    *reply = request;
    const MonotonicTime begun = MonotonicTime::Now();
    if (request.text() == "block") {
      while (MonotonicTime::Now() < begun + absl::Milliseconds(3)) {
        std::this_thread::yield();
      }
    } else if (request.text() == "until cancelled") {
      Event over;
      const auto registration =
          context.cancellation().OnCancel([&] { over.Notify(); });
      EXPECT_TRUE(over.Wait());
    }
    return absl::OkStatus();
  };
  service_.OnCall(handler);
  StartServer({.loop_threads = 2,
               .worker_threads = 3,
               .handler_threads = GetParam(),
               .max_queued_calls = 64});
  std::atomic<bool> stopped{false};
  std::atomic<int> answered{0};
  std::atomic<int> ended{0};
  constexpr int kThreads = 3;
  std::thread stop([&] {
    const MonotonicTime until = MonotonicTime::Now() + kPatience;
    while (answered < 600 && MonotonicTime::Now() < until) {
      std::this_thread::yield();
    }
    EXPECT_GE(answered, 600);
    stopped = true;
    server_->Stop();
  });
  std::atomic<int> started{0};
  std::vector<std::unique_ptr<Channel>> channels;
  for (int i = 0; i < kThreads; ++i) channels.push_back(Connect());
  InThreads(kThreads, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    Channel& channel = *channels[static_cast<size_t>(thread)];
    Calls pending;
    while (!stopped) {
      const unsigned what = random() % 100;
      std::string text = "short";
      CallOptions options;
      if (what < 4) text = "block";
      if (what == 4) {
        text = "until cancelled";
        options.timeout = absl::Milliseconds(10);
      }
      pending.push_back(StartCall(channel, text, options));
      ++started;
      if (what < 8) pending.back()->Cancel();
      if (what > 90 || pending.size() > 30) {
        if (Call(channel, "short").ok()) ++answered;
      }
      if (pending.size() > 30) {
        for (const auto& call : pending) {
          if (call->Wait().ok()) ++answered;
          EXPECT_EQ(call->callbacks(), 1);
          ++ended;
        }
        pending.clear();
      }
    }
    for (const auto& call : pending) {
      (void)call->Wait();
      EXPECT_EQ(call->callbacks(), 1);
      ++ended;
    }
  });
  stop.join();
  EXPECT_EQ(ended, started);
  const int handlers_at_the_end = handlers;
  StopServer();
  EXPECT_EQ(handlers, handlers_at_the_end);
}

INSTANTIATE_TEST_SUITE_P(
    All, ManyThings,
    ::testing::Values(HandlerThreads::kAdaptive, HandlerThreads::kWorkers,
                      HandlerThreads::kLoops),
    [](const ::testing::TestParamInfo<HandlerThreads>& info) {
      return std::string(info.param == HandlerThreads::kWorkers ? "Workers"
                         : info.param == HandlerThreads::kLoops ? "Loops"
                                                                : "Adaptive");
    });

}  // namespace
}  // namespace tern::testing
