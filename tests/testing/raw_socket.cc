#include "tests/testing/raw_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tern/lib/net/address.h"
#include "tests/testing/event.h"

namespace tern::testing {
namespace {

constexpr size_t kPrefaceBytes = 8;
constexpr size_t kHeaderBytes = 12;

// Where the frame ends that is the `count`-th of `type` in `bytes`, which may
// begin with a preface; npos when it is not there yet, or not whole.
size_t EndOfFrame(std::string_view bytes, uint8_t type, int count) {
  const bool has_preface = bytes.substr(0, 1) == "\xD4";
  size_t at = has_preface ? kPrefaceBytes : 0;
  while (at + kHeaderBytes <= bytes.size()) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) {
      length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
    }
    const bool matches = static_cast<uint8_t>(bytes[at + 8]) == type;
    at += kHeaderBytes + length;
    if (at > bytes.size()) break;
    if (matches && --count == 0) return at;
  }
  return std::string_view::npos;
}

bool WaitFor(int fd, short events) {
  pollfd poll_fd = {.fd = fd, .events = events, .revents = 0};
  const auto timeout = static_cast<int>(absl::ToInt64Milliseconds(kPatience));
  return poll(&poll_fd, 1, timeout) > 0;
}

absl::StatusOr<net::Address> AddressOf(std::string_view target) {
  const size_t colon = target.rfind(':');
  return net::Address::FromNumericHost(
      target.substr(0, colon),
      static_cast<uint16_t>(std::stoi(std::string(target.substr(colon + 1)))));
}

}  // namespace

RawConnection::RawConnection(net::FileDescriptor socket)
    : socket_(std::move(socket)) {}

RawConnection RawConnection::To(std::string_view target) {
  const auto address = AddressOf(target);
  net::FileDescriptor socket(
      ::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(socket.get(), address->sockaddr_ptr(), address->length()),
            0)
      << net::ErrnoText(errno);
  return RawConnection(std::move(socket));
}

void RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool RawConnection::ReadMore(std::string* bytes) {
  char buffer[16 << 10];
  if (!WaitFor(socket_.get(), POLLIN)) {
    ADD_FAILURE() << "the peer neither sends nor closes";
    return false;
  }
  const ssize_t count = recv(socket_.get(), buffer, sizeof(buffer), 0);
  if (count <= 0) return false;
  bytes->append(buffer, static_cast<size_t>(count));
  return true;
}

std::string RawConnection::ReadUntilClosed() {
  std::string bytes = std::exchange(rest_, {});
  while (ReadMore(&bytes)) {
  }
  return bytes;
}

std::string RawConnection::ReadAtLeast(size_t count) {
  std::string bytes = std::exchange(rest_, {});
  while (bytes.size() < count) {
    if (!ReadMore(&bytes)) {
      ADD_FAILURE() << "closed after " << bytes.size() << " bytes";
      break;
    }
  }
  return bytes;
}

std::string RawConnection::ReadUntilFrame(uint8_t type, int count) {
  std::string bytes = std::exchange(rest_, {});
  size_t end;
  while ((end = EndOfFrame(bytes, type, count)) == std::string::npos) {
    if (!ReadMore(&bytes)) {
      ADD_FAILURE() << "closed without " << count << " frames of type "
                    << int{type};
      return bytes;
    }
  }
  rest_ = bytes.substr(end);
  bytes.resize(end);
  return bytes;
}

void RawConnection::CloseSending() { shutdown(socket_.get(), SHUT_WR); }

void RawConnection::Reset() {
  const linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  socket_.Close();
}

RawListener::RawListener(std::string_view target) {
  const auto address = AddressOf(target);
  auto socket = net::Listen(*address, 16);
  EXPECT_TRUE(socket.ok()) << socket.status();
  socket_ = *std::move(socket);
  target_ = net::LocalAddress(socket_.get()).ToString();
}

RawConnection RawListener::Accept() {
  if (!WaitFor(socket_.get(), POLLIN)) {
    ADD_FAILURE() << "nobody connects";
    return RawConnection();
  }
  return RawConnection(net::FileDescriptor(
      accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

}  // namespace tern::testing
