// The streaming methods of all kinds of services do the same: blocking ones,
// coroutines, and those with callbacks and a responder.

#include <dirent.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tern/lib/call/task.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr char kBye[] = "bye";      // Ends a handler, OK.
constexpr char kFail[] = "failed";  // Ends it with an error.

std::string Text(int i) { return "message " + std::to_string(i); }

Message Sized(std::string_view text, size_t bytes) {
  Message message = MessageWith(text);
  message.set_payload(std::string(bytes, 'x'));
  return message;
}

// What all handlers have in common. They tell of their ends.
//
// Watch writes as many messages as the request says, each as its payload. Chat
// welcomes, and echoes. Upload counts.
class Script {
 public:
  void OnBegin() { begun.Notify(); }
  absl::Status OnEnd(const ServerContext& context,
                     absl::Status status = absl::OkStatus()) {
    if (context.cancelled()) ++cancelled;
    ended.Notify();
    return status;
  }
  // Whether a request is the last one, and how the handler then ends.
  static bool IsLast(const Message& message, absl::Status* status) {
    if (message.text() == kFail) *status = absl::DataLossError("and no more");
    return message.text() == kFail || message.text() == kBye;
  }

  Event begun;
  Event ended;
  std::atomic<int> cancelled{0};
};

class BlockingScript final : public Tester::Service {
 public:
  explicit BlockingScript(Script* script) : script_(*script) {}

 private:
  absl::Status Call(ServerContext&, const Message& request,
                    Message* reply) override {
    *reply = request;
    return absl::OkStatus();
  }
  absl::Status Watch(ServerContext& context, const Message& request,
                     ServerWriter<Message>& writer) override {
    script_.OnBegin();
    const int count = std::stoi(request.text());
    for (int i = 0; i < count; ++i) {
      Message message = request;
      message.set_text(Text(i));
      if (!writer.Write(message)) break;
    }
    return script_.OnEnd(context);
  }
  absl::Status Upload(ServerContext& context, ServerReader<Message>& reader,
                      Message* reply) override {
    script_.OnBegin();
    absl::Status status;
    Message message;
    int count = 0;
    while (reader.Read(&message) && !Script::IsLast(message, &status)) ++count;
    reply->set_text(std::to_string(count));
    return script_.OnEnd(context, std::move(status));
  }
  absl::Status Chat(ServerContext& context,
                    ServerStream<Message, Message>& stream) override {
    script_.OnBegin();
    absl::Status status;
    Message message = MessageWith("welcome");
    while (stream.Write(message) && stream.Read(&message) &&
           !Script::IsLast(message, &status)) {
    }
    return script_.OnEnd(context, std::move(status));
  }

  Script& script_;
};

class CoScript final : public Tester::CoService {
 public:
  explicit CoScript(Script* script) : script_(*script) {}

 private:
  Task<absl::Status> Call(ServerContext&, const Message& request,
                          Message* reply) override {
    *reply = request;
    co_return absl::OkStatus();
  }
  Task<absl::Status> Watch(ServerContext& context, const Message& request,
                           ServerWriter<Message>& writer) override {
    script_.OnBegin();
    const int count = std::stoi(request.text());
    Message message = request;
    for (int i = 0; i < count; ++i) {
      message.set_text(Text(i));
      if (!co_await writer.CoWrite(message)) break;
    }
    co_return script_.OnEnd(context);
  }
  Task<absl::Status> Upload(ServerContext& context,
                            ServerReader<Message>& reader,
                            Message* reply) override {
    script_.OnBegin();
    absl::Status status;
    Message message;
    int count = 0;
    while (co_await reader.CoRead(&message)) {
      if (Script::IsLast(message, &status)) break;
      ++count;
    }
    reply->set_text(std::to_string(count));
    co_return script_.OnEnd(context, std::move(status));
  }
  Task<absl::Status> Chat(ServerContext& context,
                          ServerStream<Message, Message>& stream) override {
    script_.OnBegin();
    absl::Status status;
    Message message = MessageWith("welcome");
    while (co_await stream.CoWrite(message)) {
      if (!co_await stream.CoRead(&message)) break;
      if (Script::IsLast(message, &status)) break;
    }
    co_return script_.OnEnd(context, std::move(status));
  }

  Script& script_;
};

class CallbackScript final : public Tester::CallbackService {
 public:
  explicit CallbackScript(Script* script) : script_(*script) {}

 private:
  // A handler at work: owns itself, until it has answered.
  struct Handler {
    Handler(Script& script, ServerContext& context, Responder responder)
        : script(script), context(context), responder(std::move(responder)) {
      script.OnBegin();
    }
    virtual ~Handler() = default;
    void End() {
      Responder last = std::move(responder);
      absl::Status outcome = script.OnEnd(context, std::move(status));
      delete this;
      last.Answer(std::move(outcome));
    }
    Script& script;
    ServerContext& context;
    Responder responder;
    absl::Status status;
    Message message;
    int count = 0;
  };

  struct Watching final : Handler {
    Watching(Script& script, ServerContext& context, Responder responder,
             const Message& request, ServerWriter<Message>& writer)
        : Handler(script, context, std::move(responder)), writer(writer) {
      left = std::stoi(request.text());
      message = request;
    }
    void Next() {
      if (left-- == 0) return End();
      message.set_text(Text(count++));
      writer.Write(message, [this](bool ok) { ok ? Next() : End(); });
    }
    ServerWriter<Message>& writer;
    int left;
  };

  struct Uploading final : Handler {
    Uploading(Script& script, ServerContext& context, Responder responder,
              ServerReader<Message>& reader, Message* reply)
        : Handler(script, context, std::move(responder)),
          reader(reader),
          reply(reply) {}
    void Next() {
      reader.Read(&message, [this](bool ok) {
        if (ok && !Script::IsLast(message, &status)) {
          ++count;
          return Next();
        }
        reply->set_text(std::to_string(count));
        End();
      });
    }
    ServerReader<Message>& reader;
    Message* reply;
  };

  struct Chatting final : Handler {
    Chatting(Script& script, ServerContext& context, Responder responder,
             ServerStream<Message, Message>& stream)
        : Handler(script, context, std::move(responder)), stream(stream) {
      message = MessageWith("welcome");
    }
    void Next() {
      stream.Write(message, [this](bool written) {
        if (!written) return End();
        stream.Read(&message, [this](bool ok) {
          ok && !Script::IsLast(message, &status) ? Next() : End();
        });
      });
    }
    ServerStream<Message, Message>& stream;
  };

  void Call(ServerContext&, const Message& request, Message* reply,
            Responder responder) override {
    *reply = request;
    responder.Answer(absl::OkStatus());
  }
  void Watch(ServerContext& context, const Message& request,
             ServerWriter<Message>& writer, Responder responder) override {
    (new Watching(script_, context, std::move(responder), request, writer))
        ->Next();
  }
  void Upload(ServerContext& context, ServerReader<Message>& reader,
              Message* reply, Responder responder) override {
    (new Uploading(script_, context, std::move(responder), reader, reply))
        ->Next();
  }
  void Chat(ServerContext& context, ServerStream<Message, Message>& stream,
            Responder responder) override {
    (new Chatting(script_, context, std::move(responder), stream))->Next();
  }

  Script& script_;
};

enum class Kind { kBlocking, kCoroutine, kCallback };

class StreamKindsTest : public EndToEnd,
                        public ::testing::WithParamInterface<Kind> {
 protected:
  ~StreamKindsTest() override { StopServer(); }

  std::unique_ptr<Channel> Start(ServerOptions options = {},
                                 const ChannelOptions& channel_options = {}) {
    switch (GetParam()) {
      case Kind::kBlocking:
        script_service_ = std::make_unique<BlockingScript>(&script_);
        break;
      case Kind::kCoroutine:
        script_service_ = std::make_unique<CoScript>(&script_);
        break;
      case Kind::kCallback:
        script_service_ = std::make_unique<CallbackScript>(&script_);
        break;
    }
    StartServerOf(script_service_.get(), std::move(options));
    return Connect(channel_options);
  }
  // A conversation whose handler waits for a message.
  ClientStream<Message, Message> StartChat(Channel& channel,
                                           const CallOptions& options = {}) {
    auto stream = Tester::Stub(channel).Chat(options);
    Message message;
    EXPECT_TRUE(stream.Read(&message));
    EXPECT_EQ(message.text(), "welcome");
    return stream;
  }

  Script script_;
  std::unique_ptr<Service> script_service_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, StreamKindsTest,
                         ::testing::Values(Kind::kBlocking, Kind::kCoroutine,
                                           Kind::kCallback),
                         [](const auto& info) -> std::string {
                           switch (info.param) {
                             case Kind::kBlocking:
                               return "Blocking";
                             case Kind::kCoroutine:
                               return "Coroutine";
                             case Kind::kCallback:
                               return "Callback";
                           }
                           return "";
                         });

TEST_P(StreamKindsTest, BringTheServersMessagesInOrder) {
  const auto channel = Start();
  for (const size_t size : {0, 100, 5'000, 100'000}) {
    const int messages = size < 1'000 ? 20'000 : 200;
    auto reader =
        Tester::Stub(*channel).Watch(Sized(std::to_string(messages), size));
    Message message;
    int count = 0;
    while (reader.Read(&message)) {
      ASSERT_EQ(message.text(), Text(count));
      ASSERT_EQ(message.payload().size(), size);
      ++count;
    }
    EXPECT_EQ(count, messages);
    EXPECT_TRUE(reader.Finish().ok());
  }
}

TEST_P(StreamKindsTest, BringTheClientsMessagesAndTheReply) {
  const auto channel = Start();
  for (const size_t size : {0, 100, 5'000, 100'000}) {
    const int messages = size < 1'000 ? 20'000 : 200;
    auto writer = Tester::Stub(*channel).Upload();
    const Message message = Sized("", size);
    for (int i = 0; i < messages; ++i) ASSERT_TRUE(writer.Write(message));
    const absl::StatusOr<Message> reply = writer.Finish();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(messages));
  }
}

TEST_P(StreamKindsTest, GoBackAndForth) {
  const auto channel = Start();
  auto stream = StartChat(*channel);
  Message message;
  for (int i = 0; i < 300; ++i) {
    const size_t size = i % 10 == 0 ? 100'000 : i;
    ASSERT_TRUE(stream.Write(Sized(Text(i), size)));
    ASSERT_TRUE(stream.Read(&message));
    ASSERT_EQ(message.text(), Text(i));
    ASSERT_EQ(message.payload().size(), size);
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_P(StreamKindsTest, OfNoMessageEndWell) {
  const auto channel = Start();
  Tester::Stub stub(*channel);
  EXPECT_TRUE(stub.Watch(MessageWith("0")).Finish().ok());
  const absl::StatusOr<Message> reply = stub.Upload().Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "0");
  EXPECT_TRUE(stub.Chat().Finish().ok());
}

TEST_P(StreamKindsTest, EndWithAnErrorBehindTheirMessages) {
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(stream.Write(MessageWith("one")));
  ASSERT_TRUE(stream.Write(MessageWith(kFail)));
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.text(), "one");
  EXPECT_FALSE(stream.Read(&message));
  const absl::Status status = stream.Finish();
  EXPECT_TRUE(Failed(status, StatusCode::kDataLoss, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(status.message(), "and no more");
}

TEST_P(StreamKindsTest, MayBeEndedByTheServerWhileTheClientWrites) {
  const auto channel = Start();
  auto writer = Tester::Stub(*channel).Upload();
  ASSERT_TRUE(writer.Write(MessageWith("one")));
  ASSERT_TRUE(writer.Write(MessageWith(kBye)));
  while (writer.Write(Sized("", 10'000))) {
  }
  const absl::StatusOr<Message> reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "1");
  EXPECT_TRUE(CallStatus(*channel, "and the connection is as before").ok());
}

TEST_P(StreamKindsTest, DropWhatTheClientDoesNotRead) {
  const auto channel = Start();
  // More than all windows.
  auto reader = Tester::Stub(*channel).Watch(Sized("200", 60'000));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_P(StreamKindsTest, WaitForASlowReaderWhileOthersGoOn) {
  const auto channel = Start({.max_stream_unsent_bytes = 100'000},
                             {.stream_window_bytes = 256 << 10});
  Tester::Stub stub(*channel);
  auto slow = stub.Watch(Sized("1000", 10'000));
  ASSERT_TRUE(script_.begun.Wait());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(stub.Watch(Sized("100", 10'000)).Finish().ok());
    ASSERT_TRUE(CallStatus(*channel, "x").ok());
  }
  EXPECT_EQ(script_.ended.count(), 20);
  Message message;
  int count = 0;
  while (slow.Read(&message)) ++count;
  EXPECT_EQ(count, 1'000);
  EXPECT_TRUE(slow.Finish().ok());
}

TEST_P(StreamKindsTest, AreToldOfACancellationWhileTheyRead) {
  const auto channel = Start();
  auto stream = StartChat(*channel);
  stream.Cancel();
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  EXPECT_TRUE(script_.ended.Wait());
  EXPECT_EQ(script_.cancelled, 1);
}

TEST_P(StreamKindsTest, AreToldOfACancellationWhileTheyWrite) {
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(Sized("100000", 10'000));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  reader.Cancel();
  EXPECT_TRUE(Failed(reader.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  EXPECT_TRUE(script_.ended.Wait());
  EXPECT_EQ(script_.cancelled, 1);
}

TEST_P(StreamKindsTest, AreCancelledWhenTheClientDropsThem) {
  const auto channel = Start();
  { auto stream = StartChat(*channel); }
  EXPECT_TRUE(script_.ended.Wait());
  EXPECT_EQ(script_.cancelled, 1);
}

TEST_P(StreamKindsTest, AreCancelledWhenTheClientGoesAway) {
  auto channel = Start();
  auto stream = StartChat(*channel);
  channel.reset();
  EXPECT_TRUE(script_.ended.Wait());
  EXPECT_EQ(script_.cancelled, 1);
  EXPECT_EQ(stream.Finish().code(), StatusCode::kCancelled);
}

TEST_P(StreamKindsTest, EndAtTheirDeadline) {
  const auto channel = Start();
  // On a busy machine the time may be up before the handler has begun.
  for (int tries = 0; tries < 20 && script_.begun.count() == 0; ++tries) {
    auto stream =
        Tester::Stub(*channel).Chat({.timeout = absl::Milliseconds(50)});
    Message message;
    while (stream.Read(&message)) {
    }
    EXPECT_EQ(stream.Finish().code(), StatusCode::kDeadlineExceeded);
  }
  ASSERT_TRUE(script_.ended.Wait());
  EXPECT_EQ(script_.cancelled, script_.ended.count());
}

TEST_P(StreamKindsTest, EndWithTheServer) {
  const auto channel = Start();
  auto stream = StartChat(*channel);
  server_->Stop();  // Waits for the handler.
  EXPECT_EQ(script_.ended.count(), 1);
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

TEST_P(StreamKindsTest, AreFinishedByADrain) {
  const auto channel = Start();
  auto stream = StartChat(*channel);
  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  Message message;
  ASSERT_TRUE(stream.Write(MessageWith("goes on")));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.text(), "goes on");
  EXPECT_TRUE(stream.Finish().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_P(StreamKindsTest, AreCancelledAtTheEndOfADrain) {
  const auto channel = Start();
  auto stream = StartChat(*channel);
  EXPECT_EQ(server_->Drain(absl::Milliseconds(20)).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(script_.cancelled, 1);  // The drain has waited for it.
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
}

TEST_P(StreamKindsTest, RefuseAMessageAboveTheLimit) {
  const auto channel = Start({.max_message_bytes = 100'000});
  auto stream = StartChat(*channel);
  const size_t head = Sized("", 100'000).ByteSizeLong() - 100'000;
  Message message;
  ASSERT_TRUE(stream.Write(Sized("", 100'000 - head)));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.ByteSizeLong(), 100'000u);
  ASSERT_TRUE(stream.Write(Sized("", 100'001 - head)));
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_EQ(stream.Finish().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(script_.ended.Wait());
}

TEST_P(StreamKindsTest, MeetCancellationsOnce) {
  const auto channel = Start();
  // Fewer than the protocol allows to be begun and cancelled in a second.
  for (int i = 0; i < 300; ++i) {
    auto stream = Tester::Stub(*channel).Chat();
    ASSERT_TRUE(stream.Write(MessageWith(kBye)));
    for (volatile int spin = 0; spin < i * 200;) spin = spin + 1;
    stream.Cancel();
    const absl::Status status = stream.Finish();
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kCancelled)
        << status;
  }
}

TEST_P(StreamKindsTest, EachHasItsOwnMessages) {
  const auto channel = Start();
  InThreads(8, [&](int thread) {
    for (int call = 0; call < 10; ++call) {
      auto stream = StartChat(*channel);
      Message message;
      for (int i = 0; i < 20; ++i) {
        const std::string text = std::to_string(thread) + Text(i);
        EXPECT_TRUE(stream.Write(MessageWith(text)));
        EXPECT_TRUE(stream.Read(&message));
        EXPECT_EQ(message.text(), text);
      }
      EXPECT_TRUE(stream.Finish().ok());
    }
  });
}

size_t Threads() {
  DIR* const folder = opendir("/proc/self/task");
  size_t count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

TEST_P(StreamKindsTest, HoldNoThreadUnlessTheyBlock) {
  constexpr int kStreams = 100;
  const auto channel = Start();
  ASSERT_TRUE(StartChat(*channel).Finish().ok());  // All threads are there.
  const size_t before = Threads();
  std::vector<ClientStream<Message, Message>> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(StartChat(*channel));
  if (GetParam() == Kind::kBlocking) {
    EXPECT_GE(Threads(), before + kStreams - 1);
  } else {
    // One of the pool's may have been started only now.
    EXPECT_LE(Threads(), before + 10);
  }
  for (auto& stream : streams) EXPECT_TRUE(stream.Finish().ok());
}

}  // namespace
}  // namespace tern::testing
