// Streaming calls: every kind, both sides speaking at any time, either ending
// first, and neither able to make the other hold more than the windows.

#include <coroutine>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using ::testing::HasSubstr;

std::string Text(int i) { return "message " + std::to_string(i); }

Message Sized(size_t bytes) {
  Message message;
  message.set_payload(std::string(bytes, 'x'));
  return message;
}

// Sizes that are copied, that stay where they are, and that come in chunks.
size_t VariedSize(int i) {
  constexpr size_t kSizes[] = {0,     1,      100,    4'000,
                               5'000, 60'000, 70'000, 300'000};
  return kSizes[i % std::size(kSizes)];
}

absl::Status Echo(ServerContext& /*context*/,
                  ServerStream<Message, Message>& stream) {
  Message message;
  while (stream.Read(&message)) {
    if (!stream.Write(message)) break;
  }
  return absl::OkStatus();
}

class StreamTest : public EndToEnd {
 protected:
  std::unique_ptr<Channel> Start(ServerOptions options = {}) {
    StartServer(std::move(options));
    return Connect();
  }
};

TEST_F(StreamTest, BringsTheServersMessagesInOrder) {
  constexpr int kMessages = 2'000;
  service_.OnWatch([](ServerContext&, const Message& request,
                      ServerWriter<Message>& writer) {
    EXPECT_EQ(request.text(), "all");
    for (int i = 0; i < kMessages; ++i) {
      Message message = Sized(VariedSize(i) / 8);
      message.set_text(Text(i));
      EXPECT_TRUE(writer.Write(message));
    }
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(MessageWith("all"));
  Message message;
  int count = 0;
  while (reader.Read(&message)) {
    ASSERT_EQ(message.text(), Text(count));
    ASSERT_EQ(message.payload().size(), VariedSize(count) / 8);
    ++count;
  }
  EXPECT_EQ(count, kMessages);
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(StreamTest, BringsTheClientsMessagesInOrderAndTheReply) {
  constexpr int kMessages = 500;
  service_.OnUpload(
      [](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        Message message;
        int count = 0;
        while (reader.Read(&message)) {
          EXPECT_EQ(message.text(), Text(count));
          EXPECT_EQ(message.payload().size(), VariedSize(count));
          ++count;
        }
        reply->set_text(std::to_string(count));
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto writer = Tester::Stub(*channel).Upload();
  for (int i = 0; i < kMessages; ++i) {
    Message message = Sized(VariedSize(i));
    message.set_text(Text(i));
    ASSERT_TRUE(writer.Write(message));
  }
  const absl::StatusOr<Message> reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), std::to_string(kMessages));
}

TEST_F(StreamTest, LetsBothSidesSpeakAtAnyTime) {
  static constexpr int kMessages = 3'000;
  service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
    EXPECT_TRUE(stream.Write(MessageWith("welcome")));  // Before any request.
    std::thread speaker([&stream] {
      for (int i = 0; i < kMessages; ++i) {
        EXPECT_TRUE(stream.Write(MessageWith(Text(i))));
      }
    });
    Message message;
    int count = 0;
    while (stream.Read(&message)) EXPECT_EQ(message.text(), Text(count++));
    EXPECT_EQ(count, kMessages);
    speaker.join();
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.text(), "welcome");
  std::thread speaker([&stream] {
    for (int i = 0; i < kMessages; ++i) {
      EXPECT_TRUE(stream.Write(MessageWith(Text(i))));
    }
    stream.EndWrites();
  });
  int count = 0;
  while (stream.Read(&message)) EXPECT_EQ(message.text(), Text(count++));
  EXPECT_EQ(count, kMessages);
  speaker.join();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamTest, GoesBackAndForth) {
  service_.OnChat(Echo);
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  for (int i = 0; i < 500; ++i) {
    Message message = Sized(VariedSize(i));
    ASSERT_TRUE(stream.Write(message));
    ASSERT_TRUE(stream.Read(&message));
    ASSERT_EQ(message.payload().size(), VariedSize(i));
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamTest, OfNoMessageAtAllEndsWell) {
  const auto channel = Start();
  Tester::Stub stub(*channel);
  EXPECT_TRUE(stub.Watch(MessageWith("")).Finish().ok());
  EXPECT_TRUE(stub.Upload().Finish().ok());
  EXPECT_TRUE(stub.Chat().Finish().ok());
  Message message;
  auto reader = stub.Watch(MessageWith(""));
  EXPECT_FALSE(reader.Read(&message));
  EXPECT_FALSE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(StreamTest, DeliversWhatCameBeforeAnError) {
  service_.OnWatch(
      [](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        EXPECT_TRUE(writer.Write(MessageWith("one")));
        EXPECT_TRUE(writer.Write(MessageWith("two")));
        return absl::DataLossError("and no more");
      });
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_EQ(message.text(), "one");
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_EQ(message.text(), "two");
  EXPECT_FALSE(reader.Read(&message));
  const absl::Status status = reader.Finish();
  EXPECT_TRUE(Failed(status, StatusCode::kDataLoss, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(status.message(), "and no more");
}

TEST_F(StreamTest, FinishDropsWhatWasNotRead) {
  service_.OnWatch(
      [](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        for (int i = 0; i < 200; ++i) {  // More than all windows.
          EXPECT_TRUE(writer.Write(Sized(60'000)));
        }
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_TRUE(reader.Finish().ok());
}

// --- Ends --------------------------------------------------------------------

TEST_F(StreamTest, MayBeEndedByTheServerWhileTheClientWrites) {
  service_.OnUpload(
      [](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        Message message;
        EXPECT_TRUE(reader.Read(&message));
        reply->set_text("enough");
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto writer = Tester::Stub(*channel).Upload();
  while (writer.Write(Sized(10'000))) {
  }
  const absl::StatusOr<Message> reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "enough");
  EXPECT_TRUE(CallStatus(*channel, "and the connection is as before").ok());
}

TEST_F(StreamTest, CancelledByTheClientEndsTheHandlersReadsAndWrites) {
  Event reading;
  Event over;
  service_.OnUpload(
      [&](ServerContext& context, ServerReader<Message>& reader, Message*) {
        Message message;
        EXPECT_TRUE(reader.Read(&message));
        reading.Notify();
        EXPECT_FALSE(reader.Read(&message));
        EXPECT_TRUE(context.cancelled());
        over.Notify();
        return absl::OkStatus();
      });
  service_.OnWatch([&](ServerContext& context, const Message&,
                       ServerWriter<Message>& writer) {
    while (writer.Write(Sized(10'000))) {
    }
    EXPECT_TRUE(context.cancelled());
    over.Notify();
    return absl::OkStatus();
  });
  const auto channel = Start();
  Tester::Stub stub(*channel);
  auto writer = stub.Upload();
  ASSERT_TRUE(writer.Write(MessageWith("one")));
  ASSERT_TRUE(reading.Wait());
  writer.Cancel();
  EXPECT_TRUE(Failed(writer.Finish().status(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  EXPECT_FALSE(writer.Write(MessageWith("two")));
  EXPECT_TRUE(over.Wait());

  auto reader = stub.Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  reader.Cancel();
  EXPECT_TRUE(Failed(reader.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
  EXPECT_TRUE(over.Wait(2));
}

TEST_F(StreamTest, ThatIsDroppedIsCancelled) {
  Event started;
  Event over;
  service_.OnChat(
      [&](ServerContext& context, ServerStream<Message, Message>& stream) {
        started.Notify();
        Message message;
        while (stream.Read(&message)) {
        }
        EXPECT_TRUE(context.cancelled());
        over.Notify();
        return absl::OkStatus();
      });
  const auto channel = Start();
  {
    auto stream = Tester::Stub(*channel).Chat();
    ASSERT_TRUE(started.Wait());
  }
  EXPECT_TRUE(over.Wait());
}

TEST_F(StreamTest, EndsAtItsDeadlineOnBothSides) {
  Event over;
  service_.OnChat(
      [&](ServerContext& context, ServerStream<Message, Message>& stream) {
        Message message;
        EXPECT_FALSE(stream.Read(&message));
        EXPECT_TRUE(context.cancelled());
        EXPECT_FALSE(stream.Write(message));
        over.Notify();
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto stream =
      Tester::Stub(*channel).Chat({.timeout = absl::Milliseconds(50)});
  Message message;
  EXPECT_FALSE(stream.Read(&message));
  // Finished, when the server was the first to see it.
  const absl::Status status = stream.Finish();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  EXPECT_EQ(std::string(status.message()).rfind("deadline exceeded at the ", 0),
            0u)
      << status;
  EXPECT_NE(CertaintyOf(status), Certainty::kNotStarted) << status;
  EXPECT_TRUE(over.Wait());
}

TEST_F(StreamTest, HasNoDeadlineByItself) {
  std::optional<Deadline> seen;
  service_.OnWatch(
      [&](ServerContext& context, const Message&, ServerWriter<Message>&) {
        seen = context.deadline();
        return absl::OkStatus();
      });
  const auto channel = Start();
  EXPECT_TRUE(Tester::Stub(*channel).Watch(MessageWith("")).Finish().ok());
  ASSERT_TRUE(seen.has_value());
  EXPECT_GT(seen->Remaining(), absl::Hours(24 * 365));
}

TEST_F(StreamTest, EndsWithTheServer) {
  Event started;
  service_.OnChat(
      [&](ServerContext& context, ServerStream<Message, Message>& stream) {
        started.Notify();
        return Echo(context, stream);
      });
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(started.Wait());
  server_->Stop();
  Message message;
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kUnavailable,
                     Certainty::kMaybeStarted));
}

TEST_F(StreamTest, EndsWithItsChannel) {
  service_.OnChat(Echo);
  auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Write(MessageWith("one")));
  ASSERT_TRUE(stream.Read(&message));
  channel.reset();
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_EQ(stream.Finish().code(), StatusCode::kCancelled);
}

TEST_F(StreamTest, FailsWithoutAServer) {
  const auto channel = Channel::Create("127.0.0.1:0");
  Tester::Stub stub(*channel);
  auto stream = stub.Chat();
  while (stream.Write(MessageWith("into the void"))) {
  }
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kUnavailable,
                     Certainty::kNotStarted));
  const auto nonsense = Channel::Create("what?");
  EXPECT_EQ(Tester::Stub(*nonsense).Chat().Finish().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(StreamTest, IsStartedWithTheConnectionAndKeepsWhatWasWrittenBefore) {
  service_.OnChat(Echo);
  StartServer();
  const auto channel = Connect();  // Lazily: nothing has happened yet.
  auto stream = Tester::Stub(*channel).Chat();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream.Write(MessageWith(Text(i))));
  }
  Message message;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream.Read(&message));
    ASSERT_EQ(message.text(), Text(i));
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// --- Limits ------------------------------------------------------------------

TEST_F(StreamTest, RefusesAMessageAboveTheOthersLimitAndTakesOneAtIt) {
  service_.OnChat(Echo);
  const auto channel = Start({.max_message_bytes = 100'000});
  const size_t head = Sized(100'000).ByteSizeLong() - 100'000;
  auto stream = Tester::Stub(*channel).Chat();
  Message message;
  ASSERT_TRUE(stream.Write(Sized(100'000 - head)));
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message.ByteSizeLong(), 100'000u);
  ASSERT_TRUE(stream.Write(Sized(100'001 - head)));
  EXPECT_FALSE(stream.Read(&message));
  const absl::Status status = stream.Finish();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("100001 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("100000 bytes"));
}

TEST_F(StreamTest, RefusesAnAnswerAboveTheClientsLimit) {
  service_.OnWatch([](ServerContext& context, const Message&,
                      ServerWriter<Message>& writer) {
    EXPECT_TRUE(writer.Write(MessageWith("short")));
    EXPECT_TRUE(writer.Write(Sized(100'001)));
    while (writer.Write(MessageWith("more"))) {
    }
    EXPECT_TRUE(context.cancelled());
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Channel::Create(server_->addresses().at(0),
                                       {.max_message_bytes = 100'000});
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_FALSE(reader.Read(&message));
  const absl::Status status = reader.Finish();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("100000 bytes"));
}

TEST_F(StreamTest, AWriterWaitsForASlowReaderAndOthersDoNot) {
  std::atomic<int> written{0};
  Event full;
  service_.OnWatch(
      [&](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        const Message message = Sized(10'000);
        while (written < 1'000) {
          const Poll poll = writer.TryWrite(message);
          if (poll == Poll::kOver) break;
          if (poll == Poll::kNotYet) {
            if (!writer.WakeForWrite([] {})) continue;
            full.Notify();
            EXPECT_TRUE(writer.Write(message));  // Waits.
          }
          ++written;
        }
        return absl::OkStatus();
      });
  StartServer({.max_stream_unsent_bytes = 100'000});
  const auto channel = Channel::Create(server_->addresses().at(0),
                                       {.stream_window_bytes = 256 << 10});
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  ASSERT_TRUE(full.Wait());
  // Other calls go on, and so does another stream.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(CallStatus(*channel, "echo").ok());
  }
  // Calls went first, but now it fills the client's window.
  while (written.load() < 262'144 / 10'000) std::this_thread::yield();
  // That, the handler's limit, and the message that crosses it.
  EXPECT_LE(written.load(), (262'144 + 100'000) / 10'000 + 2);
  Message message;
  int count = 0;
  while (reader.Read(&message)) ++count;
  EXPECT_EQ(count, 1'000);
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(StreamTest, AClientWaitsForASlowHandler) {
  Event go;
  service_.OnUpload(
      [&](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        EXPECT_TRUE(go.Wait());
        Message message;
        int count = 0;
        while (reader.Read(&message)) ++count;
        reply->set_text(std::to_string(count));
        return absl::OkStatus();
      });
  StartServer({.stream_window_bytes = 256 << 10});
  const auto channel = Channel::Create(server_->addresses().at(0),
                                       {.max_stream_unsent_bytes = 100'000});
  auto writer = Tester::Stub(*channel).Upload();
  const Message message = Sized(10'000);
  int written = 0;
  Event room;
  while (true) {
    const Poll poll = writer.TryWrite(message);
    ASSERT_NE(poll, Poll::kOver);
    if (poll == Poll::kReady) {
      ++written;
      continue;
    }
    // Behind a full window, full for good when nobody makes room for some
    // calls' time.
    const int before = room.count();
    if (!writer.WakeForWrite([&room] { room.Notify(); })) continue;
    const bool window_is_full = written >= 262'144 / 10'000;
    if (!room.Wait(before + 1,
                   window_is_full ? absl::Milliseconds(200) : kPatience)) {
      break;
    }
  }
  EXPECT_LE(written, (262'144 + 100'000) / 10'000 + 2);
  EXPECT_GE(written, 262'144 / 10'000);
  go.Notify();
  ASSERT_TRUE(room.Wait(1));
  const absl::StatusOr<Message> reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), std::to_string(written));
}

TEST_F(StreamTest, RefusesMoreHandlersThanThreads) {
  Event started;
  service_.OnChat([&](ServerContext&, ServerStream<Message, Message>& stream) {
    started.Notify();
    Message message;
    while (stream.Read(&message)) {
    }
    return absl::OkStatus();
  });
  const auto channel = Start({.max_stream_threads = 2});
  Tester::Stub stub(*channel);
  auto first = stub.Chat();
  auto second = stub.Chat();
  ASSERT_TRUE(started.Wait(2));
  const absl::Status status = stub.Chat().Finish();
  EXPECT_TRUE(
      Failed(status, StatusCode::kResourceExhausted, Certainty::kNotStarted));
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 handlers"));
  EXPECT_TRUE(CallError::From(status)->retry_after.has_value());
  EXPECT_TRUE(first.Finish().ok());
  EXPECT_TRUE(second.Finish().ok());
  // Its thread may be about to become idle: then there is none for a moment.
  absl::Status last = stub.Chat().Finish();
  for (int i = 0; i < 1'000 && !last.ok(); ++i) last = stub.Chat().Finish();
  EXPECT_TRUE(last.ok()) << last;
}

// --- Other forms -------------------------------------------------------------

TEST_F(StreamTest, CanBeReadByCallbacks) {
  constexpr int kMessages = 1'000;
  service_.OnWatch(
      [](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        for (int i = 0; i < kMessages; ++i) {
          EXPECT_TRUE(writer.Write(MessageWith(Text(i))));
        }
        return absl::OkStatus();
      });
  const auto channel = Start();
  class Reading {
   public:
    explicit Reading(ClientReader<Message> reader)
        : reader_(std::move(reader)) {}
    void Go() {
      Message message;
      while (true) {
        switch (reader_.TryRead(&message)) {
          case Poll::kReady:
            EXPECT_EQ(message.text(), Text(count++));
            break;
          case Poll::kNotYet:
            if (reader_.WakeForRead([this] { Go(); })) return;
            break;
          case Poll::kOver:
            return reader_.Finish([this](absl::Status status) {
              EXPECT_TRUE(status.ok()) << status;
              done.Notify();
            });
        }
      }
    }
    int count = 0;
    Event done;

   private:
    ClientReader<Message> reader_;
  };
  Reading reading(Tester::Stub(*channel).Watch(MessageWith("")));
  reading.Go();
  ASSERT_TRUE(reading.done.Wait());
  EXPECT_EQ(reading.count, kMessages);
}

// A coroutine that runs by itself.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached Converse(Tester::Stub stub, int count, Event* done) {
  ClientStream<Message, Message> stream = stub.Chat();
  Message message;
  for (int i = 0; i < count; ++i) {
    const Message request = MessageWith(Text(i));
    const bool written = co_await stream.CoWrite(request);
    EXPECT_TRUE(written);
    const bool read = co_await stream.CoRead(&message);
    EXPECT_TRUE(read);
    EXPECT_EQ(message.text(), Text(i));
  }
  const absl::Status status = co_await stream.CoFinish();
  EXPECT_TRUE(status.ok()) << status;
  ClientWriter<Message, Message> upload = stub.Upload();
  const bool written = co_await upload.CoWrite(message);
  EXPECT_TRUE(written);
  const absl::StatusOr<Message> reply = co_await upload.CoFinish();
  EXPECT_TRUE(reply.ok()) << reply.status();
  done->Notify();
}

TEST_F(StreamTest, CanBeAwaited) {
  service_.OnChat(Echo);
  const auto channel = Start();
  Event done;
  constexpr int kConversations = 20;
  for (int i = 0; i < kConversations; ++i) {
    Converse(Tester::Stub(*channel), 100, &done);
  }
  EXPECT_TRUE(done.Wait(kConversations));
}

TEST_F(StreamTest, CanBeReadUntilADeadline) {
  Event go;
  service_.OnChat([&](ServerContext&, ServerStream<Message, Message>& stream) {
    Message message;
    const auto soon = Deadline::After(absl::Milliseconds(20));
    EXPECT_EQ(stream.ReadUntil(&message, soon), Poll::kNotYet);
    EXPECT_TRUE(soon.HasPassed());
    EXPECT_EQ(stream.ReadUntil(&message, soon), Poll::kNotYet);
    go.Notify();
    EXPECT_EQ(stream.ReadUntil(&message, Deadline()), Poll::kReady);
    EXPECT_EQ(message.text(), "one");
    EXPECT_EQ(stream.ReadUntil(&message, Deadline::After(kPatience)),
              Poll::kOver);
    return absl::OkStatus();
  });
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  ASSERT_TRUE(go.Wait());
  EXPECT_EQ(stream.WriteUntil(MessageWith("one"), Deadline::After(kPatience)),
            Poll::kReady);
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamTest, CanBeWrittenUntilADeadline) {
  Event full;
  service_.OnWatch(
      [&](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        const Message message = Sized(10'000);
        const auto soon = Deadline::After(absl::Milliseconds(20));
        // Room is written to even when it has passed.
        Poll poll = Poll::kReady;
        int written = -1;
        while (poll == Poll::kReady) {
          ++written;
          poll = writer.WriteUntil(message, soon);
        }
        EXPECT_EQ(poll, Poll::kNotYet);
        EXPECT_TRUE(soon.HasPassed());
        full.Notify();
        EXPECT_EQ(writer.WriteUntil(MessageWith(std::to_string(written)),
                                    Deadline::After(kPatience)),
                  Poll::kReady);
        return absl::OkStatus();
      });
  const auto channel = Start();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  ASSERT_TRUE(full.Wait());
  Message message;
  int count = 0;
  while (reader.Read(&message)) ++count;
  EXPECT_EQ(message.text(), std::to_string(count - 1));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(StreamTest, DoesNotBlockAnIoThread) {
  service_.OnChat(Echo);
  const auto channel = Start();
  Tester::Stub stub(*channel);
  auto stream = stub.Chat();
  Event done;
  stub.Call(MessageWith("x"), {}, [&](absl::StatusOr<Message> reply) {
    EXPECT_TRUE(reply.ok());
    Message message;
    EXPECT_FALSE(stream.Read(&message));
    EXPECT_EQ(stream.Finish().code(), StatusCode::kFailedPrecondition);
    done.Notify();
  });
  ASSERT_TRUE(done.Wait());
}

TEST_F(StreamTest, ManyAtOnceEachHasItsOwnMessages) {
  service_.OnChat(Echo);
  const auto channel = Start();
  Tester::Stub stub(*channel);
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&stub, t] {
      for (int call = 0; call < 20; ++call) {
        auto stream = stub.Chat();
        Message message;
        for (int i = 0; i < 20; ++i) {
          const std::string text = std::to_string(t) + Text(i);
          EXPECT_TRUE(stream.Write(MessageWith(text)));
          EXPECT_TRUE(stream.Read(&message));
          EXPECT_EQ(message.text(), text);
        }
        EXPECT_TRUE(stream.Finish().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tern::testing
