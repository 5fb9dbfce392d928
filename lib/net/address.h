#ifndef TERN_LIB_NET_ADDRESS_H_
#define TERN_LIB_NET_ADDRESS_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace tern::net {

// A socket address: IPv4, IPv6 or a Unix path. A value type; comparable,
// printable ("10.0.0.7:7117", "[::1]:7117", "unix:/run/kv.sock").
class Address {
 public:
  Address() = default;  // Unspecified: "?".

  // From what the kernel gave (accept, getsockname, getpeername, getaddrinfo).
  // An IPv4-mapped IPv6 address, as a socket that serves both gives, becomes
  // the IPv4 address that it stands for: one peer, one spelling.
  static Address FromSockaddr(const sockaddr* address, socklen_t length);
  // A numeric address without brackets, such as "10.0.0.7", "::1" or
  // "fe80::1%eth0". Never looks anything up. INVALID_ARGUMENT.
  static absl::StatusOr<Address> FromNumericHost(std::string_view host,
                                                 uint16_t port);
  // A path of at most kMaxUnixPathBytes. One that starts with '@' is a name in
  // Linux's abstract namespace. INVALID_ARGUMENT.
  static absl::StatusOr<Address> FromUnixPath(std::string_view path);
  static constexpr size_t kMaxUnixPathBytes = 107;  // sockaddr_un's, less NUL.

  const sockaddr* sockaddr_ptr() const;
  socklen_t length() const { return length_; }
  int family() const;  // AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC.
  bool is_unix() const { return family() == AF_UNIX; }
  uint16_t port() const;          // 0 for Unix.
  std::string unix_path() const;  // "" for others and for an unnamed socket.
  std::string ToString() const;   // Safe for a log.

  friend bool operator==(const Address&, const Address&);

 private:
  // Only the fields that identify the address are set; the rest is zero, so
  // that equal addresses are equal bytes.
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

// What a user writes, taken apart but not looked up.
//   "host:port"  "10.0.0.7:7117"  "[::1]:7117"  "unix:/path"  "unix:@name"
// and for targets also "dns:///host:port".
// A port is a decimal number from 0 to 65535. INVALID_ARGUMENT names the text
// and what is wrong with it (no port, brackets missing around an IPv6 address,
// ...).
struct HostPort {
  std::string host;  // A name, or a numeric address without brackets.
  uint16_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};
struct UnixPath {
  std::string path;
  friend bool operator==(const UnixPath&, const UnixPath&) = default;
};
using Endpoint = std::variant<HostPort, UnixPath>;
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);
// What ParseEndpoint reads back as `endpoint`.
std::string ToString(const Endpoint& endpoint);

}  // namespace tern::net

#endif  // TERN_LIB_NET_ADDRESS_H_
