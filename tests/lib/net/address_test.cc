#include "tern/lib/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tern::net {
namespace {

Address Numeric(std::string_view host, uint16_t port) {
  absl::StatusOr<Address> address = Address::FromNumericHost(host, port);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or(Address());
}

Address Unix(std::string_view path) {
  absl::StatusOr<Address> address = Address::FromUnixPath(path);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or(Address());
}

Address Again(const Address& address) {
  return Address::FromSockaddr(address.sockaddr_ptr(), address.length());
}

TEST(Address, DefaultIsUnspecified) {
  EXPECT_EQ(Address().family(), AF_UNSPEC);
  EXPECT_EQ(Address().ToString(), "?");
  EXPECT_EQ(Address().port(), 0);
  EXPECT_EQ(Address(), Address());
}

TEST(Address, KnowsIpv4) {
  const Address address = Numeric("10.0.0.7", 7117);
  EXPECT_EQ(address.family(), AF_INET);
  EXPECT_EQ(address.port(), 7117);
  EXPECT_EQ(address.ToString(), "10.0.0.7:7117");
  EXPECT_EQ(address.unix_path(), "");
  EXPECT_EQ(Again(address), address);
}

TEST(Address, KnowsIpv6) {
  const Address address = Numeric("fd00::7", 65535);
  EXPECT_EQ(address.family(), AF_INET6);
  EXPECT_EQ(address.port(), 65535);
  EXPECT_EQ(address.ToString(), "[fd00::7]:65535");
  EXPECT_EQ(Again(address), address);
}

TEST(Address, KeepsTheScopeOfALinkLocalAddress) {
  const Address by_number = Numeric("fe80::1%1", 80);
  EXPECT_EQ(by_number.ToString(), "[fe80::1%1]:80");
  EXPECT_FALSE(by_number == Numeric("fe80::1", 80));
  EXPECT_EQ(Numeric("fe80::1%lo", 80), by_number);  // lo is always the first.
  EXPECT_FALSE(Address::FromNumericHost("fe80::1%no-such", 80).ok());
}

TEST(Address, GivesAnIpv4PeerOfAnIpv6SocketItsIpv4Name) {
  EXPECT_EQ(Numeric("::ffff:10.0.0.7", 7117), Numeric("10.0.0.7", 7117));
}

TEST(Address, DiffersByFamilyHostAndPort) {
  EXPECT_FALSE(Numeric("10.0.0.7", 1) == Numeric("10.0.0.7", 2));
  EXPECT_FALSE(Numeric("10.0.0.7", 1) == Numeric("10.0.0.8", 1));
  EXPECT_FALSE(Numeric("::1", 1) == Numeric("127.0.0.1", 1));
  EXPECT_FALSE(Unix("/a") == Unix("/b"));
  EXPECT_FALSE(Unix("/a") == Unix("@/a"));
  EXPECT_FALSE(Address() == Numeric("0.0.0.0", 0));
}

TEST(Address, IgnoresWhatDoesNotIdentifyIt) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(80);
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_flowinfo = 0x1234;
  EXPECT_EQ(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&v6), sizeof(v6)),
            Numeric("::1", 80));
}

TEST(Address, IsUnspecifiedWhenTheKernelGaveTooFewBytes) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  for (const socklen_t length : {socklen_t{0}, socklen_t{1}, socklen_t{8}}) {
    EXPECT_EQ(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&v4), length),
              Address());
  }
}

TEST(Address, KnowsUnixPaths) {
  const Address address = Unix("/run/kv.sock");
  EXPECT_TRUE(address.is_unix());
  EXPECT_EQ(address.unix_path(), "/run/kv.sock");
  EXPECT_EQ(address.ToString(), "unix:/run/kv.sock");
  EXPECT_EQ(address.port(), 0);
  EXPECT_EQ(Again(address), address);
}

TEST(Address, KnowsAbstractUnixNames) {
  const Address address = Unix("@kv");
  EXPECT_EQ(address.unix_path(), "@kv");
  EXPECT_EQ(address.ToString(), "unix:@kv");
  EXPECT_EQ(address.length(), offsetof(sockaddr_un, sun_path) + 3);
  EXPECT_EQ(Again(address), address);
}

TEST(Address, KnowsAnUnnamedUnixPeer) {
  const sa_family_t family = AF_UNIX;
  const Address address = Address::FromSockaddr(
      reinterpret_cast<const sockaddr*>(&family), sizeof(family));
  EXPECT_TRUE(address.is_unix());
  EXPECT_EQ(address.unix_path(), "");
  EXPECT_EQ(address.ToString(), "unix:(unnamed)");
}

TEST(Address, EscapesTheNameThatAPeerChose) {
  EXPECT_EQ(Unix("@a\nb").ToString(), "unix:@a\\nb");
}

TEST(Address, TakesAUnixPathAtTheLimitAndRefusesOnePast) {
  const std::string longest(Address::kMaxUnixPathBytes, 'x');
  EXPECT_EQ(Unix(longest).unix_path(), longest);
  EXPECT_EQ(Again(Unix(longest)), Unix(longest));
  const absl::StatusOr<Address> past = Address::FromUnixPath(longest + "x");
  EXPECT_EQ(past.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(past.status().message().find("108 bytes"), absl::string_view::npos);
  EXPECT_NE(past.status().message().find("107 bytes"), absl::string_view::npos);
}

TEST(Address, RefusesUnixPathsThatCannotBe) {
  for (const std::string_view path :
       {std::string_view(""), std::string_view("@"),
        std::string_view("/a\0b", 4)}) {
    EXPECT_EQ(Address::FromUnixPath(path).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Address, RefusesNumericHostsThatAreNot) {
  for (const std::string_view host :
       {std::string_view(""), std::string_view("localhost"),
        std::string_view("10.0.0"), std::string_view("10.0.0.256"),
        std::string_view("[::1]"), std::string_view("::1::"),
        std::string_view("10.0.0.7%lo"), std::string_view("::1\0x", 5)}) {
    EXPECT_EQ(Address::FromNumericHost(host, 1).status().code(),
              absl::StatusCode::kInvalidArgument)
        << host;
  }
}

TEST(ParseEndpoint, TakesHostsAndPorts) {
  const std::string longest_label(63, 'x');
  const std::vector<std::pair<std::string, HostPort>> cases = {
      {"kv.prod:7117", {"kv.prod", 7117}},
      {"localhost:0", {"localhost", 0}},
      {"kv.prod.:65535", {"kv.prod.", 65535}},
      {"my_host-1:1", {"my_host-1", 1}},
      {"10.0.0.7:7117", {"10.0.0.7", 7117}},
      {"[::1]:7117", {"::1", 7117}},
      {"[::]:0", {"::", 0}},
      {"[fe80::1%1]:80", {"fe80::1%1", 80}},
      {"[::ffff:10.0.0.7]:80", {"::ffff:10.0.0.7", 80}},
      {"dns:///kv.prod:7117", {"kv.prod", 7117}},
      {"dns:///[::1]:7117", {"::1", 7117}},
      {"dns:7117", {"dns", 7117}},
      {"host:00080", {"host", 80}},
      {longest_label + ".x:1", {longest_label + ".x", 1}},
  };
  for (const auto& [text, expected] : cases) {
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(*endpoint, Endpoint(expected)) << text;
  }
}

TEST(ParseEndpoint, TakesUnixPaths) {
  EXPECT_EQ(*ParseEndpoint("unix:/run/kv.sock"),
            Endpoint(UnixPath{"/run/kv.sock"}));
  EXPECT_EQ(*ParseEndpoint("unix:@kv"), Endpoint(UnixPath{"@kv"}));
  EXPECT_EQ(*ParseEndpoint("unix:relative"), Endpoint(UnixPath{"relative"}));
}

TEST(ParseEndpoint, ReadsBackWhatToStringWrote) {
  for (const char* text : {"kv.prod:7117", "10.0.0.7:1", "[::1]:7117",
                           "[fe80::1%1]:80", "unix:/run/kv.sock", "unix:@kv"}) {
    EXPECT_EQ(ToString(*ParseEndpoint(text)), text);
  }
}

TEST(ParseEndpoint, SaysWhatIsWrong) {
  const std::string long_label(64, 'x');
  std::string long_host = "x";
  while (long_host.size() < 254) long_host += ".x";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no port"},
      {"kv.prod", "no port (write host:port)"},
      {"10.0.0.7", "no port (write host:port)"},
      {"kv.prod:", "no port after ':'"},
      {":7117", "no host"},
      {"dns:///:7117", "no host"},
      {"dns:///kv.prod", "no port"},
      {"::1", "needs brackets"},
      {"::1:7117", "needs brackets"},
      {"a:b:1", "needs brackets"},
      {"[::1]", "no port"},
      {"[::1]7117", "no ':' after ']'"},
      {"[::1:7117", "no ']'"},
      {"[]:1", "brackets are for an IPv6 address"},
      {"[10.0.0.7]:1", "brackets are for an IPv6 address"},
      {"[kv.prod]:1", "brackets are for an IPv6 address"},
      {"[::zz]:1", "not an IPv6 address"},
      {"[1:2]:1", "not an IPv6 address"},
      {"host:65536", "not a number from 0 to 65535"},
      {"host:4294967296", "not a number from 0 to 65535"},
      {"host:99999999999999999999", "not a number from 0 to 65535"},
      {"host:-1", "not a number from 0 to 65535"},
      {"host:+1", "not a number from 0 to 65535"},
      {"host: 1", "not a number from 0 to 65535"},
      {"host:1 ", "not a number from 0 to 65535"},
      {"host:0x50", "not a number from 0 to 65535"},
      {"host:http", "not a number from 0 to 65535"},
      {"10.0.0.256:1", "not an IPv4 address"},
      {"10.1:1", "not an IPv4 address"},
      {"7117:1", "not an IPv4 address"},
      {"kv..prod:1", "empty label"},
      {".prod:1", "empty label"},
      {".:1", "empty label"},
      {"kv prod:1", "' ' can't be in a host name"},
      {"kv/prod:1", "'/' can't be in a host name"},
      {"user@host:1", "'@' can't be in a host name"},
      {std::string("a\0b:1", 5), "'\\x00' can't be in a host name"},
      {"f\xc3\xbcr:1", "'\\xc3' can't be in a host name"},
      {long_label + ":1", "64 bytes in the host name exceeds the limit of 63"},
      {long_host + ":1", "255 bytes exceeds the limit of 253"},
      {"http://kv.prod:80", "unknown scheme"},
      {"dns://1.1.1.1/kv.prod:80", "unknown scheme"},
      {"unix:", "empty Unix path"},
      {"unix:@", "empty Unix path"},
      {"unix:" + std::string(108, 'x'), "exceeds the system's limit"},
  };
  for (const auto& [text, reason] : cases) {
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    ASSERT_FALSE(endpoint.ok()) << text;
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(endpoint.status().message()).find(reason),
              std::string::npos)
        << text << " gave: " << endpoint.status();
  }
}

TEST(ParseEndpoint, NamesTheTextAndEscapesIt) {
  EXPECT_EQ(ParseEndpoint("a\nb").status().message(),
            "address \"a\\nb\": no port (write host:port)");
}

}  // namespace
}  // namespace tern::net
