// What is particular of streaming handlers that hold no thread, and of streams
// in coroutines and with callbacks at the client.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/lib/net/event_loop.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/logged_errors.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using Stream = ServerStream<Message, Message>;

class CoChatter final : public Tester::CoService {
 public:
  using Handler =
      std::function<Task<absl::Status>(ServerContext& context, Stream& stream)>;
  void OnChat(Handler handler) { chat_ = std::move(handler); }

 private:
  Task<absl::Status> Chat(ServerContext& context, Stream& stream) override {
    return chat_(context, stream);
  }

  Handler chat_;
};

class CallbackChatter final : public Tester::CallbackService {
 public:
  using Handler = std::function<void(ServerContext& context, Stream& stream,
                                     Responder responder)>;
  void OnChat(Handler handler) { chat_ = std::move(handler); }

 private:
  void Chat(ServerContext& context, Stream& stream,
            Responder responder) override {
    chat_(context, stream, std::move(responder));
  }

  Handler chat_;
};

Task<absl::Status> CoEcho(ServerContext&, Stream& stream) {
  Message message;
  while (co_await stream.CoRead(&message)) {
    if (!co_await stream.CoWrite(message)) break;
  }
  co_return absl::OkStatus();
}

class CoStreamTest : public EndToEnd {
 protected:
  ~CoStreamTest() override { StopServer(); }

  std::unique_ptr<Channel> Start(CoChatter::Handler handler) {
    co_service_.OnChat(std::move(handler));
    StartServerOf(&co_service_);
    return Connect();
  }

  CoChatter co_service_;
  Event event_;
};

TEST_F(CoStreamTest, ThatThrowsEndsUnknown) {
  const auto channel =
      Start([](ServerContext&, Stream& stream) -> Task<absl::Status> {
        Message message;
        co_await stream.CoRead(&message);
        throw std::runtime_error("a secret");
      });
  auto stream = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(stream.Write(MessageWith("x")));
  const absl::Status status = stream.Finish();
  EXPECT_TRUE(Failed(status, StatusCode::kUnknown, Certainty::kFinished));
  EXPECT_EQ(status.message().find("secret"), absl::string_view::npos);
}

// What it goes on behind is the server's I/O thread.
TEST_F(CoStreamTest, IsRefusedToBlockWhereItGoesOn) {
  const auto channel =
      Start([](ServerContext&, Stream& stream) -> Task<absl::Status> {
        Message message;
        do {
          if (!co_await stream.CoWrite(message)) break;
          if (!co_await stream.CoRead(&message)) break;
        } while (!net::EventLoop::OnAnyLoopThread());  // It has not waited.
        EXPECT_FALSE(stream.Read(&message));
        co_return absl::OkStatus();
      });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  while (stream.Read(&message) && stream.Write(message)) {
  }
  const absl::Status status = stream.Finish();
  EXPECT_TRUE(
      Failed(status, StatusCode::kFailedPrecondition, Certainty::kFinished));
}

TEST_F(CoStreamTest, AwaitsOtherThingsInBetween) {
  const auto channel = Start([](ServerContext& context,
                                Stream& stream) -> Task<absl::Status> {
    Message message;
    while (co_await stream.CoRead(&message)) {
      EXPECT_TRUE((co_await tern::SleepFor(absl::Microseconds(100))).ok());
      message.set_text(message.text() + " " + std::string(context.method()));
      EXPECT_TRUE(co_await stream.CoWrite(message));
    }
    co_return absl::OkStatus();
  });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(stream.Write(MessageWith(std::to_string(i))));
    ASSERT_TRUE(stream.Read(&message));
    ASSERT_EQ(message.text(), std::to_string(i) + " tern.testing.Tester/Chat");
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// A sleep that ends with the call says that the call is followed over CoRead.
TEST_F(CoStreamTest, HandsItsCallDownBehindARead) {
  absl::Status slept;
  const auto channel =
      Start([&](ServerContext&, Stream& stream) -> Task<absl::Status> {
        Message message;
        EXPECT_TRUE(co_await stream.CoWrite(message));
        EXPECT_TRUE(co_await stream.CoRead(&message));
        EXPECT_TRUE(co_await stream.CoWrite(message));
        slept = co_await tern::SleepFor(absl::InfiniteDuration());
        event_.Notify();
        co_return slept;
      });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  ASSERT_TRUE(stream.Write(message));
  ASSERT_TRUE(stream.Read(&message));
  stream.Cancel();
  ASSERT_TRUE(event_.Wait());
  StopServer();
  EXPECT_EQ(slept.code(), StatusCode::kCancelled);
}

// A stream through a server in the middle ends with that one's call.
TEST_F(CoStreamTest, IsCancelledWithTheCallThatItsClientHandles) {
  CoChatter inner_service;
  inner_service.OnChat(
      [&](ServerContext& context, Stream& stream) -> Task<absl::Status> {
        Message message;
        EXPECT_TRUE(co_await stream.CoWrite(message));
        EXPECT_FALSE(co_await stream.CoRead(&message));
        EXPECT_TRUE(context.cancelled());
        event_.Notify();
        co_return absl::OkStatus();
      });
  StartServerOf(&inner_service);
  const std::unique_ptr<Server> inner_server = std::move(server_);
  const auto inner = Channel::Create(inner_server->addresses().at(0));
  const auto channel =
      Start([&](ServerContext&, Stream& stream) -> Task<absl::Status> {
        Tester::Stub stub(*inner);
        auto next = stub.Co().Chat();
        Message message;
        EXPECT_TRUE(co_await next.CoRead(&message));
        EXPECT_TRUE(co_await stream.CoWrite(message));
        EXPECT_FALSE(co_await next.CoRead(&message));
        co_return co_await next.CoFinish();
      });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  stream.Cancel();
  ASSERT_TRUE(event_.Wait());
  EXPECT_EQ(stream.Finish().code(), StatusCode::kCancelled);
}

TEST_F(CoStreamTest, MayAskForADrainBehindARead) {
  const auto channel =
      Start([&](ServerContext&, Stream& stream) -> Task<absl::Status> {
        Message message;
        EXPECT_TRUE(co_await stream.CoWrite(message));
        EXPECT_TRUE(co_await stream.CoRead(&message));
        co_return server_->Drain(absl::Minutes(10));
      });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  ASSERT_TRUE(stream.Write(message));
  EXPECT_TRUE(stream.Finish().ok());
  server_->Wait();
}

// --- With callbacks ----------------------------------------------------------

class CallbackStreamTest : public EndToEnd {
 protected:
  ~CallbackStreamTest() override { StopServer(); }

  std::unique_ptr<Channel> Start(CallbackChatter::Handler handler) {
    callback_service_.OnChat(std::move(handler));
    StartServerOf(&callback_service_);
    return Connect();
  }

  CallbackChatter callback_service_;
  Message message_;
  Event event_;
};

TEST_F(CallbackStreamTest, ThatDropsItsResponderEndsInternal) {
  const LoggedErrors errors;
  const auto channel =
      Start([&](ServerContext&, Stream& stream, Responder responder) {
        stream.Read(&message_, [responder = std::move(responder)](bool) {});
      });
  auto stream = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(stream.Write(MessageWith("x")));
  EXPECT_TRUE(
      Failed(stream.Finish(), StatusCode::kInternal, Certainty::kFinished));
  EXPECT_TRUE(errors.Have("tern.testing.Tester/Chat dropped its responder"))
      << errors.text();
}

TEST_F(CallbackStreamTest, ThatAnswersWhileItReadsIsToldThatItIsOver) {
  std::atomic<int> told{0};
  const auto channel =
      Start([&](ServerContext&, Stream& stream, Responder responder) {
        stream.Read(&message_, [&](bool ok) {
          EXPECT_FALSE(ok);
          ++told;
          event_.Notify();
        });
        responder.Answer(absl::DataLossError("enough"));
      });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_EQ(stream.Finish().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(event_.Wait());
  StopServer();
  EXPECT_EQ(told, 1);
}

// A reader and a writer that know nothing of each other.
TEST_F(CallbackStreamTest, ReadsAndWritesAtATime) {
  static constexpr int kMessages = 5'000;
  struct Handler {
    void Read() {
      stream.Read(&message, [this](bool ok) {
        if (!ok) return End();
        ++read;
        Read();
      });
    }
    void Write() {
      if (written == kMessages) return End();
      text = MessageWith(std::to_string(written++));
      stream.Write(text, [this](bool ok) {
        EXPECT_TRUE(ok);
        ok ? Write() : End();
      });
    }
    // Of the second one.
    void End() {
      if (!ended.exchange(true)) return;
      EXPECT_EQ(read, kMessages);
      responder.Answer(absl::OkStatus());
      delete this;
    }
    Stream& stream;
    Responder responder;
    Message message;
    Message text;
    int read = 0;
    int written = 0;
    std::atomic<bool> ended{false};
  };
  const auto channel =
      Start([&](ServerContext&, Stream& stream, Responder responder) {
        auto* const handler = new Handler{stream, std::move(responder), {}, {}};
        handler->Read();
        handler->Write();
      });
  auto stream = Tester::Stub(*channel).Chat();
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) {
      EXPECT_TRUE(stream.Write(MessageWith("x")));
    }
    stream.EndWrites();
  });
  Message message;
  int count = 0;
  while (stream.Read(&message)) {
    EXPECT_EQ(message.text(), std::to_string(count++));
  }
  EXPECT_EQ(count, kMessages);
  writer.join();
  EXPECT_TRUE(stream.Finish().ok());
}

// What it is called back in is a part of its call: a child ends with it.
TEST_F(CallbackStreamTest, HandsItsCallDownInACallback) {
  std::optional<absl::Status> slept;
  const auto channel = Start([&](ServerContext&, Stream& stream,
                                 Responder responder) {
    stream.Read(&message_, [&,
                            responder = std::move(responder)](bool ok) mutable {
      EXPECT_TRUE(ok);
      Spawn(
          [](Stream& stream) -> Task<absl::Status> {
            const Message message;
            EXPECT_TRUE(co_await stream.CoWrite(message));
            co_return co_await tern::SleepFor(absl::InfiniteDuration());
          }(stream),
          [&, responder = std::move(responder)](absl::Status status) mutable {
            slept = std::move(status);
            event_.Notify();
            responder.Answer(absl::OkStatus());
          });
    });
  });
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Write(message));
  ASSERT_TRUE(stream.Read(&message));
  stream.Cancel();
  ASSERT_TRUE(event_.Wait());
  StopServer();
  EXPECT_EQ(slept->code(), StatusCode::kCancelled);
}

// Another thread reads on while the callback that told it to still returns.
TEST_F(CallbackStreamTest, ReadsOnFromOtherThreads) {
  static constexpr int kMessages = 300;
  struct Handler {
    void Read() {
      stream.Read(&message, [this](bool ok) {
        if (ok) {
          ++read;
          std::thread([this] { Read(); }).detach();
          return;
        }
        EXPECT_EQ(read, kMessages);
        Responder last = std::move(responder);
        delete this;
        last.Answer(absl::OkStatus());
      });
    }
    Stream& stream;
    Responder responder;
    Message message;
    int read = 0;
  };
  const auto channel =
      Start([&](ServerContext&, Stream& stream, Responder responder) {
        (new Handler{stream, std::move(responder), {}})->Read();
      });
  auto stream = Tester::Stub(*channel).Chat();
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(stream.Write(MessageWith("x")));
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// --- At the client -----------------------------------------------------------

TEST_F(CoStreamTest, IsMadeInATask) {
  const auto channel = Start(CoEcho);
  Tester::Stub stub(*channel);
  const auto converse = [](Tester::StubInterface& tester) -> Task<int> {
    auto stream = tester.Co().Chat();
    int count = 0;
    Message message;
    for (; count < 100; ++count) {
      const Message request = MessageWith(std::to_string(count));
      if (!co_await stream.CoWrite(request)) break;
      if (!co_await stream.CoRead(&message)) break;
      EXPECT_EQ(message.text(), request.text());
    }
    EXPECT_TRUE((co_await stream.CoFinish()).ok());
    co_return count;
  };
  EXPECT_EQ(BlockOn(converse(stub)), 100);
}

// Messages that have come already do not lie on the stack one on the other.
TEST_F(CallbackStreamTest, CallsBackForManyMessagesAtTheClient) {
  static constexpr int kMessages = 100'000;
  service_.OnChat([](ServerContext&, Stream& stream) {
    Message message;
    while (stream.Read(&message)) EXPECT_TRUE(stream.Write(message));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  struct Client {
    void Write() {
      if (written == kMessages) return stream.EndWrites();
      text = MessageWith(std::to_string(written++));
      stream.Write(text, [this](bool ok) {
        EXPECT_TRUE(ok);
        if (ok) Write();
      });
    }
    void Read() {
      stream.Read(&message, [this](bool ok) {
        if (ok) {
          EXPECT_EQ(message.text(), std::to_string(read++));
          return Read();
        }
        stream.Finish([this](absl::Status status) {
          EXPECT_TRUE(status.ok()) << status;
          done.Notify();
        });
      });
    }
    ClientStream<Message, Message> stream;
    Message message;
    Message text;
    int read = 0;
    int written = 0;
    Event done;
  };
  Client client{Tester::Stub(*channel).Chat(), {}, {}};
  client.Write();
  client.Read();
  ASSERT_TRUE(client.done.Wait());
  EXPECT_EQ(client.read, kMessages);
}

TEST_F(CallbackStreamTest, MayBeDroppedInItsCallbackAtTheClient) {
  service_.OnWatch(
      [](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        while (writer.Write(MessageWith("x"))) {
        }
        return absl::OkStatus();
      });
  StartServer();
  const auto channel = Connect();
  for (int i = 0; i < 100; ++i) {
    auto reader = std::make_unique<ClientReader<Message>>(
        Tester::Stub(*channel).Watch(MessageWith("x")));
    ClientReader<Message>& borrowed = *reader;
    Message message;
    Event done;
    borrowed.Read(&message, [&, reader = std::move(reader)](bool ok) mutable {
      EXPECT_TRUE(ok);
      reader.reset();
      done.Notify();
    });
    ASSERT_TRUE(done.Wait());
  }
}

TEST_F(CallbackStreamTest, IsToldAtTheClientThatItWasCancelled) {
  service_.OnChat([](ServerContext&, Stream& stream) {
    Message message;
    while (stream.Read(&message)) {
    }
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  auto stream = Tester::Stub(*channel).Chat();
  stream.Read(&message_, [&](bool ok) {
    EXPECT_FALSE(ok);
    event_.Notify();
  });
  stream.Cancel();
  ASSERT_TRUE(event_.Wait());
  EXPECT_EQ(stream.Finish().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace tern::testing
