#ifndef TERN_TESTS_TESTING_RAW_SOCKET_H_
#define TERN_TESTS_TESTING_RAW_SOCKET_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "tern/lib/net/socket.h"

namespace tern::testing {

// One end of a connection that says what a test wants, right or wrong.
// Blocking; what takes longer than kPatience fails the test.
class RawConnection {
 public:
  RawConnection() = default;
  explicit RawConnection(net::FileDescriptor socket);
  // "127.0.0.1:7117"
  static RawConnection To(std::string_view target);

  // A peer that has gone does not fail the test.
  void Send(std::string_view bytes);
  // All that comes until the peer has closed (or reset) the connection.
  std::string ReadUntilClosed();
  // What has come until it holds `bytes`, and that many bytes in all.
  std::string ReadAtLeast(size_t bytes);
  // What has come up to the `count`-th frame of `type`; the preface and
  // everything else included. What has come behind that is read next.
  std::string ReadUntilFrame(uint8_t type, int count = 1);
  // FIN: no more is sent.
  void CloseSending();
  void Close() { socket_.Close(); }
  // RST.
  void Reset();

 private:
  // False at the end.
  bool ReadMore(std::string* bytes);

  net::FileDescriptor socket_;
  std::string rest_;  // Has been read from the socket, but not by the test.
};

// Where a channel connects to a server that is one of these.
class RawListener {
 public:
  // Port 0: a free one.
  explicit RawListener(std::string_view target = "127.0.0.1:0");
  const std::string& target() const { return target_; }
  RawConnection Accept();

 private:
  net::FileDescriptor socket_;
  std::string target_;
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_RAW_SOCKET_H_
