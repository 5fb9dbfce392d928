// Server processes that take over from each other on one port, under load: no
// call fails and none is run twice.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/kv/child_process.h"
#include "gmock/gmock.h"
#include "tern/client/channel.h"
#include "tern/lib/net/socket.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kServerProgram[] = "tests/e2e/restart_server";
// Each with a thread that calls and one that reads a stream, on one connection.
constexpr int kClients = 5;
// Each with a new connection for each of its calls: at any moment some of them
// wait in the socket's queue, or have just been accepted and said nothing yet.
constexpr int kNewcomers = 4;

class RestartTest : public ::testing::Test {
 protected:
  RestartTest()
      : listening_(
            net::Listen(*net::Address::FromNumericHost("127.0.0.1", 0), 1024)
                .value()),
        // The server processes inherit this one.
        inherited_(fcntl(listening_.get(), F_DUPFD, 3)) {
    for (int i = 0; i < kClients; ++i) {
      const std::shared_ptr<Channel> channel = Connect();
      Load([this, channel, i](Event& done) { CallOn(channel, i, done); });
      Load([this, channel](Event& done) { Watch(*channel, done); });
    }
    for (int i = kClients; i < kClients + kNewcomers; ++i) {
      Load([this, i](Event& done) { CallOn(nullptr, i, done); });
    }
  }
  ~RestartTest() override { EndLoad(); }

  std::unique_ptr<Channel> Connect() const {
    return Channel::Create(net::LocalAddress(listening_.get()).ToString());
  }

  // --- Server processes

  std::unique_ptr<kv::ChildProcess> StartServer() {
    records_.push_back(::testing::TempDir() + "/record-" +
                       std::to_string(records_.size()));
    auto process = kv::ChildProcess::Start(
        {kServerProgram, "fd:" + std::to_string(inherited_.get()),
         records_.back()});
    if (!process.ok()) {
      ADD_FAILURE() << process.status();
      return nullptr;
    }
    const auto line = (*process)->ReadLineAfter("listening", kPatience);
    EXPECT_TRUE(line.ok()) << line.status();
    return *std::move(process);
  }
  static void StopServer(kv::ChildProcess& process) {
    process.Signal(SIGTERM);
    const absl::StatusOr<int> code = process.Wait(2 * kPatience);
    EXPECT_TRUE(code.ok() && *code == 0) << code.status();
    EXPECT_THAT(process.output(), Not(HasSubstr("cancelled")));
  }

  // --- Load

  void Load(std::function<void(Event& done)> body) {
    Event* const done = &done_.emplace_back();
    threads_.emplace_back([this, body, done] {
      while (!enough_) body(*done);
    });
  }
  // Every call that has begun gets its end. REQUIRES: a server.
  void EndLoad() {
    enough_ = true;
    if (threads_.empty()) return;
    // Ends the streams.
    (void)Tester::Stub(*Connect()).Other(Message(), {.timeout = kPatience});
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Every thread gets some more done.
  void ExpectAllAdvance() {
    std::vector<int> goals;
    for (const Event& done : done_) goals.push_back(done.count() + 20);
    for (size_t i = 0; i < done_.size(); ++i) {
      EXPECT_TRUE(done_[i].Wait(goals[i])) << "thread " << i << " is stuck";
    }
  }

  // The calls of one kind, all clients' together.
  struct Count {
    std::atomic<int> begun{0};
    std::atomic<int> ok{0};
    std::atomic<int> failed{0};

    void End(const absl::Status& status, std::string_view what) {
      EXPECT_TRUE(status.ok()) << what << ": " << status;
      ++(status.ok() ? ok : failed);
    }
    std::string ToString() const {
      return absl::StrCat(begun.load(), " begun, ", ok.load(), " OK, ",
                          failed.load(), " failed");
    }
  };

  void CallOn(const std::shared_ptr<Channel>& kept, int caller, Event& done) {
    const std::string text =
        std::to_string(caller) + "/" + std::to_string(done.count());
    const auto own = kept ? nullptr : Connect();
    ++calls_.begun;
    absl::StatusOr<Message> reply =
        Call(kept ? *kept : *own, text, {.timeout = kPatience});
    if (reply.ok()) {
      EXPECT_EQ(reply->text(), text);
    }
    calls_.End(reply.status(), text);
    done.Notify();
  }

  // A stream that is resumed where the last server has ended it.
  void Watch(Channel& channel, Event& done) {
    ++streams_.begun;
    auto reader =
        Tester::Stub(channel).Watch(MessageWith(std::to_string(done.count())));
    Message message;
    while (reader.Read(&message)) {
      EXPECT_EQ(message.text(), std::to_string(done.count()));
      done.Notify();
    }
    streams_.End(reader.Finish(), "stream");
  }

  // How often each call was run, by all servers together.
  std::map<std::string, int> Ran() const {
    std::map<std::string, int> ran;
    for (const std::string& path : records_) {
      std::ifstream file(path);
      int lines = 0;
      for (std::string line; std::getline(file, line); ++lines) ++ran[line];
      EXPECT_GT(lines, 0) << path;
    }
    return ran;
  }

  const net::FileDescriptor listening_;
  const net::FileDescriptor inherited_;
  std::vector<std::string> records_;

  std::atomic<bool> enough_{false};
  Count calls_;
  Count streams_;
  std::deque<Event> done_;  // How much each thread has.
  std::vector<std::thread> threads_;
};

TEST_F(RestartTest, FailsNoCallAndRunsNoneTwice) {
  constexpr int kRestarts = 6;
  std::unique_ptr<kv::ChildProcess> server = StartServer();
  ASSERT_NE(server, nullptr);
  for (int i = 0; i < kRestarts && !HasFailure(); ++i) {
    ExpectAllAdvance();
    if (i % 2 == 0) {
      // Both accept for a while.
      std::unique_ptr<kv::ChildProcess> next = StartServer();
      ASSERT_NE(next, nullptr);
      StopServer(*server);
      server = std::move(next);
    } else {
      // Nobody does for a while: who connects waits.
      StopServer(*server);
      server = StartServer();
      ASSERT_NE(server, nullptr);
    }
  }
  ExpectAllAdvance();
  EndLoad();
  StopServer(*server);

  // Every call is accounted for, by the clients and by the servers.
  EXPECT_EQ(calls_.ok, calls_.begun);
  EXPECT_EQ(calls_.failed, 0);
  EXPECT_EQ(streams_.ok, streams_.begun);
  EXPECT_EQ(streams_.failed, 0);
  EXPECT_GE(streams_.begun, kClients * (kRestarts + 1));
  const std::map<std::string, int> ran = Ran();
  for (const auto& [text, times] : ran) EXPECT_EQ(times, 1) << text;
  EXPECT_EQ(ran.size(), static_cast<size_t>(calls_.begun));
  std::cout << kRestarts << " restarts; calls: " << calls_.ToString()
            << "; streams: " << streams_.ToString() << std::endl;
}

}  // namespace
}  // namespace tern::testing
