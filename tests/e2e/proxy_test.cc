// A small proxy, a handler of unknown methods and a generic client, between a
// client and a server: neither is to notice.

#include <string>
#include <thread>

#include "google/protobuf/duration.pb.h"
#include "tern/client/generic_stub.h"
#include "tern/lib/call/status_details.h"
#include "tern/server/unknown_method_service.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class Proxy final : public UnknownMethodService {
 public:
  void ForwardTo(std::unique_ptr<Channel> upstream) {
    upstream_ = std::move(upstream);
  }

  absl::Status Handle(ServerContext& context,
                      ServerStream<RawMessage, RawMessage>& client) override {
    CallInfo info;
    // Deadline and cancellation are inherited.
    auto server = GenericStub(*upstream_)
                      .Stream(context.method(),
                              {.metadata = context.metadata(), .info = &info});
    std::thread requests([&] {
      RawMessage message;
      while (client.Read(&message) && server.Write(message)) {
      }
      // What was cut short must not look complete.
      if (context.cancelled()) {
        server.Cancel();
      } else {
        server.EndWrites();
      }
    });
    RawMessage message;
    bool first = true;
    while (server.Read(&message)) {
      if (first) context.response_metadata() = info.response_metadata;
      first = false;
      if (!client.Write(message)) server.Cancel();
    }
    client.StopReads();
    requests.join();
    absl::Status status = server.Finish();
    if (first) context.response_metadata() = info.response_metadata;
    context.trailing_metadata() = info.trailing_metadata;
    if (auto error = CallError::From(status)) context.PassOn(*error);
    return status;
  }

 private:
  std::unique_ptr<Channel> upstream_;
};

class ProxyTest : public EndToEnd {
 protected:
  // A channel to the proxy.
  std::unique_ptr<Channel> Start(ServerOptions options = {}) {
    StartServer(std::move(options));
    return StartProxy();
  }
  std::unique_ptr<Channel> StartProxy() {
    proxy_.ForwardTo(Connect());
    front_ = std::make_unique<Server>(
        ServerOptions{.listen = {"127.0.0.1:0"},
                      .handler_threads = HandlerThreadsOfThisRun()});
    front_->Register(&proxy_);
    EXPECT_TRUE(front_->Start().ok());
    return Channel::Create("127.0.0.1:" + std::to_string(front_->port()));
  }
  ~ProxyTest() override {
    front_.reset();
    StopServer();
  }

  Proxy proxy_;
  std::unique_ptr<Server> front_;
};

Message Varied(int i) {
  constexpr size_t kSizes[] = {0, 1, 100, 4'000, 5'000, 70'000, 300'000};
  Message message = MessageWith("message " + std::to_string(i));
  message.set_payload(std::string(kSizes[i % std::size(kSizes)], 'x'));
  return message;
}

TEST_F(ProxyTest, CarriesUnaryCalls) {
  const auto channel = Start();
  for (int i = 0; i < 14; ++i) {
    const absl::StatusOr<Message> reply =
        Tester::Stub(*channel).Call(Varied(i));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->SerializeAsString(), Varied(i).SerializeAsString());
  }
}

TEST_F(ProxyTest, CarriesUnaryCallsOfMany) {
  const auto channel = Start();
  InThreads(8, [&](int thread) {
    for (int i = 0; i < 20; ++i) {
      const std::string text = std::to_string(1'000 * thread + i);
      const absl::StatusOr<Message> reply = Call(*channel, text);
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->text(), text);
    }
  });
}

TEST_F(ProxyTest, CarriesTheServersMessages) {
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    EXPECT_EQ(request.text(), "all");
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(writer.Write(Varied(i)));
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(MessageWith("all"));
  Message message;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(reader.Read(&message));
    ASSERT_EQ(message.SerializeAsString(), Varied(i).SerializeAsString());
  }
  EXPECT_FALSE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(ProxyTest, CarriesTheClientsMessages) {
  service_.OnUpload([](ServerContext&, ServerReader<Message>& reader,
                       Message* reply) {
    Message message;
    int count = 0;
    for (; reader.Read(&message); ++count) {
      EXPECT_EQ(message.SerializeAsString(), Varied(count).SerializeAsString());
    }
    reply->set_text(std::to_string(count));
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto writer = Tester::Stub(*channel).Upload();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer.Write(Varied(i)));
  const absl::StatusOr<Message> reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "100");
}

TEST_F(ProxyTest, CarriesBothSidesMessages) {
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    EXPECT_TRUE(stream.Write(MessageWith("welcome")));
    Message message;
    while (stream.Read(&message)) EXPECT_TRUE(stream.Write(message));
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto chat = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(chat.Read(&message));  // Before any request.
  EXPECT_EQ(message.text(), "welcome");
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(chat.Write(Varied(i)));
    ASSERT_TRUE(chat.Read(&message));
    ASSERT_EQ(message.SerializeAsString(), Varied(i).SerializeAsString());
  }
  chat.EndWrites();
  EXPECT_FALSE(chat.Read(&message));
  EXPECT_TRUE(chat.Finish().ok());
}

// The client goes on writing, and need not stop for it.
TEST_F(ProxyTest, CarriesAnEarlyEnd) {
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    Message message;
    EXPECT_TRUE(stream.Read(&message));
    return absl::OutOfRangeError("enough");
  });
  const auto channel = Start();
  auto chat = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(chat.Write(MessageWith("one")));
  Message message;
  EXPECT_FALSE(chat.Read(&message));
  EXPECT_TRUE(Failed(chat.Finish(), StatusCode::kOutOfRange,
                     Certainty::kFinished, CallPhase::kHandler));
}

TEST_F(ProxyTest, CarriesMetadata) {
  const std::string binary("\0\xff\n", 3);
  const auto answer = [binary](ServerContext& context) {
    EXPECT_EQ(context.metadata().Get("question"), "why");
    EXPECT_EQ(context.metadata().Get("data-bin"), binary);
    context.response_metadata().Add("first-bin", binary);
    context.trailing_metadata().Add("last", "2");
  };
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    answer(context);
    return absl::OkStatus();
  });
  service_.OnWatch([&](ServerContext& context, const Message&,
                       ServerWriter<Message>& writer) {
    answer(context);
    writer.Write(MessageWith("one"));
    return absl::OkStatus();
  });
  service_.OnChat([&](ServerContext& context, ServerStream<Message, Message>&) {
    answer(context);
    return absl::NotFoundError("nothing to say");
  });
  const auto channel = Start();
  Tester::Stub stub(*channel);
  CallInfo info;
  const CallOptions options = {
      .metadata = {{"question", "why"}, {"data-bin", binary}}, .info = &info};
  const auto expect_all = [&] {
    EXPECT_EQ(info.response_metadata.Get("first-bin"), binary);
    EXPECT_EQ(info.trailing_metadata.Get("last"), "2");
    info = CallInfo();
  };
  EXPECT_TRUE(stub.Call(Message(), options).ok());
  expect_all();
  auto watch = stub.Watch(Message(), options);
  Message message;
  EXPECT_TRUE(watch.Read(&message));
  EXPECT_EQ(info.response_metadata.Get("first-bin"), binary);
  EXPECT_TRUE(watch.Finish().ok());
  expect_all();
  EXPECT_EQ(stub.Chat(options).Finish().code(), StatusCode::kNotFound);
  expect_all();
}

TEST_F(ProxyTest, CarriesRichErrors) {
  google::protobuf::Duration seconds;
  seconds.set_seconds(3);
  service_.OnCall([&](ServerContext&, const Message&, Message*) {
    return WithDetails(absl::NotFoundError("gone"), seconds);
  });
  const auto channel = Start();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(Failed(status, StatusCode::kNotFound, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(status.message(), "gone");
  const auto detail = GetDetail<google::protobuf::Duration>(status);
  ASSERT_TRUE(detail.has_value());
  EXPECT_EQ(detail->seconds(), 3);
}

TEST_F(ProxyTest, CarriesTheCertainty) {
  const auto channel = Start();
  // Refused by the server behind.
  EXPECT_TRUE(Failed(Absent::Stub(*channel).Call(Message()).status(),
                     StatusCode::kUnimplemented, Certainty::kNotStarted));
  StopServer();
  EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kUnavailable,
                     Certainty::kNotStarted));
}

TEST_F(ProxyTest, CarriesTheDeadline) {
  absl::Duration left;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    left = context.deadline().Remaining();
    return absl::OkStatus();
  });
  Event cancelled;
  service_.OnChat(
      [&](ServerContext& context, ServerStream<Message, Message>& stream) {
        Message message;
        EXPECT_FALSE(stream.Read(&message));
        EXPECT_TRUE(context.cancelled());
        cancelled.Notify();
        return absl::OkStatus();
      });
  const auto channel = Start();
  ASSERT_TRUE(CallStatus(*channel, "x", {.timeout = absl::Hours(1)}).ok());
  EXPECT_LE(left, absl::Hours(1));
  EXPECT_GT(left, absl::Minutes(59));

  auto chat = Tester::Stub(*channel).Chat({.timeout = absl::Milliseconds(200)});
  Message message;
  EXPECT_FALSE(chat.Read(&message));
  EXPECT_EQ(chat.Finish().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(cancelled.Wait());
}

// An upload that is cancelled does not come to the server as a complete one.
TEST_F(ProxyTest, CarriesCancellation) {
  Event read;
  Event ended;
  service_.OnUpload(
      [&](ServerContext& context, ServerReader<Message>& reader, Message*) {
        Message message;
        EXPECT_TRUE(reader.Read(&message));
        read.Notify();
        EXPECT_FALSE(reader.Read(&message));
        EXPECT_TRUE(context.cancelled());
        ended.Notify();
        return absl::OkStatus();
      });
  const auto channel = Start();
  for (int i = 1; i <= 20; ++i) {
    auto upload = Tester::Stub(*channel).Upload();
    ASSERT_TRUE(upload.Write(MessageWith("one")));
    ASSERT_TRUE(read.Wait(i));
    upload.Cancel();
    EXPECT_EQ(upload.Finish().status().code(), StatusCode::kCancelled);
    ASSERT_TRUE(ended.Wait(i));
  }
}

// Of a client that reads nothing, the proxy holds no more than the windows.
TEST_F(ProxyTest, StopsForASlowReader) {
  std::atomic<int> written{0};
  service_.OnWatch(
      [&](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        Message message;
        message.set_payload(std::string(100'000, 'x'));
        while (written < 1'000 && writer.Write(message)) ++written;
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto watch = Tester::Stub(*channel).Watch(Message());
  Message message;
  ASSERT_TRUE(watch.Read(&message));
  // Two windows of 1 MiB, and what may be unsent at two writers.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(CallStatus(*channel, "x").ok());
    ASSERT_LT(written, 40);
  }
  int read = 1;
  while (watch.Read(&message)) ++read;
  EXPECT_EQ(read, 1'000);
  EXPECT_TRUE(watch.Finish().ok());
}

}  // namespace
}  // namespace tern::testing
