// Calls of different priority on one server.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

class PriorityTest : public EndToEnd {
 protected:
  void TearDown() override {
    holdup_.LetGo();
    StopServer();
  }

  // One worker, kept busy; what it does afterwards is written down.
  void StartBusyServer() {
    service_.OnOther(holdup_.Handler());
    service_.OnCall([this](ServerContext&, const Message& request, Message*) {
      MutexLock lock(mutex_);
      order_ += request.text();
      return absl::OkStatus();
    });
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
    holdup_.LetGo();
    for (const auto& call : calls_) EXPECT_TRUE(call->WaitForStatus().ok());
    MutexLock lock(mutex_);
    return order_;
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
