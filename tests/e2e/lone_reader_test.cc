// A stream that is alone on its channel, and a thread that waits for its
// messages: the thread reads them from the connection itself. Whatever else
// happens to the connection meanwhile, or between two messages, when nobody
// reads.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tern/lib/wire/frame.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Waits in a row, after which a thread that is alone reads itself.
constexpr int kLoneWaits = 8;

// ---- With a server that a test plays

class ScriptedLoneReaderTest : public ::testing::Test {
 protected:
  ScriptedLoneReaderTest()
      : channel_(Channel::Create(listener_.target())),
        stub_(*channel_),
        reader_(stub_.Watch(MessageWith("x"))),
        server_(listener_.Accept()) {
    server_.Send(GreetingBytes());
    server_.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kHeaders));
  }

  static std::string MessageFrame(const std::string& text) {
    return testing::MessageFrame(
        1, "\x0a" + std::string(1, static_cast<char>(text.size())) + text);
  }
  // Each message is sent once the one before it has been read, so that the
  // reader waits for nearly all of them.
  void ReadMany() {
    for (int i = 0; i < kLoneWaits; ++i) {
      const std::string text = std::to_string(i);
      std::thread sender([&] { server_.Send(MessageFrame(text)); });
      ExpectRead(text);
      sender.join();
    }
  }
  void SendEnd() {
    server_.Send(RawFrame{
        .type = static_cast<uint8_t>(wire::FrameType::kStatus), .stream = 1}
                     .Bytes());
  }
  void ExpectRead(const std::string& text) {
    Message message;
    ASSERT_TRUE(reader_.Read(&message));
    EXPECT_EQ(message.text(), text);
  }
  void ExpectOver(StatusCode code) {
    Message message;
    EXPECT_FALSE(reader_.Read(&message));
    const absl::Status status = reader_.Finish();
    EXPECT_EQ(status.code(), code) << status;
  }

  RawListener listener_;
  std::unique_ptr<Channel> channel_;
  Tester::Stub stub_;
  ClientReader<Message> reader_;
  RawConnection server_;
};

TEST_F(ScriptedLoneReaderTest, IsToldWhenTheServerEndsTheCall) {
  ReadMany();
  std::thread sender([&] { SendEnd(); });
  ExpectOver(StatusCode::kOk);
  sender.join();
}

TEST_F(ScriptedLoneReaderTest, IsToldWhenTheServerCloses) {
  ReadMany();
  std::thread closer([&] { server_.Close(); });
  ExpectOver(StatusCode::kUnavailable);
  closer.join();
}

TEST_F(ScriptedLoneReaderTest, IsToldWhenTheServerResets) {
  ReadMany();
  server_.Reset();
  ExpectOver(StatusCode::kUnavailable);
}

TEST_F(ScriptedLoneReaderTest, IsToldWhenTheServerBreaksTheProtocol) {
  ReadMany();
  server_.Send(RawFrame{.type = 77}.Bytes());
  ExpectOver(StatusCode::kUnavailable);
}

TEST_F(ScriptedLoneReaderTest, IsCancelledWhenItsChannelIsDestroyed) {
  ReadMany();
  std::thread destroyer([&] { channel_.reset(); });
  ExpectOver(StatusCode::kCancelled);
  destroyer.join();
}

TEST_F(ScriptedLoneReaderTest, IsCancelledByAnotherThread) {
  ReadMany();
  std::thread canceller([&] { reader_.Cancel(); });
  ExpectOver(StatusCode::kCancelled);
  canceller.join();
}

// Nobody reads then, but not for long.
TEST_F(ScriptedLoneReaderTest, AnswersAPingBetweenItsMessages) {
  ReadMany();
  server_.Send(PingFrame("12345678"));
  server_.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kPing));
}

TEST_F(ScriptedLoneReaderTest, AnswersAPingWhileItWaits) {
  ReadMany();
  std::thread server([&] {
    server_.Send(PingFrame("12345678"));
    server_.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kPing));
    server_.Send(MessageFrame("then"));
  });
  ExpectRead("then");
  server.join();
}

TEST_F(ScriptedLoneReaderTest, ReadsAMessageInPieces) {
  ReadMany();
  std::thread server([&] {
    for (const char byte : MessageFrame("pieces")) {
      server_.Send(std::string(1, byte));
    }
  });
  ExpectRead("pieces");
  server.join();
}

// Its stream goes on where it is; what begins then goes elsewhere.
TEST_F(ScriptedLoneReaderTest, ReadsOnFromAServerThatGoesAway) {
  ReadMany();
  server_.Send(GoAwayFrame(1, 0, "moving") + MessageFrame("still"));
  ExpectRead("still");
  const auto call = StartCall(*channel_, "x");
  RawConnection second = listener_.Accept();
  second.Send(GreetingBytes());
  second.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kHeaders));
  second.Send(StatusFrame(1, ""));
  EXPECT_TRUE(call->WaitForStatus().ok());
  server_.Send(MessageFrame("last"));
  SendEnd();
  ExpectRead("last");
  ExpectOver(StatusCode::kOk);
}

// The wait for a message with a limit of its own.
TEST_F(ScriptedLoneReaderTest, GivesUpAtItsTimeAndReadsOn) {
  ReadMany();
  for (int i = 0; i < 5; ++i) {
    Message message;
    const MonotonicTime until = MonotonicTime::Now() + absl::Milliseconds(10);
    EXPECT_EQ(reader_.ReadUntil(&message, Deadline(until)), Poll::kNotYet);
    EXPECT_GE(MonotonicTime::Now(), until);
  }
  server_.Send(MessageFrame("late"));
  ExpectRead("late");
}

// ---- With a server

class LoneReaderTest : public EndToEnd {
 protected:
  // Answers each message with itself.
  std::unique_ptr<Channel> StartEcho() {
    service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
      Message message;
      while (stream.Read(&message)) {
        if (!stream.Write(message)) break;
      }
      return absl::OkStatus();
    });
    StartServer();
    return Connect();
  }
  using Stream = ClientStream<Message, Message>;
  static void ExpectEcho(Stream& stream, const std::string& text) {
    ASSERT_TRUE(stream.Write(MessageWith(text)));
    Message message;
    ASSERT_TRUE(stream.Read(&message));
    EXPECT_EQ(message.text(), text);
  }
  static void EchoMany(Stream& stream, int count = kLoneWaits) {
    for (int i = 0; i < count; ++i) ExpectEcho(stream, std::to_string(i));
  }
};

TEST_F(LoneReaderTest, HasEachOfManyMessagesAnswered) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  EchoMany(stream, 2'000);
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, ReadsAndWritesLongMessages) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  EchoMany(stream);
  for (const size_t bytes : {100'000, 3'000'000, 65'536, 4'000'000}) {
    Message message;
    message.set_payload(std::string(bytes, 'x'));
    ASSERT_TRUE(stream.Write(message));
    Message reply;
    ASSERT_TRUE(stream.Read(&reply));
    EXPECT_EQ(reply.payload(), message.payload());
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, FinishesThoughTheServerHasMoreToSay) {
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    while (writer.Write(request)) {
    }
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  Message request;
  request.set_payload(std::string(50'000, 'x'));
  for (int i = 0; i < 5; ++i) {
    auto reader = Tester::Stub(*channel).Watch(request);
    Message message;
    for (int j = 0; j < 40; ++j) ASSERT_TRUE(reader.Read(&message));
    if (i % 2 == 0) continue;  // Dropped.
    reader.Cancel();
    EXPECT_EQ(reader.Finish().code(), StatusCode::kCancelled);
  }
}

// While the server waits until the client has stopped reading.
TEST_F(LoneReaderTest, FinishesWithoutReadingOn) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  EchoMany(stream);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(stream.Write(MessageWith(std::string(1'000, 'x'))));
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, WritesMuchThatIsReadLater) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  EchoMany(stream);
  constexpr int kMessages = 200;
  std::thread writer([&] {
    Message message;
    message.set_payload(std::string(100'000, 'x'));
    for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(stream.Write(message));
  });
  Message message;
  for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(stream.Read(&message));
  writer.join();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, IsToldWhereItWaitsInAnotherWay) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  Event told;
  int wakes = 0;
  for (int i = 0; i < 20; ++i) {
    EchoMany(stream);
    ASSERT_TRUE(stream.Write(MessageWith("polled")));
    Message message;
    while (stream.TryRead(&message) == Poll::kNotYet) {
      if (stream.WakeForRead([&] { told.Notify(); })) {
        ASSERT_TRUE(told.Wait(++wakes));
      }
    }
    EXPECT_EQ(message.text(), "polled");
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, MakesCallsBetweenItsMessages) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  for (int i = 0; i < 30; ++i) {
    EchoMany(stream, i % 12);
    EXPECT_TRUE(CallStatus(*channel, "x").ok());
    EXPECT_TRUE(StartCall(*channel, "y")->WaitForStatus().ok());
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, IsAloneAndThenNot) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  std::atomic<bool> done{false};
  std::thread caller([&] {
    for (int i = 0; !done; ++i) {
      EXPECT_TRUE(CallStatus(*channel, "x").ok());
      for (volatile int spin = 0; spin < i % 50 * 2'000;) spin = spin + 1;
    }
  });
  EchoMany(stream, 1'500);
  done = true;
  caller.join();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(LoneReaderTest, EndsAtItsDeadline) {
  Event cancelled;
  service_.OnWatch([&](ServerContext& context, const Message& request,
                       ServerWriter<Message>& writer) {
    for (int i = 0; i < kLoneWaits; ++i) (void)writer.Write(request);
    const auto registration =
        context.cancellation().OnCancel([&] { cancelled.Notify(); });
    EXPECT_TRUE(cancelled.Wait());
    return absl::CancelledError("as told");
  });
  StartServer();
  const auto channel = Connect();
  const absl::Duration timeout = absl::Milliseconds(50);
  const MonotonicTime before = MonotonicTime::Now();
  auto reader =
      Tester::Stub(*channel).Watch(MessageWith("x"), {.timeout = timeout});
  Message message;
  while (reader.Read(&message)) {
  }
  EXPECT_EQ(reader.Finish().code(), StatusCode::kDeadlineExceeded);
  EXPECT_GE(MonotonicTime::Now() - before, timeout);
  StopServer();  // Before `cancelled` goes.
}

TEST_F(LoneReaderTest, IsToldWhenTheServerStops) {
  const auto channel = StartEcho();
  auto stream = Tester::Stub(*channel).Chat();
  EchoMany(stream);
  std::thread stopper([&] { StopServer(); });
  Message message;
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_EQ(stream.Finish().code(), StatusCode::kUnavailable);
  stopper.join();
}

}  // namespace
}  // namespace tern::testing
