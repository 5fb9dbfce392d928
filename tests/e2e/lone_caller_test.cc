// A blocking call that is alone on its channel: its thread reads the reply
// itself. Whatever else happens to the connection meanwhile, or between two
// such calls, when nobody reads.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tern/lib/wire/frame.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr auto kHeaders = static_cast<uint8_t>(wire::FrameType::kHeaders);
constexpr auto kPing = static_cast<uint8_t>(wire::FrameType::kPing);

// Calls in a row, after which a caller that is alone reads itself.
constexpr int kLoneCalls = 8;

// A blocking call in a thread of its own.
class BlockingCall {
 public:
  explicit BlockingCall(Channel& channel, const CallOptions& options = {})
      : thread_([this, &channel, options] {
          result_ = Call(channel, "x", options);
        }) {}
  ~BlockingCall() {
    if (thread_.joinable()) thread_.join();
  }
  absl::StatusOr<Message> Wait() {
    thread_.join();
    return std::move(result_);
  }
  absl::Status WaitForStatus() { return Wait().status(); }

 private:
  absl::StatusOr<Message> result_;
  std::thread thread_;
};

// ---- With a server that a test plays

class ScriptedLoneCallerTest : public ::testing::Test {
 protected:
  // The next connection, greeted.
  RawConnection Accept() {
    RawConnection server = listener_.Accept();
    server.Send(GreetingBytes());
    next_stream_ = 1;
    return server;
  }
  // Takes the next call of the connection that was accepted last.
  uint32_t TakeCall(RawConnection& server) {
    server.ReadUntilFrame(kHeaders);
    next_stream_ += 2;
    return next_stream_ - 2;
  }
  static void Answer(RawConnection& server, uint32_t stream,
                     const std::string& text = "x") {
    server.Send(StatusFrame(
        stream,
        "\x0a" + std::string(1, static_cast<char>(text.size())) + text));
  }
  void Serve(RawConnection& server) { Answer(server, TakeCall(server)); }
  // A connection on which the caller reads itself from now on.
  RawConnection AcceptLoneCaller() {
    std::thread caller([this] {
      for (int i = 0; i < kLoneCalls; ++i) {
        EXPECT_TRUE(CallStatus(*channel_, "x").ok());
      }
    });
    RawConnection server = Accept();
    for (int i = 0; i < kLoneCalls; ++i) Serve(server);
    caller.join();
    return server;
  }
  // The channel serves blocking calls and others, on a connection of its own.
  void ExpectServedByNextConnection() {
    BlockingCall blocking(*channel_);
    RawConnection server = Accept();
    Serve(server);
    EXPECT_TRUE(blocking.WaitForStatus().ok());
    const auto pending = StartCall(*channel_, "x");
    Serve(server);
    EXPECT_TRUE(pending->WaitForStatus().ok());
  }

  RawListener listener_;
  std::unique_ptr<Channel> channel_ = Channel::Create(listener_.target());
  uint32_t next_stream_ = 1;
};

TEST_F(ScriptedLoneCallerTest, IsToldWhenTheServerCloses) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  TakeCall(server);
  server.Close();
  EXPECT_TRUE(Failed(call.WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  ExpectServedByNextConnection();
}

TEST_F(ScriptedLoneCallerTest, IsToldWhenTheServerResets) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  TakeCall(server);
  server.Reset();
  EXPECT_TRUE(Failed(call.WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted, CallPhase::kReceive));
  ExpectServedByNextConnection();
}

TEST_F(ScriptedLoneCallerTest, IsToldWhenTheServerBreaksTheProtocol) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  TakeCall(server);
  server.Send(RawFrame{.type = 77}.Bytes());
  EXPECT_TRUE(Failed(call.WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

// The call that its thread reads for goes elsewhere: the thread follows.
TEST_F(ScriptedLoneCallerTest, IsServedByTheNextWhenTheServerLeavesItsCallOut) {
  RawConnection first = AcceptLoneCaller();
  BlockingCall call(*channel_);
  const uint32_t stream = TakeCall(first);
  first.Send(GoAwayFrame(stream - 2, 0, "moving"));
  RawConnection second = Accept();
  Serve(second);
  EXPECT_TRUE(call.WaitForStatus().ok());
}

TEST_F(ScriptedLoneCallerTest, IsStillServedByAServerThatGoesAway) {
  RawConnection first = AcceptLoneCaller();
  BlockingCall call(*channel_);
  const uint32_t stream = TakeCall(first);
  first.Send(GoAwayFrame(stream, 0, "moving"));
  Answer(first, stream);
  EXPECT_TRUE(call.WaitForStatus().ok());
  ExpectServedByNextConnection();
}

TEST_F(ScriptedLoneCallerTest, BlockingCallAfterAGoAwayThatNobodyHasRead) {
  RawConnection first = AcceptLoneCaller();
  first.Send(GoAwayFrame(2 * kLoneCalls - 1, 0, "moving"));
  ExpectServedByNextConnection();
}

TEST_F(ScriptedLoneCallerTest, CallbackCallAfterAGoAwayThatNobodyHasRead) {
  RawConnection first = AcceptLoneCaller();
  first.Send(GoAwayFrame(2 * kLoneCalls - 1, 0, "moving"));
  const auto call = StartCall(*channel_, "x");
  RawConnection second = Accept();
  Serve(second);
  EXPECT_TRUE(call->WaitForStatus().ok());
}

TEST_F(ScriptedLoneCallerTest, GoesElsewhereOnceTheServersEndIsKnown) {
  RawConnection first = AcceptLoneCaller();
  first.CloseSending();
  first.ReadUntilClosed();  // The client has noticed, though nobody called.
  ExpectServedByNextConnection();
}

TEST_F(ScriptedLoneCallerTest, AnswersAPingDuringItsCall) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  const uint32_t stream = TakeCall(server);
  server.Send(PingFrame("12345678"));
  server.ReadUntilFrame(kPing);
  Answer(server, stream);
  EXPECT_TRUE(call.WaitForStatus().ok());
}

// Nobody reads then, but not for long.
TEST_F(ScriptedLoneCallerTest, AnswersAPingAfterItsCall) {
  RawConnection server = AcceptLoneCaller();
  server.Send(PingFrame("12345678"));
  server.ReadUntilFrame(kPing);
}

TEST_F(ScriptedLoneCallerTest, EndsAtItsDeadlineAndTheNextOneGoesOn) {
  RawConnection server = AcceptLoneCaller();
  for (int i = 0; i < 3; ++i) {
    const absl::Duration timeout = absl::Milliseconds(30);
    const MonotonicTime before = MonotonicTime::Now();
    BlockingCall late(*channel_, {.timeout = timeout});
    const uint32_t stream = TakeCall(server);
    EXPECT_TRUE(Failed(late.WaitForStatus(), StatusCode::kDeadlineExceeded,
                       Certainty::kMaybeStarted));
    EXPECT_GE(MonotonicTime::Now() - before, timeout);
    Answer(server, stream);  // Nobody waits for it any more.
    BlockingCall next(*channel_);
    Answer(server, TakeCall(server), "next");
    const absl::StatusOr<Message> reply = next.Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), "next");
  }
}

// Answers that come one byte at a time, and together with what follows.
TEST_F(ScriptedLoneCallerTest, ReadsAnAnswerInPieces) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  const std::string answer =
      StatusFrame(TakeCall(server), std::string("\x0a\x06pieces", 8));
  for (const char byte : answer) server.Send(std::string(1, byte));
  const absl::StatusOr<Message> reply = call.Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "pieces");
}

TEST_F(ScriptedLoneCallerTest, IsCancelledWhenItsChannelIsDestroyed) {
  RawConnection server = AcceptLoneCaller();
  BlockingCall call(*channel_);
  TakeCall(server);
  channel_.reset();
  EXPECT_TRUE(Failed(call.WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

// ---- With a server

class LoneCallerTest : public EndToEnd {
 protected:
  std::unique_ptr<Channel> ConnectLoneCaller() {
    std::unique_ptr<Channel> channel = Connect();
    Tester::Stub stub(*channel);
    for (int i = 0; i < kLoneCalls; ++i) {
      EXPECT_TRUE(stub.Other(MessageWith("x")).ok());
    }
    return channel;
  }
  static void ExpectEcho(Channel& channel, const std::string& text) {
    const absl::StatusOr<Message> reply = Call(channel, text);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), text);
  }
};

TEST_F(LoneCallerTest, HasEachOfManyCallsInARowAnswered) {
  StartServer();
  const auto channel = Connect();
  for (int i = 0; i < 2'000; ++i) ExpectEcho(*channel, std::to_string(i));
}

TEST_F(LoneCallerTest, ReadsALargeReplyAndSendsALargeRequest) {
  StartServer();
  const auto channel = ConnectLoneCaller();
  Message request;
  request.set_payload(std::string(3 << 20, 'x'));
  for (int i = 0; i < 5; ++i) {
    const absl::StatusOr<Message> reply = Tester::Stub(*channel).Call(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->payload().size(), request.payload().size());
  }
}

TEST_F(LoneCallerTest, AlternatesWithCallbackCalls) {
  StartServer();
  const auto channel = Connect();
  for (int i = 0; i < 300; ++i) {
    const std::string text = std::to_string(i);
    const int lone = i % (2 * kLoneCalls);
    for (int j = 0; j < lone; ++j) ExpectEcho(*channel, text);
    const absl::StatusOr<Message> reply = StartCall(*channel, text)->Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), text);
  }
}

TEST_F(LoneCallerTest, ReadsForCallbackCallsThatBeginMeanwhile) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = ConnectLoneCaller();
  Tester::Stub stub(*channel);
  BlockingCall lone(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  Event answered;
  for (int i = 0; i < 20; ++i) {
    stub.Other(MessageWith("x"), {}, [&](const absl::StatusOr<Message>& reply) {
      EXPECT_TRUE(reply.ok()) << reply.status();
      answered.Notify();
    });
  }
  EXPECT_TRUE(answered.Wait(20));
  holdup_.LetGo();
  EXPECT_TRUE(lone.WaitForStatus().ok());
}

// Those that are still open when it leaves are read for by the loop.
TEST_F(LoneCallerTest, LeavesTheCallsOfOthersToTheLoop) {
  Holdup others;
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = ConnectLoneCaller();
  service_.OnOther(others.Handler());
  BlockingCall lone(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  Event answered;
  Tester::Stub stub(*channel);
  stub.Other(MessageWith("x"), {}, [&](const absl::StatusOr<Message>& reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    answered.Notify();
  });
  std::thread blocking([&] { EXPECT_TRUE(stub.Other(MessageWith("x")).ok()); });
  ASSERT_TRUE(others.WaitForEntered(2));
  holdup_.LetGo();
  EXPECT_TRUE(lone.WaitForStatus().ok());
  others.LetGo();
  EXPECT_TRUE(answered.Wait());
  blocking.join();
}

TEST_F(LoneCallerTest, IsCancelledByTheCallThatItInherits) {
  std::unique_ptr<Channel> inner;
  Event inner_over;
  absl::Status inner_status;
  service_.OnOther([&](ServerContext&, const Message& request, Message*) {
    Tester::Stub stub(*inner);
    for (int i = 0; i < kLoneCalls; ++i) {
      EXPECT_TRUE(Absent::Stub(*inner).Call(request).status().code() ==
                  StatusCode::kUnimplemented);
    }
    inner_status = stub.Call(request).status();
    inner_over.Notify();
    return absl::OkStatus();
  });
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  inner = Connect();
  const auto channel = Connect();
  CallHandle handle = Tester::Stub(*channel).Other(
      MessageWith("x"), {}, [](const absl::StatusOr<Message>& reply) {
        EXPECT_EQ(reply.status().code(), StatusCode::kCancelled);
      });
  ASSERT_TRUE(holdup_.WaitForEntered());
  handle.Cancel();
  ASSERT_TRUE(inner_over.Wait());
  EXPECT_TRUE(
      Failed(inner_status, StatusCode::kCancelled, Certainty::kMaybeStarted));
  StopServer();
}

TEST_F(LoneCallerTest, IsToldWhenTheServerStops) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = ConnectLoneCaller();
  BlockingCall call(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  StopServer();
  EXPECT_TRUE(Failed(call.WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

TEST_F(LoneCallerTest, IsAnsweredByAServerThatDrains) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = ConnectLoneCaller();
  BlockingCall call(*channel);
  ASSERT_TRUE(holdup_.WaitForEntered());
  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  holdup_.LetGo();
  EXPECT_TRUE(call.WaitForStatus().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

// Callers that come and go, so that the channel is now one thread's, now many
// threads', at any moment.
TEST_F(LoneCallerTest, ComesAndGoes) {
  StartServer();
  const auto channel = Connect();
  std::atomic<int> callbacks{0};
  Event all;
  constexpr int kRounds = 150;
  InThreads(3, [&](int thread) {
    for (int i = 0; i < kRounds; ++i) {
      const std::string text = std::to_string(thread) + "/" + std::to_string(i);
      const int calls = (i * 7 + thread * 5) % 11;
      for (int j = 0; j < calls; ++j) ExpectEcho(*channel, text);
      Tester::Stub(*channel).Call(
          MessageWith(text), {},
          [&, text](const absl::StatusOr<Message>& reply) {
            EXPECT_TRUE(reply.ok()) << reply.status();
            if (reply.ok()) {
              EXPECT_EQ(reply->text(), text);
            }
            if (++callbacks == 3 * kRounds) all.Notify();
          });
      for (volatile int spin = 0; spin < i * 200;) spin = spin + 1;
    }
  });
  EXPECT_TRUE(all.Wait());
}

}  // namespace
}  // namespace tern::testing
