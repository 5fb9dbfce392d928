#ifndef TERN_LIB_NET_ROUND_TRIP_H_
#define TERN_LIB_NET_ROUND_TRIP_H_

#include "absl/time/time.h"

namespace tern::net {

// The least time that the kernel has seen a packet of this TCP connection take
// there and back, the peer's programs not included (tcpi_min_rtt, tcp(7));
// precise to 1 us. Zero when there is none: a Unix socket, a descriptor that is
// closed, nothing acknowledged yet. One system call.
absl::Duration MinRoundTrip(int fd);

}  // namespace tern::net

#endif  // TERN_LIB_NET_ROUND_TRIP_H_
