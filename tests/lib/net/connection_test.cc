#include "tern/lib/net/connection.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "gtest/gtest.h"
#include "tern/lib/base/mutex.h"
#include "tests/lib/net/loop_fakes.h"
#include "tests/lib/net/slot.h"
#include "tests/lib/net/tcp_pair.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/pattern.h"

namespace tern::net {
namespace {

constexpr std::string_view kPreface("\xD4TERN\r\n\x1A", 8);

// A server's connection that tells the test what happens to it.
class TestConnection final : public Connection {
 public:
  struct Events {
    Slot<std::string> disconnected;  // The reason.
    Slot<bool> destroyed;            // On the loop's thread?
  };

  TestConnection(EventLoop* loop, FileDescriptor socket, Events* events,
                 const ConnectionOptions& options)
      : Connection(loop, std::move(socket), Address(),
                   std::make_shared<ConnectionOptions>(options)),
        events_(events) {}
  ~TestConnection() override { events_->destroyed.Put(loop()->OnLoopThread()); }

  std::atomic<int> turns{0};  // Of drivers.
  // In the next turn, whoever has it.
  void AtNextTurn(std::function<void()> what) {
    MutexLock lock(mutex_);
    at_next_turn_ = std::move(what);
  }
  // The same, and waits until it is done.
  void InATurn(const std::function<void()>& what) {
    Slot<bool> done;
    AtNextTurn([&] {
      what();
      done.Put(true);
    });
    Announce();
    done.Take();
  }
  // What each does. Set before it is started, or in a turn of its loop.
  std::function<void(TestConnection&)> on_turn;
  void Announce() { Drive(); }
  // As for a call that is over when `over` is true.
  void ReadHere(const std::atomic<bool>& over, MonotonicTime deadline) {
    DriveAndRead([&over] { return over.load(); }, MonotonicTime::Now(),
                 deadline);
  }
  // The same for a stream's messages.
  bool ReadStreamHere(absl::FunctionRef<bool()> over, bool may_rest = true,
                      MonotonicTime until = MonotonicTime::InfiniteFuture()) {
    return DriveAndReadStream(
        over, [may_rest] { return may_rest; }, until);
  }
  void EndReading() { WakeReader(); }
  using Connection::ReadByLoop;
  void LeaveToLoop() {
    role_.AssertHeld();
    PreferLoop();
  }

  // In a turn: begins a stream from the server, and cancels one.
  wire::Stream* BeginStream() {
    role_.AssertHeld();
    wire::CallHeader header = {.method = "test.Test/Stream"};
    const auto nothing = [](char*) {};
    const wire::OutgoingMessage message = {.size = 0, .write = nothing};
    wire::Stream* stream = nullptr;
    EXPECT_TRUE(session()
                    .Start(header, {.server_streaming = true},
                           MonotonicTime::InfiniteFuture(), nullptr, &message,
                           /*half_close=*/true, MonotonicTime::Now(), &stream)
                    .ok());
    return stream;
  }
  void CancelStream(wire::Stream* stream) {
    role_.AssertHeld();
    session().Cancel(stream, absl::StatusCode::kCancelled, "");
  }
  // What comes for them, and on which thread.
  struct Received {
    std::string bytes;
    std::thread::id thread;
  };
  Slot<Received> received;
  void DeferFromTurn(std::shared_ptr<Deferred> deferred) {
    role_.AssertHeld();
    Defer(std::move(deferred));
  }

 private:
  void OnMessage(wire::Stream&, wire::IncomingMessage& message) override {
    received.Put({std::string(message.bytes), std::this_thread::get_id()});
  }
  void OnEnd(wire::Stream&, const wire::StatusHeader&,
             wire::EndCause) override {
    role_.AssertHeld();
    EndRest();
  }
  void TakeSubmissions() override {
    ++turns;
    if (on_turn) on_turn(*this);
    std::function<void()> what;
    {
      MutexLock lock(mutex_);
      what = std::exchange(at_next_turn_, nullptr);
    }
    if (what) what();
  }
  void OnDisconnected(wire::ErrorCode, const std::string& reason) override {
    events_->disconnected.Put(reason);
  }

  Events* const events_;
  Mutex mutex_;
  std::function<void()> at_next_turn_ ABSL_GUARDED_BY(mutex_);
};

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() : loop_(EventLoop::Create("test").value()) {
    options_.session.role = wire::Role::kServer;
    int fds[2];
    EXPECT_EQ(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
        0);
    ours_ = FileDescriptor(fds[0]);
    peer_ = FileDescriptor(fds[1]);
  }

  std::shared_ptr<TestConnection> Make() {
    return std::make_shared<TestConnection>(loop_.get(), std::move(ours_),
                                            &events_, options_);
  }
  void Start(const std::shared_ptr<TestConnection>& connection) {
    loop_->PostAndWait([&] { connection->Start(); });
  }
  void Send(std::string_view bytes) {
    EXPECT_EQ(write(peer_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  // Another connection of the loop's, started.
  std::shared_ptr<TestConnection> MakeOther(FileDescriptor* peer,
                                            TestConnection::Events* events) {
    Pair pair;
    *peer = std::move(pair.theirs);
    auto other = std::make_shared<TestConnection>(
        loop_.get(), std::move(pair.ours), events, options_);
    Start(other);
    return other;
  }

  TestConnection::Events events_;
  ConnectionOptions options_;
  FileDescriptor ours_;
  FileDescriptor peer_;
  std::unique_ptr<EventLoop> loop_;
};

// epoll and the timer point at it.
TEST_F(ConnectionTest, LivesUntilItIsDisconnectedAndEndsOnItsLoop) {
  Start(Make());
  EXPECT_TRUE(events_.destroyed.empty());
  peer_.Close();
  EXPECT_EQ(events_.disconnected.Take(), "the peer closed the connection");
  EXPECT_TRUE(events_.destroyed.Take());
}

TEST_F(ConnectionTest, IsDisconnectedOnce) {
  const auto connection = Make();
  Start(connection);
  Send("garbage");
  peer_.Close();
  EXPECT_NE(events_.disconnected.Take(), "");
  loop_->PostAndWait([&] { connection->Abandon(); });
  connection->CloseSoon(wire::ErrorCode::kNoError, "late");
  connection->Announce();
  loop_->PostAndWait([] {});
  EXPECT_TRUE(events_.disconnected.empty());
}

TEST_F(ConnectionTest, CanBeAbandonedOnceItsLoopHasStopped) {
  const auto never_started = std::make_shared<TestConnection>(
      loop_.get(), FileDescriptor(dup(peer_.get())), &events_, options_);
  const auto connection = Make();
  Start(connection);
  loop_->Stop();
  connection->Abandon();
  EXPECT_EQ(events_.disconnected.Take(), "abandoned");
}

// Whoever announces work that its turn finds already done, and again, has the
// role for ever, if nobody takes it away.
TEST_F(ConnectionTest, WorkWithoutEndLeavesTheLoopAndTheDriverTheirTurns) {
  const auto connection = Make();
  std::atomic<bool> enough{false};
  std::atomic<int> turns{0};
  connection->on_turn = [&](TestConnection& self) {
    ++turns;
    if (!enough) self.Announce();
  };
  connection->Announce();  // Returns.
  Start(connection);       // Likewise, on the loop's thread.
  const int before = turns;
  while (turns < before + 100) std::this_thread::yield();
  loop_->PostAndWait([] {});  // The loop does other things as well.
  enough = true;
  peer_.Close();
  EXPECT_EQ(events_.disconnected.Take(), "the peer closed the connection");
  loop_->PostAndWait([] {});  // Behind the last turn, which uses our locals.
}

// Deferred work may drive the connection: the role has been let go.
TEST_F(ConnectionTest, RunsWhatIsDeferredWithoutTheRole) {
  class Later final : public Connection::Deferred {
   public:
    Later(TestConnection* connection, Slot<bool>* done)
        : connection_(connection), done_(done) {}
    void RunDeferred(std::shared_ptr<Deferred> /*share*/) override {
      connection_->Announce();
      done_->Put(true);
    }

   private:
    TestConnection* const connection_;
    Slot<bool>* const done_;
  };
  const auto connection = Make();
  Slot<bool> done;
  bool deferred = false;
  connection->on_turn = [&](TestConnection& self) {
    if (!std::exchange(deferred, true)) {
      self.DeferFromTurn(std::make_shared<Later>(&self, &done));
    }
  };
  connection->Announce();
  EXPECT_TRUE(done.Take());
  Start(connection);
  peer_.Close();
  events_.disconnected.Take();
  loop_->PostAndWait([] {});
}

TEST_F(ConnectionTest, SaysGoodbyeBeforeItCloses) {
  const auto connection = Make();
  Start(connection);
  Send(kPreface);
  connection->CloseSoon(wire::ErrorCode::kOverloaded, "no room");
  std::string received;
  while (true) {
    char buffer[1024];
    const ssize_t count = read(peer_.get(), buffer, sizeof(buffer));
    if (count == 0) break;
    if (count > 0) received.append(buffer, static_cast<size_t>(count));
    std::this_thread::yield();
  }
  EXPECT_NE(received.find("no room"), std::string::npos);
  // It waits for our FIN, so that what it said is not destroyed by a reset.
  EXPECT_TRUE(events_.disconnected.empty());
  peer_.Close();
  EXPECT_EQ(events_.disconnected.Take(), "no room");
}

TEST_F(ConnectionTest, TakesOneTurnForAllThatComesInATurnOfItsLoop) {
  const auto connection = Make();
  Start(connection);
  int before = 0;
  loop_->PostAndWait([&] {
    before = connection->turns;
    for (int i = 0; i < 7; ++i) connection->Announce();
    EXPECT_EQ(connection->turns, before);
  });
  loop_->PostAndWait([] {});
  EXPECT_EQ(connection->turns, before + 1);
  peer_.Close();
  events_.disconnected.Take();
}

// But the peer does not wait for the last of many.
TEST_F(ConnectionTest, WritesInTheMiddleOfATurnThatBringsMuch) {
  class Later final : public Connection::Deferred {
   public:
    explicit Later(int* runs) : runs_(runs) {}
    void RunDeferred(std::shared_ptr<Deferred> /*share*/) override { ++*runs_; }

   private:
    int* const runs_;
  };
  const auto connection = Make();
  Start(connection);
  int before = 0;
  int deferred = 0, runs = 0;
  loop_->PostAndWait([&] {
    before = connection->turns;
    connection->on_turn = [&](TestConnection& self) {
      ++deferred;
      self.DeferFromTurn(std::make_shared<Later>(&runs));
    };
    for (int i = 0; i < 31; ++i) connection->Announce();
    EXPECT_EQ(connection->turns, before + 1);
    connection->Announce();
    EXPECT_EQ(connection->turns, before + 2);
    // What is deferred may be a user's callback; here may be another's middle.
    EXPECT_EQ(runs, 0);
    connection->on_turn = nullptr;
  });
  loop_->PostAndWait([] {});
  EXPECT_EQ(connection->turns, before + 3);
  EXPECT_EQ(deferred, 2);
  EXPECT_EQ(runs, 2);
  peer_.Close();
  events_.disconnected.Take();
}

// A quarter of the calls that are under way at a time, or have been lately.
TEST_F(ConnectionTest, WritesLessOftenTheMoreIsOpen) {
  constexpr int kStreams = 100;
  options_.session.role = wire::Role::kClient;
  const auto connection = Make();
  Start(connection);
  std::vector<wire::Stream*> streams;
  connection->AtNextTurn([&] {
    for (int i = 0; i < kStreams; ++i) {
      streams.push_back(connection->BeginStream());
    }
  });
  connection->Announce();
  int most = kStreams / 4;
  // So often work has to be announced in a turn until it is written there.
  const auto announced_for_a_write = [&] {
    int count = 0;
    loop_->PostAndWait([&] {
      const int before = connection->turns;
      while (connection->turns == before && count < 1000) {
        connection->Announce();
        ++count;
      }
    });
    loop_->PostAndWait([] {});  // The flush that was due comes before.
    return count;
  };
  EXPECT_EQ(announced_for_a_write(), most);
  connection->AtNextTurn([&] {
    for (wire::Stream* stream : streams) connection->CancelStream(stream);
  });
  connection->Announce();
  for (int turns = 0; most > 16 && turns < 1000; ++turns) {
    const int now = announced_for_a_write();
    EXPECT_LE(now, most);
    most = now;
  }
  EXPECT_EQ(most, 16);
  peer_.Close();
  events_.disconnected.Take();
}

// Other connections have something to do meanwhile.
TEST_F(ConnectionTest, WritesOnceInATurnWhereItsLoopHasOthers) {
  const auto connection = Make();
  Start(connection);
  FileDescriptor other_peer;
  TestConnection::Events other_events;
  const auto other = MakeOther(&other_peer, &other_events);
  Slot<int> turns;
  bool told = false;
  loop_->PostAndWait([&] {
    other->on_turn = [&](TestConnection&) {
      if (std::exchange(told, true)) return;
      const int before = connection->turns;
      for (int i = 0; i < 100; ++i) connection->Announce();
      turns.Put(connection->turns - before);
    };
  });
  EXPECT_EQ(write(other_peer.get(), kPreface.data(), kPreface.size()),
            static_cast<ssize_t>(kPreface.size()));
  EXPECT_EQ(turns.Take(), 0);
  peer_.Close();
  other_peer.Close();
  events_.disconnected.Take();
  other_events.disconnected.Take();
  loop_->PostAndWait([] {});  // The loop has let go of it.
}

// ---- A caller that reads

class ReaderTest : public ConnectionTest {
 protected:
  ReaderTest() {
    options_.session.role = wire::Role::kClient;
    connection_ = Make();
    Start(connection_);
    // So many calls in a row that the next one's thread reads.
    const std::atomic<bool> over{true};
    for (int i = 0; i < 4; ++i) {
      connection_->ReadHere(over, MonotonicTime::InfiniteFuture());
    }
  }
  ~ReaderTest() override {
    peer_.Close();
    events_.disconnected.Take();
  }

  std::shared_ptr<TestConnection> connection_;
};

TEST_F(ReaderTest, ReturnsAtItsDeadline) {
  const std::atomic<bool> over{false};
  // (While the loop has the role, a call waits elsewhere.)
  MonotonicTime deadline;
  do {
    deadline = MonotonicTime::Now() + absl::Milliseconds(20);
    connection_->ReadHere(over, deadline);
  } while (MonotonicTime::Now() < deadline);
}

// Wherever the end of the call meets the beginning of the wait.
TEST_F(ReaderTest, ReturnsWhenItsCallIsOver) {
  for (int i = 0; i < 400; ++i) {
    std::atomic<bool> over{false};
    std::thread other([&] {
      for (volatile int spin = 0; spin < i % 100 * 20;) spin = spin + 1;
      over = true;
      connection_->EndReading();
    });
    // (Where the loop reads again, a call waits elsewhere.)
    while (!over) connection_->ReadHere(over, MonotonicTime::InfiniteFuture());
    other.join();
  }
}

// The socket is closed by the loop, not while a thread polls it.
TEST_F(ReaderTest, ReturnsWhenTheConnectionIsLost) {
  const std::atomic<bool> over{false};
  std::thread other([&] { peer_.Close(); });
  connection_->ReadHere(over, MonotonicTime::InfiniteFuture());
  other.join();
  // And again, the end being known.
  connection_->ReadHere(over, MonotonicTime::InfiniteFuture());
}

TEST_F(ReaderTest, LostConnectionIsNoticedWhileNobodyReads) {
  peer_.Close();
  events_.disconnected.Put(events_.disconnected.Take());
}

// The loop has no part in it.
TEST_F(ReaderTest, LongWaitLetsTheLoopSleep) {
  const int before = connection_->turns;
  const std::atomic<bool> over{false};
  connection_->ReadHere(over, MonotonicTime::Now() + absl::Milliseconds(400));
  EXPECT_LT(connection_->turns, before + 10);
}

// ---- One that reads a stream

// The loop does not come back by itself, unless it is told to.
class StreamReaderTest : public ConnectionTest {
 protected:
  explicit StreamReaderTest(
      absl::Duration caller_rest = absl::InfiniteDuration()) {
    options_.session.role = wire::Role::kClient;
    options_.caller_rest = caller_rest;
    connection_ = Make();
    Start(connection_);
    Send(testing::GreetingBytes());
    connection_->InATurn([this] { stream_ = connection_->BeginStream(); });
  }
  ~StreamReaderTest() override {
    peer_.Close();
    events_.disconnected.Take();
    loop_->PostAndWait([] {});  // The loop has let go of it.
  }

  void SendMessage(const std::string& text, uint32_t stream = 1) {
    Send(testing::MessageFrame(stream, text));
  }
  // Waits for the next message as a blocking reader does. True: it rests.
  // `comes` comes once this thread reads.
  bool ReadHere(std::string comes = {}, bool may_rest = true) {
    return connection_->ReadStreamHere(
        [&] {
          if (!comes.empty()) SendMessage(std::exchange(comes, {}));
          return !connection_->received.empty();
        },
        may_rest);
  }
  // So many waits in a row that this thread reads at the next one.
  void WaitOften() {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(ReadHere());
  }
  void Rest() {
    WaitOften();
    EXPECT_TRUE(ReadHere("first"));
    ExpectReceived("first", /*here=*/true);
  }
  // Does that while a thread waits, which is to leave reading to the loop then.
  void ExpectThatAReaderLeaves(const std::function<void()>& when) {
    WaitOften();
    std::atomic<bool> reads{false};
    Slot<bool> rests;
    std::thread reader([&] {
      rests.Put(connection_->ReadStreamHere([&] {
        reads = true;
        return false;
      }));
    });
    while (!reads) std::this_thread::yield();
    when();
    EXPECT_FALSE(rests.Take());
    reader.join();
    ExpectThatTheLoopReads();
  }
  void ExpectReceived(const std::string& text, bool here) {
    const TestConnection::Received received = connection_->received.Take();
    EXPECT_EQ(received.bytes, text);
    EXPECT_EQ(received.thread == std::this_thread::get_id(), here);
  }
  void Greet(const FileDescriptor& peer) {
    EXPECT_EQ(WriteSome(peer.get(), testing::GreetingBytes()).kind,
              IoResult::kOk);
  }
  void ExpectThatTheLoopReads() {
    SendMessage("then");
    ExpectReceived("then", /*here=*/false);
  }

  std::shared_ptr<TestConnection> connection_;
  wire::Stream* stream_ = nullptr;
};

TEST_F(StreamReaderTest, ReadsItselfAtTheFourthWait) {
  SendMessage("by the loop");
  ExpectReceived("by the loop", /*here=*/false);
  WaitOften();
  EXPECT_TRUE(ReadHere("here"));
  ExpectReceived("here", /*here=*/true);
}

TEST_F(StreamReaderTest, FindsWhatHasComeWhileNobodyRead) {
  Rest();
  for (int i = 0; i < 100; ++i) {
    SendMessage(std::to_string(i));
    EXPECT_TRUE(ReadHere());
    ExpectReceived(std::to_string(i), /*here=*/true);
  }
}

TEST_F(StreamReaderTest, RestEndsWhenSomebodyWaitsForSomethingElse) {
  Rest();
  connection_->ReadByLoop();
  ExpectThatTheLoopReads();
}

class ShortRestTest : public StreamReaderTest {
 protected:
  ShortRestTest() : StreamReaderTest(absl::Milliseconds(1)) {}
};

// Calls that come meanwhile and do not read, say since they must wait, do not
// count as the reader's coming back.
TEST_F(ShortRestTest, EndsWhateverElseIsCalled) {
  Rest();
  SendMessage("then");
  const std::atomic<bool> over{true};
  while (connection_->received.empty()) {
    connection_->ReadHere(over, MonotonicTime::InfiniteFuture());
  }
  ExpectReceived("then", /*here=*/false);
}

TEST_F(StreamReaderTest, DoesNotRestWhereSomebodyWaitsAlready) {
  WaitOften();
  EXPECT_FALSE(ReadHere("first", /*may_rest=*/false));
  ExpectReceived("first", /*here=*/true);
  ExpectThatTheLoopReads();
}

TEST_F(StreamReaderTest, RestEndsWhenAnotherStreamBegins) {
  Rest();
  connection_->InATurn([this] { connection_->BeginStream(); });
  ExpectThatTheLoopReads();
}

TEST_F(StreamReaderTest, RestEndsWithItsStreamThoughOneIsOpen) {
  Rest();
  connection_->InATurn([this] {
    connection_->CancelStream(stream_);
    connection_->BeginStream();
  });
  SendMessage("then", /*stream=*/3);
  ExpectReceived("then", /*here=*/false);
}

TEST_F(StreamReaderTest, LeavesTwoStreamsToTheLoop) {
  connection_->InATurn([this] { connection_->BeginStream(); });
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(ReadHere());
  ExpectThatTheLoopReads();
}

TEST_F(StreamReaderTest, LeavesToTheLoopWhenAnotherStreamBeginsMeanwhile) {
  WaitOften();
  Slot<bool> rests;
  std::thread reader(
      [&] { rests.Put(connection_->ReadStreamHere([] { return false; })); });
  // Whether it has begun to read by now or not.
  connection_->InATurn([this] { connection_->BeginStream(); });
  SendMessage("one");
  EXPECT_EQ(connection_->received.Take().bytes, "one");
  EXPECT_FALSE(rests.Take());
  reader.join();
  ExpectThatTheLoopReads();
}

// Nothing comes that would show it the other stream.
TEST_F(StreamReaderTest, LeavesToTheLoopWhenThatIsBetter) {
  ExpectThatAReaderLeaves(
      [this] { connection_->InATurn([this] { connection_->LeaveToLoop(); }); });
  // It takes longer to come back, that it does not go to and fro.
  for (int i = 0; i < 63; ++i) EXPECT_FALSE(ReadHere());
  EXPECT_TRUE(ReadHere("here"));
  ExpectReceived("here", /*here=*/true);
}

TEST_F(StreamReaderTest, LeavesToTheLoopWhenAnotherThreadSaysSo) {
  ExpectThatAReaderLeaves([this] { connection_->ReadByLoop(); });
}

TEST_F(StreamReaderTest, ReturnsAtItsTimeAndRests) {
  WaitOften();
  const MonotonicTime until = MonotonicTime::Now() + absl::Milliseconds(20);
  EXPECT_TRUE(connection_->ReadStreamHere([] { return false; },
                                          /*may_rest=*/true, until));
  EXPECT_GE(MonotonicTime::Now(), until);
  SendMessage("late");
  EXPECT_TRUE(ReadHere());
  ExpectReceived("late", /*here=*/true);
}

// Wherever that meets the beginning of its wait.
TEST_F(StreamReaderTest, ReturnsWhenItIsWoken) {
  Rest();
  for (int i = 0; i < 100; ++i) {
    std::atomic<bool> over{false};
    std::thread other([&] {
      for (volatile int spin = 0; spin < i % 100 * 20;) spin = spin + 1;
      over = true;
      connection_->EndReading();
    });
    EXPECT_TRUE(connection_->ReadStreamHere([&] { return over.load(); }));
    other.join();
  }
}

TEST_F(StreamReaderTest, ReturnsWhenTheConnectionIsLost) {
  Rest();
  std::thread other([this] { shutdown(peer_.get(), SHUT_RDWR); });
  EXPECT_FALSE(connection_->ReadStreamHere([] { return false; }));
  other.join();
  EXPECT_FALSE(connection_->ReadStreamHere([] { return false; }));
}

// What the loop has read of several connections at once comes before what a
// thread would read of one of them.
TEST_F(StreamReaderTest, LeavesTheRestToALoopThatHasReadAhead) {
  FileDescriptor other_peer;
  TestConnection::Events other_events;
  const auto other = MakeOther(&other_peer, &other_events);
  WaitOften();
  loop_->PostAndWait([&] {
    other->AtNextTurn([&] {
      int unread = -1;
      EXPECT_EQ(ioctl(peer_.get(), SIOCOUTQ, &unread), 0);
      EXPECT_EQ(unread, 0);
      SendMessage("second");
      std::thread([&] { EXPECT_FALSE(ReadHere()); }).join();
    });
    Greet(other_peer);
    SendMessage("first");
  });
  ExpectReceived("first", /*here=*/false);
  ExpectReceived("second", /*here=*/false);
  other_peer.Close();
  other_events.disconnected.Take();
  loop_->PostAndWait([] {});  // The loop has let go of it.
}

// A loop that has been told of input which the thread has read since does not
// come between its reads.
TEST_F(StreamReaderTest, GoesOnWhileTheLoopComesTooLate) {
  constexpr int kBefore = 8;  // So many the loop calls first.
  Pair pairs[kBefore];
  std::vector<std::unique_ptr<FunctionHandler>> handlers;
  bool first = true;
  for (Pair& pair : pairs) {
    handlers.push_back(std::make_unique<FunctionHandler>(
        [&, handler = handlers.size()](uint32_t) {
          loop_->Unregister(pair.ours.get(), handlers[handler].get());
          if (!std::exchange(first, false)) return;
          std::thread([&] { EXPECT_TRUE(ReadHere()); }).join();
          EXPECT_EQ(connection_->received.Take().bytes, "first");
        }));
  }
  FileDescriptor other_peer;
  TestConnection::Events other_events;
  const auto other = MakeOther(&other_peer, &other_events);
  WaitOften();
  loop_->PostAndWait([&] {
    for (int i = 0; i < kBefore; ++i) {
      EXPECT_TRUE(
          loop_->Register(pairs[i].ours.get(), EPOLLIN, handlers[i].get())
              .ok());
      pairs[i].MakeReadable();
    }
    other->AtNextTurn([&] {
      std::thread([&] { EXPECT_TRUE(ReadHere("second")); }).join();
      EXPECT_EQ(connection_->received.Take().bytes, "second");
    });
    Greet(other_peer);
    SendMessage("first");
  });
  loop_->PostAndWait([] {});
  EXPECT_FALSE(first);
  other_peer.Close();
  other_events.disconnected.Take();
  loop_->PostAndWait([] {});  // The loop has let go of it.
}

TEST_F(StreamReaderTest, LostConnectionIsNoticedWhileItRests) {
  Rest();
  shutdown(peer_.get(), SHUT_RDWR);
  events_.disconnected.Put(events_.disconnected.Take());
}

// ---- A long message

// Over TCP, as it is the kernel's TCP that is asked to wait for much.
class LongInputTest : public ConnectionTest {
 protected:
  LongInputTest() {
    TcpPair pair;
    ours_ = std::move(pair.server);
    peer_ = std::move(pair.client);
    socket_ = ours_.get();
    options_.session.role = wire::Role::kClient;
    options_.session.hello.stream_window_bytes = 1 << 30;
    options_.session.hello.connection_window_bytes = 1 << 30;
    options_.session.hello.min_ping_interval_ms = 0;
    connection_ = Make();
    Start(connection_);
    SendAll(testing::GreetingBytes());
    connection_->InATurn([this] { connection_->BeginStream(); });
  }
  ~LongInputTest() override {
    if (reader_.joinable()) StopReader();
    peer_.Close();
    events_.disconnected.Take();
    loop_->PostAndWait([] {});  // The loop has let go of it.
  }

  void SendAll(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = write(peer_.get(), bytes.data(), bytes.size());
      ASSERT_GT(sent, 0);
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // A part of the stream's message, one chunk after the other.
  void SendPart(size_t begin, size_t end) {
    std::string bytes;
    for (; begin < end; begin += kChunkBytes) {
      const bool last = begin + kChunkBytes == kMessageBytes;
      bytes +=
          testing::RawFrame{
              .type = 3,
              .flags = static_cast<uint8_t>(begin == 0 ? 4
                                            : last     ? 2
                                                       : 0),
              .stream = 1,
              .payload =
                  (begin == 0 ? testing::BigEndian32(kMessageBytes) : "") +
                  message_.substr(begin, kChunkBytes)}
              .Bytes();
    }
    SendAll(bytes);
  }
  // The message has come, to the reader if there is one.
  void ExpectWhole() {
    const TestConnection::Received received = connection_->received.Take();
    EXPECT_TRUE(received.bytes == message_);
    EXPECT_EQ(received.thread == reader_.get_id(), reader_.joinable());
  }
  // A thread that reads from now on.
  void StartReader() {
    reader_ = std::thread([this] {
      while (!over_) {
        connection_->ReadStreamHere([this] { return over_.load(); },
                                    /*may_rest=*/false);
      }
    });
    do {
      SendAll(testing::MessageFrame(1, "who reads?"));
    } while (connection_->received.Take().thread != reader_.get_id());
  }
  void StopReader() {
    over_ = true;
    connection_->EndReading();
    reader_.join();
  }
  int LowWater() const {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    EXPECT_EQ(getsockopt(socket_, SOL_SOCKET, SO_RCVLOWAT, &bytes, &size), 0);
    return bytes;
  }
  // For how many bytes the reader waits within a moment from now, if for more
  // than one: it never does for long.
  int WaitsFor() const {
    const MonotonicTime end = MonotonicTime::Now() + absl::Milliseconds(20);
    while (MonotonicTime::Now() < end) {
      if (const int bytes = LowWater(); bytes > 1) return bytes;
    }
    return 1;
  }
  // Sends the first `part` bytes of a message, and whole ones before it as
  // often as it takes to see that much is waited for.
  [[nodiscard]] bool BeginUntilMuchIsWaitedFor(size_t part = kPartBytes,
                                               int much = kMostBytes) {
    for (int i = 0; i < 1000; ++i) {
      SendPart(0, part);
      // (The first read does not take all that there is.)
      int waits_for;
      do {
        waits_for = WaitsFor();
      } while (waits_for != 1 && waits_for != much);
      if (waits_for == much) return true;
      SendPart(part, kMessageBytes);
      ExpectWhole();
    }
    return false;
  }
  // All that has come is read, though it is not much.
  void ExpectPong(std::string_view opaque8) {
    SendAll(testing::PingFrame(opaque8));
    const std::string pong = testing::PingFrame(opaque8, /*ack=*/true);
    std::string got;
    while (got.find(pong) == std::string::npos) {
      pollfd input = {.fd = peer_.get(), .events = POLLIN, .revents = 0};
      // (After 5 s a connection looks whether it is idle.)
      ASSERT_EQ(poll(&input, 1, 4'000), 1)
          << opaque8 << " is never read; " << LowWater() << " are waited for";
      char buffer[4096];
      const ssize_t size = read(peer_.get(), buffer, sizeof(buffer));
      ASSERT_GT(size, 0);
      got.append(buffer, static_cast<size_t>(size));
    }
  }

  // For the rest of a message, though its reader would rather have much.
  void ExpectThatNothingWaitsLong() {
    ASSERT_TRUE(BeginUntilMuchIsWaitedFor());
    ExpectPong("soon....");
    SendPart(kPartBytes, 2 * kPartBytes);
    ExpectPong("again...");
    SendPart(2 * kPartBytes, kMessageBytes);
    ExpectWhole();
    ExpectPong("whole...");
    EXPECT_EQ(LowWater(), 1);
  }

  static constexpr int kMostBytes = 256 << 10;
  static constexpr size_t kChunkBytes = 16'000;
  static constexpr size_t kMessageBytes = 30 * kChunkBytes;
  static constexpr size_t kPartBytes = 10 * kChunkBytes;
  const std::string message_ = testing::Pattern(kMessageBytes);
  std::shared_ptr<TestConnection> connection_;
  int socket_ = -1;
  std::atomic<bool> over_{false};
  std::thread reader_;
};

TEST_F(LongInputTest, IsReadByTheLoopWhenMuchHasComeOrSoon) {
  ExpectThatNothingWaitsLong();
}

TEST_F(LongInputTest, IsReadByAThreadWhenMuchHasComeOrSoon) {
  StartReader();
  ExpectThatNothingWaitsLong();
  StopReader();
}

// A reader that leaves in the middle of a message leaves nothing behind.
TEST_F(LongInputTest, IsReadByTheLoopWhenItsReaderHasLeft) {
  StartReader();
  ASSERT_TRUE(BeginUntilMuchIsWaitedFor());
  StopReader();
  ExpectPong("by loop.");
  SendPart(kPartBytes, kMessageBytes);
  ExpectWhole();
}

// What comes for another stream is not to wait.
TEST_F(LongInputTest, IsReadAsItComesBesideAnotherStream) {
  connection_->InATurn([this] { connection_->BeginStream(); });
  for (int i = 0; i < 20; ++i) {
    SendPart(0, kPartBytes);
    EXPECT_EQ(WaitsFor(), 1);
    SendPart(kPartBytes, kMessageBytes);
    ExpectWhole();
  }
}

// In steps of 64 KiB, and 256 KiB at the most; fewer are not waited for.
TEST_F(LongInputTest, IsWaitedForAsFarAsItGoes) {
  constexpr int kStepBytes = 64 << 10;
  // What is missing of the message then, in chunks.
  static_assert(17 * kChunkBytes > kMostBytes && 16 * kChunkBytes < kMostBytes);
  EXPECT_TRUE(BeginUntilMuchIsWaitedFor(13 * kChunkBytes, kMostBytes));
  SendPart(13 * kChunkBytes, kMessageBytes);
  ExpectWhole();
  EXPECT_TRUE(BeginUntilMuchIsWaitedFor(14 * kChunkBytes, 3 * kStepBytes));
  SendPart(14 * kChunkBytes, kMessageBytes);
  ExpectWhole();
  static_assert(5 * kChunkBytes > kStepBytes && 4 * kChunkBytes < kStepBytes);
  EXPECT_TRUE(BeginUntilMuchIsWaitedFor(25 * kChunkBytes, kStepBytes));
  SendPart(25 * kChunkBytes, kMessageBytes);
  ExpectWhole();
}

TEST_F(LongInputTest, EndsWithItsConnection) {
  ASSERT_TRUE(BeginUntilMuchIsWaitedFor());
  shutdown(peer_.get(), SHUT_WR);
  const std::string reason = events_.disconnected.Take();
  EXPECT_EQ(reason, "the peer closed the connection");
  events_.disconnected.Put(reason);  // For the destructor.
}

}  // namespace
}  // namespace tern::net
