#include "tern/lib/net/round_trip.h"

#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "tern/lib/net/socket.h"
#include "tests/lib/net/tcp_pair.h"

namespace tern::net {
namespace {

TEST(MinRoundTrip, OfTcpIsWhatTheKernelHasSeen) {
  const TcpPair pair;
  // There and back, so that both have something acknowledged.
  char byte = 'x';
  ASSERT_EQ(write(pair.client.get(), &byte, 1), 1);
  ASSERT_EQ(read(pair.server.get(), &byte, 1), 1);
  ASSERT_EQ(write(pair.server.get(), &byte, 1), 1);
  ASSERT_EQ(read(pair.client.get(), &byte, 1), 1);
  EXPECT_GT(MinRoundTrip(pair.client.get()), absl::ZeroDuration());
  EXPECT_LT(MinRoundTrip(pair.client.get()), absl::Seconds(30));
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
