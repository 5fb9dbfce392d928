// A client whose server does not keep to the protocol, or vanishes: the call
// ends, says what can be known of it, and the next one goes on.

#include <string>
#include <thread>

#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tern/testing/fake_clock.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr auto kHeaders = static_cast<uint8_t>(wire::FrameType::kHeaders);
constexpr auto kData = static_cast<uint8_t>(wire::FrameType::kData);
constexpr auto kStatus = static_cast<uint8_t>(wire::FrameType::kStatus);

std::string GreetingWith(const wire::Hello& hello) {
  std::string payload;
  wire::AppendHello(hello, &payload);
  return PrefaceBytes() + HelloFrame(payload);
}

class MalformedServerTest : public ::testing::Test {
 protected:
  // The next connection, once its first call has arrived.
  RawConnection AcceptCall() {
    RawConnection server = listener_.Accept();
    server.ReadUntilFrame(kHeaders);
    return server;
  }
  // How a call ends which the server answers with `bytes`, and then closes.
  absl::Status StatusAfter(std::string_view bytes) {
    const auto channel = Channel::Create(listener_.target());
    const auto call = StartCall(*channel, "x");
    RawConnection server = AcceptCall();
    server.Send(bytes);
    server.CloseSending();
    const absl::Status status = call->WaitForStatus();
    EXPECT_EQ(call->callbacks(), 1);
    return status;
  }

  RawListener listener_;
};

TEST_F(MalformedServerTest, ThatDoesNotSpeakTern) {
  for (const char* bytes :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x01", "x"}) {
    const absl::Status status = StatusAfter(bytes);
    EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted,
                       CallPhase::kConnect));
    EXPECT_NE(status.message().find("does not speak Tern"), std::string::npos)
        << status;
    EXPECT_NE(status.message().find(listener_.target()), std::string::npos)
        << status;
  }
}

// F9.
TEST_F(MalformedServerTest, ThatSpeaksAnotherVersion) {
  const absl::Status status =
      StatusAfter(GreetingWith({.min_version = 2, .max_version = 7}));
  EXPECT_TRUE(Failed(status, StatusCode::kUnimplemented, Certainty::kNotStarted,
                     CallPhase::kConnect));
  EXPECT_NE(status.message().find("2 to 7"), std::string::npos) << status;
}

TEST_F(MalformedServerTest, ThatClosesBeforeItHasSaidAnything) {
  EXPECT_TRUE(Failed(StatusAfter(""), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

bool Says(const absl::Status& status, std::string_view text) {
  return std::string_view(status.message().data(), status.message().size())
             .find(text) != std::string_view::npos;
}

class LateServerTest : public MalformedServerTest {
 protected:
  // How an hour's call ends, to which the server says only `bytes`, which
  // greet, or nothing; and `end`, once the hour is over.
  absl::Status StatusAfterAnHour(std::string_view bytes,
                                 std::string_view end = {}) {
    Event greeted;
    Event over;
    const auto channel = Channel::Create(listener_.target());
    const auto call = StartCall(*channel, "x", {.timeout = absl::Hours(1)});
    RawConnection server = AcceptCall();
    if (!bytes.empty()) {
      // Another one is answered. Until its callback has returned the client
      // looks at nothing, and then at what has come before it looks at timers.
      Tester::Stub(*channel).Call(MessageWith("y"), {.timeout = absl::Hours(2)},
                                  [&](const absl::StatusOr<Message>&) {
                                    greeted.Notify();
                                    EXPECT_TRUE(over.Wait(1, absl::Hours(2)));
                                  });
      server.ReadUntilFrame(kHeaders);
      server.Send(bytes);
      server.Send(StatusFrame(3, ""));
      EXPECT_TRUE(greeted.Wait());
    }
    clock_.Advance(absl::Hours(1));
    server.Send(end);
    over.Notify();
    return call->WaitForStatus();
  }

 private:
  FakeClock clock_;
};

// It may be something else, which waits to be spoken to in another way.
TEST_F(LateServerTest, ThatDoesNotGreet) {
  const absl::Status status = StatusAfterAnHour("");
  EXPECT_TRUE(
      Failed(status, StatusCode::kDeadlineExceeded, Certainty::kMaybeStarted));
  EXPECT_TRUE(Says(status, "at the client: " + listener_.target() +
                               " has accepted the connection but has not said "
                               "HELLO"))
      << status;
}

// What is longer than any server need allow waits for its HELLO.
TEST_F(LateServerTest, ThatDoesNotGreetForACallThatWaitsForThat) {
  const std::string text((4 << 20) + 1, 'x');
  for (const bool blocking : {false, true}) {
    absl::Status status;
    // On a busy machine the time may be up before there is a connection.
    for (int tries = 0; tries < 20 && !Says(status, "HELLO"); ++tries) {
      const auto channel = Channel::Create(listener_.target());
      const CallOptions options = {.timeout =
                                       absl::Milliseconds(50) * (tries + 1)};
      status = blocking ? CallStatus(*channel, text, options)
                        : StartCall(*channel, text, options)->WaitForStatus();
      EXPECT_TRUE(Failed(status, StatusCode::kDeadlineExceeded,
                         Certainty::kNotStarted));
    }
    EXPECT_TRUE(Says(status, "at the client: ")) << status;
    EXPECT_TRUE(Says(status, "has not said HELLO")) << status;
  }
}

TEST_F(LateServerTest, ThatDoesNotAnswer) {
  const absl::Status status = StatusAfterAnHour(GreetingBytes());
  EXPECT_TRUE(
      Failed(status, StatusCode::kDeadlineExceeded, Certainty::kMaybeStarted));
  EXPECT_TRUE(Says(status, "at the client: " + listener_.target() +
                               " has not ended the call"))
      << status;
}

TEST_F(LateServerTest, ThatAnswersCancelledWhenTheTimeIsUp) {
  const std::string end =
      RawFrame{.type = kStatus, .stream = 1, .block = "\x08\x01\x12\x04late"}
          .Bytes();
  absl::Status status;
  // It may take longer than that on its way.
  for (int tries = 0; tries < 20 && !Says(status, "late"); ++tries) {
    status = StatusAfterAnHour(GreetingBytes(), end);
    EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  }
  EXPECT_TRUE(Says(status, "deadline exceeded at the server: late")) << status;
}

// L1: nothing partial is delivered.
TEST_F(MalformedServerTest, ThatClosesInTheMiddleOfTheResponse) {
  const std::string whole = GreetingBytes() + StatusFrame(1, "\x0a\x01x");
  for (size_t size = GreetingBytes().size(); size < whole.size(); ++size) {
    EXPECT_TRUE(Failed(StatusAfter(whole.substr(0, size)),
                       StatusCode::kUnavailable, Certainty::kMaybeStarted,
                       CallPhase::kReceive));
  }
  EXPECT_TRUE(StatusAfter(whole).ok());
}

// L2.
TEST_F(MalformedServerTest, ThatResetsTheConnection) {
  const auto channel = Channel::Create(listener_.target());
  const auto call = StartCall(*channel, "x");
  RawConnection server = AcceptCall();
  server.Send(GreetingBytes());
  server.Reset();
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

// F22: and the connection lives.
TEST_F(MalformedServerTest, ThatAnswersWithNoMessageOrTwo) {
  const auto channel = Channel::Create(listener_.target());
  const auto none = StartCall(*channel, "x");
  RawConnection server = AcceptCall();
  server.Send(GreetingBytes() + RawFrame{.type = kStatus, .stream = 1}.Bytes());
  EXPECT_TRUE(Failed(none->WaitForStatus(), StatusCode::kInternal,
                     Certainty::kMaybeStarted));

  const auto two = StartCall(*channel, "x");
  server.Send(
      RawFrame{.type = kData, .flags = wire::kFlagEndMessage, .stream = 3}
          .Bytes() +
      StatusFrame(3, ""));
  EXPECT_TRUE(Failed(two->WaitForStatus(), StatusCode::kInternal,
                     Certainty::kMaybeStarted));

  const auto good = StartCall(*channel, "x");
  server.Send(StatusFrame(5, "\x0a\x04good"));
  const absl::StatusOr<Message> reply = good->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "good");
}

// A server that ignores the client's announced limit.
TEST_F(MalformedServerTest, ThatAnswersWithTooLongAMessage) {
  const auto channel =
      Channel::Create(listener_.target(), {.max_message_bytes = 1'000});
  const auto call = StartCall(*channel, "x");
  RawConnection server = AcceptCall();
  server.Send(GreetingBytes() + StatusFrame(1, std::string(1'001, 'x')));
  const absl::Status status = call->WaitForStatus();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_NE(status.message().find("1001"), std::string::npos) << status;
  EXPECT_NE(status.message().find("1000"), std::string::npos) << status;
}

// S25: faults on the connection end it, and every call on it.
TEST_F(MalformedServerTest, ThatBreaksTheProtocol) {
  for (const std::string& bytes :
       {UnaryFrame(1, ""), WindowFrame(0, 0), StatusFrame(3, ""),
        StatusFrame(2, ""), RawFrame{.type = 77}.Bytes(),
        GreetingBytes().substr(8), "\xff\xff\xff\xff" + std::string(8, '\0')}) {
    EXPECT_TRUE(Failed(StatusAfter(GreetingBytes() + bytes),
                       StatusCode::kUnavailable, Certainty::kMaybeStarted));
  }
}

// GOAWAY leaves a call out: it is made again on another connection, unseen.
TEST_F(MalformedServerTest, ThatGoesAwayBeforeTheCallIsServedByTheNext) {
  const auto channel = Channel::Create(listener_.target());
  const auto call = StartCall(*channel, "x");
  RawConnection first = AcceptCall();
  first.Send(GreetingBytes() + GoAwayFrame(0, 0, "moving"));
  RawConnection second = AcceptCall();
  second.Send(GreetingBytes() + StatusFrame(1, "\x0a\x06second"));
  const absl::StatusOr<Message> reply = call->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "second");
}

// A call that can never be sent whole is tried a few times, not for ever.
TEST_F(MalformedServerTest, ThatNeverTakesTheWholeRequest) {
  const auto channel = Channel::Create(listener_.target());
  Message request;
  request.set_payload(std::string(1 << 20, 'x'));
  Event done;
  absl::Status status;
  Tester::Stub(*channel).Call(request, {}, [&](absl::StatusOr<Message> reply) {
    status = std::move(reply).status();
    done.Notify();
  });
  for (int i = 0; i < 4; ++i) {
    RawConnection server = listener_.Accept();
    server.Send(GreetingBytes());
    server.ReadUntilFrame(kData);
  }
  ASSERT_TRUE(done.Wait());
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kNotStarted));
}

// L3: a peer that is there and does nothing.
TEST_F(MalformedServerTest, ThatDoesNotAnswerPings) {
  const auto channel = Channel::Create(
      listener_.target(), {.keepalive_interval = absl::Milliseconds(20),
                           .keepalive_timeout = absl::Milliseconds(50)});
  const auto call = StartCall(*channel, "x");
  RawConnection server = AcceptCall();
  server.Send(GreetingWith({.min_ping_interval_ms = 10}));
  const absl::Status status = call->WaitForStatus();
  EXPECT_TRUE(
      Failed(status, StatusCode::kUnavailable, Certainty::kMaybeStarted));
  EXPECT_NE(status.message().find("PING"), std::string::npos) << status;
}

// A status of any shape, and text that is meant to be mistaken for ours.
TEST_F(MalformedServerTest, ThatSaysOddThingsInItsStatus) {
  const auto with_block = [&](const std::string& block) {
    return StatusAfter(
        GreetingBytes() +
        RawFrame{.type = kStatus, .stream = 1, .block = block}.Bytes());
  };
  EXPECT_TRUE(Failed(with_block("\xff\xff\xff"), StatusCode::kInternal,
                     Certainty::kMaybeStarted));
  // Code 99: see PROTOCOL.md, section 8.
  const absl::Status unknown = with_block(std::string("\x08\x63", 2));
  EXPECT_FALSE(unknown.ok());
  EXPECT_TRUE(CallError::From(unknown).has_value());
}

}  // namespace
}  // namespace tern::testing
