#include "tern/lib/call/stream_pipe.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/call/message_stream.h"
#include "tests/testing/required.pb.h"

namespace tern {
namespace {

class CountingHost final : public StreamPipe::Host {
 public:
  void OnPipeWork() override { ++works; }
  void OnPipeFailed() override { ++failures; }
  bool MayBlock() const override { return may_block; }
  void OnRead(bool rests) override {
    if (rests) {
      ++reads_at_rest;
    } else {
      OnPipeWork();
    }
  }
  void FetchRead(MonotonicTime /*until*/) override {
    if (fetch != nullptr) fetch();
  }
  void WakeFetcher() override { ++fetcher_wakes; }
  void StopFetching() override { ++stops; }
  std::function<void()> fetch;
  int reads_at_rest = 0;
  std::atomic<int> fetcher_wakes{0};
  int stops = 0;
  std::atomic<int> works{0};
  std::atomic<int> failures{0};
  bool may_block = true;
};

Poll Write(StreamPipe& pipe, std::string_view bytes) {
  return pipe.Write(bytes.size(), [&](char* room) {
    if (!bytes.empty()) std::memcpy(room, bytes.data(), bytes.size());
  });
}

// What a read gives: the message, or "(not yet)", "(over)".
std::string Read(StreamPipe& pipe) {
  std::string message;
  switch (pipe.Read(
      [&](const MessageBatch::Message& next) { message = next.bytes; })) {
    case Poll::kReady:
      return message;
    case Poll::kNotYet:
      return "(not yet)";
    case Poll::kOver:
      return "(over)";
  }
  return "?";
}

std::deque<std::string> Take(StreamPipe& pipe) {
  const StreamPipe::Work work = pipe.TakeWork();
  std::deque<std::string> messages;
  while (!work.messages->empty()) {
    messages.emplace_back(work.messages->Next().bytes);
  }
  work.messages->Clear();
  return messages;
}

class StreamPipeTest : public ::testing::Test {
 protected:
  // Delivers a message; true when wakes are to be run.
  bool Deliver(std::string_view bytes) {
    const StreamPipe::Delivery delivery = pipe_.Deliver(bytes, nullptr);
    EXPECT_NE(delivery, StreamPipe::Delivery::kFull);
    return delivery == StreamPipe::Delivery::kWake;
  }

  CountingHost host_;
  StreamPipe pipe_{&host_, /*max_unsent_bytes=*/1000, /*credit_bytes=*/100};
};

TEST_F(StreamPipeTest, GivesMessagesInOrderAndThenNothingYet) {
  EXPECT_EQ(Read(pipe_), "(not yet)");
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(Deliver(""));
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_FALSE(Deliver("three"));
  EXPECT_EQ(Read(pipe_), "");
  EXPECT_EQ(Read(pipe_), "three");
  EXPECT_EQ(Read(pipe_), "(not yet)");
}

TEST_F(StreamPipeTest, KeepsLongMessagesWhereTheyAre) {
  const std::string text(MessageBatch::kMinLongBytes, 'x');
  wire::ByteBuffer buffer;
  buffer.Reserve(text.size());
  buffer.Append(text);
  const char* const place = buffer.view().data();
  EXPECT_EQ(pipe_.Deliver(buffer.view(), &buffer), StreamPipe::Delivery::kDone);
  EXPECT_FALSE(Deliver(text));  // A copy.
  const char* read = nullptr;
  EXPECT_EQ(pipe_.Read([&](const MessageBatch::Message& message) {
    EXPECT_EQ(message.bytes, text);
    read = message.bytes.data();
  }),
            Poll::kReady);
  EXPECT_EQ(read, place);
  EXPECT_EQ(Read(pipe_), text);
}

TEST_F(StreamPipeTest, EndsBehindWhatHasCome) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(pipe_.EndReads());
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_FALSE(Deliver("late"));
  EXPECT_EQ(Read(pipe_), "(over)");
}

TEST_F(StreamPipeTest, ClosedAtOnceGivesNothingMore) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(Deliver("two"));
  EXPECT_EQ(Read(pipe_), "one");  // It has both in its hands now.
  EXPECT_FALSE(pipe_.Close(/*at_once=*/true));
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_EQ(Write(pipe_, "x"), Poll::kOver);
}

TEST_F(StreamPipeTest, ClosedOtherwiseGivesWhatHasCome) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(pipe_.Close(/*at_once=*/false));
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_EQ(Write(pipe_, "x"), Poll::kOver);
}

TEST_F(StreamPipeTest, ReportsWhatWasReadByTheHundredBytes) {
  const std::string message(99, 'x');
  EXPECT_FALSE(Deliver(message));
  EXPECT_EQ(Read(pipe_), message);
  EXPECT_EQ(host_.works, 0);
  EXPECT_FALSE(Deliver("y"));
  EXPECT_EQ(Read(pipe_), "y");
  EXPECT_EQ(host_.works, 1);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 100u);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 0u);
}

TEST_F(StreamPipeTest, DiscardsAsIfItHadBeenRead) {
  EXPECT_FALSE(Deliver("in its hands"));
  EXPECT_FALSE(Deliver("too"));
  EXPECT_EQ(Read(pipe_), "in its hands");
  EXPECT_FALSE(Deliver("waiting"));
  pipe_.DiscardReads();
  EXPECT_EQ(host_.works, 1);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 12u + 3 + 7);
  EXPECT_FALSE(Deliver(std::string(99, 'x')));
  EXPECT_EQ(host_.works, 1);
  EXPECT_FALSE(Deliver("y"));
  EXPECT_EQ(host_.works, 2);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 100u);
  EXPECT_EQ(Read(pipe_), "(not yet)");
}

TEST_F(StreamPipeTest, TellsItsHostOnceUntilItHasLooked) {
  EXPECT_EQ(Write(pipe_, "one"), Poll::kReady);
  EXPECT_EQ(Write(pipe_, "two"), Poll::kReady);
  EXPECT_EQ(host_.works, 1);
  EXPECT_EQ(Take(pipe_), (std::deque<std::string>{"one", "two"}));
  EXPECT_FALSE(pipe_.SetQueuedBytes(0));
  EXPECT_EQ(Write(pipe_, "three"), Poll::kReady);
  EXPECT_EQ(host_.works, 2);
  pipe_.EndWrites();
  EXPECT_EQ(host_.works, 2);
  const StreamPipe::Work work = pipe_.TakeWork();
  EXPECT_TRUE(work.end_writes);
  EXPECT_EQ(work.messages->Next().bytes, "three");
  EXPECT_EQ(Write(pipe_, "late"), Poll::kOver);
  EXPECT_FALSE(pipe_.TakeWork().end_writes);
}

// 8 bytes are counted with each message.
TEST_F(StreamPipeTest, TakesMessagesWhileThereIsRoomForAByte) {
  EXPECT_EQ(Write(pipe_, std::string(991, 'x')), Poll::kReady);  // 999.
  EXPECT_EQ(Write(pipe_, "one more"), Poll::kReady);
  EXPECT_EQ(Write(pipe_, "y"), Poll::kNotYet);
  EXPECT_EQ(Take(pipe_).size(), 2u);
  EXPECT_EQ(Write(pipe_, "y"), Poll::kNotYet);  // Perhaps still in the session.
  EXPECT_FALSE(pipe_.SetQueuedBytes(1000));
  EXPECT_EQ(Write(pipe_, "y"), Poll::kNotYet);
  EXPECT_FALSE(pipe_.SetQueuedBytes(999));
  EXPECT_EQ(Write(pipe_, "y"), Poll::kReady);
}

TEST_F(StreamPipeTest, EmptyMessagesTakeRoom) {
  int written = 0;
  while (Write(pipe_, "") == Poll::kReady) ++written;
  EXPECT_EQ(written, 1000 / 8);
}

// The window bounds all others.
TEST_F(StreamPipeTest, BoundsEmptyMessages) {
  EXPECT_EQ(pipe_.max_unread_messages(), size_t{1} << 20);
  for (size_t i = 0; i < pipe_.max_unread_messages(); ++i) {
    ASSERT_EQ(pipe_.Deliver("", nullptr), StreamPipe::Delivery::kDone);
  }
  EXPECT_EQ(pipe_.Deliver("", nullptr), StreamPipe::Delivery::kFull);
  EXPECT_EQ(Read(pipe_), "");  // Now all of them are in the reader's hands.
  EXPECT_EQ(pipe_.Deliver("", nullptr), StreamPipe::Delivery::kDone);
  StreamPipe wide(&host_, 1000, /*credit_bytes=*/size_t{1} << 20);
  EXPECT_EQ(wide.max_unread_messages(), size_t{4} << 20);
}

TEST_F(StreamPipeTest, WakesAReaderOnce) {
  int wakes = 0;
  ASSERT_TRUE(pipe_.WakeForRead([&wakes] { ++wakes; }));
  EXPECT_TRUE(Deliver("one"));
  EXPECT_FALSE(Deliver("two"));  // Told already.
  EXPECT_EQ(wakes, 0);
  pipe_.RunWakes();
  EXPECT_EQ(wakes, 1);
  EXPECT_FALSE(Deliver("three"));
  pipe_.RunWakes();
  EXPECT_EQ(wakes, 1);
  EXPECT_FALSE(pipe_.WakeForRead([] {}));  // There are messages.
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_FALSE(pipe_.WakeForRead([] {}));  // In its hands.
  EXPECT_EQ(Read(pipe_), "two");
  EXPECT_EQ(Read(pipe_), "three");
  ASSERT_TRUE(pipe_.WakeForRead([&wakes] { ++wakes; }));
  EXPECT_TRUE(pipe_.EndReads());
  pipe_.RunWakes();
  EXPECT_EQ(wakes, 2);
  EXPECT_FALSE(pipe_.WakeForRead([] {}));
}

TEST_F(StreamPipeTest, WakesAWriterWhenHalfIsFree) {
  EXPECT_FALSE(pipe_.WakeForWrite([] {}));
  ASSERT_EQ(Write(pipe_, std::string(992, 'x')), Poll::kReady);
  int wakes = 0;
  ASSERT_TRUE(pipe_.WakeForWrite([&wakes] { ++wakes; }));
  EXPECT_EQ(Take(pipe_).size(), 1u);
  EXPECT_FALSE(pipe_.SetQueuedBytes(501));
  EXPECT_TRUE(pipe_.SetQueuedBytes(500));
  pipe_.RunWakes();
  EXPECT_EQ(wakes, 1);
}

TEST_F(StreamPipeTest, ClosingWakesBoth) {
  ASSERT_EQ(Write(pipe_, std::string(992, 'x')), Poll::kReady);
  int wakes = 0;
  ASSERT_TRUE(pipe_.WakeForWrite([&wakes] { ++wakes; }));
  ASSERT_TRUE(pipe_.WakeForRead([&wakes] { ++wakes; }));
  EXPECT_TRUE(pipe_.Close(/*at_once=*/true));
  pipe_.RunWakes();
  EXPECT_EQ(wakes, 2);
}

// One thread on the user's side, one on the connection's, all the time.
TEST_F(StreamPipeTest, IsNotCutShortByWhatComesBehindTheLastMessage) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(pipe_.EndReads());
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_EQ(Read(pipe_), "(over)");
  pipe_.StopReads();
  EXPECT_FALSE(pipe_.Close(/*at_once=*/true));
  EXPECT_FALSE(pipe_.cut_short());
}

TEST_F(StreamPipeTest, IsCutShortBeforeTheLastMessage) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_FALSE(pipe_.cut_short());
  pipe_.StopReads();
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_TRUE(pipe_.cut_short());
}

TEST_F(StreamPipeTest, IsCutShortWhereTheLastMessagesHaveComeAndWereNotRead) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(pipe_.EndReads());
  pipe_.StopReads();
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_TRUE(pipe_.cut_short());
}

// They came together, and lie at the reader already.
TEST_F(StreamPipeTest, IsCutShortInTheMiddleOfABatch) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(Deliver("two"));
  EXPECT_FALSE(pipe_.EndReads());
  EXPECT_EQ(Read(pipe_), "one");
  pipe_.StopReads();
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_TRUE(pipe_.cut_short());
}

TEST_F(StreamPipeTest, IsCutShortByAnEndThatDropsTheRest) {
  EXPECT_FALSE(pipe_.Close(/*at_once=*/true));
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_TRUE(pipe_.cut_short());
}

TEST_F(StreamPipeTest, IsNotCutShortByAnEndThatLeavesTheRest) {
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(pipe_.Close(/*at_once=*/false));
  EXPECT_EQ(Read(pipe_), "one");
  EXPECT_EQ(Read(pipe_), "(over)");
  EXPECT_FALSE(pipe_.cut_short());
}

class FetchTest : public StreamPipeTest {
 protected:
  // From now on a reader that waits fetches this itself, and the connection
  // rests if it may.
  void OnWaitFetch(std::string message) {
    host_.fetch = [this, message = std::move(message)] {
      pipe_.Fetch([&](absl::FunctionRef<bool()> over) {
        EXPECT_FALSE(over());
        EXPECT_FALSE(Deliver(message));
        EXPECT_TRUE(over());
        return pipe_.Rest();
      });
    };
  }
  void FetchAndRest(size_t bytes = 1) {
    OnWaitFetch(std::string(bytes, 'f'));
    pipe_.WaitForRead();
    host_.fetch = nullptr;
    EXPECT_EQ(Read(pipe_), std::string(bytes, 'f'));
  }
  void FillForWriting() {
    EXPECT_EQ(Write(pipe_, std::string(1000, 'x')), Poll::kReady);
  }
};

TEST_F(FetchTest, BringsWhatAReaderWaitsFor) {
  OnWaitFetch("fetched");
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "fetched");
  EXPECT_EQ(host_.fetcher_wakes, 1);  // By Deliver(), whoever called it.
  EXPECT_FALSE(Deliver("not fetched"));
  EXPECT_EQ(host_.fetcher_wakes, 1);
}

TEST_F(FetchTest, WaitsOnWhenTooLittleWasFetched) {
  host_.fetch = [this] {
    pipe_.Fetch([](absl::FunctionRef<bool()>) { return false; });
  };
  std::thread other([this] { EXPECT_FALSE(Deliver("from elsewhere")); });
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "from elsewhere");
  other.join();
}

TEST_F(FetchTest, DoesNotFetchWhatIsThere) {
  OnWaitFetch("more");
  EXPECT_FALSE(Deliver("one"));
  EXPECT_FALSE(Deliver("two"));
  EXPECT_EQ(Read(pipe_), "one");
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "two");
  EXPECT_TRUE(pipe_.EndReads() == false);
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "(over)");
}

TEST_F(FetchTest, TheEndWakesTheFetcher) {
  host_.fetch = [this] {
    pipe_.Fetch([this](absl::FunctionRef<bool()> over) {
      EXPECT_FALSE(pipe_.Close(/*at_once=*/false));
      EXPECT_TRUE(over());
      return false;
    });
  };
  pipe_.WaitForRead();
  EXPECT_EQ(host_.fetcher_wakes, 1);
  EXPECT_EQ(Read(pipe_), "(over)");
}

// Rest() once, and whoever waits otherwise ends it, once.
TEST_F(FetchTest, RestEndsWithWhoeverWaitsOtherwise) {
  FetchAndRest();
  EXPECT_TRUE(pipe_.WakeForRead([] {}));
  EXPECT_EQ(host_.stops, 1);
  EXPECT_TRUE(pipe_.WakeForRead([] {}));
  EXPECT_EQ(host_.stops, 1);
}

TEST_F(FetchTest, RestEndsWithAWriterThatWaits) {
  FillForWriting();
  FetchAndRest();
  pipe_.WaitForWrite(MonotonicTime::Now());
  EXPECT_EQ(host_.stops, 1);
  FetchAndRest();
  EXPECT_TRUE(pipe_.WakeForWrite([] {}));
  EXPECT_EQ(host_.stops, 2);
}

TEST_F(FetchTest, RestEndsWithAReaderThatWantsNoMore) {
  FetchAndRest();
  pipe_.DiscardReads();
  EXPECT_EQ(host_.stops, 1);
}

TEST_F(FetchTest, DoesNotRestWhileSomebodyWaits) {
  FillForWriting();
  EXPECT_TRUE(pipe_.WakeForWrite([] {}));
  EXPECT_FALSE(pipe_.Rest());
  Take(pipe_);
  EXPECT_TRUE(pipe_.SetQueuedBytes(0));
  pipe_.RunWakes();
  EXPECT_TRUE(pipe_.Rest());
  EXPECT_TRUE(pipe_.WakeForRead([] {}));
  EXPECT_FALSE(pipe_.Rest());
}

TEST_F(FetchTest, WithoutARestNobodyIsTold) {
  FillForWriting();
  host_.fetch = [this] {
    pipe_.Fetch([&](absl::FunctionRef<bool()>) {
      EXPECT_FALSE(Deliver("f"));
      return false;
    });
  };
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "f");
  pipe_.WaitForWrite(MonotonicTime::Now());
  pipe_.DiscardReads();
  EXPECT_EQ(host_.stops, 0);
}

TEST_F(FetchTest, GivesCreditInLargerStepsAtRest) {
  FetchAndRest(199);
  EXPECT_EQ(host_.reads_at_rest, 0);
  EXPECT_FALSE(Deliver("x"));
  EXPECT_EQ(Read(pipe_), "x");
  EXPECT_EQ(host_.reads_at_rest, 1);
  EXPECT_EQ(host_.works, 0);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 200);
}

// The other side might wait for that; without a rest it would have had it.
TEST_F(FetchTest, GivesWithheldCreditBeforeItWaits) {
  FetchAndRest(99);
  FetchAndRest(1);
  EXPECT_EQ(host_.reads_at_rest, 0);
  FetchAndRest(7);
  EXPECT_EQ(host_.reads_at_rest, 1);
  EXPECT_EQ(pipe_.TakeWork().consumed_bytes, 100);
}

TEST_F(StreamPipeTest, LosesNothingBetweenThreads) {
  constexpr int kMessages = 20'000;
  std::thread connection([this] {
    // Gives back what it takes.
    int taken = 0;
    while (taken < kMessages) {
      for (const std::string& message : Take(pipe_)) {
        ++taken;
        EXPECT_FALSE(Deliver(message));
      }
      EXPECT_FALSE(pipe_.SetQueuedBytes(0));
    }
    EXPECT_FALSE(pipe_.EndReads());
  });
  std::thread writer([this] {
    for (int i = 0; i < kMessages; ++i) {
      while (Write(pipe_, std::to_string(i)) == Poll::kNotYet) {
        pipe_.WaitForWrite();
      }
    }
  });
  for (int i = 0; i < kMessages; ++i) {
    pipe_.WaitForRead();
    ASSERT_EQ(Read(pipe_), std::to_string(i));
  }
  pipe_.WaitForRead();
  EXPECT_EQ(Read(pipe_), "(over)");
  writer.join();
  connection.join();
}

// --- MessageStream -----------------------------------------------------------

using testing::RequiredMessage;

class MessageStreamTest : public StreamPipeTest {
 protected:
  MessageStream server_{&pipe_, MessageStream::End::kServer};
  MessageStream client_{&pipe_, MessageStream::End::kClient};
  RequiredMessage message_;
};

TEST_F(MessageStreamTest, FailsAtWhatIsNoMessage) {
  EXPECT_FALSE(Deliver("\x0a\x01x"));
  EXPECT_FALSE(Deliver("\x0a"));
  EXPECT_FALSE(Deliver("\x0a\x01y"));
  ASSERT_EQ(server_.TryRead(&message_), Poll::kReady);
  EXPECT_EQ(message_.text(), "x");
  EXPECT_EQ(server_.TryRead(&message_), Poll::kOver);
  EXPECT_EQ(server_.TryRead(&message_), Poll::kOver);
  EXPECT_FALSE(server_.WakeForRead([] {}));
  EXPECT_EQ(host_.failures, 1);
  const absl::Status failure = server_.TakeFailure();
  EXPECT_EQ(failure.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(failure.message(),
            "message 2 is not a well-formed tern.testing.RequiredMessage");
}

TEST_F(MessageStreamTest, BlamesTheOtherEnd) {
  EXPECT_FALSE(Deliver(""));  // Lacks a required field.
  EXPECT_EQ(client_.TryRead(&message_), Poll::kOver);
  EXPECT_EQ(client_.TakeFailure().code(), absl::StatusCode::kInternal);
}

TEST_F(MessageStreamTest, DoesNotSendWhatLacksRequiredFields) {
  EXPECT_EQ(client_.TryWrite(message_), Poll::kOver);
  EXPECT_EQ(client_.TakeFailure().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_.TryWrite(message_), Poll::kOver);
  EXPECT_EQ(server_.TakeFailure().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(host_.works, 0);
}

TEST_F(MessageStreamTest, TheFirstFailureCounts) {
  server_.Fail(absl::DataLossError("first"));
  server_.Fail(absl::AbortedError("second"));
  EXPECT_EQ(server_.TakeFailure(), absl::DataLossError("first"));
  EXPECT_TRUE(server_.failed());
}

TEST_F(MessageStreamTest, FailsInsteadOfBlockingWhereItMayNot) {
  host_.may_block = false;
  EXPECT_FALSE(Deliver("\x0a\x01x"));
  const auto forever = MonotonicTime::InfiniteFuture();
  // It did not have to wait.
  EXPECT_EQ(server_.ReadUntil(&message_, forever), Poll::kReady);
  EXPECT_EQ(server_.ReadUntil(&message_, forever), Poll::kOver);
  EXPECT_EQ(server_.TakeFailure().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tern
