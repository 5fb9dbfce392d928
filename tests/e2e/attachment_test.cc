// Bytes beside the messages, both ways.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/pattern.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr size_t kMaxMessageBytes = 4 << 20;  // The default, of both ends.

absl::Cord InPieces(const std::string& bytes, size_t piece) {
  absl::Cord cord;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    // Its own memory, so that Cord does not put the pieces together.
    auto* const held = new std::string(bytes.substr(at, piece));
    cord.Append(absl::MakeCordFromExternal(*held, [held] { delete held; }));
  }
  return cord;
}

class AttachmentTest : public EndToEnd {
 protected:
  AttachmentTest() {
    // As in a mirror: the attachment, as it came, and the message.
    service_.OnCall(
        [](ServerContext& context, const Message& request, Message* reply) {
          *reply = request;
          context.set_reply_attachment(context.attachment());
          return absl::OkStatus();
        });
  }
  // Handlers use what tests have on their stacks.
  void TearDown() override {
    holdup_.LetGo();
    StopServer();
  }

  absl::Status CallWith(absl::Cord attachment, const Message& message = {}) {
    absl::StatusOr<Message> reply = Tester::Stub(*channel_).Call(
        message, {.attachment = std::move(attachment), .info = &info_});
    if (reply.ok()) {
      EXPECT_EQ(reply->SerializeAsString(), message.SerializeAsString());
    }
    return std::move(reply).status();
  }

  void StartServerAndConnect(ServerOptions options = {},
                             const ChannelOptions& channel = {}) {
    StartServer(std::move(options));
    channel_ = Connect(channel);
  }

  std::unique_ptr<Channel> channel_;
  CallInfo info_;
};

// Around the sizes where something changes: what is kept inside a call, what is
// copied, a frame, a stream's window; and with messages that have none of the
// bytes, or most.
TEST_F(AttachmentTest, TravelBothWays) {
  StartServerAndConnect();
  for (const size_t message_bytes : {size_t{0}, size_t{100}, size_t{70'000}}) {
    Message message;
    if (message_bytes != 0) message.set_payload(Pattern(message_bytes, 7));
    for (const size_t around :
         {size_t{2}, size_t{256}, size_t{4096}, size_t{16} << 10,
          size_t{64} << 10, size_t{256} << 10, size_t{3} << 20}) {
      for (const size_t size : {around - 1, around, around + 1}) {
        const std::string bytes = Pattern(size);
        const absl::Status status = CallWith(absl::Cord(bytes), message);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(info_.attachment == bytes) << size;
      }
    }
  }
}

TEST_F(AttachmentTest, InManyPiecesComeInOne) {
  StartServerAndConnect();
  for (const size_t size : {size_t{1000}, size_t{1} << 20}) {
    const std::string bytes = Pattern(size);
    ASSERT_TRUE(CallWith(InPieces(bytes, 777)).ok());
    ASSERT_TRUE(info_.attachment.TryFlat().has_value());
    EXPECT_TRUE(*info_.attachment.TryFlat() == bytes);
  }
}

TEST_F(AttachmentTest, AreOfOneCallOnly) {
  size_t bytes = 1;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    bytes = context.attachment().size();
    if (bytes != 0) context.set_reply_attachment(absl::Cord("reply"));
    return absl::OkStatus();
  });
  StartServerAndConnect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(CallWith(absl::Cord("request")).ok());
    EXPECT_EQ(bytes, 7u);
    EXPECT_EQ(info_.attachment, "reply");
    ASSERT_TRUE(CallWith(absl::Cord()).ok());
    EXPECT_EQ(bytes, 0u);
    EXPECT_TRUE(info_.attachment.empty());
  }
}

TEST_F(AttachmentTest, OfAReplyThatNobodyAsksForIsDropped) {
  StartServerAndConnect();
  for (const size_t size : {size_t{100}, size_t{1} << 20}) {
    EXPECT_TRUE(
        CallStatus(*channel_, "x", {.attachment = absl::Cord(Pattern(size))})
            .ok());
  }
}

TEST_F(AttachmentTest, AreThereWhenACallbackIsCalled) {
  StartServerAndConnect();
  for (const size_t size : {size_t{100}, size_t{1} << 20}) {
    const std::string bytes = Pattern(size);
    const auto call = StartCall(
        *channel_, "x", {.attachment = absl::Cord(bytes), .info = &info_});
    ASSERT_TRUE(call->Wait().ok());
    EXPECT_TRUE(info_.attachment == bytes);
  }
}

TEST_F(AttachmentTest, DoNotComeWithAnError) {
  service_.OnCall([](ServerContext& context, const Message&, Message*) {
    context.set_reply_attachment(context.attachment());
    return absl::NotFoundError("x");
  });
  StartServerAndConnect();
  EXPECT_TRUE(Failed(CallWith(absl::Cord("x")), StatusCode::kNotFound,
                     Certainty::kFinished));
  EXPECT_TRUE(info_.attachment.empty());
}

TEST_F(AttachmentTest, TravelWithMetadata) {
  service_.OnCall(
      [](ServerContext& context, const Message& request, Message* reply) {
        *reply = request;
        context.response_metadata().Add("first", "1");
        context.trailing_metadata().Add("last", "2");
        context.set_reply_attachment(context.attachment());
        return absl::OkStatus();
      });
  StartServerAndConnect();
  for (const size_t size : {size_t{100}, size_t{1} << 20}) {
    const std::string bytes = Pattern(size);
    ASSERT_TRUE(CallWith(absl::Cord(bytes)).ok());
    EXPECT_TRUE(info_.attachment == bytes);
    EXPECT_EQ(info_.response_metadata.Get("first"), "1");
    EXPECT_EQ(info_.trailing_metadata.Get("last"), "2");
  }
}

// It lies where it was given, and whoever gave it is told once when it may go:
// not before it has been sent, whatever becomes of its call.
TEST_F(AttachmentTest, IsLetGoOnce) {
  StartServerAndConnect();
  const std::string bytes = Pattern(1 << 20);
  for (const bool cancels : {false, true}) {
    for (const bool blocks : {true, false}) {
      Event released;
      CallOptions options = {
          .attachment = absl::MakeCordFromExternal(
              bytes, [&released](absl::string_view) { released.Notify(); }),
          .info = &info_};
      if (blocks) {
        ASSERT_TRUE(CallStatus(*channel_, "x", options).ok());
        EXPECT_TRUE(info_.attachment == bytes);
      } else {
        const auto call = StartCall(*channel_, "x", options);
        if (cancels) call->Cancel();
        (void)call->Wait();
      }
      EXPECT_EQ(released.count(), 0) << "the test's own share is there";
      options = {};
      EXPECT_TRUE(released.Wait());
      EXPECT_TRUE(CallStatus(*channel_, "x").ok());
      EXPECT_EQ(released.count(), 1);
    }
  }
}

// What a handler keeps is there when the call, its connection and the server
// are not any more.
TEST_F(AttachmentTest, MayBeKeptByTheHandler) {
  std::vector<absl::Cord> kept;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    kept.push_back(context.attachment());
    return absl::OkStatus();
  });
  StartServerAndConnect();
  const std::vector<std::string> sent = {Pattern(100, 1), Pattern(1 << 20, 2),
                                         Pattern(1 << 20, 3)};
  for (const std::string& bytes : sent) {
    ASSERT_TRUE(CallWith(absl::Cord(bytes)).ok());
  }
  channel_.reset();
  StopServer();
  ASSERT_EQ(kept.size(), sent.size());
  for (size_t i = 0; i < sent.size(); ++i) EXPECT_TRUE(kept[i] == sent[i]);
}

// Many at once, on one connection: none gets another's.
TEST_F(AttachmentTest, OfManyCallsAreKeptApart) {
  StartServerAndConnect();
  InThreads(8, [&](int thread) {
    Tester::Stub stub(*channel_);
    for (uint32_t i = 0; i < 10; ++i) {
      const auto seed = 100 * static_cast<uint32_t>(thread) + i;
      const std::string bytes = Pattern(1 + 30'000 * i, seed);
      CallInfo info;
      const absl::Status status =
          stub.Call(Message(), {.attachment = absl::Cord(bytes), .info = &info})
              .status();
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_TRUE(info.attachment == bytes);
    }
  });
}

// ---- Of streaming calls

TEST_F(AttachmentTest, GoWithTheOneRequestOrReplyOfAStream) {
  std::string received;
  service_.OnWatch(
      [&](ServerContext& context, const Message&, ServerWriter<Message>&) {
        received = std::string(context.attachment());
        return absl::OkStatus();
      });
  service_.OnUpload(
      [](ServerContext& context, ServerReader<Message>& reader, Message*) {
        Message message;
        while (reader.Read(&message)) {
        }
        context.set_reply_attachment(absl::Cord("reply"));
        return absl::OkStatus();
      });
  StartServerAndConnect();
  Tester::Stub stub(*channel_);
  const std::string bytes = Pattern(1 << 20);
  auto reader = stub.Watch(Message(), {.attachment = absl::Cord(bytes)});
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_TRUE(received == bytes);

  auto writer = stub.Upload({.info = &info_});
  EXPECT_TRUE(writer.Finish().ok());
  EXPECT_EQ(info_.attachment, "reply");
}

TEST_F(AttachmentTest, DoNotGoWithMessagesThatAreMany) {
  service_.OnWatch(
      [](ServerContext& context, const Message&, ServerWriter<Message>&) {
        context.set_reply_attachment(absl::Cord("x"));
        return absl::OkStatus();
      });
  StartServerAndConnect();
  Tester::Stub stub(*channel_);
  auto writer = stub.Upload({.attachment = absl::Cord("x")});
  EXPECT_TRUE(Failed(writer.Finish().status(), StatusCode::kInvalidArgument,
                     Certainty::kNotStarted, CallPhase::kSend));
  auto reader = stub.Watch(Message());
  EXPECT_TRUE(Failed(reader.Finish(), StatusCode::kInternal,
                     Certainty::kFinished, CallPhase::kHandler));
}

// ---- Limits

TEST_F(AttachmentTest, OfARequestCountsTowardsTheServersLimit) {
  StartServerAndConnect();
  const Message message = MessageWith("x");
  const size_t most = kMaxMessageBytes - message.ByteSizeLong();
  EXPECT_TRUE(CallWith(absl::Cord(Pattern(most)), message).ok());
  const absl::Status status = CallWith(absl::Cord(Pattern(most + 1)), message);
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_NE(status.message().find("4194305 bytes with its attachment"),
            std::string::npos)
      << status;
}

TEST_F(AttachmentTest, OfAReplyCountsTowardsTheClientsLimit) {
  service_.OnCall(
      [](ServerContext& context, const Message& request, Message* reply) {
        *reply = request;
        absl::Cord attachment = context.attachment();
        attachment.Append("+");
        context.set_reply_attachment(std::move(attachment));
        return absl::OkStatus();
      });
  StartServerAndConnect();
  const Message message = MessageWith("x");
  const size_t most = kMaxMessageBytes - message.ByteSizeLong();
  EXPECT_TRUE(CallWith(absl::Cord(Pattern(most - 1)), message).ok());
  EXPECT_EQ(info_.attachment.size(), most);
  const absl::Status status = CallWith(absl::Cord(Pattern(most)), message);
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kFinished, CallPhase::kHandler));
  EXPECT_NE(status.message().find("4194305 bytes with its attachment"),
            std::string::npos)
      << status;
  EXPECT_TRUE(info_.attachment.empty());
  // The connection is none the worse for it.
  EXPECT_TRUE(CallWith(absl::Cord("x")).ok());
}

// Whether it comes in one frame or in many.
TEST_F(AttachmentTest, OfARequestCountsTowardsTheServersMemory) {
  for (const size_t budget : {size_t{8'000}, size_t{300'000}}) {
    StartServerAndConnect(
        {.max_request_memory_bytes = static_cast<int64_t>(budget)});
    EXPECT_TRUE(CallWith(absl::Cord(Pattern(budget))).ok());
    EXPECT_TRUE(Failed(CallWith(absl::Cord(Pattern(budget + 1))),
                       StatusCode::kResourceExhausted, Certainty::kNotStarted,
                       CallPhase::kQueue));
    EXPECT_TRUE(CallWith(absl::Cord(Pattern(budget))).ok());
    channel_.reset();
    StopServer();
  }
}

// More than any message may have, without memory for it: it is not looked at.
TEST_F(AttachmentTest, AboveTheProtocolsLimitIsRefusedBeforeItIsCopied) {
  StartServerAndConnect();
  const Message message = MessageWith("x");
  static char byte = 'x';
  const auto huge = [&](size_t size) {
    return absl::MakeCordFromExternal(absl::string_view(&byte, size), [] {});
  };
  constexpr size_t kMost = 0x7fffffff;
  const absl::Status status =
      CallWith(huge(kMost - message.ByteSizeLong() + 1), message);
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_NE(status.message().find("2147483648 bytes with its attachment"),
            std::string::npos)
      << status;
}

}  // namespace
}  // namespace tern::testing
