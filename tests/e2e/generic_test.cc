// Calls without generated code: at the client, at the server, and at neither.

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "gmock/gmock.h"
#include "tern/client/generic_stub.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/server/unknown_method_service.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;

constexpr char kCall[] = "tern.testing.Tester/Call";

RawMessage Raw(std::string_view text, size_t payload = 0) {
  Message message = MessageWith(text);
  message.set_payload(std::string(payload, 'x'));
  return message.SerializeAsString();
}

std::string TextOf(const RawMessage& raw) {
  Message message;
  EXPECT_TRUE(
      message.ParseFromArray(raw.view().data(), static_cast<int>(raw.size())));
  return message.text();
}

using RawStream = ServerStream<RawMessage, RawMessage>;

class UnknownMethods final : public UnknownMethodService {
 public:
  using Handler = std::function<absl::Status(ServerContext&, RawStream&)>;
  explicit UnknownMethods(Handler handler) : handler_(std::move(handler)) {}

  absl::Status Handle(ServerContext& context, RawStream& stream) override {
    return handler_(context, stream);
  }

 private:
  const Handler handler_;
};

// All that there is to be read.
template <typename Stream>
std::vector<std::string> TextsIn(Stream& stream) {
  std::vector<std::string> texts;
  RawMessage message;
  while (stream.Read(&message)) texts.push_back(TextOf(message));
  return texts;
}

class GenericTest : public EndToEnd {
 protected:
  std::unique_ptr<Channel> Start(ServerOptions options = {}) {
    StartServer(std::move(options));
    return Connect();
  }
  // All methods are unknown to it.
  std::unique_ptr<Channel> StartUnknown(UnknownMethods::Handler handler,
                                        ServerOptions options = {}) {
    unknown_ = std::make_unique<UnknownMethods>(std::move(handler));
    StartServerOf(unknown_.get(), std::move(options));
    return Connect();
  }
  ~GenericTest() override { StopServer(); }

  std::unique_ptr<UnknownMethods> unknown_;
};

// --- The client --------------------------------------------------------------

TEST_F(GenericTest, CallsAMethodByItsName) {
  const auto channel = Start();
  GenericStub stub(*channel);
  // Inside a frame, beside it, and in chunks.
  for (const size_t size :
       {size_t{0}, size_t{300}, size_t{5'000}, size_t{300'000}}) {
    const RawMessage request = Raw("hello", size);
    const absl::StatusOr<RawMessage> reply = stub.Call(kCall, request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->view(), request.view());
  }
  const absl::StatusOr<RawMessage> empty = stub.Call(kCall, RawMessage());
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->view(), "");
}

TEST_F(GenericTest, CallsWithACallback) {
  const auto channel = Start();
  Event done;
  {
    // The name need not outlive the call that is given it.
    const std::string name = kCall;
    const RawMessage request = Raw("hello", 5'000);
    GenericStub(*channel).Call(name, request, {},
                               [&](absl::StatusOr<RawMessage> reply) {
                                 EXPECT_TRUE(reply.ok()) << reply.status();
                                 if (reply.ok()) {
                                   EXPECT_EQ(TextOf(*reply), "hello");
                                 }
                                 done.Notify();
                               });
  }
  EXPECT_TRUE(done.Wait());
}

TEST_F(GenericTest, CallsInACoroutine) {
  const auto channel = Start();
  GenericStub stub(*channel);
  Event done;
  Spawn(stub.CoCall(kCall, Raw("hello")),
        [&](absl::StatusOr<RawMessage> reply) {
          EXPECT_TRUE(reply.ok()) << reply.status();
          EXPECT_EQ(TextOf(reply.value_or(RawMessage())), "hello");
          done.Notify();
        });
  EXPECT_TRUE(done.Wait());
}

TEST_F(GenericTest, CallsCarryAttachmentsAndMetadata) {
  service_.OnCall([](ServerContext& context, const Message&, Message* reply) {
    reply->set_text(std::string(*context.metadata().Get("question")));
    context.set_reply_attachment(context.attachment());
    context.response_metadata().Add("first", "1");
    context.trailing_metadata().Add("last", "2");
    return absl::OkStatus();
  });
  const auto channel = Start();
  for (const size_t size : {size_t{100}, size_t{300'000}}) {
    const std::string bytes(size, 'b');
    CallInfo info;
    const absl::StatusOr<RawMessage> reply =
        GenericStub(*channel).Call(kCall, Raw("x"),
                                   {.metadata = {{"question", "why"}},
                                    .attachment = absl::Cord(bytes),
                                    .info = &info});
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(TextOf(*reply), "why");
    EXPECT_EQ(info.attachment, bytes);
    EXPECT_EQ(info.response_metadata.Get("first"), "1");
    EXPECT_EQ(info.trailing_metadata.Get("last"), "2");
  }
}

TEST_F(GenericTest, StreamCarriesEveryKindOfMethod) {
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    writer.Write(request);
    writer.Write(MessageWith("second"));
    return absl::OkStatus();
  });
  service_.OnUpload(
      [](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        Message message;
        while (reader.Read(&message)) {
          reply->set_text(reply->text() + message.text());
        }
        return absl::OkStatus();
      });
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    Message message;
    while (stream.Read(&message)) stream.Write(message);
    return absl::OkStatus();
  });
  const auto channel = Start();
  GenericStub stub(*channel);
  const auto ask = [&](std::string_view method,
                       std::initializer_list<const char*> texts) {
    auto stream = stub.Stream("tern.testing.Tester/" + std::string(method));
    for (const char* text : texts) EXPECT_TRUE(stream.Write(Raw(text)));
    stream.EndWrites();
    std::vector<std::string> replies = TextsIn(stream);
    EXPECT_TRUE(stream.Finish().ok());
    return replies;
  };
  EXPECT_THAT(ask("Call", {"one"}), ElementsAre("one"));
  EXPECT_THAT(ask("Watch", {"one"}), ElementsAre("one", "second"));
  EXPECT_THAT(ask("Upload", {"one", "two"}), ElementsAre("onetwo"));
  EXPECT_THAT(ask("Chat", {"one", "two"}), ElementsAre("one", "two"));
}

TEST_F(GenericTest, StreamCanBeAwaited) {
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    Message message;
    while (stream.Read(&message)) stream.Write(message);
    return absl::OkStatus();
  });
  const auto channel = Start();
  Event done;
  Spawn(
      [](Channel* channel) -> Task<absl::Status> {
        auto stream = GenericStub(*channel).Stream("tern.testing.Tester/Chat");
        const RawMessage hello = Raw("hello");
        EXPECT_TRUE(co_await stream.CoWrite(hello));
        RawMessage reply;
        EXPECT_TRUE(co_await stream.CoRead(&reply));
        EXPECT_EQ(TextOf(reply), "hello");
        co_return co_await stream.CoFinish();
      }(channel.get()),
      [&](absl::Status status) {
        EXPECT_TRUE(status.ok()) << status;
        done.Notify();
      });
  EXPECT_TRUE(done.Wait());
}

TEST_F(GenericTest, UnaryCallOfAStreamingMethodEndsInternal) {
  service_.OnWatch(
      [](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        writer.Write(MessageWith("one"));
        writer.Write(MessageWith("two"));
        return absl::OkStatus();
      });
  const auto channel = Start();
  const absl::StatusOr<RawMessage> reply =
      GenericStub(*channel).Call("tern.testing.Tester/Watch", Raw("x"));
  EXPECT_EQ(reply.status().code(), StatusCode::kInternal);
}

TEST_F(GenericTest, RefusesWhatIsNoMethodName) {
  const auto channel = Start();
  GenericStub stub(*channel);
  const std::string longest = "a.B/" + std::string(252, 'c');
  for (const std::string& name : {std::string(), std::string("nothing"),
                                  std::string("/a.B/C"), longest + "c"}) {
    EXPECT_TRUE(Failed(stub.Call(name, Raw("x")).status(),
                       StatusCode::kInvalidArgument, Certainty::kNotStarted,
                       CallPhase::kSend));
    EXPECT_TRUE(Failed(stub.Stream(name).Finish(), StatusCode::kInvalidArgument,
                       Certainty::kNotStarted));
    Event done;
    stub.Call(name, Raw("x"), {}, [&](absl::StatusOr<RawMessage> reply) {
      EXPECT_EQ(reply.status().code(), StatusCode::kInvalidArgument);
      done.Notify();
    });
    EXPECT_TRUE(done.Wait());
  }
  // This is one, which nobody has.
  EXPECT_TRUE(Failed(stub.Call(longest, Raw("x")).status(),
                     StatusCode::kUnimplemented, Certainty::kNotStarted));
  EXPECT_TRUE(Failed(stub.Stream(longest).Finish(), StatusCode::kUnimplemented,
                     Certainty::kNotStarted));
}

TEST_F(GenericTest, MessagesHaveTheServersLimit) {
  const auto channel = Start({.max_message_bytes = 10'000});
  GenericStub stub(*channel);
  EXPECT_TRUE(stub.Call(kCall, RawMessage()).ok());  // The limit is known now.
  service_.OnCall([](ServerContext&, const Message&, Message*) {
    return absl::OkStatus();
  });
  RawMessage fits = Raw("", 9'997);
  ASSERT_EQ(fits.size(), 10'000u);
  EXPECT_TRUE(stub.Call(kCall, fits).ok());
  EXPECT_TRUE(Failed(stub.Call(kCall, Raw("", 9'998)).status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted));
}

// --- The server --------------------------------------------------------------

TEST_F(GenericTest, UnknownMethodHasAHandler) {
  const auto channel =
      StartUnknown([](ServerContext& context, RawStream& stream) {
        EXPECT_EQ(context.metadata().Get("key"), "value");
        EXPECT_LE(context.deadline().Remaining(), absl::Hours(1));
        EXPECT_GT(context.deadline().Remaining(), absl::Minutes(50));
        EXPECT_FALSE(context.cancelled());
        context.response_metadata().Add("first", "1");
        context.trailing_metadata().Add("last", "2");
        RawMessage request;
        EXPECT_TRUE(stream.Read(&request));
        EXPECT_TRUE(stream.Write(
            Raw(std::string(context.method()) + " " + TextOf(request))));
        EXPECT_FALSE(stream.Read(&request));
        return absl::OkStatus();
      });
  CallInfo info;
  const absl::StatusOr<Message> reply = Absent::Stub(*channel).Call(
      MessageWith("x"), {.timeout = absl::Hours(1),
                         .metadata = {{"key", "value"}},
                         .info = &info});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "tern.testing.Absent/Call x");
  EXPECT_EQ(info.response_metadata.Get("first"), "1");
  EXPECT_EQ(info.trailing_metadata.Get("last"), "2");
}

TEST_F(GenericTest, UnknownMethodMayStream) {
  const auto channel = StartUnknown([](ServerContext&, RawStream& stream) {
    RawMessage message;
    int count = 0;
    for (; stream.Read(&message); ++count) EXPECT_TRUE(stream.Write(message));
    return count < 10 ? absl::OkStatus() : absl::OutOfRangeError("too many");
  });
  auto watch = Tester::Stub(*channel).Watch(MessageWith("only"));
  Message message;
  EXPECT_TRUE(watch.Read(&message));
  EXPECT_EQ(message.text(), "only");
  EXPECT_FALSE(watch.Read(&message));
  EXPECT_TRUE(watch.Finish().ok());

  auto upload = Tester::Stub(*channel).Upload();
  EXPECT_TRUE(upload.Write(MessageWith("only")));
  const absl::StatusOr<Message> reply = upload.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "only");

  auto chat = Tester::Stub(*channel).Chat();
  for (int i = 0; i < 10; ++i) {
    message.set_payload(std::string(static_cast<size_t>(i) * 20'000, 'x'));
    ASSERT_TRUE(chat.Write(message));
    Message back;
    ASSERT_TRUE(chat.Read(&back));
    EXPECT_EQ(back.payload(), message.payload());
  }
  EXPECT_TRUE(Failed(chat.Finish(), StatusCode::kOutOfRange,
                     Certainty::kFinished, CallPhase::kHandler));
}

TEST_F(GenericTest, KnownMethodsAreNotUnknown) {
  UnknownMethods unknown([](ServerContext& context, RawStream&) {
    return absl::NotFoundError(std::string(context.method()));
  });
  more_services_ = {&unknown};
  const auto channel = Start();
  EXPECT_EQ(Call(*channel, "hello")->text(), "hello");
  // One after the other, of one connection: what was found last is remembered.
  for (const char* name :
       {"tern.testing.Tester/Nothing", "tern.testing.Absent/Call",
        "tern.testing.Absent/Call"}) {
    const absl::Status status =
        GenericStub(*channel).Call(name, Raw("x")).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_EQ(status.message(), name);
    EXPECT_EQ(CallError::From(status)->method, name);
  }
  EXPECT_EQ(Call(*channel, "hello")->text(), "hello");
  StopServer();
}

TEST_F(GenericTest, TwoHandlersOfUnknownMethodsAreOneTooMany) {
  UnknownMethods one(
      [](ServerContext&, RawStream&) { return absl::OkStatus(); });
  UnknownMethods two(
      [](ServerContext&, RawStream&) { return absl::OkStatus(); });
  Server server({.listen = {"127.0.0.1:0"}});
  server.Register(&one);
  server.Register(&two);
  EXPECT_EQ(server.Start().code(), StatusCode::kInvalidArgument);
}

TEST_F(GenericTest, UnknownMethodWithoutItsReplyEndsInternal) {
  const auto channel =
      StartUnknown([](ServerContext&, RawStream&) { return absl::OkStatus(); });
  EXPECT_EQ(CallStatus(*channel, "x").code(), StatusCode::kInternal);
}

TEST_F(GenericTest, UnknownMethodsHaveTheLimitOfStreams) {
  const auto channel = StartUnknown(
      [this](ServerContext&, RawStream& stream) {
        EXPECT_TRUE(stream.Write(Raw("runs")));
        holdup_.WaitUntilLetGo();
        return absl::OkStatus();
      },
      {.max_stream_threads = 2});
  GenericStub stub(*channel);
  auto first = stub.Stream("a.B/C");
  auto second = stub.Stream("a.B/C");
  RawMessage message;
  EXPECT_TRUE(first.Read(&message));
  EXPECT_TRUE(second.Read(&message));
  EXPECT_TRUE(Failed(stub.Call("a.B/C", Raw("x")).status(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted,
                     CallPhase::kQueue));
  holdup_.LetGo();
  EXPECT_TRUE(first.Finish().ok());
  EXPECT_TRUE(second.Finish().ok());
}

TEST_F(GenericTest, UnknownMethodIsCancelled) {
  Event cancelled;
  const auto channel =
      StartUnknown([&](ServerContext& context, RawStream& stream) {
        RawMessage message;
        EXPECT_TRUE(stream.Write(Raw("runs")));
        EXPECT_FALSE(stream.Read(&message));
        EXPECT_TRUE(context.cancelled());
        cancelled.Notify();
        return absl::OkStatus();
      });
  auto chat = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(chat.Read(&message));
  chat.Cancel();
  EXPECT_EQ(chat.Finish().code(), StatusCode::kCancelled);
  EXPECT_TRUE(cancelled.Wait());
}

TEST_F(GenericTest, PassesOnWhatAnInnerCallSaysOfItself) {
  const auto channel = StartUnknown([](ServerContext& context, RawStream&) {
    CallError inner = {.certainty = Certainty::kNotStarted,
                       .retry_after = absl::Milliseconds(1'500),
                       .load_permille = 1'200};
    context.PassOn(inner);
    return context.method() == "a.B/Fails" ? absl::AbortedError("no")
                                           : absl::OkStatus();
  });
  GenericStub stub(*channel);
  const absl::Status status = stub.Call("a.B/Fails", Raw("x")).status();
  EXPECT_TRUE(Failed(status, StatusCode::kAborted, Certainty::kNotStarted));
  EXPECT_EQ(CallError::From(status)->retry_after, absl::Milliseconds(1'500));
  EXPECT_EQ(CallError::From(status)->load_permille, 1'200u);
  auto good = stub.Stream("a.B/Succeeds");
  EXPECT_TRUE(good.Finish().ok());
}

// A read that waits is not left to wait for a client that says nothing.
TEST_F(GenericTest, ReadsCanBeStopped) {
  const auto channel = StartUnknown([](ServerContext&, RawStream& stream) {
    RawMessage message;
    EXPECT_TRUE(stream.Read(&message));
    std::thread reader([&] { EXPECT_FALSE(stream.Read(&message)); });
    stream.StopReads();
    reader.join();
    // In whatever form.
    EXPECT_EQ(stream.TryRead(&message), Poll::kOver);
    EXPECT_FALSE(stream.WakeForRead([] {}));
    EXPECT_TRUE(stream.Write(Raw("stopped")));
    return absl::OkStatus();
  });
  auto chat = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(chat.Write(MessageWith("one")));
  Message message;
  EXPECT_TRUE(chat.Read(&message));
  EXPECT_EQ(message.text(), "stopped");
  EXPECT_TRUE(chat.Finish().ok());
}

TEST_F(GenericTest, ReadsThatWouldCallBackCanBeStopped) {
  const auto channel = StartUnknown([](ServerContext&, RawStream& stream) {
    Event woken;
    EXPECT_TRUE(stream.WakeForRead([&] { woken.Notify(); }));
    stream.StopReads();
    EXPECT_TRUE(woken.Wait());
    return absl::OkStatus();
  });
  auto chat = Tester::Stub(*channel).Chat();
  Message message;
  EXPECT_FALSE(chat.Read(&message));
  EXPECT_TRUE(chat.Finish().ok());
}

}  // namespace
}  // namespace tern::testing
