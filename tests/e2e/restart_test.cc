// Server processes that take over from each other on one port, under load: no
// call fails and none is run twice.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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
// Each with a new connection for each of its calls.
constexpr int kNewcomers = 2;

class RestartTest : public ::testing::Test {
 protected:
  RestartTest()
      : listening_(
            net::Listen(*net::Address::FromNumericHost("127.0.0.1", 0), 1024)
                .value()),
        // The server processes inherit this one.
        inherited_(fcntl(listening_.get(), F_DUPFD, 3)) {
    for (int i = 0; i < kClients; ++i) {
      const auto channel = std::shared_ptr<Channel>(Channel::Create(target()));
      Load([this, channel, i](Event& done) { CallOn(channel, i, done); });
      Load([this, channel](Event& done) { Watch(*channel, done); });
    }
    for (int i = kClients; i < kClients + kNewcomers; ++i) {
      Load([this, i](Event& done) { CallOn(nullptr, i, done); });
    }
  }
  ~RestartTest() override { EndLoad(); }

  std::string target() const {
    return net::LocalAddress(listening_.get()).ToString();
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
  void EndLoad() {
    enough_ = true;
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

  void CallOn(const std::shared_ptr<Channel>& kept, int caller, Event& done) {
    const std::string text =
        std::to_string(caller) + "/" + std::to_string(done.count());
    const auto own = kept ? nullptr : Channel::Create(target());
    const absl::Status status =
        CallStatus(kept ? *kept : *own, text, {.timeout = kPatience});
    EXPECT_TRUE(status.ok()) << text << ": " << status;
    if (!status.ok()) ++failed_;
    done.Notify();
  }

  // A stream that is resumed where the last server has ended it.
  void Watch(Channel& channel, Event& done) {
    auto reader = Tester::Stub(channel).Watch(
        MessageWith(std::to_string(done.count())));
    Message message;
    while (!enough_ && reader.Read(&message)) {
      EXPECT_EQ(message.text(), std::to_string(done.count()));
      done.Notify();
    }
    if (enough_) return;
    ++resumed_;
    const absl::Status status = reader.Finish();
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) ++failed_;
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
  std::atomic<int> failed_{0};
  std::atomic<int> resumed_{0};
  std::deque<Event> done_;  // How much each thread has.
  std::vector<std::thread> threads_;
};

TEST_F(RestartTest, FailsNoCallAndRunsNoneTwice) {
  constexpr int kRestarts = 4;
  std::unique_ptr<kv::ChildProcess> server = StartServer();
  ASSERT_NE(server, nullptr);
  for (int i = 0; i < kRestarts && failed_ == 0; ++i) {
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

  EXPECT_EQ(failed_, 0);
  EXPECT_GE(resumed_, kClients * kRestarts);
  const std::map<std::string, int> ran = Ran();
  for (const auto& [text, times] : ran) EXPECT_EQ(times, 1) << text;
  size_t calls = 0;
  for (size_t i = 0; i < done_.size(); ++i) {
    const bool watches = i < 2 * kClients && i % 2 == 1;
    if (!watches) calls += done_[i].count();
  }
  EXPECT_EQ(ran.size(), calls);
}

}  // namespace
}  // namespace tern::testing
