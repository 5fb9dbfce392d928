// A server whose peers do not keep to the protocol: each hurts only itself.

#include <string>
#include <vector>

#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_connection.h"

namespace tern::testing {
namespace {

constexpr char kMethod[] = "tern.testing.Tester/Call";
constexpr auto kStatus = static_cast<uint8_t>(wire::FrameType::kStatus);
constexpr auto kPing = static_cast<uint8_t>(wire::FrameType::kPing);

class MalformedClientTest : public EndToEnd {
 protected:
  // A well-behaved client, which is there all the time.
  void StartServerWithClient(ServerOptions options = {}) {
    StartServer(std::move(options));
    channel_ = Connect();
    ASSERT_TRUE(CallStatus(*channel_, "x", {.info = &info_}).ok());
  }
  // It has noticed nothing: its connection is the same.
  void ExpectOthersUnaffected() {
    CallInfo info;
    EXPECT_TRUE(CallStatus(*channel_, "x", {.info = &info}).ok());
    EXPECT_EQ(info.local, info_.local);
  }
  // What a client that sends `bytes` is sent until the server closes, frame by
  // frame.
  std::vector<std::string> Answer(std::string_view bytes) {
    RawConnection client = RawConnection::To(target());
    client.Send(bytes);
    return DescribeFrames(client.ReadUntilClosed());
  }

  std::unique_ptr<Channel> channel_;
  CallInfo info_;
};

// F8.
TEST_F(MalformedClientTest, WhatIsNotTernIsClosedWithoutAWord) {
  StartServerWithClient();
  const std::string client_hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                 11);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        client_hello + std::string(512, '\0'), std::string("\n"),
        std::string(100'000, '\xD4'), std::string("\xD4TERN\n\n\x1A")}) {
    RawConnection client = RawConnection::To(target());
    client.Send(bytes);
    EXPECT_EQ(client.ReadUntilClosed(), "");
  }
  ExpectOthersUnaffected();
}

// R1: whether it says nothing, or too little too slowly.
TEST_F(MalformedClientTest, WithoutHelloIsClosedInTime) {
  StartServerWithClient({.hello_timeout = absl::Milliseconds(50)});
  EXPECT_EQ(RawConnection::To(target()).ReadUntilClosed(), "");
  EXPECT_EQ(Answer(PrefaceBytes()),
            (std::vector<std::string>{"PREFACE", "HELLO", "GOAWAY 0 TIMEOUT"}));
  EXPECT_EQ(Answer(GreetingBytes().substr(0, 15)),
            (std::vector<std::string>{"PREFACE", "HELLO", "GOAWAY 0 TIMEOUT"}));
  ExpectOthersUnaffected();
}

// R2.
TEST_F(MalformedClientTest, AFrameThatIsNotFinishedIsClosedInTime) {
  StartServerWithClient({.frame_timeout = absl::Milliseconds(50)});
  const std::string call = UnaryFrame(1, "", kMethod);
  for (const size_t size : {size_t{1}, size_t{12}, call.size() - 1}) {
    EXPECT_EQ(
        Answer(GreetingBytes() + call.substr(0, size)),
        (std::vector<std::string>{"PREFACE", "HELLO", "GOAWAY 0 TIMEOUT"}));
  }
  ExpectOthersUnaffected();
}

// F1, F12, F13, F14, F17: the peer can read why, however much it has sent
// behind the fault.
TEST_F(MalformedClientTest, ProtocolErrorsAreToldBeforeTheEnd) {
  StartServerWithClient();
  const std::string length_of_4_gib = "\xff\xff\xff\xff" + std::string(8, '\0');
  const std::string much = std::string(1 << 20, 'x');
  const std::pair<std::string, std::string> cases[] = {
      {length_of_4_gib, "FRAME_TOO_LARGE"},
      {RawFrame{.type = 99}.Bytes(), "PROTOCOL_ERROR"},
      {UnaryFrame(2, "", kMethod), "PROTOCOL_ERROR"},
      {UnaryFrame(0, "", kMethod), "PROTOCOL_ERROR"},
      {StatusFrame(1, ""), "PROTOCOL_ERROR"},
      {WindowFrame(0, 0), "PROTOCOL_ERROR"},
      {WindowFrame(0, 0x7fffffff), "FLOW_CONTROL_ERROR"},
      {GreetingBytes().substr(8), "PROTOCOL_ERROR"}};
  for (const auto& [bytes, error] : cases) {
    EXPECT_EQ(Answer(GreetingBytes() + bytes + much).back(),
              "GOAWAY 0 " + error);
  }
  ExpectOthersUnaffected();
}

// L1, F6.
TEST_F(MalformedClientTest, MayBreakOffAnywhere) {
  StartServerWithClient();
  const std::string whole =
      GreetingBytes() + UnaryFrame(1, "", kMethod) + PingFrame("12345678");
  for (size_t size = 0; size < whole.size(); ++size) {
    RawConnection client = RawConnection::To(target());
    client.Send(std::string_view(whole).substr(0, size));
    if (size % 2 == 0) {
      client.CloseSending();
      client.ReadUntilClosed();
    } else {
      client.Reset();
    }
  }
  ExpectOthersUnaffected();
}

// F20, F21, F23: a fault within one call leaves the connection.
TEST_F(MalformedClientTest, AFaultOfOneCallEndsThatCall) {
  StartServerWithClient();
  const int before = service_.started();
  RawConnection client = RawConnection::To(target());
  constexpr uint8_t kHeaders = 2;
  const std::string block = CallBlock(kMethod);
  client.Send(
      GreetingBytes() +
      // No message, a header that cannot be read, a message twice.
      RawFrame{.type = kHeaders, .flags = 1, .stream = 1, .block = block}
          .Bytes() +
      RawFrame{.type = kHeaders, .flags = 3, .stream = 3, .block = "\xff\xff"}
          .Bytes() +
      RawFrame{.type = kHeaders, .flags = 2, .stream = 5, .block = block}
          .Bytes() +
      RawFrame{.type = 3, .flags = 3, .stream = 5}.Bytes() +
      UnaryFrame(7, "\xff", kMethod) + UnaryFrame(9, "", kMethod));
  std::vector<std::string> frames =
      DescribeFrames(client.ReadUntilFrame(kStatus, 5));
  std::erase_if(frames, [](const std::string& frame) {
    return !frame.starts_with("STATUS");
  });
  EXPECT_EQ(frames,
            (std::vector<std::string>{"STATUS 1 UNIMPLEMENTED NOT_STARTED",
                                      "STATUS 3 INVALID_ARGUMENT NOT_STARTED",
                                      "STATUS 5 UNIMPLEMENTED NOT_STARTED",
                                      "STATUS 7 INVALID_ARGUMENT NOT_STARTED",
                                      "STATUS 9 OK"}));
  EXPECT_EQ(service_.started(), before + 1);
  ExpectOthersUnaffected();
}

// L24: nothing that the connection itself does needs a worker.
TEST_F(MalformedClientTest, PingsAreAnsweredWhileEveryWorkerIsBusy) {
  service_.OnCall(holdup_.Handler());
  StartServer({.worker_threads = 1});
  RawConnection client = RawConnection::To(target());
  client.Send(GreetingBytes() + UnaryFrame(1, "", kMethod) +
              PingFrame("12345678"));
  const std::string answer = client.ReadUntilFrame(kPing);
  EXPECT_EQ(DescribeFrames(answer).back(), "PING ACK 3132333435363738");
}

// A peer that never says that it has heard of the drain does not hold it up.
TEST_F(MalformedClientTest, ASilentPeerDoesNotHoldUpADrain) {
  StartServer();
  RawConnection silent = RawConnection::To(target());
  silent.Send(GreetingBytes());
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  const std::vector<std::string> frames =
      DescribeFrames(silent.ReadUntilClosed());
  EXPECT_EQ(frames.back(), "GOAWAY 0 NO_ERROR");
}

// R3.
TEST_F(MalformedClientTest, APeerThatTakesNothingIsGivenUp) {
  service_.OnOther([](ServerContext&, const Message&, Message* reply) {
    reply->set_payload(std::string(1 << 20, 'x'));
    return absl::OkStatus();
  });
  StartServerWithClient({.write_timeout = absl::Milliseconds(100)});
  RawConnection client = RawConnection::To(target());
  wire::Hello hello;
  hello.stream_window_bytes = hello.connection_window_bytes = 1 << 30;
  std::string payload;
  wire::AppendHello(hello, &payload);
  std::string bytes = PrefaceBytes() + HelloFrame(payload);
  // More than a socket's buffers hold.
  constexpr int kCalls = 32;
  for (uint32_t i = 0; i < kCalls; ++i) {
    bytes += UnaryFrame(2 * i + 1, "", "tern.testing.Tester/Other");
  }
  client.Send(bytes);
  // Only the server's end of the connection, or of the calls, gives this back:
  // the connection has been forgotten when a drain is over at once.
  EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
  EXPECT_LT(client.ReadUntilClosed().size(), size_t{kCalls} << 20);
}

}  // namespace
}  // namespace tern::testing
