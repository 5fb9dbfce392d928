#ifndef TERN_LIB_NET_RESOLVER_H_
#define TERN_LIB_NET_RESOLVER_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "tern/lib/net/address.h"

namespace tern::net {

// From an endpoint to its addresses, through the system's resolver
// (getaddrinfo: /etc/hosts, DNS, ...). Every function here is thread-safe.

// A name that has more addresses is cut to the first of them.
inline constexpr size_t kMaxResolvedAddresses = 64;

// All addresses of `endpoint`, each once, IPv6 and IPv4 taken in turn (in the
// order that getaddrinfo gave within each family, its first answer's family
// first). Numeric hosts and Unix paths need no lookup. Blocks while the
// system's resolver does.
//
// UNAVAILABLE names the host and the resolver's reason; INVALID_ARGUMENT for a
// Unix path that can't be one. Never an empty list.
absl::StatusOr<std::vector<Address>> ResolveBlocking(const Endpoint& endpoint);

// Numeric and Unix endpoints: the answer, at once and without blocking.
// Otherwise nullopt.
std::optional<std::vector<Address>> ResolveNumeric(const Endpoint& endpoint);

// ResolveBlocking() on a small process-wide set of threads (started on first
// use, at most 4, queue bounded at 1,024). `done` is called exactly once: on
// one of those threads; or with RESOURCE_EXHAUSTED on the calling thread,
// before this returns, when the queue is full. A lookup can't be interrupted:
// callers that give up ignore the late answer.
void ResolveAsync(
    Endpoint endpoint,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<Address>>) &&> done);

namespace resolver_internal {

// The order of ResolveBlocking()'s answer.
std::vector<Address> TakenInTurn(const std::vector<Address>& answers);

}  // namespace resolver_internal
}  // namespace tern::net

#endif  // TERN_LIB_NET_RESOLVER_H_
