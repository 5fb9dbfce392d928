#ifndef TERN_LIB_NET_RESOLVER_H_
#define TERN_LIB_NET_RESOLVER_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "lib/net/address.h"

namespace tern::net {

// All addresses of `endpoint`, IPv6 and IPv4 taken in turn (in the order that
// getaddrinfo gave within each family, its first answer's family first). Numeric hosts and Unix paths
// need no lookup. Blocks while the system's resolver does.
//
// UNAVAILABLE names the host and the resolver's reason; never an empty list.
absl::StatusOr<std::vector<Address>> ResolveBlocking(const Endpoint& endpoint);

// Numeric and Unix endpoints: the answer, at once and without blocking. Otherwise nullopt.
std::optional<std::vector<Address>> ResolveNumeric(const Endpoint& endpoint);

// The same on a small process-wide set of threads (started on first use, at most 4, queue bounded at
// 1,024: RESOURCE_EXHAUSTED beyond). `done` is called exactly once, on one of them. A lookup can't be
// interrupted: callers that give up ignore the late answer.
void ResolveAsync(Endpoint endpoint,
                  absl::AnyInvocable<void(absl::StatusOr<std::vector<Address>>) &&> done);

}  // namespace tern::net

#endif  // TERN_LIB_NET_RESOLVER_H_
