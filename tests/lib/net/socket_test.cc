#include "tern/lib/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tern/lib/base/monotonic_time.h"
#include "tests/lib/net/short_folder.h"

namespace tern::net {
namespace {

constexpr int kBacklog = 16;

Address Loopback(uint16_t port) {
  return Address::FromNumericHost("127.0.0.1", port).value();
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

int Option(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, option, &value, &length), 0);
  return value;
}

// Waits for the outcome of a connect.
absl::Status Outcome(const FileDescriptor& socket, const Address& peer) {
  pollfd waiting = {.fd = socket.get(), .events = POLLOUT, .revents = 0};
  EXPECT_EQ(poll(&waiting, 1, -1), 1);
  return FinishConnect(socket.get(), peer);
}

absl::Status Connect(const Address& peer) {
  absl::StatusOr<FileDescriptor> socket = StartConnect(peer);
  return socket.ok() ? Outcome(*socket, peer) : socket.status();
}

struct Pair {
  Pair(int flags = SOCK_NONBLOCK) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds),
              0);
    a = FileDescriptor(fds[0]);
    b = FileDescriptor(fds[1]);
  }
  FileDescriptor a;
  FileDescriptor b;
};

TEST(FileDescriptor, ClosesOnceWhenMovedAround) {
  Pair pair;
  const int fd = pair.a.get();
  FileDescriptor moved(std::move(pair.a));
  EXPECT_FALSE(pair.a.valid());
  EXPECT_EQ(moved.get(), fd);
  FileDescriptor& same = moved;
  moved = std::move(same);
  EXPECT_TRUE(IsOpen(fd));
  moved = std::move(pair.b);
  EXPECT_FALSE(IsOpen(fd));
  moved.Close();
  moved.Close();
  EXPECT_FALSE(moved.valid());
}

TEST(ReadSome, TellsBytesNothingYetAndTheEndApart) {
  Pair pair;
  char buffer[16];
  EXPECT_EQ(ReadSome(pair.a.get(), buffer, sizeof(buffer)).kind,
            IoResult::kWouldBlock);
  ASSERT_EQ(WriteSome(pair.b.get(), "hello").bytes, 5u);
  IoResult result = ReadSome(pair.a.get(), buffer, 3);
  EXPECT_EQ(result.kind, IoResult::kOk);
  EXPECT_EQ(std::string_view(buffer, result.bytes), "hel");
  pair.b.Close();
  result = ReadSome(pair.a.get(), buffer, sizeof(buffer));
  EXPECT_EQ(std::string_view(buffer, result.bytes), "lo");
  EXPECT_EQ(ReadSome(pair.a.get(), buffer, sizeof(buffer)).kind,
            IoResult::kEndOfStream);
}

TEST(ReadSome, OfNoBytesIsNotTheEnd) {
  Pair pair;
  EXPECT_EQ(ReadSome(pair.a.get(), nullptr, 0).kind, IoResult::kOk);
}

TEST(ReadSome, NamesTheError) {
  char buffer[1];
  const IoResult result = ReadSome(-1, buffer, sizeof(buffer));
  EXPECT_EQ(result.kind, IoResult::kError);
  EXPECT_EQ(result.error, EBADF);
}

TEST(WriteSome, WritesWhatFitsAndThenWouldBlock) {
  Pair pair;
  const std::string bytes(1 << 20, 'x');
  size_t written = 0;
  IoResult result;
  while ((result = WriteSome(pair.a.get(), bytes)).kind == IoResult::kOk) {
    written += result.bytes;
  }
  EXPECT_EQ(result.kind, IoResult::kWouldBlock);
  EXPECT_GT(written, 0u);
}

// L4.
TEST(WriteSome, ToAClosedPeerIsAnErrorAndNoSignal) {
  Pair pair;
  pair.b.Close();
  const IoResult result = WriteSome(pair.a.get(), "x");
  EXPECT_EQ(result.kind, IoResult::kError);
  EXPECT_EQ(result.error, EPIPE);
}

TEST(ReadPieces, FillsOneAfterTheOther) {
  Pair pair;
  char first[3], second[4];
  const std::vector<std::span<char>> pieces = {first, second};
  EXPECT_EQ(ReadPieces(pair.a.get(), pieces).kind, IoResult::kWouldBlock);
  ASSERT_EQ(WriteSome(pair.b.get(), "hello").bytes, 5u);
  const IoResult result = ReadPieces(pair.a.get(), pieces);
  EXPECT_EQ(result.bytes, 5u);
  EXPECT_EQ(std::string_view(first, 3), "hel");
  EXPECT_EQ(std::string_view(second, 2), "lo");
  pair.b.Close();
  EXPECT_EQ(ReadPieces(pair.a.get(), pieces).kind, IoResult::kEndOfStream);
  EXPECT_EQ(ReadPieces(-1, pieces).error, EBADF);
  EXPECT_EQ(ReadPieces(pair.a.get(), {}).kind, IoResult::kOk);
}

TEST(WritePieces, WritesThemInTheirOrder) {
  Pair pair;
  std::vector<std::string_view> pieces(20, "ab");
  EXPECT_EQ(WritePieces(pair.a.get(), pieces).bytes, 2u * 16);
  pieces.resize(1);
  EXPECT_EQ(WritePieces(pair.a.get(), pieces).bytes, 2u);
  EXPECT_EQ(WritePieces(pair.a.get(), {}).bytes, 0u);
  char buffer[100];
  const IoResult result = ReadSome(pair.b.get(), buffer, sizeof(buffer));
  std::string expected;
  for (int i = 0; i < 17; ++i) expected += "ab";
  EXPECT_EQ(std::string_view(buffer, result.bytes), expected);
  pair.b.Close();
  pieces.resize(2, "cd");
  EXPECT_EQ(WritePieces(pair.a.get(), pieces).error, EPIPE);
}

std::atomic<int> signals_taken{0};

// L5. A read that is interrupted many times goes on.
TEST(WaitAndReadSome, GoesOnAfterSignals) {
  struct sigaction action {};
  struct sigaction before;
  action.sa_handler = [](int) { ++signals_taken; };  // No SA_RESTART.
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  Pair pair(0);  // Without a time limit.
  std::atomic<bool> done{false};
  std::latch started(1);
  std::thread reader([&] {
    started.count_down();
    char buffer[1];
    const IoResult result =
        WaitAndReadSome(pair.a.get(), buffer, sizeof(buffer));
    EXPECT_EQ(result.kind, IoResult::kOk);
    EXPECT_EQ(result.bytes, 1u);
    done = true;
  });
  started.wait();
  // Until it is taken: a sanitizer keeps a signal that comes just before a
  // system call until that returns, which another one has it do.
  while (signals_taken < 100) {
    pthread_kill(reader.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  EXPECT_FALSE(done);
  EXPECT_EQ(WriteSome(pair.b.get(), "x").bytes, 1u);
  reader.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(WaitAndReadSome, WaitsNoLongerThanToldAndOthersNotAtAll) {
  Pair pair;
  ASSERT_TRUE(PrepareToWait(pair.a.get(), absl::Milliseconds(20)).ok());
  char buffer[1];
  const MonotonicTime before = MonotonicTime::Now();
  EXPECT_EQ(WaitAndReadSome(pair.a.get(), buffer, 1).kind,
            IoResult::kWouldBlock);
  EXPECT_GE(MonotonicTime::Now() - before, absl::Milliseconds(19));
  // The socket is in blocking mode now: these must not wait all the same.
  EXPECT_EQ(ReadSome(pair.a.get(), buffer, 1).kind, IoResult::kWouldBlock);
  const std::string bytes(1 << 20, 'x');
  IoResult result;
  while ((result = WriteSome(pair.a.get(), bytes)).kind == IoResult::kOk) {
  }
  EXPECT_EQ(result.kind, IoResult::kWouldBlock);
}

TEST(ErrnoToStatus, SaysWhatFailedAndWhy) {
  const absl::Status status =
      ErrnoToStatus(ECONNREFUSED, "connect to 10.0.0.7:7117");
  EXPECT_EQ(Message(status), "connect to 10.0.0.7:7117: connection refused");
}

TEST(ErrnoToStatus, HasTheCodeThatTellsTheCallerWhatToDo) {
  const auto code = [](int error) { return ErrnoToStatus(error, "x").code(); };
  for (const int error : {ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT,
                          EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, ENOENT}) {
    EXPECT_EQ(code(error), absl::StatusCode::kUnavailable) << error;
  }
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(code(error), absl::StatusCode::kResourceExhausted) << error;
  }
  EXPECT_EQ(code(EACCES), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code(EADDRINUSE), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(EAFNOSUPPORT), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(EBADF), absl::StatusCode::kInternal);
}

TEST(Listen, ChoosesAPortThatThenAccepts) {
  const auto socket = Listen(Loopback(0), kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  const Address address = LocalAddress(socket->get());
  EXPECT_NE(address.port(), 0);
  EXPECT_EQ(address, Loopback(address.port()));
  EXPECT_TRUE(Connect(address).ok());
}

TEST(ShareListening, GivesOneMoreDescriptorOfTheSocket) {
  const auto socket = Listen(Loopback(0), kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  const int flags = fcntl(socket->get(), F_GETFL);
  ASSERT_EQ(fcntl(socket->get(), F_SETFL, flags & ~O_NONBLOCK), 0);
  const auto shared = ShareListening(socket->get());
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_NE(shared->get(), socket->get());
  EXPECT_EQ(LocalAddress(shared->get()), LocalAddress(socket->get()));
  EXPECT_TRUE(fcntl(shared->get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(shared->get(), F_GETFD) & FD_CLOEXEC);
}

TEST(ShareListening, RefusesWhatDoesNotListen) {
  const FileDescriptor stream(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const FileDescriptor datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const FileDescriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {stream.get(), datagrams.get(), file.get(), -1}) {
    const absl::Status status = ShareListening(fd).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(Message(status).find("fd:" + std::to_string(fd) + ": "), 0u)
        << status;
  }
}

// L20.
TEST(Listen, NamesTheAddressThatIsInUse) {
  const auto first = Listen(Loopback(0), kBacklog);
  ASSERT_TRUE(first.ok());
  const Address address = LocalAddress(first->get());
  const absl::Status status = Listen(address, kBacklog).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(status),
            "listen on " + address.ToString() + ": address already in use");
}

TEST(Listen, NamesAnAddressThatIsNotOfThisMachine) {
  const Address elsewhere = Address::FromNumericHost("192.0.2.1", 0).value();
  EXPECT_EQ(Message(Listen(elsewhere, kBacklog).status()),
            "listen on 192.0.2.1:0: cannot assign requested address");
}

TEST(Listen, RefusesAnUnspecifiedAddress) {
  EXPECT_EQ(Listen(Address(), kBacklog).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Listen, OnAllOfIpv6ServesIpv4Too) {
  const auto socket =
      Listen(Address::FromNumericHost("::", 0).value(), kBacklog);
  if (!socket.ok()) GTEST_SKIP() << socket.status();
  const uint16_t port = LocalAddress(socket->get()).port();
  EXPECT_TRUE(Connect(Loopback(port)).ok());
  const FileDescriptor accepted(accept(socket->get(), nullptr, nullptr));
  EXPECT_EQ(LocalAddress(accepted.get()), Loopback(port));
}

TEST(Listen, CanTakeThePortOfAServerThatHasJustClosedItsConnections) {
  auto first = Listen(Loopback(0), kBacklog);
  ASSERT_TRUE(first.ok());
  const Address address = LocalAddress(first->get());
  auto client = StartConnect(address);
  ASSERT_TRUE(client.ok() && Outcome(*client, address).ok());
  FileDescriptor accepted(accept(first->get(), nullptr, nullptr));
  accepted.Close();  // The server's end closes first: TIME_WAIT is on the port.
  client->Close();
  first->Close();
  EXPECT_TRUE(Listen(address, kBacklog).ok());
}

class UnixListen : public testing::Test {
 protected:
  Address address() { return Address::FromUnixPath(path_).value(); }

  const ShortFolder folder_;
  const std::string path_ = folder_.path() + "/s";
};

TEST_F(UnixListen, AcceptsAtItsPath) {
  const auto socket = Listen(address(), kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(LocalAddress(socket->get()), address());
  EXPECT_TRUE(Connect(address()).ok());
}

TEST_F(UnixListen, ReplacesAStaleSocket) {
  { ASSERT_TRUE(Listen(address(), kBacklog).ok()); }
  ASSERT_TRUE(std::filesystem::exists(path_));
  const auto socket = Listen(address(), kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE(Connect(address()).ok());
}

TEST_F(UnixListen, LeavesALiveSocketAlone) {
  const auto live = Listen(address(), kBacklog);
  ASSERT_TRUE(live.ok());
  const absl::Status status = Listen(address(), kBacklog).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(status),
            "listen on unix:" + path_ + ": address already in use");
  EXPECT_TRUE(Connect(address()).ok());
}

TEST_F(UnixListen, LeavesALiveSocketWithAFullBacklogAlone) {
  const auto live = Listen(address(), 0);
  ASSERT_TRUE(live.ok());
  std::vector<FileDescriptor> waiting;
  absl::StatusOr<FileDescriptor> client;
  while ((client = StartConnect(address())).ok()) {
    waiting.push_back(*std::move(client));
  }
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(Listen(address(), kBacklog).ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixListen, NeverRemovesAFileThatIsNoSocket) {
  std::ofstream(path_) << "precious";
  const absl::Status status = Listen(address(), kBacklog).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(UnixListen, NeedsNoFileInTheAbstractNamespace) {
  const Address name = Address::FromUnixPath("@" + folder_.path()).value();
  const auto socket = Listen(name, kBacklog);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(LocalAddress(socket->get()), name);
  EXPECT_TRUE(Connect(name).ok());
  EXPECT_EQ(Listen(name, kBacklog).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(UnixListen, ConnectToAPathThatNobodyBoundIsUnavailable) {
  const absl::Status status = Connect(address());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Message(status), "unix:" + path_ + ": no such file or directory");
}

TEST(Connect, RefusedNamesThePeer) {
  // Bound, so that nobody else takes the port, but not listening.
  const FileDescriptor bound(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Loopback(0);
  ASSERT_EQ(bind(bound.get(), any.sockaddr_ptr(), any.length()), 0);
  const Address peer = LocalAddress(bound.get());
  const absl::Status status = Connect(peer);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Message(status), peer.ToString() + ": connection refused");
}

TEST(Connect, ToItselfIsRefused) {
  // What the kernel can do by chance when a client retries a port in the
  // ephemeral range; here on purpose.
  const FileDescriptor self(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Loopback(0);
  ASSERT_EQ(bind(self.get(), any.sockaddr_ptr(), any.length()), 0);
  const Address peer = LocalAddress(self.get());
  ASSERT_EQ(connect(self.get(), peer.sockaddr_ptr(), peer.length()), 0);
  EXPECT_EQ(FinishConnect(self.get(), peer).code(),
            absl::StatusCode::kUnavailable);
}

void ExpectConfigured(int fd) {
  EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(Option(fd, IPPROTO_TCP, TCP_NODELAY));
  EXPECT_TRUE(Option(fd, SOL_SOCKET, SO_KEEPALIVE));
  EXPECT_EQ(Option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT),
            kDeadPeerTimeoutSeconds * 1000);
}

TEST(Connect, ConfiguresBothEnds) {
  const auto listening = Listen(Loopback(0), kBacklog);
  ASSERT_TRUE(listening.ok());
  const Address address = LocalAddress(listening->get());
  const auto client = StartConnect(address);
  ASSERT_TRUE(client.ok() && Outcome(*client, address).ok());
  ExpectConfigured(client->get());
  const FileDescriptor accepted(accept(listening->get(), nullptr, nullptr));
  ASSERT_TRUE(ConfigureAccepted(accepted.get()).ok());
  ExpectConfigured(accepted.get());
  EXPECT_EQ(PeerAddress(accepted.get()), LocalAddress(client->get()));
}

TEST(ConfigureAccepted, TakesUnixSocketsToo) {
  Pair pair(0);
  EXPECT_TRUE(ConfigureAccepted(pair.a.get()).ok());
  EXPECT_TRUE(fcntl(pair.a.get(), F_GETFL) & O_NONBLOCK);
}

TEST(LocalAddress, IsUnspecifiedForWhatIsNoSocket) {
  EXPECT_EQ(LocalAddress(-1), Address());
  EXPECT_EQ(PeerAddress(-1), Address());
}

}  // namespace
}  // namespace tern::net
