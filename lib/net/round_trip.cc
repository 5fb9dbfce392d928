#include "tern/lib/net/round_trip.h"

// The kernel's tcp_info: that of netinet/tcp.h, which cannot be included beside
// it, ends before the field.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace tern::net {

absl::Duration MinRoundTrip(int fd) {
  tcp_info info;
  socklen_t length = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
      length < offsetof(tcp_info, tcpi_min_rtt) + sizeof(info.tcpi_min_rtt) ||
      info.tcpi_min_rtt == std::numeric_limits<uint32_t>::max()) {
    return absl::ZeroDuration();
  }
  return absl::Microseconds(info.tcpi_min_rtt);
}

}  // namespace tern::net
