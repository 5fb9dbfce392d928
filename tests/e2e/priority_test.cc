// Calls of different priority on one server.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tern/lib/wire/frame.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

class PriorityTest : public EndToEnd {
 protected:
  void TearDown() override {
    holdup_.LetGo();
    StopServer();
  }

  void WriteDownCalls() {
    service_.OnCall([this](ServerContext&, const Message& request, Message*) {
      MutexLock lock(mutex_);
      order_ += request.text();
      return absl::OkStatus();
    });
  }
  // One worker, kept busy; what it does afterwards is written down.
  void StartBusyServer() {
    service_.OnOther(holdup_.Handler());
    WriteDownCalls();
    StartServer(
        {.worker_threads = 1, .handler_threads = HandlerThreads::kWorkers});
    channel_ = Connect();
    Tester::Stub(*channel_).Other({}, {}, [](absl::StatusOr<Message>) {});
    ASSERT_TRUE(holdup_.WaitForEntered());
  }
  void Queue(const std::string& text, int priority,
             absl::Duration timeout = absl::Minutes(5)) {
    calls_.push_back(
        StartCall(*channel_, text, {.timeout = timeout, .priority = priority}));
  }
  // In which order the handlers have run.
  std::string Run() {
    // The second time what came before the first is in the queue.
    WaitForArrival(*channel_);
    WaitForArrival(*channel_);
    return LetGo();
  }
  std::string LetGo() {
    holdup_.LetGo();
    for (const auto& call : calls_) EXPECT_TRUE(call->WaitForStatus().ok());
    MutexLock lock(mutex_);
    return order_;
  }

  // One call at a time, and one that stays: all others wait at the client.
  void StartFullServer() {
    service_.OnOther(holdup_.Handler());
    WriteDownCalls();
    StartServer({.max_concurrent_calls = 1});
    channel_ = Connect();
    WaitForArrival(*channel_);  // It knows the limit now.
    Tester::Stub(*channel_).Other({}, {}, [](absl::StatusOr<Message>) {});
    ASSERT_TRUE(holdup_.WaitForEntered());
  }
  // The same once they all do.
  std::string RunWhatWaitsAtTheClient() {
    const auto last = StartCall(*channel_, "cancelled");
    last->Cancel();
    EXPECT_EQ(last->WaitForStatus().code(), absl::StatusCode::kCancelled);
    return LetGo();
  }

  std::unique_ptr<Channel> channel_;
  std::vector<std::shared_ptr<PendingCall>> calls_;
  Mutex mutex_;
  std::string order_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(PriorityTest, UrgentCallsOvertakeInTheQueue) {
  StartBusyServer();
  for (int i = 0; i < 5; ++i) Queue("b", 0, absl::Minutes(2));
  Queue("u", 3);
  Queue("U", 7);
  EXPECT_EQ(Run(), "Uubbbbb");
}

TEST_F(PriorityTest, OthersAreNotStarved) {
  StartBusyServer();
  for (int i = 0; i < 3; ++i) Queue("b", 0);
  for (int i = 0; i < 18; ++i) Queue("u", 1);
  EXPECT_EQ(Run(),
            "uuuuuuuub"
            "uuuuuuuub"
            "uub");
}

// ---- At the client, for a place on the connection

TEST_F(PriorityTest, UrgentCallsOvertakeThoseThatWaitForAPlace) {
  StartFullServer();
  for (int i = 0; i < 3; ++i) Queue("b", 0);
  Queue("u", 3);
  Queue("v", 3, absl::Minutes(1));  // Of one priority, the first that came.
  Queue("U", 7);
  EXPECT_EQ(RunWhatWaitsAtTheClient(), "Uuvbbb");
}

TEST_F(PriorityTest, ThoseThatWaitForAPlaceAreNotStarved) {
  StartFullServer();
  for (int i = 0; i < 2; ++i) Queue("b", 0);
  Queue("m", 2);
  for (int i = 0; i < 28; ++i) Queue("u", 6);
  EXPECT_EQ(RunWhatWaitsAtTheClient(),
            "uuuuuuuub"
            "uuuuuuuum"
            "uuuuuuuub"
            "uuuu");
}

TEST_F(PriorityTest, ACallThatGivesUpWaitingLeavesTheOthersTheirTurns) {
  StartFullServer();
  Queue("b", 0);
  const auto urgent = StartCall(*channel_, "U", {.priority = 7});
  Queue("u", 3);
  Queue("v", 3);
  urgent->Cancel();
  EXPECT_TRUE(Failed(urgent->WaitForStatus(), absl::StatusCode::kCancelled,
                     Certainty::kNotStarted, CallPhase::kSend));
  const absl::Status late = CallStatus(
      *channel_, "V", {.timeout = absl::Milliseconds(20), .priority = 7});
  EXPECT_TRUE(Failed(late, absl::StatusCode::kDeadlineExceeded,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_EQ(RunWhatWaitsAtTheClient(), "uvb");
}

// ---- At the client, for a connection

TEST_F(PriorityTest, UrgentCallsOvertakeThoseThatWaitForAConnection) {
  const std::string target = RawListener(OwnLoopbackAddress() + ":0").target();
  channel_ = Channel::Create(target, {.initial_backoff = absl::Milliseconds(1),
                                      .max_backoff = absl::Milliseconds(1)});
  // Of one priority those go first that came first, not those in a hurry.
  const auto wait = [this](char text, int priority) {
    calls_.push_back(
        StartCall(*channel_, std::string(1, text),
                  {.timeout = absl::Hours(100) - absl::Hours(1) * calls_.size(),
                   .priority = priority,
                   .wait_for_ready = true}));
  };
  for (char text = '0'; text <= '1'; ++text) wait(text, 0);
  for (char text = 'a'; text <= 'r'; ++text) wait(text, 4);
  wait('U', 7);

  RawListener listener(target);
  RawConnection server = listener.Accept();
  std::string order;
  std::string answers = GreetingBytes();
  for (const RawFrame& frame : SplitFrames(server.ReadUntilFrame(
           static_cast<uint8_t>(wire::FrameType::kHeaders), 21))) {
    if (frame.stream == 0) continue;
    Message request;
    ASSERT_TRUE(request.ParseFromString(frame.payload));
    order += request.text();
    answers += StatusFrame(frame.stream, "");
  }
  EXPECT_EQ(order,
            "Uabcdefg0"
            "hijklmno1"
            "pqr");
  server.Send(answers);
  for (const auto& call : calls_) EXPECT_TRUE(call->WaitForStatus().ok());
}

// ---- At the server, while its client does not take its answers

class HeldBackTest : public PriorityTest {
 protected:
  // More is on its way to the client, in a stream that it does not read, than
  // it may have before its other calls go on.
  void StartServerThatHoldsBack() {
    service_.OnWatch([this](ServerContext&, const Message&,
                            ServerWriter<Message>& writer) {
      for (int i = 0; i < kReplies; ++i) {
        EXPECT_TRUE(writer.Write(MessageWith(std::string(kReplyBytes, 'r'))));
      }
      written_.Notify();
      return absl::OkStatus();
    });
    WriteDownCalls();
    // On the loop, where nothing else puts them in order.
    StartServer({.loop_threads = 1,
                 .handler_threads = HandlerThreads::kLoops,
                 .max_stream_unsent_bytes = 2 * kReplies * kReplyBytes,
                 .max_unsent_bytes = kReplies * kReplyBytes / 2});
    channel_ = Connect({.stream_window_bytes = kReplies * kReplyBytes / 4});
    unread_.emplace(Tester::Stub(*channel_).Watch(Message()));
    ASSERT_TRUE(written_.Wait());
    WaitForArrival(*channel_);  // The connection has it all now.
  }
  // The order of what is held back, once it is not any more.
  std::string RunWhatIsHeldBack() {
    WaitForArrival(*channel_);
    EXPECT_EQ(service_.started(), 1);  // The stream.
    Message reply;
    for (int i = 0; i < kReplies; ++i) EXPECT_TRUE(unread_->Read(&reply));
    EXPECT_TRUE(unread_->Finish().ok());
    return LetGo();
  }

 private:
  static constexpr int kReplies = 256;
  static constexpr size_t kReplyBytes = 1024;

  Event written_;
  std::optional<ClientReader<Message>> unread_;
};

TEST_F(HeldBackTest, UrgentCallsGoOnFirst) {
  StartServerThatHoldsBack();
  for (int i = 0; i < 3; ++i) Queue("b", 0);
  Queue("u", 3);
  Queue("v", 3, absl::Minutes(1));  // Of one priority, the first that came.
  Queue("U", 7);
  EXPECT_EQ(RunWhatIsHeldBack(), "Uuvbbb");
}

TEST_F(HeldBackTest, OthersHaveTheirTurns) {
  StartServerThatHoldsBack();
  for (int i = 0; i < 2; ++i) Queue("b", 0);
  for (int i = 0; i < 18; ++i) Queue("u", 6);
  EXPECT_EQ(RunWhatIsHeldBack(),
            "uuuuuuuub"
            "uuuuuuuub"
            "uu");
}

TEST_F(HeldBackTest, ACallThatGivesUpLeavesTheOthersTheirTurns) {
  StartServerThatHoldsBack();
  Queue("b", 0);
  const auto urgent = StartCall(*channel_, "U", {.priority = 7});
  Queue("u", 3);
  WaitForArrival(*channel_);
  urgent->Cancel();
  EXPECT_EQ(urgent->WaitForStatus().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(RunWhatIsHeldBack(), "ub");
}

TEST_F(PriorityTest, IsFromNoneToSeven) {
  StartServer();
  const auto channel = Connect();
  for (const int priority : {0, 7}) {
    EXPECT_TRUE(CallStatus(*channel, "x", {.priority = priority}).ok());
  }
  for (const int priority : {-1, 8}) {
    EXPECT_TRUE(Failed(CallStatus(*channel, "x", {.priority = priority}),
                       absl::StatusCode::kInvalidArgument,
                       Certainty::kNotStarted));
  }
}

}  // namespace
}  // namespace tern::testing
