// How messages are compressed whose method's .proto says so.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "tern/client/generic_stub.h"
#include "tests/e2e/method_options.tern.client.h"
#include "tests/e2e/method_options.tern.server.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/raw_socket.h"
#include "tests/testing/spy_compressor.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Echoes, attachments too.
class SqueezedService final : public Squeezed::Service {
  absl::Status Unsaid(ServerContext& context, const Message& request,
                      Message* reply) override {
    *reply = request;
    context.set_reply_attachment(context.attachment());
    return absl::OkStatus();
  }
  absl::Status Zstd(ServerContext& context, const Message& request,
                    Message* reply) override {
    return Unsaid(context, request, reply);
  }
  absl::Status None(ServerContext& context, const Message& request,
                    Message* reply) override {
    return Unsaid(context, request, reply);
  }
  absl::Status ZstdChat(ServerContext&,
                        ServerStream<Message, Message>& stream) override {
    Message message;
    absl::Cord attachment;
    while (stream.Read(&message, &attachment)) {
      if (!stream.Write(message, attachment)) break;
    }
    return absl::OkStatus();
  }
};

// What one end has done with one codec since it was asked last.
struct Done {
  int compressed = 0;
  int inflated = 0;
  bool operator==(const Done& other) const {
    return compressed == other.compressed && inflated == other.inflated;
  }
};
std::ostream& operator<<(std::ostream& out, const Done& done) {
  return out << done.compressed << " compressed, " << done.inflated
             << " inflated";
}

class MethodCompressionTest : public EndToEnd {
 protected:
  // One of each codec.
  struct Spies {
    SpyCompressor zstd{Compression::kZstd};
    SpyCompressor gzip{Compression::kGzip};
    Compressors both() const { return {&zstd, &gzip}; }
  };
  static Done Take(const SpyCompressor& spy) {
    return {.compressed = spy.compressed(), .inflated = spy.inflated()};
  }

  ~MethodCompressionTest() override {
    channel_.reset();
    StopServer();
  }

  void Serve(ServerOptions options) {
    if (!address_.empty()) options.listen = {address_};
    StartServerOf(&squeezed_, std::move(options));
  }
  void Start(ServerOptions server, const ChannelOptions& channel) {
    Serve(std::move(server));
    channel_ = Connect(channel);
  }
  ChannelOptions Patient() const {
    return {.initial_backoff = absl::Milliseconds(1),
            .max_backoff = absl::Milliseconds(10),
            .compressors = clients_.both()};
  }
  // To where Serve() will serve.
  void ConnectBeforeTheServer() {
    StopServer();
    address_ = RawListener(OwnLoopbackAddress() + ":0").target();
    channel_ = Channel::Create(address_, Patient());
  }
  Squeezed::Stub stub() { return Squeezed::Stub(*channel_); }

  // Long enough to be compressed, and comes back as it was.
  static Message Long() {
    Message message;
    message.set_payload(std::string(5000, 'x'));
    return message;
  }
  void ExpectEcho(const absl::StatusOr<Message>& reply) {
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->payload(), Long().payload());
  }
  // The same of a stream, with what is beside.
  template <typename Stream>
  static void ExpectEchoes(Stream& stream, int count) {
    for (int i = 0; i < count; ++i) {
      Message message;
      absl::Cord attachment;
      ASSERT_TRUE(stream.Read(&message, &attachment));
      EXPECT_EQ(message.payload(), Long().payload());
      EXPECT_EQ(attachment, "beside");
    }
  }

  SqueezedService squeezed_;
  std::string address_;  // Where to serve; empty: anywhere.
  Spies clients_;
  Spies servers_;
  std::unique_ptr<Channel> channel_;
};

constexpr Done kNothing;
constexpr Done kOneEachWay = {.compressed = 1, .inflated = 1};

TEST_F(MethodCompressionTest, HoldsBothWays) {
  Start({.compressors = servers_.both()}, {.compressors = clients_.both()});
  for (int i = 0; i < 3; ++i) {
    ExpectEcho(stub().Zstd(Long()));
    EXPECT_EQ(Take(clients_.zstd), kOneEachWay);
    EXPECT_EQ(Take(servers_.zstd), kOneEachWay);
  }
  ExpectEcho(stub().Unsaid(Long()));
  EXPECT_EQ(Take(clients_.zstd), kNothing);
  EXPECT_EQ(Take(servers_.zstd), kNothing);
  auto stream = stub().ZstdChat();
  ASSERT_TRUE(stream.Write(Long(), absl::Cord("beside")));
  ExpectEchoes(stream, 1);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(Take(clients_.zstd), kOneEachWay);
  EXPECT_EQ(Take(servers_.zstd), kOneEachWay);
}

TEST_F(MethodCompressionTest, TheCallerComesFirst) {
  Start({.compressors = servers_.both()}, {.compressors = clients_.both()});
  ExpectEcho(stub().Zstd(Long(), {.compression = Compression::kGzip}));
  EXPECT_EQ(Take(clients_.gzip), kOneEachWay);
  EXPECT_EQ(Take(clients_.zstd), kNothing);
  // It says how it sends; the server is still free to answer so.
  ExpectEcho(stub().Zstd(Long(), {.compression = Compression::kNone}));
  EXPECT_EQ(Take(clients_.zstd), (Done{.compressed = 0, .inflated = 1}));
  // What it asks for must be there.
  channel_ = Connect();
  EXPECT_TRUE(
      Failed(stub().Zstd(Long(), {.compression = Compression::kZstd}).status(),
             StatusCode::kInvalidArgument, Certainty::kNotStarted));
}

TEST_F(MethodCompressionTest, TheMethodComesBeforeChannelAndServer) {
  Start({.compressors = servers_.both(), .compression = Compression::kGzip},
        {.compressors = clients_.both(), .compression = Compression::kGzip});
  ExpectEcho(stub().Unsaid(Long()));
  EXPECT_EQ(Take(clients_.gzip), kOneEachWay);
  ExpectEcho(stub().Zstd(Long()));
  EXPECT_EQ(Take(clients_.zstd), kOneEachWay);
  ExpectEcho(stub().None(Long()));
  EXPECT_EQ(Take(clients_.gzip), kNothing);
  EXPECT_EQ(Take(clients_.zstd), kNothing);
}

// As if the method had not said it.
TEST_F(MethodCompressionTest, AChannelThatLacksItDoesAsItDoes) {
  Start({.compressors = servers_.both()}, {});
  ExpectEcho(stub().Zstd(Long()));
  EXPECT_EQ(Take(servers_.zstd), kNothing);
  channel_ = Connect(
      {.compressors = {&clients_.gzip}, .compression = Compression::kGzip});
  ExpectEcho(stub().Zstd(Long()));
  EXPECT_EQ(Take(clients_.gzip), kOneEachWay);
  EXPECT_EQ(Take(servers_.zstd), kNothing);
}

TEST_F(MethodCompressionTest, AServerAnswersSoWhomNobodyHasAsked) {
  Start({.compressors = servers_.both()}, {.compressors = clients_.both()});
  const absl::StatusOr<RawMessage> reply = GenericStub(*channel_).Call(
      "tern.testing.Squeezed/Zstd", Long().SerializeAsString());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->view(), Long().SerializeAsString());
  EXPECT_EQ(Take(clients_.zstd), (Done{.compressed = 0, .inflated = 1}));
}

TEST_F(MethodCompressionTest, AServerThatLacksItGetsRequestsAsTheyAre) {
  Start({.compressors = {&servers_.gzip}}, {.compressors = clients_.both()});
  for (const Done& done : {kOneEachWay, kNothing}) {  // It learns.
    CallInfo info;
    ExpectEcho(stub().Zstd(
        Long(), {.attachment = absl::Cord("beside"), .info = &info}));
    EXPECT_EQ(info.attachment, "beside");
    EXPECT_EQ(info.request_compression, std::nullopt);
    EXPECT_EQ(Take(clients_.zstd), done);
  }
  auto stream = stub().ZstdChat();
  ASSERT_TRUE(stream.Write(Long(), absl::Cord("beside")));
  ExpectEchoes(stream, 1);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(Take(clients_.zstd), kNothing);
}

// What a stream has written before it was known.
TEST_F(MethodCompressionTest, AStreamsFirstMessagesAreUnpackedForSuchAServer) {
  ConnectBeforeTheServer();
  auto stream = stub().ZstdChat({.wait_for_ready = true});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream.Write(Long(), absl::Cord("beside")));
  }
  EXPECT_EQ(Take(clients_.zstd), (Done{.compressed = 3, .inflated = 0}));
  Serve({.compressors = {&servers_.gzip}});
  ExpectEchoes(stream, 3);
  EXPECT_EQ(Take(clients_.zstd), (Done{.compressed = 0, .inflated = 3}));
  ASSERT_TRUE(stream.Write(Long(), absl::Cord("beside")));
  ExpectEchoes(stream, 1);
  EXPECT_EQ(Take(clients_.zstd), kNothing);
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(MethodCompressionTest, TheNextServerIsAskedAnew) {
  address_ = OwnLoopbackAddress() + ":0";
  Start({}, Patient());
  address_ = target();
  for (const Done& done : {kOneEachWay, kNothing}) {
    ExpectEcho(stub().Zstd(Long()));
    EXPECT_EQ(Take(clients_.zstd), done);
  }
  StopServer();
  Serve({.compressors = servers_.both()});
  // Until the channel has noticed.
  const MonotonicTime late = MonotonicTime::Now() + kPatience;
  absl::Status status;
  do {
    status = stub().Zstd({}, {.wait_for_ready = true}).status();
  } while (!status.ok() && MonotonicTime::Now() < late);
  ASSERT_TRUE(status.ok()) << status;
  ExpectEcho(stub().Zstd(Long()));
  EXPECT_EQ(Take(clients_.zstd), kOneEachWay);
  EXPECT_EQ(Take(servers_.zstd), kOneEachWay);
}

// A codec that cannot read what it has written.
TEST_F(MethodCompressionTest, WhatCannotBeUnpackedEndsTheCall) {
  for (const bool streams : {false, true}) {
    StopServer();
    ConnectBeforeTheServer();
    clients_.zstd.Forge("x");
    if (streams) {
      auto stream = stub().ZstdChat({.wait_for_ready = true});
      ASSERT_TRUE(stream.Write(Long()));
      Serve({});
      Message message;
      EXPECT_FALSE(stream.Read(&message));
      EXPECT_EQ(stream.Finish().code(), StatusCode::kInternal);
    } else {
      Serve({});
      EXPECT_TRUE(Failed(stub().Zstd(Long()).status(), StatusCode::kInternal,
                         Certainty::kNotStarted));
    }
  }
}

}  // namespace
}  // namespace tern::testing
