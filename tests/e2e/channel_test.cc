// The life of a channel, and calls that cannot be made at all.

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/testing/end_to_end.h"
#include "tests/testing/fork.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class ChannelTest : public EndToEnd {};

// L18.
TEST_F(ChannelTest, DestroyingItEndsItsCallsEachOnce) {
  service_.OnCall(holdup_.Handler());
  StartServer({.max_concurrent_calls = 2});
  auto channel = Connect();
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(StartCall(*channel, "x"));
  ASSERT_TRUE(holdup_.WaitForEntered(2));
  channel.reset();
  for (const auto& call : calls) {
    EXPECT_EQ(call->WaitForStatus().code(), StatusCode::kCancelled);
  }
  holdup_.LetGo();
  StopServer();
  for (const auto& call : calls) EXPECT_EQ(call->callbacks(), 1);
}

TEST_F(ChannelTest, DestroyingItEndsCallsThatWaitForAConnection) {
  auto channel = Channel::Create("127.0.0.1:0");  // Nobody is there.
  const auto call = StartCall(
      *channel, "x", {.timeout = absl::Hours(1), .wait_for_ready = true});
  channel.reset();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kNotStarted));
}

TEST_F(ChannelTest, MayBeDestroyedInsideACallback) {
  service_.OnOther(holdup_.Handler());
  StartServer();
  auto channel = Connect();
  Tester::Stub stub(*channel);
  Event other_over;
  absl::Status other;
  stub.Other(Message(), {}, [&](absl::StatusOr<Message> reply) {
    other = std::move(reply).status();
    other_over.Notify();
  });
  ASSERT_TRUE(holdup_.WaitForEntered());
  Event done;
  stub.Call(Message(), {}, [&](const absl::StatusOr<Message>& reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    channel.reset();
    done.Notify();
  });
  ASSERT_TRUE(done.Wait());
  ASSERT_TRUE(other_over.Wait());
  EXPECT_EQ(other.code(), StatusCode::kCancelled);
}

// In every moment of its life.
TEST_F(ChannelTest, MayBeDestroyedAtAnyTime) {
  StartServer();
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < 200; ++i) {
    auto channel = Connect();
    calls.push_back(StartCall(*channel, "x"));
    if (i % 4 == 1) calls.back()->Cancel();
    for (volatile int spin = 0; spin < i * 200;) spin = spin + 1;
    channel.reset();
  }
  for (const auto& call : calls) {
    const absl::StatusOr<Message> reply = call->Wait();
    if (!reply.ok()) {
      EXPECT_EQ(reply.status().code(), StatusCode::kCancelled)
          << reply.status();
    }
  }
}

TEST_F(ChannelTest, NeedNotBeUsed) {
  Channel::Create("127.0.0.1:0");
  EXPECT_EQ(Channel::Create("10.0.0.7:7117")->target(), "10.0.0.7:7117");
}

// L26.
TEST_F(ChannelTest, ABlockingCallOnAnIoThreadIsRefused) {
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  Event done;
  absl::Status inner;
  stub.Call(Message(), {}, [&](const absl::StatusOr<Message>&) {
    inner = stub.Call(Message()).status();
    done.Notify();
  });
  ASSERT_TRUE(done.Wait());
  EXPECT_TRUE(Failed(inner, StatusCode::kFailedPrecondition,
                     Certainty::kNotStarted, CallPhase::kSend));
}

TEST_F(ChannelTest, ATargetThatMakesNoSenseFailsEveryCall) {
  for (const char* target : {"", "nonsense", "127.0.0.1:99999", "::1:7117",
                             "http://here:1", "unix:"}) {
    const auto channel = Channel::Create(target);
    for (const absl::Status& status :
         {CallStatus(*channel, "x"), StartCall(*channel, "x")->WaitForStatus(),
          CallStatus(*channel, "x", {.wait_for_ready = true})}) {
      EXPECT_TRUE(
          Failed(status, StatusCode::kInvalidArgument, Certainty::kNotStarted))
          << target;
    }
  }
}

TEST_F(ChannelTest, OptionsThatMakeNoSenseFailEveryCall) {
  StartServer();
  const std::vector<std::pair<std::string, ChannelOptions>> cases = {
      {"max_frame_bytes", {.max_frame_bytes = 100}},
      {"max_message_bytes", {.max_message_bytes = 0}},
      {"stream_window_bytes", {.stream_window_bytes = 1}},
      {"connection_window_bytes", {.connection_window_bytes = 1}},
      {"default_timeout", {.default_timeout = absl::ZeroDuration()}},
      {"default_timeout", {.default_timeout = absl::InfiniteDuration()}},
      {"connect_timeout", {.connect_timeout = -absl::Seconds(1)}},
      {"initial_backoff", {.initial_backoff = absl::ZeroDuration()}},
      {"max_backoff", {.max_backoff = absl::Milliseconds(1)}},
      {"max_waiting_calls", {.max_waiting_calls = 0}},
      {"keepalive_interval", {.keepalive_interval = absl::ZeroDuration()}},
      {"keepalive_timeout", {.keepalive_timeout = absl::ZeroDuration()}}};
  for (const auto& [name, options] : cases) {
    const auto channel = Connect(options);
    const absl::Status status = CallStatus(*channel, "x");
    EXPECT_TRUE(Failed(status, StatusCode::kInvalidArgument,
                       Certainty::kNotStarted, CallPhase::kSend));
    EXPECT_NE(status.message().find(name), std::string::npos) << status;
  }
}

// An error is one line for a person, and says all that is known.
TEST_F(ChannelTest, AnErrorSaysWhatIsKnownOfTheCall) {
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    return absl::NotFoundError("no such key");
  });
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  const absl::Status status = CallStatus(*channel, "x", {.info = &info});
  const std::optional<CallError> error = CallError::From(status);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->certainty, Certainty::kFinished);
  EXPECT_EQ(error->phase, CallPhase::kHandler);
  EXPECT_EQ(error->method, "tern.testing.Tester/Call");
  EXPECT_EQ(error->peer, target());
  EXPECT_EQ(error->local, info.local);
  EXPECT_EQ(error->elapsed, info.elapsed);
  EXPECT_EQ(error->retry_after, std::nullopt);
  EXPECT_EQ(status.ToString(),
            "NOT_FOUND: no such key [tern.call='finished; in handler; method "
            "tern.testing.Tester/Call; to " +
                target() + "; from " + info.local + "; after " +
                absl::FormatDuration(info.elapsed) + "']");
}

// L19: the parent's threads and locks are not the child's. The child says by
// its exit code what went wrong.
TEST_F(ChannelTest, AForkedChildsCallsAreRefused) {
  StartServer();
  auto channel = Connect();
  ASSERT_TRUE(CallStatus(*channel, "x").ok());
  // One that has a timer set.
  auto waiting = Channel::Create("127.0.0.1:0");
  const auto call = StartCall(
      *waiting, "x", {.timeout = absl::Hours(1), .wait_for_ready = true});

  const pid_t child = ForkWhileOthersSleep();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto refused = [](const absl::Status& status) {
      return static_cast<bool>(Failed(status, StatusCode::kFailedPrecondition,
                                      Certainty::kNotStarted));
    };
    int faults = 0;
    if (!refused(CallStatus(*channel, "x"))) faults |= 1;
    if (!refused(StartCall(*channel, "x")->WaitForStatus())) faults |= 2;
    const auto made_here = Channel::Create("127.0.0.1:0");
    if (!refused(CallStatus(*made_here, "x"))) faults |= 4;
    if (!refused(StartCall(*made_here, "x")->WaitForStatus())) faults |= 8;
    channel.reset();
    waiting.reset();
    _exit(faults);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(CallStatus(*channel, "the parent goes on").ok());
  call->Cancel();
  EXPECT_EQ(call->WaitForStatus().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace tern::testing
