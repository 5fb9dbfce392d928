#ifndef TERN_TESTS_LIB_NET_TCP_PAIR_H_
#define TERN_TESTS_LIB_NET_TCP_PAIR_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "gtest/gtest.h"
#include "tern/lib/net/socket.h"

namespace tern::net {

// Both ends of a TCP connection over loopback, blocking; what is written at the
// client's leaves at once.
struct TcpPair {
  TcpPair() { Connect(); }

  FileDescriptor client;
  FileDescriptor server;

 private:
  void Connect() {
    const FileDescriptor listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof(address);
    ASSERT_EQ(bind(listener.get(), generic, length), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ASSERT_EQ(getsockname(listener.get(), generic, &length), 0);
    client = FileDescriptor(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(connect(client.get(), generic, length), 0);
    const int on = 1;
    ASSERT_EQ(
        setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    server = FileDescriptor(accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(server.valid());
  }
};

}  // namespace tern::net

#endif  // TERN_TESTS_LIB_NET_TCP_PAIR_H_
