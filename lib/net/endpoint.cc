// ParseEndpoint and its inverse, declared in address.h.

#include <algorithm>
#include <charconv>

#include "absl/status/status.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/net/address.h"

namespace tern::net {
namespace {

// RFC 1035's limits.
constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxLabelBytes = 63;

// What is wrong with a part of the text; empty when nothing is.
using Complaint = std::string;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsHostCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c == '-' || c == '_';
}

bool ConsumePrefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

Complaint CheckLabel(std::string_view label) {
  if (label.empty()) return "empty label in the host name";
  if (label.size() > kMaxLabelBytes) {
    return "a label of " + std::to_string(label.size()) +
           " bytes in the host name exceeds the limit of " +
           std::to_string(kMaxLabelBytes) + " bytes";
  }
  const auto bad =
      std::find_if_not(label.begin(), label.end(), IsHostCharacter);
  if (bad == label.end()) return "";
  return "'" + EscapeForLog(std::string_view(&*bad, 1)) +
         "' can't be in a host name";
}

Complaint CheckHostName(std::string_view host) {
  if (host.empty()) return "no host ([::] is every address)";
  if (host.size() > kMaxHostBytes) {
    return "a host name of " + std::to_string(host.size()) +
           " bytes exceeds the limit of " + std::to_string(kMaxHostBytes) +
           " bytes";
  }
  std::string_view rest = host;
  if (rest.ends_with('.')) rest.remove_suffix(1);  // An absolute name.
  for (;;) {
    const size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (Complaint complaint = CheckLabel(label); !complaint.empty()) {
      return complaint;
    }
    if (dot != std::string_view::npos) {
      rest.remove_prefix(dot + 1);
      continue;
    }
    // No top-level domain is a number. The system's resolver would take "10.1"
    // for 10.0.0.1, which nobody means.
    if (std::all_of(label.begin(), label.end(), IsDigit) &&
        !Address::FromNumericHost(host, 0).ok()) {
      return "not an IPv4 address";
    }
    return "";
  }
}

Complaint CheckBracketed(std::string_view host) {
  if (host.find(':') == std::string_view::npos) {
    return "brackets are for an IPv6 address";
  }
  if (Address::FromNumericHost(host, 0).ok()) return "";
  return "not an IPv6 address in brackets";
}

Complaint ParsePort(std::string_view text, uint16_t* port) {
  if (text.empty()) return "no port after ':'";
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *port);
  if (error == std::errc() && stop == end) return "";
  return "the port is not a number from 0 to 65535";
}

Complaint ParseHostPort(std::string_view text, HostPort* out) {
  std::string_view host;
  size_t colon;
  Complaint complaint;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return "no ']'";
    host = text.substr(1, close - 1);
    colon = close + 1;
    if (colon == text.size()) return "no port (write [::1]:7117)";
    if (text[colon] != ':') return "no ':' after ']'";
    complaint = CheckBracketed(host);
  } else {
    colon = text.rfind(':');
    if (colon == std::string_view::npos) return "no port (write host:port)";
    host = text.substr(0, colon);
    if (host.find(':') != std::string_view::npos) {
      return "an IPv6 address needs brackets (write [::1]:7117)";
    }
    complaint = CheckHostName(host);
  }
  if (!complaint.empty()) return complaint;
  out->host = std::string(host);
  return ParsePort(text.substr(colon + 1), &out->port);
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  std::string_view rest = text;
  if (ConsumePrefix(&rest, "unix:")) {
    TERN_RETURN_IF_ERROR(Address::FromUnixPath(rest).status());
    return Endpoint(UnixPath{std::string(rest)});
  }
  HostPort host_port;
  Complaint complaint;
  if (!ConsumePrefix(&rest, "dns:///") &&
      rest.find("://") != std::string_view::npos) {
    complaint =
        "unknown scheme (write host:port, dns:///host:port or unix:/path)";
  } else {
    complaint = ParseHostPort(rest, &host_port);
  }
  if (complaint.empty()) return Endpoint(std::move(host_port));
  return absl::InvalidArgumentError("address \"" + EscapeForLog(text) +
                                    "\": " + complaint);
}

std::string ToString(const Endpoint& endpoint) {
  if (const auto* unix_path = std::get_if<UnixPath>(&endpoint)) {
    return "unix:" + unix_path->path;
  }
  const HostPort& host_port = std::get<HostPort>(endpoint);
  const bool v6 = host_port.host.find(':') != std::string::npos;
  return (v6 ? "[" + host_port.host + "]" : host_port.host) + ":" +
         std::to_string(host_port.port);
}

}  // namespace tern::net
