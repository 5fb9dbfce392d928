#include "tern/lib/net/connector.h"

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/lib/net/short_folder.h"
#include "tests/lib/net/slot.h"

namespace tern::net {
namespace {

using Result = absl::StatusOr<Connector::Connected>;

Address Loopback() { return Address::FromNumericHost("127.0.0.1", 0).value(); }

// Listens, and lets the kernel take the connections.
class Accepting {
 public:
  explicit Accepting(int backlog = 16)
      : socket_(Listen(Loopback(), backlog).value()) {}
  Address address() const { return LocalAddress(socket_.get()); }

 private:
  FileDescriptor socket_;
};

// Bound, so that nobody else takes the port, but not listening.
class Refusing {
 public:
  Refusing() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address any = Loopback();
    EXPECT_EQ(bind(socket_.get(), any.sockaddr_ptr(), any.length()), 0);
  }
  Address address() const { return LocalAddress(socket_.get()); }

 private:
  FileDescriptor socket_;
};

// A listener whose queue is full: Linux ignores further attempts, as if the
// peer were not there.
class Silent {
 public:
  Silent() {
    // The queue of a backlog of 0 has one place. The third is a margin.
    for (int i = 0; i < 3; ++i) {
      waiting_.push_back(StartConnect(accepting_.address()).value());
    }
  }
  Address address() const { return accepting_.address(); }

 private:
  Accepting accepting_{0};
  std::vector<FileDescriptor> waiting_;
};

class ConnectorTest : public testing::Test {
 protected:
  ~ConnectorTest() override {
    loop_->PostAndWait([this] { connector_.reset(); });
  }

  void Start(std::vector<Address> addresses,
             absl::Duration timeout = absl::Seconds(30)) {
    loop_->PostAndWait([&] {
      connector_ = std::make_unique<Connector>(
          loop_.get(), std::move(addresses), timeout,
          [this](Result result) { slot_.Put(std::move(result)); });
      EXPECT_TRUE(slot_.empty()) << "called in the constructor";
    });
  }
  Result Connect(std::vector<Address> addresses,
                 absl::Duration timeout = absl::Seconds(30)) {
    Start(std::move(addresses), timeout);
    return slot_.Take();
  }
  // Returns once the loop's timers for up to then have run.
  void PassTime(absl::Duration duration) {
    Slot<bool> passed;
    std::unique_ptr<EventLoop::Timer> timer;
    loop_->PostAndWait([&] {
      timer = std::make_unique<EventLoop::Timer>(loop_.get(),
                                                 [&] { passed.Put(true); });
      timer->Set(loop_->now() + duration);
    });
    passed.Take();
    loop_->PostAndWait([&] { timer.reset(); });
  }
  static std::string Message(const Result& result) {
    return std::string(result.status().message());
  }

  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create("test").value();
  std::unique_ptr<Connector> connector_;
  Slot<Result> slot_;
};

TEST_F(ConnectorTest, HandsOverAConnectedSocket) {
  Accepting server;
  const Result result = Connect({server.address()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->peer, server.address());
  EXPECT_EQ(result->local, LocalAddress(result->socket.get()));
  EXPECT_EQ(PeerAddress(result->socket.get()), server.address());
  EXPECT_EQ(WriteSome(result->socket.get(), "x").kind, IoResult::kOk);
}

TEST_F(ConnectorTest, TriesTheSecondAddressWhenTheFirstRefuses) {
  Refusing first;
  Accepting second;
  const Result result = Connect({first.address(), second.address()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->peer, second.address());
}

TEST_F(ConnectorTest, TriesTheSecondAddressWhenTheFirstTimesOut) {
  Silent first;
  Accepting second;
  const Result result =
      Connect({first.address(), second.address()}, absl::Milliseconds(20));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->peer, second.address());
}

TEST_F(ConnectorTest, ListsEachAddressWithItsReasonWhenAllFail) {
  Refusing first;
  Silent second;
  const Result result =
      Connect({first.address(), second.address()}, absl::Milliseconds(20));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Message(result), "connect to " + first.address().ToString() +
                                 ": connection refused; " +
                                 second.address().ToString() +
                                 ": timed out after 20ms");
}

TEST_F(ConnectorTest, ReportsWhatFailsAtOnceAfterTheConstructor) {
  const ShortFolder folder;
  const Address nowhere =
      Address::FromUnixPath(folder.path() + "/no-such").value();
  const Result result = Connect({nowhere});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Message(result),
            "connect to " + nowhere.ToString() + ": no such file or directory");
}

TEST_F(ConnectorTest, HasTheLastCodeWhenNoneMayWorkLater) {
  const Result result = Connect({Address()});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ConnectorTest, IsUnavailableWhenAnyMayWorkLater) {
  Refusing refusing;
  const Result result = Connect({refusing.address(), Address()});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ConnectorTest, RefusesAnEmptyList) {
  const Result result = Connect({});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(result), "connect to no address");
}

TEST_F(ConnectorTest, ListsEightFailuresAndCountsTheRest) {
  Refusing refusing;
  const std::vector<Address> eight(8, refusing.address());
  EXPECT_EQ(Message(Connect(eight)).find("more"), std::string::npos);
  const std::vector<Address> nine(9, refusing.address());
  const std::string message = Message(Connect(nine));
  EXPECT_TRUE(message.ends_with("refused; and 1 more")) << message;
}

TEST_F(ConnectorTest, DestroyedWhileConnectingGivesUpAndCallsNobody) {
  Silent server;
  Start({server.address()}, absl::Milliseconds(20));
  // A turn later the attempt has started: timers come before what is posted.
  loop_->PostAndWait([] {});
  loop_->PostAndWait([this] { connector_.reset(); });
  PassTime(absl::Milliseconds(40));
  EXPECT_TRUE(slot_.empty());
}

TEST_F(ConnectorTest, SaysNothingMoreOnceItHasSucceeded) {
  Accepting first;
  Refusing second;
  ASSERT_TRUE(
      Connect({first.address(), second.address()}, absl::Milliseconds(20))
          .ok());
  PassTime(absl::Milliseconds(40));
  EXPECT_TRUE(slot_.empty());
}

TEST_F(ConnectorTest, DestroyedBeforeItsFirstAttemptCallsNobody) {
  Refusing server;
  loop_->PostAndWait([&] {
    Connector connector(
        loop_.get(), {server.address()}, absl::Seconds(1),
        [this](Result result) { slot_.Put(std::move(result)); });
  });
  loop_->PostAndWait([] {});
  EXPECT_TRUE(slot_.empty());
}

TEST_F(ConnectorTest, DoneMayDestroyTheConnector) {
  Accepting server;
  const auto connect = [&](std::vector<Address> addresses) {
    loop_->PostAndWait([&] {
      connector_ =
          std::make_unique<Connector>(loop_.get(), std::move(addresses),
                                      absl::Seconds(30), [this](Result result) {
                                        connector_.reset();
                                        slot_.Put(std::move(result));
                                      });
    });
    return slot_.Take();
  };
  EXPECT_TRUE(connect({server.address()}).ok());
  EXPECT_FALSE(connect({Refusing().address()}).ok());
  EXPECT_FALSE(connect({}).ok());
}

}  // namespace
}  // namespace tern::net
