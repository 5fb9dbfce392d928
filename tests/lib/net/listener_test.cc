#include "tern/lib/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tern/lib/base/log.h"
#include "tests/lib/net/short_folder.h"
#include "tests/lib/net/slot.h"

namespace tern::net {
namespace {

constexpr int kBacklog = 512;

Address Loopback(uint16_t port = 0) {
  return Address::FromNumericHost("127.0.0.1", port).value();
}

// A client with a plain blocking socket.
class Client {
 public:
  Client() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_TRUE(socket_.valid());
  }
  void Connect(const Address& address) {
    ASSERT_EQ(connect(socket_.get(), address.sockaddr_ptr(), address.length()),
              0);
  }
  // Waits until the server has closed the connection.
  bool SeesTheEnd() {
    char byte;
    const IoResult result = WaitAndReadSome(socket_.get(), &byte, 1);
    return result.kind == IoResult::kEndOfStream ||
           (result.kind == IoResult::kError && result.error == ECONNRESET);
  }
  Address local() const { return LocalAddress(socket_.get()); }
  // Leaves with a reset instead of an orderly end.
  void Reset() {
    const linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    socket_.Close();
  }

 private:
  FileDescriptor socket_;
};

struct Accepted {
  FileDescriptor socket;
  Address peer;
  MonotonicTime turn;
};

class ListenerTest : public testing::Test {
 protected:
  absl::Status Start(const Address& address) {
    auto listener = Listener::Start(
        loop_.get(), address, kBacklog,
        [this](FileDescriptor socket, const Address& peer) {
          EXPECT_TRUE(loop_->OnLoopThread());
          accepted_.Put({std::move(socket), peer, loop_->now()});
        });
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }
  void StartOnLoopback() { ASSERT_TRUE(Start(Loopback()).ok()); }

  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create("test").value();
  Slot<Accepted> accepted_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(ListenerTest, HandsOverConfiguredConnectionsWithTheirPeer) {
  StartOnLoopback();
  EXPECT_NE(listener_->address().port(), 0);
  Client client;
  client.Connect(listener_->address());
  const Accepted accepted = accepted_.Take();
  EXPECT_EQ(accepted.peer, client.local());
  EXPECT_TRUE(fcntl(accepted.socket.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(accepted.socket.get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(ListenerTest, AcceptsManyAtMostSixtyFourATurn) {
  constexpr size_t kClients = 3 * Listener::kAcceptsPerTurn;
  StartOnLoopback();
  // The loop is held until all of them wait.
  std::latch held(1);
  std::latch release(1);
  loop_->Post([&] {
    held.count_down();
    release.wait();
  });
  held.wait();
  std::vector<Client> clients(kClients);
  for (Client& client : clients) client.Connect(listener_->address());
  release.count_down();
  std::map<MonotonicTime, int> per_turn;
  for (size_t i = 0; i < kClients; ++i) ++per_turn[accepted_.Take().turn];
  for (const auto& [turn, count] : per_turn) {
    EXPECT_LE(count, Listener::kAcceptsPerTurn);
  }
  EXPECT_GE(per_turn.size(), 3u);
}

TEST_F(ListenerTest, PortInUseIsReportedAndARetryWorks) {
  StartOnLoopback();
  const Address address = listener_->address();
  const std::unique_ptr<Listener> first = std::move(listener_);
  const absl::Status status = Start(address);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()),
            "listen on " + address.ToString() + ": address already in use");
}

TEST_F(ListenerTest, FreesItsPortWhenDestroyed) {
  StartOnLoopback();
  const Address address = listener_->address();
  listener_.reset();
  EXPECT_TRUE(Start(address).ok());
}

// L7. What is left of a connection that was reset before it was accepted is
// accept's problem only.
TEST_F(ListenerTest, GoesOnAfterConnectionsThatWereResetWhileWaiting) {
  StartOnLoopback();
  std::latch held(1);
  std::latch release(1);
  loop_->Post([&] {
    held.count_down();
    release.wait();
  });
  held.wait();
  for (int i = 0; i < 10; ++i) {
    Client client;
    client.Connect(listener_->address());
    client.Reset();
  }
  Client good;
  good.Connect(listener_->address());
  release.count_down();
  while (!(accepted_.Take().peer == good.local())) {
  }
}

// Leaves this process without a free descriptor.
class NoFreeDescriptors {
 public:
  NoFreeDescriptors() {
    // UBSan looks at a type for the first time through a pipe, which it could
    // not have later; the listener will log.
    TERN_LOG(kInfo) << "taking all descriptors " << uint64_t{0};
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit few = before_;
    // The lowest free number, and some for holes below the others' numbers.
    few.rlim_cur = FileDescriptor(open("/dev/null", O_RDONLY)).get() + 8;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (;;) {
      FileDescriptor fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd.valid()) break;
      taken_.push_back(std::move(fd));
    }
    EXPECT_EQ(errno, EMFILE);
  }
  ~NoFreeDescriptors() {
    taken_.clear();
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  void FreeOne() { taken_.pop_back(); }

 private:
  rlimit before_;
  std::vector<FileDescriptor> taken_;
};

// L6.
TEST_F(ListenerTest, WithoutDescriptorsClosesWhatWaitsAndRecovers) {
  StartOnLoopback();
  std::vector<Client> refused(5);
  Client served;
  {
    NoFreeDescriptors none;
    for (Client& client : refused) {
      client.Connect(listener_->address());
      EXPECT_TRUE(client.SeesTheEnd());
    }
    EXPECT_EQ(listener_->refused(), refused.size());
    EXPECT_TRUE(accepted_.empty());
    loop_->PostAndWait([] {});  // It has seen that nobody else waits.
    none.FreeOne();
    served.Connect(listener_->address());
    EXPECT_EQ(accepted_.Take().peer, served.local());
  }
  EXPECT_EQ(listener_->refused(), refused.size());
}

TEST_F(ListenerTest, WithoutDescriptorsLeavesTheLoopIdle) {
  StartOnLoopback();
  const auto cpu_time = [this] {
    timespec time{};
    loop_->PostAndWait([&] { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); });
    return absl::DurationFromTimespec(time);
  };
  Client clients[3];
  NoFreeDescriptors none;
  const absl::Duration before = cpu_time();
  // Pauses of 10, 20 and 40 ms lie between these at most.
  for (Client& client : clients) {
    client.Connect(listener_->address());
    EXPECT_TRUE(client.SeesTheEnd());
  }
  EXPECT_LT(cpu_time() - before, absl::Milliseconds(10));
}

TEST_F(ListenerTest, MayBeDestroyedInItsPause) {
  StartOnLoopback();
  Client client;
  NoFreeDescriptors none;
  client.Connect(listener_->address());
  EXPECT_TRUE(client.SeesTheEnd());
  listener_.reset();
}

TEST_F(ListenerTest, MayBeDestroyedInItsCallback) {
  Slot<Address> accepted;
  const std::string held = "a string that is too long for its own storage";
  auto listener =
      Listener::Start(loop_.get(), Loopback(), kBacklog,
                      [&, held](FileDescriptor, const Address& peer) {
                        listener_.reset();
                        EXPECT_EQ(held.size(), 45u);
                        accepted.Put(peer);
                      });
  ASSERT_TRUE(listener.ok()) << listener.status();
  // Two wait, so that there would be more to accept afterwards.
  std::latch held_loop(1);
  std::latch release(1);
  loop_->Post([&] {
    held_loop.count_down();
    release.wait();
  });
  held_loop.wait();
  listener_ = *std::move(listener);
  Client clients[2];
  for (Client& client : clients) client.Connect(listener_->address());
  release.count_down();
  EXPECT_EQ(accepted.Take(), clients[0].local());
  loop_->PostAndWait([] {});
  EXPECT_TRUE(accepted.empty());
}

TEST_F(ListenerTest, MayBeDestroyedAfterItsLoopHasStopped) {
  StartOnLoopback();
  loop_->Stop();
  listener_.reset();
}

// Two processes have one socket, which here are two listeners.
TEST_F(ListenerTest, LeavesWhatWaitsToOthersThatHaveItsSocket) {
  const FileDescriptor socket = Listen(Loopback(), kBacklog).value();
  const auto start = [&] {
    return Listener::StartOn(
        loop_.get(), ShareListening(socket.get()).value(),
        [this](FileDescriptor accepted, const Address& peer) {
          accepted_.Put({std::move(accepted), peer, loop_->now()});
        });
  };
  auto first = start();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->address(), LocalAddress(socket.get()));
  Client clients[2];
  clients[0].Connect((*first)->address());
  EXPECT_EQ(accepted_.Take().peer, clients[0].local());
  first->reset();
  clients[1].Connect(LocalAddress(socket.get()));
  auto second = start();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(accepted_.Take().peer, clients[1].local());
}

class UnixListenerTest : public ListenerTest {
 protected:
  ~UnixListenerTest() override { listener_.reset(); }
  absl::Status StartOnPath() {
    return Start(Address::FromUnixPath(path_).value());
  }

  const ShortFolder folder_;
  const std::string path_ = folder_.path() + "/s";
};

TEST_F(UnixListenerTest, RemovesItsPathWhenDestroyed) {
  ASSERT_TRUE(StartOnPath().ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
  const auto client = StartConnect(listener_->address());
  EXPECT_TRUE(client.ok());
  EXPECT_TRUE(accepted_.Take().peer.is_unix());
  listener_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixListenerTest, LeavesAPathThatItHasNotMade) {
  auto socket = Listen(Address::FromUnixPath(path_).value(), kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto listener = Listener::StartOn(loop_.get(), *std::move(socket),
                                    [](FileDescriptor, const Address&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  listener->reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixListenerTest, LeavesAPathThatIsNoLongerItsOwn) {
  ASSERT_TRUE(StartOnPath().ok());
  std::unique_ptr<Listener> first = std::move(listener_);
  std::filesystem::remove(path_);
  ASSERT_TRUE(StartOnPath().ok());
  first.reset();
  EXPECT_TRUE(StartConnect(listener_->address()).ok());
}

TEST_F(UnixListenerTest, PathInUseLeavesTheLiveListenerAlone) {
  ASSERT_TRUE(StartOnPath().ok());
  const std::unique_ptr<Listener> first = std::move(listener_);
  EXPECT_FALSE(StartOnPath().ok());
  EXPECT_TRUE(StartConnect(first->address()).ok());
}

TEST_F(UnixListenerTest, ServesAnAbstractName) {
  ASSERT_TRUE(Start(Address::FromUnixPath("@" + folder_.path()).value()).ok());
  const auto client = StartConnect(listener_->address());
  EXPECT_TRUE(client.ok());
  accepted_.Take();
}

}  // namespace
}  // namespace tern::net
