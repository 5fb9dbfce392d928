// Bytes beside the messages of streams: each kind of call, each form of reading
// and writing.

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "tern/lib/compress/zstd_compressor.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/pattern.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

constexpr size_t kMaxMessageBytes = 4 << 20;  // The default, of both ends.

absl::Cord CordOf(size_t size, uint32_t seed = 0) {
  return absl::Cord(Pattern(size, seed));
}

// Sizes around where something changes: what is copied, a frame, a window.
std::vector<size_t> Sizes() {
  std::vector<size_t> sizes = {0, 1, 100};
  for (const size_t around :
       {size_t{4096}, size_t{64} << 10, size_t{1} << 20, size_t{3} << 20}) {
    for (const size_t size : {around - 1, around, around + 1}) {
      sizes.push_back(size);
    }
  }
  return sizes;
}

absl::Status Echo(ServerContext& /*context*/,
                  ServerStream<Message, Message>& stream) {
  Message message;
  absl::Cord attachment;
  while (stream.Read(&message, &attachment)) {
    if (!stream.Write(message, attachment)) break;
  }
  return absl::OkStatus();
}

class StreamAttachmentTest : public EndToEnd {
 protected:
  StreamAttachmentTest() { service_.OnChat(Echo); }
  // Handlers use what tests have on their stacks.
  void TearDown() override {
    holdup_.LetGo();
    StopServer();
  }

  void Start(ServerOptions options = {}, const ChannelOptions& channel = {}) {
    StartServer(std::move(options));
    channel_ = Connect(channel);
  }
  ClientStream<Message, Message> Chat() {
    return Tester::Stub(*channel_).Chat();
  }

  std::unique_ptr<Channel> channel_;
};

TEST_F(StreamAttachmentTest, TravelBothWays) {
  Start();
  auto stream = Chat();
  for (const size_t message_bytes : {size_t{0}, size_t{100}, size_t{70'000}}) {
    Message message;
    if (message_bytes != 0) message.set_payload(Pattern(message_bytes, 7));
    for (const size_t size : Sizes()) {
      ASSERT_TRUE(stream.Write(message, CordOf(size)));
      Message read;
      absl::Cord attachment("of the one before");
      ASSERT_TRUE(stream.Read(&read, &attachment));
      ASSERT_EQ(read.SerializeAsString(), message.SerializeAsString());
      ASSERT_TRUE(attachment == Pattern(size)) << size;
    }
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// Many are on their way at once, with messages between that have none.
TEST_F(StreamAttachmentTest, BelongToTheirMessages) {
  constexpr int kMessages = 300;
  const auto size = [](int i) -> size_t {
    return i % 3 == 0 ? 0 : 7919 * i % 20'000;
  };
  service_.OnWatch(
      [&](ServerContext&, const Message&, ServerWriter<Message>& writer) {
        for (int i = 0; i < kMessages; ++i) {
          const Message message = MessageWith(std::to_string(i));
          EXPECT_TRUE(size(i) == 0 ? writer.Write(message)
                                   : writer.Write(message, CordOf(size(i), i)));
        }
        return absl::OkStatus();
      });
  service_.OnUpload(
      [&](ServerContext&, ServerReader<Message>& reader, Message* reply) {
        Message message;
        absl::Cord attachment;
        int count = 0;
        for (; reader.Read(&message, &attachment); ++count) {
          EXPECT_EQ(message.text(), std::to_string(count));
          EXPECT_TRUE(attachment == Pattern(size(count), count));
        }
        reply->set_text(std::to_string(count));
        return absl::OkStatus();
      });
  Start();
  auto watch = Tester::Stub(*channel_).Watch({});
  Message message;
  absl::Cord attachment;
  int count = 0;
  for (; watch.Read(&message, &attachment); ++count) {
    ASSERT_EQ(message.text(), std::to_string(count));
    ASSERT_TRUE(attachment == Pattern(size(count), count));
  }
  EXPECT_EQ(count, kMessages);
  EXPECT_TRUE(watch.Finish().ok());

  auto upload = Tester::Stub(*channel_).Upload();
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(
        upload.Write(MessageWith(std::to_string(i)), CordOf(size(i), i)));
  }
  const absl::StatusOr<Message> reply = upload.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), std::to_string(kMessages));
}

TEST_F(StreamAttachmentTest, MayBeLeftUnread) {
  Start();
  auto stream = Chat();
  Message message;
  absl::Cord attachment;
  for (const size_t size : {size_t{10}, size_t{1} << 20}) {
    for (int i = 0; i < 5; ++i) {  // More than a window, in all.
      ASSERT_TRUE(stream.Write(MessageWith("x"), CordOf(size)));
      ASSERT_TRUE(stream.Read(&message));
      EXPECT_EQ(message.text(), "x");
    }
  }
  ASSERT_TRUE(stream.Write(MessageWith("y")));
  ASSERT_TRUE(stream.Read(&message, &attachment));
  EXPECT_TRUE(attachment.empty());
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamAttachmentTest, InManyPiecesComeInOne) {
  Start();
  auto stream = Chat();
  for (const size_t size : {size_t{1'000}, size_t{1} << 20}) {
    const std::string bytes = Pattern(size);
    absl::Cord pieces;
    for (size_t at = 0; at < size; at += 777) {
      auto* const held = new std::string(bytes.substr(at, 777));
      pieces.Append(absl::MakeCordFromExternal(*held, [held] { delete held; }));
    }
    ASSERT_TRUE(stream.Write({}, pieces));
    Message message;
    absl::Cord attachment;
    ASSERT_TRUE(stream.Read(&message, &attachment));
    ASSERT_TRUE(attachment.TryFlat().has_value());
    EXPECT_TRUE(*attachment.TryFlat() == bytes);
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamAttachmentTest, MayBeKeptAfterTheCall) {
  std::vector<absl::Cord> kept;
  service_.OnUpload(
      [&](ServerContext&, ServerReader<Message>& reader, Message*) {
        Message message;
        absl::Cord attachment;
        while (reader.Read(&message, &attachment)) kept.push_back(attachment);
        return absl::OkStatus();
      });
  Start();
  auto upload = Tester::Stub(*channel_).Upload();
  for (const size_t size : Sizes()) ASSERT_TRUE(upload.Write({}, CordOf(size)));
  ASSERT_TRUE(upload.Finish().ok());
  channel_.reset();
  StopServer();
  ASSERT_EQ(kept.size(), Sizes().size());
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_TRUE(kept[i] == Pattern(Sizes()[i]));
  }
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

Detached Converse(Tester::Stub stub, Event* done) {
  ClientStream<Message, Message> stream = stub.Chat();
  Message message;
  absl::Cord attachment;
  for (const size_t size : Sizes()) {
    const Message request = MessageWith(std::to_string(size));
    const absl::Cord sent = CordOf(size);
    const bool written = co_await stream.CoWrite(request, sent);
    EXPECT_TRUE(written);
    const bool read = co_await stream.CoRead(&message, &attachment);
    EXPECT_TRUE(read);
    EXPECT_EQ(message.text(), std::to_string(size));
    EXPECT_TRUE(attachment == sent);
  }
  const absl::Status status = co_await stream.CoFinish();
  EXPECT_TRUE(status.ok()) << status;
  done->Notify();
}

TEST_F(StreamAttachmentTest, TravelWithCoroutines) {
  Start();
  Event done;
  Converse(Tester::Stub(*channel_), &done);
  ASSERT_TRUE(done.Wait());
}

TEST_F(StreamAttachmentTest, TravelWithCallbacks) {
  Start();
  auto stream = Chat();
  for (const size_t size : Sizes()) {
    const absl::Cord sent = CordOf(size);
    while (stream.TryWrite({}, sent) == Poll::kNotYet) {
      Event writable;
      if (stream.WakeForWrite([&] { writable.Notify(); })) {
        ASSERT_TRUE(writable.Wait());
      }
    }
    Message message;
    absl::Cord attachment;
    while (true) {
      const Poll poll = stream.TryRead(&message, &attachment);
      if (poll == Poll::kReady) break;
      ASSERT_EQ(poll, Poll::kNotYet);
      Event readable;
      if (stream.WakeForRead([&] { readable.Notify(); })) {
        ASSERT_TRUE(readable.Wait());
      }
    }
    EXPECT_TRUE(attachment == sent);
  }
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamAttachmentTest, TravelWithinADeadline) {
  Start();
  auto stream = Chat();
  Message message;
  absl::Cord attachment;
  const Deadline passed{MonotonicTime()};
  EXPECT_EQ(stream.ReadUntil(&message, &attachment, passed), Poll::kNotYet);
  const absl::Cord sent = CordOf(70'000);
  ASSERT_EQ(stream.WriteUntil({}, sent, Deadline()), Poll::kReady);
  ASSERT_EQ(stream.ReadUntil(&message, &attachment, Deadline()), Poll::kReady);
  EXPECT_TRUE(attachment == sent);
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamAttachmentTest, TravelBesideCompressedMessages) {
  Start({.compressors = {ZstdCompressor()}},
        {.compressors = {ZstdCompressor()}, .compression = Compression::kZstd});
  auto stream = Chat();
  Message sent;
  sent.set_payload(std::string(100'000, 'x'));
  for (const size_t size : Sizes()) {
    ASSERT_TRUE(stream.Write(sent, CordOf(size)));
    Message message;
    absl::Cord attachment;
    ASSERT_TRUE(stream.Read(&message, &attachment));
    EXPECT_EQ(message.payload(), sent.payload());
    EXPECT_TRUE(attachment == Pattern(size)) << size;
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// --- Limits ---

TEST_F(StreamAttachmentTest, CountTowardsThePeersLimit) {
  Start();
  const Message message = MessageWith("x");
  const size_t most = kMaxMessageBytes - message.ByteSizeLong();
  for (const size_t size : {most, most + 1}) {
    auto stream = Chat();
    Message read;
    absl::Cord attachment;
    (void)stream.Write(message, CordOf(size));
    EXPECT_EQ(stream.Read(&read, &attachment), size == most);
    const absl::Status status = stream.Finish();
    if (size == most) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(attachment.size(), most);
    } else {
      EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
      EXPECT_NE(status.message().find("4194305 bytes with its attachment"),
                std::string::npos)
          << status;
    }
  }
}

TEST_F(StreamAttachmentTest, OfRepliesCountTowardsTheClientsLimit) {
  size_t size = 0;
  service_.OnWatch([&](ServerContext&, const Message& request,
                       ServerWriter<Message>& writer) {
    (void)writer.Write(request, CordOf(size));
    return absl::OkStatus();
  });
  Start();
  const Message message = MessageWith("x");
  const size_t most = kMaxMessageBytes - message.ByteSizeLong();
  for (size = most; size <= most + 1; ++size) {
    auto watch = Tester::Stub(*channel_).Watch(message);
    Message read;
    absl::Cord attachment;
    EXPECT_EQ(watch.Read(&read, &attachment), size == most);
    EXPECT_EQ(watch.Finish().code(),
              size == most ? StatusCode::kOk : StatusCode::kResourceExhausted);
  }
}

// More than any message may have, without memory for it: it is not looked at.
TEST_F(StreamAttachmentTest, AboveTheProtocolsLimitIsRefusedBeforeItIsCopied) {
  Start();
  static char byte = 'x';
  constexpr size_t kMost = 0x7fffffff;
  const Message message = MessageWith("x");
  const absl::Cord huge = absl::MakeCordFromExternal(
      absl::string_view(&byte, kMost - message.ByteSizeLong() + 1), [] {});
  auto stream = Chat();
  EXPECT_FALSE(stream.Write(message, huge));
  const absl::Status status = stream.Finish();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("2147483648 bytes with its attachment"),
            std::string::npos)
      << status;
}

// A peer that does not read: what may be written is what the windows and
// max_stream_unsent_bytes say, attachments counted.
TEST_F(StreamAttachmentTest, WaitForASlowReader) {
  service_.OnChat([this](ServerContext&, ServerStream<Message, Message>&) {
    holdup_.WaitUntilLetGo();
    return absl::OkStatus();
  });
  constexpr size_t kBytes = 100'000;
  constexpr size_t kWindow = 300'000;
  constexpr size_t kUnsent = 200'000;
  Start({.stream_window_bytes = kWindow}, {.max_stream_unsent_bytes = kUnsent});
  auto stream = Chat();
  ASSERT_TRUE(holdup_.WaitForEntered());
  size_t written = 0;
  // Each wake-up says that some of it has gone; the last one never comes.
  while (written < 100 * kBytes) {
    const Poll poll = stream.TryWrite({}, CordOf(kBytes));
    if (poll == Poll::kReady) {
      written += kBytes;
      continue;
    }
    ASSERT_EQ(poll, Poll::kNotYet);
    if (written >= kWindow + kUnsent) break;
    Event writable;
    if (stream.WakeForWrite([&] { writable.Notify(); })) {
      ASSERT_TRUE(writable.Wait());
    }
  }
  // A message is begun below the limit, and one is given credit as a whole.
  EXPECT_LE(written, kWindow + kUnsent + 2 * kBytes);
  stream.Cancel();
  EXPECT_EQ(stream.Finish().code(), StatusCode::kCancelled);
  holdup_.LetGo();
}

// What waits to be read on the server is held for it, attachments included.
TEST_F(StreamAttachmentTest, CountTowardsTheServersMemory) {
  service_.OnChat([this](ServerContext&, ServerStream<Message, Message>&) {
    holdup_.WaitUntilLetGo();
    return absl::OkStatus();
  });
  Start({.max_request_memory_bytes = 300'000});
  auto stream = Chat();
  Message message;
  ASSERT_TRUE(stream.Write({}, CordOf(200'000)));
  ASSERT_TRUE(stream.Write({}, CordOf(200'000)));
  EXPECT_FALSE(stream.Read(&message));  // Until the call is over.
  EXPECT_TRUE(Failed(stream.Finish(), StatusCode::kResourceExhausted,
                     Certainty::kMaybeStarted));
  holdup_.LetGo();
  service_.OnChat(Echo);
  auto next = Chat();
  ASSERT_TRUE(next.Write({}, CordOf(200'000)));
  ASSERT_TRUE(next.Read(&message));
  EXPECT_TRUE(next.Finish().ok());
}

}  // namespace
}  // namespace tern::testing
