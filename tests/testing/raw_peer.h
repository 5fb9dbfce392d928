#ifndef TERN_TESTS_TESTING_RAW_PEER_H_
#define TERN_TESTS_TESTING_RAW_PEER_H_

#include <string>
#include <string_view>
#include <vector>

#include "tern/lib/base/monotonic_time.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/recording_host.h"
#include "tests/testing/session_io.h"

namespace tern::testing {

// One session, and a test that plays its peer byte by byte.
class RawPeer {
 public:
  explicit RawPeer(wire::Role role, const wire::Hello& hello = {})
      : host({.role = role, .hello = hello}, kStart) {}

  // Both sides' greetings have been exchanged.
  void Greet() {
    Feed(GreetingBytes());
    Frames();
  }
  void Feed(std::string_view bytes) { host.session().Receive(bytes, now); }
  void Wait(absl::Duration duration) {
    now = now + duration;
    host.session().OnTime(now);
  }
  // What the session has sent since the last time: see DescribeFrames.
  std::vector<std::string> Frames() { return DescribeFrames(Bytes()); }
  std::string Bytes() { return TakeOutput(host.session()); }

  static constexpr MonotonicTime kStart =
      MonotonicTime::FromNanoseconds(1'000'000'000);
  MonotonicTime now = kStart;
  RecordingHost host;
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_RAW_PEER_H_
