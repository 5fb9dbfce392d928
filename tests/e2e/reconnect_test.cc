// Servers that go and come back.

#include <string>
#include <vector>

#include "tests/testing/end_to_end.h"
#include "tests/testing/raw_connection.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Tests have no time for the pauses that suit a network.
const ChannelOptions kQuickly = {.initial_backoff = absl::Milliseconds(10),
                                 .max_backoff = absl::Milliseconds(50)};

class ReconnectTest : public EndToEnd {
 protected:
  void StartServerOnItsOwnAddress() {
    StartServerOn(OwnLoopbackAddress() + ":0");
  }
  void StartServerOn(const std::string& target) {
    StartServer({.listen = {target}});
  }
  std::string StopServerAndKeepItsTarget() {
    const std::string target = this->target();
    StopServer();
    return target;
  }
};

TEST_F(ReconnectTest, AServerThatIsBackIsFoundAgain) {
  StartServerOnItsOwnAddress();
  const auto channel = Connect(kQuickly);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(CallStatus(*channel, "x", {.wait_for_ready = true}).ok());
    const std::string target = StopServerAndKeepItsTarget();
    EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kUnavailable,
                       Certainty::kNotStarted, CallPhase::kConnect));
    StartServerOn(target);
  }
  EXPECT_TRUE(CallStatus(*channel, "x", {.wait_for_ready = true}).ok());
}

TEST_F(ReconnectTest, ACallThatDoesNotWaitIsToldTheReason) {
  StartServerOnItsOwnAddress();
  const std::string target = StopServerAndKeepItsTarget();
  const auto channel = Channel::Create(target);
  // The first attempt, and what is said of it during the pause that follows.
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = CallStatus(*channel, "x");
    EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted,
                       CallPhase::kConnect));
    EXPECT_EQ(status.message(),
              "connect to " + target + ": connection refused");
    EXPECT_TRUE(Failed(StartCall(*channel, "x")->WaitForStatus(),
                       StatusCode::kUnavailable, Certainty::kNotStarted,
                       CallPhase::kConnect));
  }
}

TEST_F(ReconnectTest, CallsThatWaitAreServedWhenTheServerIsBack) {
  StartServerOnItsOwnAddress();
  const std::string target = StopServerAndKeepItsTarget();
  const auto channel = Channel::Create(target, kQuickly);
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(
        StartCall(*channel, std::to_string(i), {.wait_for_ready = true}));
  }
  // It has been tried by now, in vain.
  EXPECT_EQ(CallStatus(*channel, "x").code(), StatusCode::kUnavailable);
  StartServerOn(target);
  for (int i = 0; i < 10; ++i) {
    const absl::StatusOr<Message> reply = calls[i]->Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(i));
  }
}

// A name that cannot be found is an error of its own phase.
TEST_F(ReconnectTest, ANameThatCannotBeFound) {
  const auto channel = Channel::Create("nonexistent.invalid:1");
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted,
                     CallPhase::kResolve));
  EXPECT_NE(status.message().find("nonexistent.invalid"), std::string::npos)
      << status;
  EXPECT_EQ(CallError::From(status)->peer, "nonexistent.invalid:1");
}

// L23: every call of many is accounted for, whatever becomes of the server.
TEST_F(ReconnectTest, ARestartUnderLoadLosesNoCall) {
  StartServerOnItsOwnAddress();
  const std::string target = this->target();
  const auto channel = Channel::Create(target, kQuickly);
  std::atomic<bool> enough{false};
  Event succeeded;
  std::atomic<int> wrong{0};
  std::thread restarts([&] {
    for (int i = 1; i <= 4; ++i) {
      EXPECT_TRUE(succeeded.Wait(i * 50));
      StopServer();
      StartServerOn(target);
    }
    EXPECT_TRUE(succeeded.Wait(succeeded.count() + 50));
    enough = true;
  });
  InThreads(4, [&](int thread) {
    for (int i = 0; !enough; ++i) {
      const std::string text = std::to_string(thread) + "/" + std::to_string(i);
      const absl::StatusOr<Message> reply =
          Call(*channel, text, {.wait_for_ready = i % 2 == 0});
      if (reply.ok()) {
        if (reply->text() != text) ++wrong;
        succeeded.Notify();
      } else if (!CallError::From(reply.status()).has_value() ||
                 reply.status().code() != StatusCode::kUnavailable) {
        ADD_FAILURE() << reply.status();
        return;
      }
    }
  });
  restarts.join();
  EXPECT_EQ(wrong, 0);
}

// Connecting is not tried for nobody.
TEST_F(ReconnectTest, AChannelConnectsWhenItIsFirstUsed) {
  RawListener listener;
  const auto channel = Channel::Create(listener.target());
  const auto call = StartCall(*channel, "x");
  RawConnection server = listener.Accept();
  server.Close();
  EXPECT_EQ(call->WaitForStatus().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tern::testing
