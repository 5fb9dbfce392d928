#include "tern/lib/net/round_trip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "tern/lib/net/socket.h"

namespace tern::net {
namespace {

TEST(MinRoundTrip, OfTcpIsWhatTheKernelHasSeen) {
  const FileDescriptor listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, length), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &length), 0);
  const FileDescriptor client(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(client.get(), generic, length), 0);
  const FileDescriptor server(accept(listener.get(), nullptr, nullptr));
  ASSERT_TRUE(server.valid());
  // There and back, so that both have something acknowledged.
  char byte = 'x';
  ASSERT_EQ(write(client.get(), &byte, 1), 1);
  ASSERT_EQ(read(server.get(), &byte, 1), 1);
  ASSERT_EQ(write(server.get(), &byte, 1), 1);
  ASSERT_EQ(read(client.get(), &byte, 1), 1);
  EXPECT_GT(MinRoundTrip(client.get()), absl::ZeroDuration());
  EXPECT_LT(MinRoundTrip(client.get()), absl::Seconds(30));
}

TEST(MinRoundTrip, IsZeroWhereThereIsNone) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const FileDescriptor one(fds[0]), other(fds[1]);
  EXPECT_EQ(MinRoundTrip(one.get()), absl::ZeroDuration());
  EXPECT_EQ(MinRoundTrip(-1), absl::ZeroDuration());
}

}  // namespace
}  // namespace tern::net
