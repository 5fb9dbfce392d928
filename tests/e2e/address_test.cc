// Where a server can listen, and who is connected to whom.

#include "tern/lib/net/address.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tern/lib/net/socket.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class AddressTest : public EndToEnd {
 protected:
  AddressTest() {
    char pattern[] = "/tmp/tern.XXXXXX";
    EXPECT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    // Answers with who is connected to whom.
    service_.OnCall([](ServerContext& context, const Message&, Message* reply) {
      reply->set_text(context.peer() + " to " + context.local());
      return absl::OkStatus();
    });
  }
  ~AddressTest() override { std::filesystem::remove_all(folder_); }

  // Calls `target` and compares what both ends say of the connection.
  static CallInfo ExpectBothEndsAgree(const std::string& target) {
    const auto channel = Channel::Create(target);
    CallInfo info;
    const absl::StatusOr<Message> reply =
        Call(*channel, "x", {.wait_for_ready = true, .info = &info});
    EXPECT_TRUE(reply.ok()) << target << ": " << reply.status();
    if (reply.ok()) {
      EXPECT_EQ(reply->text(), info.local + " to " + info.peer);
    }
    return info;
  }
  // Whether this machine has ::1.
  static bool HasIpv6() {
    return net::Listen(*net::Address::FromNumericHost("::1", 0), 1).ok();
  }

  std::string folder_;
};

TEST_F(AddressTest, Ipv4) {
  StartServer({.listen = {"127.0.0.1:0"}});
  EXPECT_NE(server_->port(), 0);
  EXPECT_EQ(target(), "127.0.0.1:" + std::to_string(server_->port()));
  const CallInfo info = ExpectBothEndsAgree(target());
  EXPECT_EQ(info.peer, target());
  EXPECT_TRUE(info.local.starts_with("127.0.0.1:")) << info.local;
}

TEST_F(AddressTest, Ipv6) {
  if (!HasIpv6()) GTEST_SKIP() << "this machine has no IPv6 loopback";
  StartServer({.listen = {"[::1]:0"}});
  EXPECT_EQ(target(), "[::1]:" + std::to_string(server_->port()));
  const CallInfo info = ExpectBothEndsAgree(target());
  EXPECT_EQ(info.peer, target());
  EXPECT_TRUE(info.local.starts_with("[::1]:")) << info.local;
}

// One socket for both: an IPv4 client is seen as one.
TEST_F(AddressTest, AnyAddressServesBothFamilies) {
  if (!HasIpv6()) GTEST_SKIP() << "this machine has no IPv6 loopback";
  StartServer({.listen = {"[::]:0"}});
  const std::string port = std::to_string(server_->port());
  EXPECT_EQ(target(), "[::]:" + port);
  EXPECT_EQ(ExpectBothEndsAgree("127.0.0.1:" + port).peer, "127.0.0.1:" + port);
  EXPECT_EQ(ExpectBothEndsAgree("[::1]:" + port).peer, "[::1]:" + port);
}

TEST_F(AddressTest, AnyIpv4Address) {
  StartServer({.listen = {"0.0.0.0:0"}});
  ExpectBothEndsAgree("127.0.0.1:" + std::to_string(server_->port()));
}

TEST_F(AddressTest, UnixPath) {
  const std::string listen = "unix:" + folder_ + "/socket";
  StartServer({.listen = {listen}});
  EXPECT_EQ(server_->port(), 0);
  EXPECT_EQ(target(), listen);
  const CallInfo info = ExpectBothEndsAgree(listen);
  EXPECT_EQ(info.peer, listen);
  StopServer();
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/socket"));
}

TEST_F(AddressTest, UnixPathThatACrashedServerLeftBehind) {
  const std::string path = folder_ + "/socket";
  // Bound, listening, and gone without unlinking it.
  ASSERT_TRUE(net::Listen(*net::Address::FromUnixPath(path), 1).ok());
  ASSERT_TRUE(std::filesystem::exists(path));
  StartServer({.listen = {"unix:" + path}});
  ExpectBothEndsAgree("unix:" + path);
}

TEST_F(AddressTest, UnixAbstractName) {
  const std::string listen = "unix:@tern-test" + folder_;
  StartServer({.listen = {listen}});
  EXPECT_EQ(target(), listen);
  ExpectBothEndsAgree(listen);
}

// A name listens on all its addresses, and is connected to by any of them.
TEST_F(AddressTest, NamesAreLookedUp) {
  StartServer({.listen = {"localhost:0"}});
  const std::string port = std::to_string(server_->port());
  for (const char* prefix : {"localhost:", "dns:///localhost:"}) {
    const CallInfo info = ExpectBothEndsAgree(prefix + port);
    EXPECT_TRUE(info.peer == "127.0.0.1:" + port ||
                info.peer == "[::1]:" + port)
        << info.peer;
  }
}

TEST_F(AddressTest, SeveralAtOnce) {
  const std::string unix_path = "unix:" + folder_ + "/socket";
  StartServer({.listen = {unix_path, "127.0.0.1:0", "127.0.0.1:0"}});
  const std::vector<std::string> addresses = server_->addresses();
  ASSERT_EQ(addresses.size(), 3u);
  EXPECT_EQ(addresses[0], unix_path);
  EXPECT_EQ(addresses[1], "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_NE(addresses[1], addresses[2]);
  for (const std::string& address : addresses) {
    EXPECT_EQ(ExpectBothEndsAgree(address).peer, address);
  }
}

// --- L20: what cannot be listened on ----------------------------------------

class TakenAddressTest : public AddressTest {
 protected:
  // Fails, and says where and why.
  static void ExpectTaken(Server& server, const std::string& address) {
    const absl::Status status = server.Start();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_EQ(status.message(),
              "listen on " + address + ": address already in use");
  }
};

TEST_F(TakenAddressTest, APortInUseIsNamedAndCanBeTriedAgain) {
  StartServer({.listen = {OwnLoopbackAddress() + ":0"}});
  const std::string taken = target();
  TestService service;
  Server second({.listen = {taken}});
  second.Register(&service);
  ExpectTaken(second, taken);
  ExpectTaken(second, taken);
  EXPECT_TRUE(second.addresses().empty());
  EXPECT_EQ(second.port(), 0);
  ExpectBothEndsAgree(taken);  // The first is as it was.

  StopServer();
  const absl::Status status = second.Start();
  ASSERT_TRUE(status.ok()) << status;
  const auto channel = Channel::Create(taken);
  EXPECT_EQ(Call(*channel, "second")->text(), "second");
}

TEST_F(TakenAddressTest, AUnixPathInUse) {
  const std::string taken = "unix:" + folder_ + "/socket";
  StartServer({.listen = {taken}});
  Server second({.listen = {taken}});
  ExpectTaken(second, taken);
  ExpectBothEndsAgree(taken);
}

TEST_F(TakenAddressTest, AFileThatIsNoSocketIsLeftAlone) {
  const std::string path = folder_ + "/file";
  std::ofstream(path) << "precious";
  Server server({.listen = {"unix:" + path}});
  ExpectTaken(server, "unix:" + path);
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

// All of the addresses or none.
TEST_F(TakenAddressTest, NothingIsHalfStarted) {
  StartServer({.listen = {"127.0.0.1:0"}});
  const std::string free = "unix:" + folder_ + "/free";
  Server second({.listen = {free, target()}});
  ExpectTaken(second, target());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/free"));
  EXPECT_TRUE(Failed(CallStatus(*Channel::Create(free), "x"),
                     StatusCode::kUnavailable, Certainty::kNotStarted));
  EXPECT_EQ(second.Drain(absl::Seconds(1)).code(),
            StatusCode::kFailedPrecondition);
  second.Stop();
}

TEST_F(TakenAddressTest, AddressesThatMakeNoSense) {
  for (const char* text :
       {"nonsense", "1.2.3.4", "127.0.0.1:99999", "::1:80", ":", "",
        "fd:", "fd:x", "fd:1x", "fd:-1", "fd:99999", "fd:99999999999"}) {
    Server server({.listen = {text}});
    const absl::Status status = server.Start();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument)
        << text << ": " << status;
  }
  Server unknown({.listen = {"nonexistent.invalid:0"}});
  EXPECT_EQ(unknown.Start().code(), StatusCode::kUnavailable);
  // An address of some other machine.
  Server foreign({.listen = {"192.0.2.1:0"}});
  const absl::Status status = foreign.Start();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("192.0.2.1:0"), std::string::npos) << status;
}

}  // namespace
}  // namespace tern::testing
