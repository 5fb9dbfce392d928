#include "bench/raw/frame_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bench/load/process.h"

namespace tern::bench {
namespace {

// Takes the answers to 256 small calls at once.
constexpr size_t kReadBytes = 64 << 10;
constexpr int kBacklog = 4096;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

char* Bytes::Room(size_t size) {
  if (room() >= size) return bytes_.get() + end_;
  const size_t held = this->size();
  if (capacity_ >= held + size) {
    std::memmove(bytes_.get(), data(), held);
  } else {
    capacity_ = std::max(2 * capacity_, held + size);
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity_);
    if (held > 0) std::memcpy(bytes.get(), data(), held);
    bytes_ = std::move(bytes);
  }
  begin_ = 0;
  end_ = held;
  return bytes_.get() + end_;
}

void Bytes::Taken(size_t size) {
  begin_ += size;
  if (begin_ == end_) begin_ = end_ = 0;
}

FrameStream::FrameStream(int fd) : fd_(fd) { SetNoDelay(fd); }

FrameStream::~FrameStream() { close(fd_); }

void FrameStream::Append(uint32_t id,
                         const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  const uint32_t header[2] = {static_cast<uint32_t>(size), id};
  char* const at = out_.Room(kHeaderBytes + size);
  std::memcpy(at, header, kHeaderBytes);
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(at + kHeaderBytes));
  out_.Added(kHeaderBytes + size);
}

void FrameStream::Append(uint32_t id,
                         const google::protobuf::MessageLite& header,
                         const google::protobuf::MessageLite& message) {
  const size_t header_size = header.ByteSizeLong();
  const size_t message_size = message.ByteSizeLong();
  const size_t size = 4 + header_size + message_size;
  const uint32_t head[3] = {static_cast<uint32_t>(size), id,
                            static_cast<uint32_t>(header_size)};
  char* const at = out_.Room(kHeaderBytes + size);
  std::memcpy(at, head, sizeof(head));
  uint8_t* const end = header.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(at + sizeof(head)));
  message.SerializeWithCachedSizesToArray(end);
  out_.Added(kHeaderBytes + size);
}

bool TakeHeader(google::protobuf::MessageLite& header, const char** body,
                size_t* size) {
  uint32_t header_size;
  if (*size < sizeof(header_size)) return false;
  std::memcpy(&header_size, *body, sizeof(header_size));
  *body += sizeof(header_size);
  *size -= sizeof(header_size);
  if (header_size > *size ||
      !header.ParseFromArray(*body, static_cast<int>(header_size))) {
    return false;
  }
  *body += header_size;
  *size -= header_size;
  return true;
}

bool FrameStream::Write(int flags) {
  const ssize_t sent =
      send(fd_, out_.data(), out_.size(), flags | MSG_NOSIGNAL);
  if (sent >= 0) {
    out_.Taken(static_cast<size_t>(sent));
  } else if (errno == EPIPE || errno == ECONNRESET) {
    out_.Taken(out_.size());  // The next Read will tell.
  } else if (errno != EAGAIN && errno != EINTR) {
    DieOfErrno("send");
  }
  return out_.size() == 0;
}

bool FrameStream::Read(int flags) {
  size_t wanted = kReadBytes;
  if (in_.size() >= kHeaderBytes) {
    // A large frame is received where it will lie whole.
    uint32_t length;
    std::memcpy(&length, in_.data(), sizeof(length));
    wanted = std::max(wanted, kHeaderBytes + length - in_.size());
  }
  for (;;) {
    char* const at = in_.Room(wanted);
    const size_t room = in_.room();
    const ssize_t size = recv(fd_, at, room, flags);
    if (size < 0) {
      if (errno == EAGAIN) return true;
      if (errno == EINTR) continue;
      return false;
    }
    if (size == 0) return false;
    in_.Added(static_cast<size_t>(size));
    if (static_cast<size_t>(size) < room) return true;
    flags |= MSG_DONTWAIT;
    wanted = kReadBytes;
  }
}

bool FrameStream::Next(uint32_t* id, const char** body, size_t* size) {
  if (in_.size() < kHeaderBytes) return false;
  uint32_t header[2];
  std::memcpy(header, in_.data(), kHeaderBytes);
  if (in_.size() < kHeaderBytes + header[0]) return false;
  *size = header[0];
  *id = header[1];
  *body = in_.data() + kHeaderBytes;
  in_.Taken(kHeaderBytes + header[0]);
  return true;
}

int ListenOnLoopback(uint16_t* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (fd < 0 ||
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, kBacklog) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    DieOfErrno("listen");
  }
  *port = ntohs(address.sin_port);
  return fd;
}

int ConnectToLoopback(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address)) != 0) {
    DieOfErrno("connect");
  }
  return fd;
}

void SetNoDelay(int fd) {
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
    DieOfErrno("TCP_NODELAY");
  }
}

}  // namespace tern::bench
