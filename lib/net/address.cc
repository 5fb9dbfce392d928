#include "tern/lib/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/string_view.h"

namespace tern::net {
namespace {

constexpr socklen_t kUnixPathOffset = offsetof(sockaddr_un, sun_path);

// The storage's view as the family's own type; the families' structures are
// made to overlay sockaddr_storage.
template <typename T>
T& As(sockaddr_storage& storage) {
  return reinterpret_cast<T&>(storage);
}
template <typename T>
const T& As(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

socklen_t SetInet(in_addr host, in_port_t port, sockaddr_storage& storage) {
  auto& out = As<sockaddr_in>(storage);
  out.sin_family = AF_INET;
  out.sin_addr = host;
  out.sin_port = port;
  return sizeof(out);
}

socklen_t SetInet6(const in6_addr& host, in_port_t port, uint32_t scope,
                   sockaddr_storage& storage) {
  if (IN6_IS_ADDR_V4MAPPED(&host)) {
    in_addr mapped;
    std::memcpy(&mapped, &host.s6_addr[12], sizeof(mapped));
    return SetInet(mapped, port, storage);
  }
  auto& out = As<sockaddr_in6>(storage);
  out.sin6_family = AF_INET6;
  out.sin6_addr = host;
  out.sin6_port = port;
  out.sin6_scope_id = scope;
  return sizeof(out);
}

// `path` as the kernel has it: an abstract name starts with a NUL byte, and its
// length counts; a file's path ends before one.
socklen_t SetUnix(std::string_view path, sockaddr_storage& storage) {
  auto& out = As<sockaddr_un>(storage);
  out.sun_family = AF_UNIX;
  if (path.empty()) return kUnixPathOffset;
  std::memcpy(out.sun_path, path.data(), path.size());
  const bool abstract = path.front() == '\0';
  return std::min(kUnixPathOffset + path.size() + (abstract ? 0 : 1),
                  sizeof(out));
}

// An interface's name or number.
bool ParseScope(std::string_view text, uint32_t* scope) {
  *scope = if_nametoindex(std::string(text).c_str());
  return *scope != 0 || absl::SimpleAtoi(ToAbsl(text), scope);
}

absl::Status Invalid(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      ToAbsl("address \"" + EscapeForLog(text) + "\": " + std::string(why)));
}

}  // namespace

Address Address::FromSockaddr(const sockaddr* address, socklen_t length) {
  // Copied, because the caller's bytes may be shorter or aligned differently.
  sockaddr_storage given{};
  std::memcpy(&given, address, std::min<size_t>(length, sizeof(given)));
  Address out;
  if (given.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    const auto& in = As<sockaddr_in>(given);
    out.length_ = SetInet(in.sin_addr, in.sin_port, out.storage_);
  } else if (given.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    const auto& in = As<sockaddr_in6>(given);
    out.length_ =
        SetInet6(in.sin6_addr, in.sin6_port, in.sin6_scope_id, out.storage_);
  } else if (given.ss_family == AF_UNIX && length >= kUnixPathOffset) {
    const char* const path = As<sockaddr_un>(given).sun_path;
    size_t size = std::min<size_t>(length - kUnixPathOffset,
                                   sizeof(sockaddr_un::sun_path));
    if (size > 0 && path[0] != '\0') size = strnlen(path, size);
    out.length_ = SetUnix(std::string_view(path, size), out.storage_);
  }
  return out;
}

absl::StatusOr<Address> Address::FromNumericHost(std::string_view host,
                                                 uint16_t port) {
  // inet_pton wants a NUL, and would stop at one within.
  const std::string text(host.substr(0, host.find('%')));
  const bool has_nul = text.find('\0') != std::string::npos;
  Address out;
  in_addr v4;
  if (!has_nul && text.size() == host.size() &&
      inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    out.length_ = SetInet(v4, htons(port), out.storage_);
    return out;
  }
  in6_addr v6;
  if (has_nul || inet_pton(AF_INET6, text.c_str(), &v6) != 1) {
    return Invalid(host, "not a numeric IPv4 or IPv6 address");
  }
  uint32_t scope = 0;
  if (text.size() < host.size() &&
      !ParseScope(host.substr(text.size() + 1), &scope)) {
    return Invalid(host, "no such network interface");
  }
  out.length_ = SetInet6(v6, htons(port), scope, out.storage_);
  return out;
}

absl::StatusOr<Address> Address::FromUnixPath(std::string_view path) {
  std::string raw(path);
  if (raw.empty() || raw == "@") return Invalid(path, "empty Unix path");
  if (raw.size() > kMaxUnixPathBytes) {
    return Invalid(path, "a Unix path of " + std::to_string(raw.size()) +
                             " bytes exceeds the system's limit of " +
                             std::to_string(kMaxUnixPathBytes) + " bytes");
  }
  if (raw.find('\0') != std::string::npos) {
    return Invalid(path, "a Unix path can't contain a NUL byte");
  }
  if (raw.front() == '@') raw.front() = '\0';
  Address out;
  out.length_ = SetUnix(raw, out.storage_);
  return out;
}

const sockaddr* Address::sockaddr_ptr() const {
  return &As<sockaddr>(storage_);
}

int Address::family() const {
  return length_ == 0 ? AF_UNSPEC : storage_.ss_family;
}

uint16_t Address::port() const {
  switch (family()) {
    case AF_INET:
      return ntohs(As<sockaddr_in>(storage_).sin_port);
    case AF_INET6:
      return ntohs(As<sockaddr_in6>(storage_).sin6_port);
    default:
      return 0;
  }
}

std::string Address::unix_path() const {
  if (!is_unix() || length_ == kUnixPathOffset) return "";
  const char* const path = As<sockaddr_un>(storage_).sun_path;
  const size_t size = length_ - kUnixPathOffset;
  if (path[0] != '\0') return std::string(path, strnlen(path, size));
  return "@" + std::string(path + 1, size - 1);
}

std::string Address::ToString() const {
  char text[INET6_ADDRSTRLEN];
  switch (family()) {
    case AF_INET: {
      const auto& in = As<sockaddr_in>(storage_);
      inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
      return std::string(text) + ":" + std::to_string(port());
    }
    case AF_INET6: {
      const auto& in = As<sockaddr_in6>(storage_);
      inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof(text));
      std::string scope;
      if (in.sin6_scope_id != 0) scope = "%" + std::to_string(in.sin6_scope_id);
      return "[" + (text + scope) + "]:" + std::to_string(port());
    }
    case AF_UNIX: {
      // A peer chooses the name that its end is bound to.
      const std::string path = unix_path();
      return "unix:" + (path.empty() ? "(unnamed)" : EscapeForLog(path, 512));
    }
    default:
      return "?";
  }
}

bool operator==(const Address& a, const Address& b) {
  return a.length_ == b.length_ &&
         std::memcmp(&a.storage_, &b.storage_, a.length_) == 0;
}

}  // namespace tern::net
