// Compressed messages, both ways, with each codec, and what becomes of those
// that no peer should send.

#include "tern/lib/call/compression.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "tern/client/generic_stub.h"
#include "tern/server/unknown_method_service.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/event.h"
#include "tests/testing/spy_compressor.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr size_t kThreshold = 1024;  // The default, of both ends.

// A message of so many bytes, which become few.
Message Sized(size_t bytes) {
  Message message;
  for (size_t payload = bytes; message.ByteSizeLong() != bytes; --payload) {
    message.set_payload(std::string(payload, 'x'));
  }
  return message;
}

Message Noise(size_t bytes) {
  Message message = Sized(bytes);
  uint32_t state = 1;
  for (char& byte : *message.mutable_payload()) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<char>(state >> 24);
  }
  return message;
}

absl::Status Echo(ServerContext& /*context*/,
                  ServerStream<Message, Message>& stream) {
  Message message;
  while (stream.Read(&message)) {
    if (!stream.Write(message)) break;
  }
  return absl::OkStatus();
}

class CompressionTest : public EndToEnd,
                        public ::testing::WithParamInterface<Compression> {
 protected:
  void TearDown() override {
    holdup_.LetGo();
    channel_.reset();
    StopServer();
  }

  // Both ends have the codec, and the channel uses it.
  void Start(ServerOptions server = {}, ChannelOptions channel = {}) {
    server.compressors = {&servers_};
    channel.compressors = {&clients_};
    channel.compression = GetParam();
    StartServer(std::move(server));
    channel_ = Connect(channel);
  }

  absl::StatusOr<Message> Call(const Message& message,
                               const CallOptions& options = {}) {
    return Tester::Stub(*channel_).Call(message, options);
  }
  absl::Status CallStatus(const Message& message,
                          const CallOptions& options = {}) {
    return Call(message, options).status();
  }

  SpyCompressor servers_{GetParam()};
  SpyCompressor clients_{GetParam()};
  std::unique_ptr<Channel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, CompressionTest,
                         ::testing::Values(Compression::kGzip,
                                           Compression::kZstd),
                         [](const auto& info) {
                           return std::string(NameOf(info.param));
                         });

// Around the sizes where something changes: a frame, a window.
TEST_P(CompressionTest, BringsRequestsAndReplies) {
  service_.OnCall(
      [](ServerContext& context, const Message& request, Message* reply) {
        *reply = request;
        context.set_reply_attachment(context.attachment());
        return absl::OkStatus();
      });
  Start();
  for (const size_t size :
       {kThreshold, size_t{20'000}, size_t{70'000}, size_t{3'000'000}}) {
    for (const Message& message : {Sized(size), Noise(size)}) {
      for (const size_t attached : {size_t{0}, size_t{10}, size_t{300'000}}) {
        const std::string bytes(attached, 'a');
        CallInfo info;
        const absl::StatusOr<Message> reply =
            Call(message, {.attachment = absl::Cord(bytes), .info = &info});
        ASSERT_TRUE(reply.ok()) << reply.status();
        EXPECT_TRUE(reply->payload() == message.payload());
        EXPECT_TRUE(info.attachment == bytes);
      }
    }
  }
}

TEST_P(CompressionTest, BeginsAtTheThreshold) {
  Start();
  for (const size_t size : {kThreshold - 1, kThreshold}) {
    CallInfo info;
    ASSERT_TRUE(CallStatus(Sized(size), {.info = &info}).ok());
    const int times = size < kThreshold ? 0 : 1;
    EXPECT_EQ(info.request_compression.has_value(), times == 1) << size;
    EXPECT_EQ(info.response_compression.has_value(), times == 1) << size;
    EXPECT_EQ(clients_.compressed(), times) << size;
    EXPECT_EQ(servers_.inflated(), times) << size;
    EXPECT_EQ(servers_.compressed(), times) << size;
    EXPECT_EQ(clients_.inflated(), times) << size;
  }
}

TEST_P(CompressionTest, IsToldToTheCallerOfEachMessage) {
  service_.OnCall([](ServerContext&, const Message& request, Message* reply) {
    if (request.text() == "fail") return absl::NotFoundError("nothing");
    *reply = Sized(request.payload().size() == 2000 ? 10 : 2000);
    return absl::OkStatus();
  });
  Start();
  const Compression codec = GetParam();
  const auto with_callback = [&](const Message& request, CallInfo* info) {
    Event done;
    Tester::Stub(*channel_).Call(
        request, {.info = info},
        [&](const absl::StatusOr<Message>&) { done.Notify(); });
    EXPECT_TRUE(done.Wait());
  };
  Message longer;
  longer.set_payload(std::string(2000, 'x'));
  Message failing = longer;
  failing.set_text("fail");

  CallInfo request_only;
  with_callback(longer, &request_only);
  EXPECT_EQ(request_only.request_compression, codec);
  EXPECT_EQ(request_only.response_compression, std::nullopt);
  CallInfo response_only;
  with_callback(MessageWith("short"), &response_only);
  EXPECT_EQ(response_only.request_compression, std::nullopt);
  EXPECT_EQ(response_only.response_compression, codec);
  CallInfo failed;
  EXPECT_EQ(CallStatus(failing, {.info = &failed}).code(),
            StatusCode::kNotFound);
  EXPECT_EQ(failed.request_compression, codec);
  EXPECT_EQ(failed.response_compression, std::nullopt);
  // One that is shorter as it is.
  CallInfo noise;
  ASSERT_TRUE(CallStatus(Noise(5000), {.info = &noise}).ok());
  EXPECT_EQ(noise.request_compression, std::nullopt);
  EXPECT_EQ(noise.response_compression, codec);
}

TEST_P(CompressionTest, ThresholdIsEachEndsOwn) {
  Start({.min_compressed_bytes = 5000}, {.min_compressed_bytes = 100});
  ASSERT_TRUE(CallStatus(Sized(4999)).ok());
  EXPECT_EQ(clients_.compressed(), 1);
  EXPECT_EQ(servers_.compressed(), 0);
  ASSERT_TRUE(CallStatus(Sized(5000)).ok());
  EXPECT_EQ(servers_.compressed(), 1);
  EXPECT_EQ(clients_.compressed(), 1);
  ASSERT_TRUE(CallStatus(Sized(99)).ok());
  EXPECT_EQ(clients_.compressed(), 0);
}

TEST_P(CompressionTest, ThresholdHoldsForStreams) {
  service_.OnChat(Echo);
  Start();
  auto stream = Tester::Stub(*channel_).Chat();
  Message message;
  for (const size_t size : {kThreshold - 1, kThreshold}) {
    ASSERT_TRUE(stream.Write(Sized(size)));
    ASSERT_TRUE(stream.Read(&message));
    EXPECT_EQ(message.ByteSizeLong(), size);
    const int times = size < kThreshold ? 0 : 1;
    EXPECT_EQ(clients_.compressed(), times) << size;
    EXPECT_EQ(servers_.inflated(), times) << size;
    EXPECT_EQ(servers_.compressed(), times) << size;
    EXPECT_EQ(clients_.inflated(), times) << size;
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_P(CompressionTest, LeavesAsItIsWhatDoesNotBecomeShorter) {
  Start();
  ASSERT_TRUE(CallStatus(Noise(10'000)).ok());
  EXPECT_EQ(clients_.compressed(), 1);
  EXPECT_EQ(servers_.inflated(), 0);
  EXPECT_EQ(servers_.compressed(), 1);
  EXPECT_EQ(clients_.inflated(), 0);
}

TEST_P(CompressionTest, BringsTheMessagesOfAllKindsOfStreams) {
  const auto sized = [](int i) { return Sized(2000 + 7919 * i % 100'000); };
  service_.OnChat(Echo);
  service_.OnWatch([&](ServerContext&, const Message& request,
                       ServerWriter<Message>& writer) {
    EXPECT_EQ(request.ByteSizeLong(), 5000u);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(writer.Write(sized(i)));
    return absl::OkStatus();
  });
  service_.OnUpload(
      [&](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        Message message;
        for (int i = 0; reader.Read(&message); ++i) {
          EXPECT_EQ(message.ByteSizeLong(), sized(i).ByteSizeLong());
        }
        *reply = Sized(6000);
        return absl::OkStatus();
      });
  Start();
  Tester::Stub stub(*channel_);
  Message message;

  auto watch = stub.Watch(Sized(5000));
  int count = 0;
  for (; watch.Read(&message); ++count) {
    EXPECT_EQ(message.ByteSizeLong(), sized(count).ByteSizeLong());
  }
  EXPECT_EQ(count, 100);
  EXPECT_TRUE(watch.Finish().ok());
  EXPECT_EQ(clients_.inflated(), 100);
  EXPECT_EQ(servers_.inflated(), 1);

  auto upload = stub.Upload();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(upload.Write(sized(i)));
  const absl::StatusOr<Message> reply = upload.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->ByteSizeLong(), 6000u);
  EXPECT_EQ(servers_.inflated(), 100);
  EXPECT_EQ(clients_.inflated(), 1);

  auto chat = stub.Chat();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(chat.Write(sized(i)));
    ASSERT_TRUE(chat.Read(&message));
    EXPECT_EQ(message.ByteSizeLong(), sized(i).ByteSizeLong());
  }
  EXPECT_TRUE(chat.Finish().ok());
}

TEST_P(CompressionTest, RepliesToCallbacksAreInflated) {
  Start();
  Event done;
  absl::StatusOr<Message> reply;
  Tester::Stub(*channel_).Call(Sized(5000), {},
                               [&](absl::StatusOr<Message> result) {
                                 reply = std::move(result);
                                 done.Notify();
                               });
  ASSERT_TRUE(done.Wait());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->ByteSizeLong(), 5000u);
  EXPECT_EQ(clients_.inflated(), 1);
}

// Messages that nobody parses, with what is beside them.
TEST_P(CompressionTest, HoldsForRawMessages) {
  class Mirror final : public UnknownMethodService {
    absl::Status Handle(ServerContext&,
                        ServerStream<RawMessage, RawMessage>& stream) override {
      RawMessage message;
      absl::Cord attachment;
      while (stream.Read(&message, &attachment)) {
        if (!stream.Write(message, attachment)) break;
      }
      return absl::OkStatus();
    }
  } mirror;
  StartServerOf(&mirror, {.compressors = {&servers_}});
  channel_ = Connect({.compressors = {&clients_}, .compression = GetParam()});
  GenericStub stub(*channel_);
  int compressed = 0;
  for (const size_t size : {size_t{10}, kThreshold - 1, kThreshold,
                            size_t{5'000}, size_t{200'000}}) {
    for (const size_t attached : {size_t{0}, size_t{100}, size_t{100'000}}) {
      const RawMessage sent = std::string(size, 'x');
      const absl::Cord beside(std::string(attached, 'a'));
      if (size >= kThreshold) compressed += 1;
      CallInfo info;
      const absl::StatusOr<RawMessage> reply = stub.Call(
          "any.Service/Method", sent, {.attachment = beside, .info = &info});
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_TRUE(reply->view() == sent.view());
      EXPECT_TRUE(info.attachment == beside);
    }
  }
  EXPECT_EQ(clients_.compressed(), compressed);
  EXPECT_EQ(clients_.inflated(), compressed);
  EXPECT_EQ(servers_.inflated(), compressed);
  auto stream = stub.Stream("any.Service/Method");
  for (const size_t size : {size_t{10}, kThreshold, size_t{200'000}}) {
    const RawMessage sent = std::string(size, 'x');
    ASSERT_TRUE(stream.Write(sent, absl::Cord("beside")));
    RawMessage message;
    absl::Cord attachment;
    ASSERT_TRUE(stream.Read(&message, &attachment));
    EXPECT_TRUE(message.view() == sent.view());
    EXPECT_EQ(attachment, "beside");
  }
  EXPECT_EQ(clients_.compressed(), 2);
  EXPECT_TRUE(stream.Finish().ok());
  StopServer();  // Before the service.
}

// The thread that reads for all calls is not the one that inflates.
TEST_P(CompressionTest, WhoWaitsForAReplyInflatesIt) {
  Start();
  for (const size_t size : {size_t{2000}, size_t{1'000'000}}) {
    ASSERT_TRUE(CallStatus(Sized(size)).ok());
    EXPECT_EQ(clients_.inflated(), 1);
    EXPECT_TRUE(clients_.inflated_here());
  }
}

// --- What both must agree on ---

TEST_P(CompressionTest, RefusesCallsWhenTheServerLacksIt) {
  StartServer();
  channel_ = Connect({.compressors = {&clients_}});
  const absl::Status status =
      CallStatus(Sized(5000), {.compression = GetParam()});
  EXPECT_TRUE(Failed(status, StatusCode::kUnimplemented, Certainty::kNotStarted,
                     CallPhase::kSend));
  EXPECT_NE(status.message().find(NameOf(GetParam())), std::string::npos);
  // Even of a size that would not be compressed: it depends on the peer alone.
  EXPECT_TRUE(Failed(CallStatus(Sized(5), {.compression = GetParam()}),
                     StatusCode::kUnimplemented, Certainty::kNotStarted));
  auto stream = Tester::Stub(*channel_).Chat({.compression = GetParam()});
  Message message;
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kUnimplemented,
                     Certainty::kNotStarted));
  EXPECT_EQ(service_.started(), 0);
  EXPECT_TRUE(CallStatus(Sized(5000)).ok());
}

TEST_P(CompressionTest, RefusesCallsWhenTheServerHasAnotherOne) {
  SpyCompressor other(GetParam() == Compression::kGzip ? Compression::kZstd
                                                       : Compression::kGzip);
  StartServer({.compressors = {&other}});
  channel_ = Connect({.compressors = {&clients_, &other}});
  EXPECT_TRUE(Failed(CallStatus(Sized(5000), {.compression = GetParam()}),
                     StatusCode::kUnimplemented, Certainty::kNotStarted));
  EXPECT_TRUE(
      CallStatus(Sized(5000), {.compression = other.compression()}).ok());
  EXPECT_EQ(other.inflated(), 2);
}

TEST_P(CompressionTest, RefusesWhatTheChannelLacks) {
  Start();
  channel_ = Connect();
  EXPECT_TRUE(Failed(CallStatus(Sized(5000), {.compression = GetParam()}),
                     StatusCode::kInvalidArgument, Certainty::kNotStarted));
  auto stream = Tester::Stub(*channel_).Chat({.compression = GetParam()});
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kInvalidArgument,
                     Certainty::kNotStarted));
  channel_ = Connect({.compression = GetParam()});
  EXPECT_TRUE(Failed(CallStatus(Sized(5)), StatusCode::kInvalidArgument,
                     Certainty::kNotStarted));
  Server server({.listen = {"127.0.0.1:0"}, .compression = GetParam()});
  EXPECT_EQ(server.Start().code(), StatusCode::kInvalidArgument);
}

TEST_P(CompressionTest, CallsCanDoWithout) {
  Start();
  EXPECT_TRUE(
      CallStatus(Sized(5000), {.compression = Compression::kNone}).ok());
  EXPECT_EQ(clients_.compressed() + servers_.compressed(), 0);
}

TEST_P(CompressionTest, ServerCompressesOfItsOwnAccord) {
  StartServer({.compressors = {&servers_}, .compression = GetParam()});
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    EXPECT_TRUE(writer.Write(request));
    return absl::OkStatus();
  });
  for (const bool can : {true, false}) {
    channel_ = can ? Connect({.compressors = {&clients_}}) : Connect();
    const absl::StatusOr<Message> reply = Call(Sized(5000));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->ByteSizeLong(), 5000u);
    EXPECT_EQ(servers_.compressed(), can ? 1 : 0);
    auto watch = Tester::Stub(*channel_).Watch(Sized(5000));
    Message message;
    ASSERT_TRUE(watch.Read(&message));
    EXPECT_EQ(message.ByteSizeLong(), 5000u);
    EXPECT_TRUE(watch.Finish().ok());
    EXPECT_EQ(servers_.compressed(), can ? 1 : 0);
    EXPECT_EQ(clients_.compressed(), 0);
  }
}

TEST_P(CompressionTest, GoesTogetherWithResponseMetadata) {
  service_.OnCall(
      [](ServerContext& context, const Message& request, Message* reply) {
        *reply = request;
        context.response_metadata().Add("key", "value");
        context.trailing_metadata().Add("last", "value");
        return absl::OkStatus();
      });
  Start();
  CallInfo info;
  ASSERT_TRUE(CallStatus(Sized(5000), {.info = &info}).ok());
  EXPECT_EQ(info.response_metadata.entries().size(), 1u);
  EXPECT_EQ(info.trailing_metadata.entries().size(), 1u);
  EXPECT_EQ(clients_.inflated(), 1);
}

TEST_P(CompressionTest, FailedCallsHaveNothingToCompress) {
  service_.OnCall([](ServerContext&, const Message& request, Message* reply) {
    *reply = request;
    return absl::NotFoundError("not here");
  });
  Start();
  EXPECT_TRUE(Failed(CallStatus(Sized(5000)), StatusCode::kNotFound,
                     Certainty::kFinished));
  EXPECT_EQ(servers_.compressed(), 0);
}

// --- Limits ---

// What a sender knows of the limit, it keeps: however short it would be.
TEST_P(CompressionTest, SendersKeepThePeersLimit) {
  service_.OnCall([](ServerContext&, const Message& request, Message* reply) {
    *reply = Sized(std::stoul(request.text()));
    return absl::OkStatus();
  });
  Start({.max_message_bytes = 50'000}, {.max_message_bytes = 70'000});
  Message message = Sized(50'000);
  EXPECT_TRUE(Failed(CallStatus(Sized(50'001)), StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_TRUE(CallStatus(MessageWith("70000")).ok());
  EXPECT_TRUE(Failed(CallStatus(MessageWith("70001")),
                     StatusCode::kResourceExhausted, Certainty::kFinished));
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    return absl::OkStatus();
  });
  StopServer();
  Start({.max_message_bytes = 50'000});
  EXPECT_TRUE(CallStatus(message).ok());
}

// A peer that does not: what inflates to the limit passes, a byte more fails.
TEST_P(CompressionTest, ABombStopsAtTheServersLimit) {
  service_.OnChat(Echo);
  Start({.max_message_bytes = 100'000});
  const Message carrier = Sized(50'000);
  for (const size_t size :
       {size_t{100'000}, size_t{100'001}, size_t{4'000'000}}) {
    clients_.Forge(clients_.Packed(Sized(size).SerializeAsString()));
    const bool fits = size == 100'000;
    const absl::Status status =
        fits ? CallStatus(carrier, {.compression = GetParam()})
             : CallStatus(carrier);
    auto stream = Tester::Stub(*channel_).Chat();
    Message message;
    EXPECT_TRUE(stream.Write(carrier));
    if (fits) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_TRUE(stream.Read(&message));
      EXPECT_EQ(message.ByteSizeLong(), size);
      EXPECT_TRUE(stream.Finish().ok());
    } else {
      EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                         Certainty::kNotStarted, CallPhase::kQueue))
          << size;
      EXPECT_NE(status.message().find("the server's limit (max_message_bytes)"),
                std::string::npos)
          << status;
      EXPECT_FALSE(stream.Read(&message));
      EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kResourceExhausted,
                         Certainty::kFinished));
    }
  }
}

TEST_P(CompressionTest, ABombStopsAtTheClientsLimit) {
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    (void)writer.Write(request);
    return absl::OkStatus();
  });
  Start({}, {.max_message_bytes = 100'000});
  for (const size_t size :
       {size_t{100'000}, size_t{100'001}, size_t{4'000'000}}) {
    servers_.Forge(servers_.Packed(Sized(size).SerializeAsString()));
    const bool fits = size == 100'000;
    const absl::StatusOr<Message> reply = Call(Sized(50'000));
    auto watch = Tester::Stub(*channel_).Watch(Sized(50'000));
    Message message;
    EXPECT_EQ(watch.Read(&message), fits);
    const absl::Status status = watch.Finish();
    if (fits) {
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->ByteSizeLong(), size);
      EXPECT_TRUE(status.ok()) << status;
    } else {
      EXPECT_TRUE(Failed(reply.status(), StatusCode::kResourceExhausted,
                         Certainty::kFinished, CallPhase::kReceive));
      EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
      EXPECT_NE(status.message().find("the client's limit (max_message_bytes)"),
                std::string::npos)
          << status;
    }
  }
}

// The attachment, which is as it is, counts as well.
TEST_P(CompressionTest, AttachmentLeavesLessForTheMessage) {
  Start({.max_message_bytes = 100'000});
  const std::string attachment(40'000, 'a');
  for (const size_t size : {size_t{60'000}, size_t{60'001}}) {
    clients_.Forge(clients_.Packed(Sized(size).SerializeAsString()));
    EXPECT_EQ(
        CallStatus(Sized(5'000), {.attachment = absl::Cord(attachment)}).code(),
        size == 60'000 ? StatusCode::kOk : StatusCode::kResourceExhausted);
  }
}

TEST_P(CompressionTest, MalformedDataIsTheSendersFault) {
  service_.OnChat(Echo);
  Start();
  const std::string whole = clients_.Packed(Sized(5'000).SerializeAsString());
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), whole + "x", std::string("x")}) {
    clients_.Forge(bytes);
    EXPECT_TRUE(Failed(CallStatus(Sized(5'000)), StatusCode::kInternal,
                       Certainty::kNotStarted, CallPhase::kQueue));
    auto stream = Tester::Stub(*channel_).Chat();
    Message message;
    EXPECT_TRUE(stream.Write(Sized(5'000)));
    EXPECT_FALSE(stream.Read(&message));
    EXPECT_TRUE(
        Failed(stream.Finish(), StatusCode::kInternal, Certainty::kFinished));
  }
  clients_.Forge("");
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), whole + "x", std::string("x"),
        servers_.Packed("no message")}) {
    servers_.Forge(bytes);
    EXPECT_TRUE(Failed(CallStatus(Sized(5'000)), StatusCode::kInternal,
                       Certainty::kFinished, CallPhase::kReceive));
  }
}

// A client that goes on sending such is as little welcome as one that breaks
// the protocol in another way.
TEST_P(CompressionTest, BombsEndTheConnectionAtLast) {
  Start({.max_message_bytes = 100'000});
  clients_.Forge(clients_.Packed(Sized(200'000).SerializeAsString()));
  int refused = 0;
  while (refused < 100'000 &&
         CallStatus(Sized(5'000)).code() == StatusCode::kResourceExhausted) {
    ++refused;
  }
  EXPECT_GE(refused, 100);
  EXPECT_LT(refused, 100'000);
}

// What a request is inflated to is held for it like what has come in.
TEST_P(CompressionTest, InflatedRequestsCountTowardsTheServersMemory) {
  int64_t most = 0;  // What one call needs, found with room for all.
  const Message message = Sized(1'000'000);
  const auto works_with = [&](int64_t budget) {
    Start({.max_request_memory_bytes = budget});
    const absl::Status status = CallStatus(message);
    // Nothing is lost, whatever has happened.
    const absl::Status again = CallStatus(message);
    EXPECT_EQ(status.code(), again.code());
    if (!status.ok()) {
      EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                         Certainty::kNotStarted, CallPhase::kQueue));
    }
    channel_.reset();
    StopServer();
    return status.ok();
  };
  for (int64_t low = 0, high = 16 << 20; high - low > 1;) {
    most = (low + high) / 2;
    (works_with(most) ? high : low) = most;
    most = high;
  }
  EXPECT_GE(most, 1'000'000);
  EXPECT_LE(most, 4 << 20);
}

TEST_P(CompressionTest, StreamsInflateWithinTheServersMemory) {
  service_.OnChat(Echo);
  for (const int64_t budget : {int64_t{8} << 20, int64_t{500'000}}) {
    Start({.max_request_memory_bytes = budget});
    for (int i = 0; i < 3; ++i) {
      auto stream = Tester::Stub(*channel_).Chat();
      Message message;
      EXPECT_TRUE(stream.Write(Sized(1'000'000)));
      const bool fits = budget > 1'000'000;
      EXPECT_EQ(stream.Read(&message), fits);
      EXPECT_EQ(stream.Finish().code(),
                fits ? StatusCode::kOk : StatusCode::kResourceExhausted);
    }
    channel_.reset();
    StopServer();
  }
}

}  // namespace
}  // namespace tern::testing
