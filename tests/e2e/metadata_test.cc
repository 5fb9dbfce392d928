// Metadata that comes back with an answer, values of any bytes, and keys that
// nobody may use. (More about what a request carries is in call_test.cc.)

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tern/call.pb.h"
#include "tern/lib/wire/frame.h"
#include "tern/status.pb.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr auto kHeaders = static_cast<uint8_t>(wire::FrameType::kHeaders);
constexpr auto kStatus = static_cast<uint8_t>(wire::FrameType::kStatus);
constexpr char kReserved[] = "tern-mine";

std::string AllBytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

// So many entries, which have so many bytes by PROTOCOL.md's rule.
Metadata MetadataOf(int entries, size_t bytes) {
  constexpr size_t kOverhead = 8 + 1;  // And the key.
  Metadata metadata;
  for (int i = 1; i < entries; ++i) {
    metadata.Add("k", "");
    bytes -= kOverhead;
  }
  metadata.Add("k", std::string(bytes - kOverhead, 'v'));
  return metadata;
}

class MetadataTest : public EndToEnd {
 protected:
  using Fill = std::function<void(ServerContext&)>;

  // The handler fills in metadata, and ends with `status`.
  void Serve(Fill fill, absl::StatusCode code = StatusCode::kOk) {
    service_.OnCall([fill = std::move(fill), code](ServerContext& context,
                                                   const Message&, Message*) {
      fill(context);
      return absl::Status(code, "as the handler says");
    });
    if (server_ == nullptr) StartServer();
    channel_ = Connect();
  }
  absl::Status CallOnce() {
    return CallStatus(*channel_, "x", {.info = &info_});
  }
  void ExpectInternal(std::string_view why) {
    const absl::Status status = CallOnce();
    EXPECT_TRUE(Failed(status, StatusCode::kInternal, Certainty::kFinished,
                       CallPhase::kHandler));
    EXPECT_NE(std::string(status.message()).find(why), std::string::npos)
        << status;
    EXPECT_TRUE(info_.response_metadata.empty());
    EXPECT_TRUE(info_.trailing_metadata.empty());
  }

  std::unique_ptr<Channel> channel_;
  CallInfo info_;
};

void Copy(const Metadata& from, Metadata* to) {
  for (const auto& [key, value] : from.entries()) to->Add(key, value);
}

TEST_F(MetadataTest, ValuesOfAnyBytesTravelInAllDirections) {
  const Metadata metadata = {{"all-bin", AllBytes()},
                             {"empty-bin", ""},
                             {"all-bin", "again"},
                             {"-bin", std::string(1, '\0')},
                             {"text", "größer"}};
  std::vector<Metadata::Entry> received;
  Serve([&](ServerContext& context) {
    received = context.metadata().entries();
    Copy(context.metadata(), &context.response_metadata());
    Copy(context.metadata(), &context.trailing_metadata());
  });
  const absl::Status status =
      CallStatus(*channel_, "x", {.metadata = metadata, .info = &info_});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(received, metadata.entries());
  EXPECT_EQ(info_.response_metadata.entries(), metadata.entries());
  EXPECT_EQ(info_.trailing_metadata.entries(), metadata.entries());
}

TEST_F(MetadataTest, OfTheResponseIsNotThatOfTheStatus) {
  Serve([](ServerContext& context) {
    context.response_metadata().Add("first", "1");
    context.trailing_metadata().Add("last", "2");
  });
  ASSERT_TRUE(CallOnce().ok());
  EXPECT_EQ(info_.response_metadata.entries(),
            (std::vector<Metadata::Entry>{{"first", "1"}}));
  EXPECT_EQ(info_.trailing_metadata.entries(),
            (std::vector<Metadata::Entry>{{"last", "2"}}));
  // The next call has none of it.
  service_.OnCall({});
  ASSERT_TRUE(CallOnce().ok());
  EXPECT_TRUE(info_.response_metadata.empty());
  EXPECT_TRUE(info_.trailing_metadata.empty());
}

TEST_F(MetadataTest, ComesWithAnErrorToo) {
  Serve(
      [](ServerContext& context) {
        context.response_metadata().Add("first", "1");
      },
      StatusCode::kNotFound);
  EXPECT_TRUE(Failed(CallOnce(), StatusCode::kNotFound, Certainty::kFinished));
  EXPECT_EQ(info_.response_metadata.Get("first"), "1");
}

TEST_F(MetadataTest, IsThereWhenACallbackIsCalled) {
  Serve([](ServerContext& context) {
    context.response_metadata().Add("first", "1");
  });
  const auto call = StartCall(*channel_, "x", {.info = &info_});
  EXPECT_TRUE(call->Wait().ok());
  EXPECT_EQ(info_.response_metadata.Get("first"), "1");
}

TEST_F(MetadataTest, OfTheResponseMayBeAsLargeAsTheLimitAndNoLarger) {
  Metadata metadata;
  const Fill fill = [&](ServerContext& context) {
    Copy(metadata, &context.response_metadata());
  };
  Serve(fill);
  metadata = MetadataOf(64, 16'384);
  ASSERT_TRUE(CallOnce().ok());
  EXPECT_EQ(info_.response_metadata.entries(), metadata.entries());

  for (const Metadata& too_much :
       {MetadataOf(64, 16'385), MetadataOf(65, 1'000)}) {
    metadata = too_much;
    const absl::Status status = CallOnce();
    EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                       Certainty::kFinished, CallPhase::kHandler));
    EXPECT_TRUE(info_.response_metadata.empty());
  }
  // The connection is none the worse for it.
  metadata.clear();
  EXPECT_TRUE(CallOnce().ok());
}

TEST_F(MetadataTest, ThatIsTooLargeLeavesAnErrorAsItIs) {
  Serve(
      [](ServerContext& context) {
        Copy(MetadataOf(64, 16'385), &context.response_metadata());
        context.trailing_metadata().Add("last", "2");
      },
      StatusCode::kNotFound);
  const absl::Status status = CallOnce();
  EXPECT_TRUE(Failed(status, StatusCode::kNotFound, Certainty::kFinished));
  EXPECT_EQ(status.message(), "as the handler says");
  EXPECT_TRUE(info_.response_metadata.empty());
  EXPECT_EQ(info_.trailing_metadata.Get("last"), "2");
}

TEST_F(MetadataTest, ThatBreaksTheRulesEndsTheCallInternal) {
  Serve([](ServerContext& context) {
    context.response_metadata().Add("Not A Key", "x");
  });
  ExpectInternal("the handler's response metadata: metadata key \"Not A Key\"");
  Serve([](ServerContext& context) {
    context.response_metadata().Add("key", "\xff");
  });
  ExpectInternal("a key for any bytes ends in -bin");
}

// ---- Of streaming calls

TEST_F(MetadataTest, OfAStreamComesBeforeItsFirstMessage) {
  service_.OnWatch([this](ServerContext& context, const Message&,
                          ServerWriter<Message>& writer) {
    context.response_metadata().Add("first-bin", AllBytes());
    context.trailing_metadata().Add("last", "2");
    EXPECT_TRUE(writer.Write(MessageWith("1")));
    holdup_.WaitUntilLetGo();
    EXPECT_TRUE(writer.Write(MessageWith("2")));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(Message(), {.info = &info_});
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_EQ(info_.response_metadata.Get("first-bin"), AllBytes());
  holdup_.LetGo();
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_FALSE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(info_.response_metadata.entries().size(), 1u);
  EXPECT_EQ(info_.trailing_metadata.Get("last"), "2");
}

TEST_F(MetadataTest, OfAStreamWithoutMessagesComesBeforeItsStatus) {
  service_.OnWatch(
      [](ServerContext& context, const Message&, ServerWriter<Message>&) {
        context.response_metadata().Add("first", "1");
        return absl::OkStatus();
      });
  StartServer();
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(Message(), {.info = &info_});
  Message message;
  EXPECT_FALSE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(info_.response_metadata.Get("first"), "1");
}

TEST_F(MetadataTest, OfAStreamThatBreaksTheRulesEndsTheCallInternal) {
  service_.OnWatch([](ServerContext& context, const Message&,
                      ServerWriter<Message>& writer) {
    context.response_metadata().Add(kReserved, "1");
    writer.Write(MessageWith("1"));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(Message(), {.info = &info_});
  Message message;
  EXPECT_FALSE(reader.Read(&message));
  const absl::Status status = reader.Finish();
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_NE(status.message().find("\"tern-mine\" is reserved"),
            std::string::npos)
      << status;
}

// ---- Reserved keys

TEST_F(MetadataTest, ReservedKeysAreRefusedWhereTheyAreSet) {
  int calls = 0;
  Serve([&](ServerContext&) { ++calls; });
  const absl::Status status =
      CallStatus(*channel_, "x", {.metadata = {{kReserved, "x"}}});
  EXPECT_TRUE(Failed(status, StatusCode::kInvalidArgument,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_NE(status.message().find("metadata key \"tern-mine\" is reserved"),
            std::string::npos)
      << status;
  EXPECT_EQ(calls, 0);

  Serve([](ServerContext& context) {
    context.response_metadata().Add(kReserved, "x");
  });
  ExpectInternal("response metadata: metadata key \"tern-mine\" is reserved");
  Serve([](ServerContext& context) {
    context.trailing_metadata().Add(kReserved, "x");
  });
  ExpectInternal("trailing metadata: metadata key \"tern-mine\" is reserved");
}

TEST_F(MetadataTest, KeysThatOnlyLookReservedAreNot) {
  const Metadata metadata = {
      {"tern", "x"}, {"ternary", "x"}, {"tern_x", "x"}, {"x-tern-x", "x"}};
  Serve([&](ServerContext& context) {
    Copy(context.metadata(), &context.response_metadata());
    Copy(context.metadata(), &context.trailing_metadata());
  });
  ASSERT_TRUE(
      CallStatus(*channel_, "x", {.metadata = metadata, .info = &info_}).ok());
  EXPECT_EQ(info_.response_metadata.entries(), metadata.entries());
  EXPECT_EQ(info_.trailing_metadata.entries(), metadata.entries());
}

TEST_F(MetadataTest, ReservedKeysOfAClientAreRefusedByTheServer) {
  StartServer();
  wire::v1::CallHeader header;
  header.set_method("tern.testing.Tester/Call");
  header.set_timeout_us(60'000'000);
  header.add_metadata()->set_key(kReserved);
  const RawFrame call = {.type = kHeaders,
                         .flags = wire::kFlagEndMessage | wire::kFlagEndStream,
                         .stream = 1,
                         .block = header.SerializeAsString(),
                         .payload = ""};
  RawConnection client = RawConnection::To(target());
  client.Send(GreetingBytes() + call.Bytes());
  wire::v1::Status status;
  ASSERT_TRUE(status.ParseFromString(
      SplitFrames(client.ReadUntilFrame(kStatus)).back().block));
  EXPECT_EQ(status.code(), static_cast<uint32_t>(StatusCode::kInvalidArgument));
  EXPECT_EQ(status.certainty(), wire::v1::NOT_STARTED);
  EXPECT_NE(status.message().find("\"tern-mine\" is reserved"),
            std::string::npos)
      << status.message();
  EXPECT_EQ(service_.started(), 0);
}

TEST_F(MetadataTest, ReservedKeysOfAServerAreRefusedByTheClient) {
  wire::v1::ResponseHeader header;
  header.add_metadata()->set_key(kReserved);
  wire::v1::Status trailing;
  trailing.add_trailing_metadata()->set_key(kReserved);
  const RawFrame first = {.type = kHeaders,
                          .stream = 1,
                          .block = header.SerializeAsString(),
                          .payload = ""};
  const RawFrame last = {.type = kStatus,
                         .flags = wire::kFlagEndMessage,
                         .stream = 1,
                         .block = trailing.SerializeAsString(),
                         .payload = ""};
  for (const std::string& bytes :
       {first.Bytes() + StatusFrame(1, ""), last.Bytes()}) {
    RawListener listener;
    const auto channel = Channel::Create(listener.target());
    const auto call = StartCall(*channel, "x", {.info = &info_});
    RawConnection server = listener.Accept();
    server.ReadUntilFrame(kHeaders);
    server.Send(GreetingBytes() + bytes);
    const absl::Status status = call->WaitForStatus();
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_NE(status.message().find("\"tern-mine\" is reserved"),
              std::string::npos)
        << status;
    EXPECT_TRUE(info_.response_metadata.empty());
    EXPECT_TRUE(info_.trailing_metadata.empty());
  }
}

}  // namespace
}  // namespace tern::testing
