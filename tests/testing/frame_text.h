#ifndef TERN_TESTS_TESTING_FRAME_TEXT_H_
#define TERN_TESTS_TESTING_FRAME_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tern::testing {

// Frames put together and taken apart by hand, for tests that play a peer of
// their own: nothing here is shared with the code under test but the numbers
// of PROTOCOL.md.

struct RawFrame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string block;
  std::string payload;

  std::string Bytes() const;
};

std::string BigEndian32(uint32_t value);

std::string PrefaceBytes();
// Preface and a HELLO that says version 1 and nothing else.
std::string GreetingBytes();
std::string HelloFrame(std::string_view payload);
// A unary call's request in one frame, with a timeout of 60 s;
// "test.Test/Unary" when `method` is empty.
std::string UnaryFrame(uint32_t stream, std::string_view message,
                       std::string_view method = {});
// A call header with that method and timeout.
std::string CallBlock(std::string_view method = "test.Test/Unary");
std::string StatusFrame(uint32_t stream, std::string_view message);
// A stream's message, whole.
std::string MessageFrame(uint32_t stream, std::string_view message);
std::string WindowFrame(uint32_t stream, uint32_t increment);
std::string PingFrame(std::string_view opaque8, bool ack = false);
std::string GoAwayFrame(uint32_t last, uint32_t error,
                        std::string_view reason = {});

// What a side has sent, a line for each frame:
//
//   PREFACE                        HELLO
//   HEADERS 1 END_MESSAGE|END_STREAM block=30 payload=5
//   DATA 1 LENGTH payload=16384
//   STATUS 1 OK payload=5          STATUS 1 UNAVAILABLE NOT_STARTED
//   CANCEL 1 CANCELLED MAYBE_STARTED
//   WINDOW 0 131072                PING 0000000000000001
//   GOAWAY 0 PROTOCOL_ERROR        PING ACK 0000000000000001
//
// A line that begins with "?" is not well-formed.
std::vector<std::string> DescribeFrames(std::string_view bytes);
// The frames themselves, without the preface. REQUIRES: well-formed.
std::vector<RawFrame> SplitFrames(std::string_view bytes);
// What the WINDOW frames among them give back in all: for a stream, or 0 for
// the connection.
uint64_t CreditIn(std::string_view bytes, uint32_t stream);

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_FRAME_TEXT_H_
