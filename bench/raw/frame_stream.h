#ifndef TERN_BENCH_RAW_FRAME_STREAM_H_
#define TERN_BENCH_RAW_FRAME_STREAM_H_

#include <sys/types.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "google/protobuf/message_lite.h"

namespace tern::bench {

// Bytes in a row, with room behind them that is not cleared.
class Bytes {
 public:
  const char* data() const { return bytes_.get() + begin_; }
  size_t size() const { return end_ - begin_; }

  // Makes room for `size` more and returns where.
  char* Room(size_t size);
  size_t room() const { return capacity_ - end_; }
  void Added(size_t size) { end_ += size; }
  void Taken(size_t size);

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// A TCP connection that carries frames: length of the body and id, four bytes
// each, in the machine's order, and the body. As little as can be done with a
// socket and protobuf: what an RPC system is measured against.
class FrameStream {
 public:
  static constexpr size_t kHeaderBytes = 8;
  // A request with this id is a PourRequest; the server sends messages from
  // then on, and answers nothing else on this connection.
  static constexpr uint32_t kPourId = UINT32_MAX;

  explicit FrameStream(int fd);  // Owned.
  ~FrameStream();
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  int fd() const { return fd_; }

  // Appends a frame to what is to be sent.
  void Append(uint32_t id, const google::protobuf::MessageLite& message);
  // With a header message before the message, whose length takes four bytes.
  void Append(uint32_t id, const google::protobuf::MessageLite& header,
              const google::protobuf::MessageLite& message);
  size_t unsent() const { return out_.size(); }
  // One system call. False when the socket took less (flags: MSG_DONTWAIT).
  bool Write(int flags);

  // Reads what is there, with one system call unless it fills the buffer.
  // False when the peer has closed.
  bool Read(int flags);
  // Takes the next whole frame; its body is valid until the next Read.
  bool Next(uint32_t* id, const char** body, size_t* size);

 private:
  const int fd_;
  Bytes in_;
  Bytes out_;
};

// Parses the header of such a body, and takes it off. False when it can't.
bool TakeHeader(google::protobuf::MessageLite& header, const char** body,
                size_t* size);

// Both block; failures end the process.
int ListenOnLoopback(uint16_t* port);
int ConnectToLoopback(uint16_t port);
void SetNoDelay(int fd);

}  // namespace tern::bench

#endif  // TERN_BENCH_RAW_FRAME_STREAM_H_
