// One call, there and back: what travels beside the message, and what becomes
// of errors.

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/required.tern.client.h"
#include "tests/testing/required.tern.server.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class CallTest : public EndToEnd {};

TEST_F(CallTest, AnswersWithTheReply) {
  StartServer();
  const auto channel = Connect();
  const absl::StatusOr<Message> reply = Call(*channel, "hello");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "hello");
}

TEST_F(CallTest, CallsBackWithTheReply) {
  StartServer();
  const auto channel = Connect();
  const auto call = StartCall(*channel, "hello");
  const absl::StatusOr<Message> reply = call->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "hello");
  EXPECT_EQ(call->callbacks(), 1);
}

TEST_F(CallTest, AnEmptyMessageIsAMessage) {
  StartServer();
  const auto channel = Connect();
  const absl::StatusOr<Message> reply = Call(*channel, "");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "");
}

TEST_F(CallTest, MethodsOfAServiceAreToldApart) {
  service_.OnOther([](ServerContext& context, const Message&, Message* reply) {
    reply->set_text(std::string(context.method()));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  EXPECT_EQ(stub.Other(MessageWith("x"))->text(), "tern.testing.Tester/Other");
  EXPECT_EQ(stub.Call(MessageWith("x"))->text(), "x");
}

TEST_F(CallTest, MetadataTravelsBothWaysInOrder) {
  service_.OnCall([](ServerContext& context, const Message&, Message*) {
    // Whatever came is sent back.
    for (const auto& [key, value] : context.metadata().entries()) {
      context.trailing_metadata().Add(key, value);
    }
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  const Metadata metadata = {{"user", "ärger"},
                             {"trace-bin", std::string("\0\xff\n", 3)},
                             {"user", "second"},
                             {"empty", ""}};
  CallInfo info;
  ASSERT_TRUE(
      CallStatus(*channel, "x", {.metadata = metadata, .info = &info}).ok());
  EXPECT_EQ(info.trailing_metadata.entries(), metadata.entries());
}

TEST_F(CallTest, MetadataMayBeAsLargeAsTheLimitAndNoLarger) {
  StartServer();
  const auto channel = Connect();
  // 64 entries, and a size (key + value + 8 for each) of 16,384.
  Metadata metadata;
  for (int i = 0; i < 64; ++i) metadata.Add("key", std::string(245, 'v'));
  EXPECT_TRUE(CallStatus(*channel, "x", {.metadata = metadata}).ok());

  Metadata too_large = metadata;
  too_large.clear();
  for (int i = 0; i < 63; ++i) too_large.Add("key", std::string(245, 'v'));
  too_large.Add("key", std::string(246, 'v'));
  absl::Status status = CallStatus(*channel, "x", {.metadata = too_large});
  EXPECT_TRUE(Failed(status, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kSend));
  EXPECT_NE(status.message().find("16385"), std::string::npos) << status;
  EXPECT_NE(status.message().find("16384"), std::string::npos) << status;

  Metadata too_many;
  for (int i = 0; i < 65; ++i) too_many.Add("k", "");
  EXPECT_TRUE(Failed(CallStatus(*channel, "x", {.metadata = too_many}),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted,
                     CallPhase::kSend));
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(CallTest, MetadataThatBreaksTheRulesIsRefusedBeforeAnythingIsSent) {
  StartServer();
  const auto channel = Connect();
  for (const Metadata& metadata :
       {Metadata{{"Upper", "x"}}, Metadata{{"", "x"}},
        Metadata{{"tern-mine", "x"}}, Metadata{{"key", "line\nbreak"}},
        Metadata{{"key", "\xff"}}, Metadata{{std::string(65, 'k'), "x"}}}) {
    EXPECT_TRUE(Failed(CallStatus(*channel, "x", {.metadata = metadata}),
                       StatusCode::kInvalidArgument, Certainty::kNotStarted,
                       CallPhase::kSend));
  }
  EXPECT_EQ(service_.started(), 0);
}

TEST_F(CallTest, TrailingMetadataComesWithAnErrorToo) {
  service_.OnCall([](ServerContext& context, const Message&, Message*) {
    context.trailing_metadata().Add("why", "because");
    return absl::NotFoundError("no such thing");
  });
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  const absl::Status status = CallStatus(*channel, "x", {.info = &info});
  EXPECT_TRUE(Failed(status, StatusCode::kNotFound, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(info.trailing_metadata.Get("why"), "because");
}

TEST_F(CallTest, InfoTellsOfTheLastCallOnly) {
  service_.OnCall([](ServerContext& context, const Message&, Message*) {
    context.response_metadata().Add("first", "1");
    context.trailing_metadata().Add("last", "2");
    context.set_reply_attachment(absl::Cord("attached"));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  const auto fill = [&] {
    ASSERT_TRUE(CallStatus(*channel, "x", {.info = &info}).ok());
    ASSERT_EQ(info.response_metadata.entries().size(), 1u);
    ASSERT_EQ(info.trailing_metadata.entries().size(), 1u);
    ASSERT_EQ(info.attachment, "attached");
    ASSERT_EQ(info.peer, target());
  };
  const auto expect_empty = [&] {
    EXPECT_TRUE(info.response_metadata.empty());
    EXPECT_TRUE(info.trailing_metadata.empty());
    EXPECT_TRUE(info.attachment.empty());
    EXPECT_EQ(info.peer, "");
  };
  // These three are not even begun.
  fill();
  EXPECT_FALSE(CallStatus(*channel, "x", {.priority = 8, .info = &info}).ok());
  expect_empty();
  fill();
  const auto call = StartCall(*channel, "x", {.priority = 8, .info = &info});
  EXPECT_FALSE(call->Wait().ok());
  expect_empty();
  fill();
  auto reader =
      Tester::Stub(*channel).Watch(Message(), {.priority = 8, .info = &info});
  EXPECT_FALSE(reader.Finish().ok());
  expect_empty();
}

TEST_F(CallTest, TrailingMetadataThatBreaksTheRulesEndsTheCallInternal) {
  service_.OnCall([](ServerContext& context, const Message&, Message*) {
    context.trailing_metadata().Add("Not A Key", "x");
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kInternal,
                     Certainty::kFinished, CallPhase::kHandler));
}

TEST_F(CallTest, AnErrorComesAsTheHandlerReturnedIt) {
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    absl::Status status = absl::FailedPreconditionError("Fehler: ungültig");
    status.SetPayload("type.googleapis.com/a.B",
                      absl::Cord(std::string("\0\x01\xff", 3)));
    status.SetPayload("type.googleapis.com/c.D", absl::Cord("detail"));
    return status;
  });
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  const absl::Status status = CallStatus(*channel, "x", {.info = &info});
  EXPECT_TRUE(Failed(status, StatusCode::kFailedPrecondition,
                     Certainty::kFinished, CallPhase::kHandler));
  EXPECT_EQ(status.message(), "Fehler: ungültig");
  EXPECT_EQ(status.GetPayload("type.googleapis.com/a.B"),
            absl::Cord(std::string("\0\x01\xff", 3)));
  EXPECT_EQ(status.GetPayload("type.googleapis.com/c.D"), absl::Cord("detail"));
  EXPECT_EQ(info.peer, target());
  EXPECT_FALSE(info.local.empty());
}

TEST_F(CallTest, AnErrorsMessageNeedNotBeText) {
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    return absl::DataLossError("bytes: \xff\xfe");
  });
  StartServer();
  const auto channel = Connect();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(Failed(status, StatusCode::kDataLoss, Certainty::kFinished));
  EXPECT_NE(status.message().find("bytes: "), std::string::npos) << status;
}

TEST_F(CallTest, AnErrorWithoutTextIsAnError) {
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    return absl::Status(StatusCode::kAborted, "");
  });
  StartServer();
  const auto channel = Connect();
  EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kAborted,
                     Certainty::kFinished, CallPhase::kHandler));
}

// The longest text that a status can carry is cut, its code is kept.
TEST_F(CallTest, AnErrorThatIsTooLongIsCut) {
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    absl::Status status = absl::NotFoundError(std::string(100'000, 'e'));
    status.SetPayload("a/b", absl::Cord(std::string(100'000, 'p')));
    return status;
  });
  StartServer();
  const auto channel = Connect();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_GT(status.message().size(), 10'000u);
  EXPECT_LT(status.message().size(), 25'000u);
}

// What an inner call's error says of itself is not said of the outer one.
TEST_F(CallTest, AHandlerMayReturnAnInnerCallsError) {
  StartServer();
  const auto inner = Channel::Create("127.0.0.1:0");  // Nobody is there.
  service_.OnCall([&](ServerContext&, const Message& request, Message*) {
    return Tester::Stub(*inner).Call(request).status();
  });
  const auto channel = Connect();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(Failed(status, StatusCode::kUnavailable, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(CallError::From(status)->peer, target());
}

TEST_F(CallTest, AnUnknownMethodAndAnUnknownServiceAreToldApart) {
  StartServer();
  const auto channel = Connect();
  const absl::Status no_service =
      Absent::Stub(*channel).Call(MessageWith("x")).status();
  EXPECT_TRUE(Failed(no_service, StatusCode::kUnimplemented,
                     Certainty::kNotStarted, CallPhase::kQueue));
  EXPECT_NE(no_service.message().find("tern.testing.Absent"),
            std::string::npos);

  const absl::Status no_method =
      BlockingUnaryCall<Message>(*channel,
                                 {.full_name = "tern.testing.Tester/Gone"},
                                 MessageWith("x"), {})
          .status();
  EXPECT_TRUE(Failed(no_method, StatusCode::kUnimplemented,
                     Certainty::kNotStarted, CallPhase::kQueue));
  EXPECT_NE(no_method.message().find("Tester/Gone"), std::string::npos);
}

TEST_F(CallTest, AHandlerThatThrowsEndsItsCallUnknown) {
  service_.OnCall(
      [](ServerContext&, const Message& request, Message*) -> absl::Status {
        if (request.text() == "int") throw 42;
        throw std::runtime_error("a secret");
      });
  StartServer();
  const auto channel = Connect();
  for (const char* what : {"int", "error"}) {
    const absl::Status status = CallStatus(*channel, what);
    EXPECT_TRUE(Failed(status, StatusCode::kUnknown, Certainty::kFinished,
                       CallPhase::kHandler));
    EXPECT_EQ(status.message().find("secret"), std::string::npos) << status;
  }
}

// Messages are used again, but not with the memory of one that was large, be it
// sent or not.
TEST_F(CallTest, ALargeReplysMemoryIsNotKeptForTheNextCall) {
  size_t kept = 0;
  service_.OnCall([&](ServerContext&, const Message& request, Message* reply) {
    kept = reply->mutable_payload()->capacity();
    reply->mutable_payload()->assign(1 << 20, 'x');
    return request.text() == "fail" ? absl::NotFoundError("")
                                    : absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  for (const char* first : {"succeed", "fail"}) {
    EXPECT_EQ(CallStatus(*channel, first).ok(), first[0] == 's');
    // A few: the call before may still hold its messages.
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(CallStatus(*channel, first).ok(), first[0] == 's');
      EXPECT_LT(kept, size_t{1} << 20) << first;
    }
  }
}

TEST_F(CallTest, TellsTheTimesThatACallTook) {
  StartServer();
  const auto channel = Connect();
  CallInfo info;
  ASSERT_TRUE(CallStatus(*channel, "x", {.info = &info}).ok());
  EXPECT_GT(info.elapsed, absl::ZeroDuration());
  ASSERT_TRUE(info.handler_time.has_value());
  EXPECT_LE(*info.handler_time, info.elapsed);
  ASSERT_TRUE(info.queue_time.has_value());
  EXPECT_LE(*info.queue_time, info.elapsed);
}

class RequiredService final : public RequiredTester::Service {
  absl::Status Call(ServerContext&, const RequiredMessage& request,
                    RequiredMessage* reply) override {
    if (request.text() != "leave it out") reply->set_text(request.text());
    return absl::OkStatus();
  }
};

TEST(RequiredFields, MissingOnesAreAnErrorOnTheSideThatLeftThemOut) {
  RequiredService service;
  Server server({.listen = {"127.0.0.1:0"},
                 .handler_threads = HandlerThreadsOfThisRun()});
  server.Register(&service);
  ASSERT_TRUE(server.Start().ok());
  const auto channel = Channel::Create(server.addresses()[0]);
  RequiredTester::Stub stub(*channel);

  RequiredMessage message;
  EXPECT_TRUE(Failed(stub.Call(message).status(), StatusCode::kInvalidArgument,
                     Certainty::kNotStarted, CallPhase::kSend));
  message.set_text("leave it out");
  EXPECT_TRUE(Failed(stub.Call(message).status(), StatusCode::kInternal,
                     Certainty::kFinished, CallPhase::kHandler));
  message.set_text("here");
  EXPECT_EQ(stub.Call(message)->text(), "here");
}

// A client that leaves a required field out, or sends something else.
TEST(RequiredFields, ARequestThatCannotBeParsedIsRefused) {
  RequiredService service;
  Server server({.listen = {"127.0.0.1:0"},
                 .handler_threads = HandlerThreadsOfThisRun()});
  server.Register(&service);
  ASSERT_TRUE(server.Start().ok());
  const auto channel = Channel::Create(server.addresses()[0]);
  const MethodInfo method = {.full_name = "tern.testing.RequiredTester/Call"};

  Message empty;
  EXPECT_TRUE(Failed(
      BlockingUnaryCall<Message>(*channel, method, empty, {}).status(),
      StatusCode::kInvalidArgument, Certainty::kNotStarted, CallPhase::kQueue));
  // The reply is well-formed, and lacks what this side requires.
  RequiredMessage request;
  request.set_text("x");
  EXPECT_TRUE(BlockingUnaryCall<Message>(*channel, method, request, {}).ok());
}

// The reply of a server that knows another type of it.
TEST_F(CallTest, AReplyThatCannotBeParsedIsAnInternalError) {
  StartServer();
  const auto channel = Connect();
  const absl::Status status =
      BlockingUnaryCall<RequiredMessage>(
          *channel, {.full_name = "tern.testing.Tester/Call"}, Message(), {})
          .status();
  EXPECT_TRUE(Failed(status, StatusCode::kInternal, Certainty::kFinished));
}

}  // namespace
}  // namespace tern::testing
