#ifndef TERN_TESTS_TESTING_SESSION_PAIR_H_
#define TERN_TESTS_TESTING_SESSION_PAIR_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tests/testing/recording_host.h"
#include "tests/testing/session_io.h"

namespace tern::testing {

// A client's session and a server's, wired back to back in memory: bytes move
// when the test says so, and time passes when the test says so.
//
//   SessionPair pair;
//   pair.client.Call(kUnary, "question");
//   pair.Run();
//   pair.server.Reply(1, "answer");
//   pair.Run();
class SessionPair {
 public:
  static constexpr size_t kAll = static_cast<size_t>(-1);

  explicit SessionPair(wire::SessionOptions client_options = {},
                       wire::SessionOptions server_options = {});

  MonotonicTime now;
  RecordingHost client;
  RecordingHost server;

  // Moves bytes both ways until neither side has any to send.
  void Run();
  // Moves what one side has to send now, or its first `most` bytes; returns how
  // many that were.
  size_t MoveToServer(size_t most = kAll);
  size_t MoveToClient(size_t most = kAll);

  // Lets time pass: each side's OnTime is called when it is due, and bytes
  // move, while `connected`.
  void Advance(absl::Duration duration);

  // The transport breaks: both sides are told; what has not moved is lost.
  void Disconnect();

  // False: bytes stay where they are, as when a cable is pulled.
  bool connected = true;
  // Bytes are handed over in pieces of at most so many ...
  size_t piece = kAll;
  // ... and with a cut before this place of all that goes that way.
  size_t cut_to_server = kAll;
  size_t cut_to_client = kAll;

  // ... and so.
  Way way = Way::kCopied;

  // All that has moved.
  std::string sent_to_server;
  std::string sent_to_client;

 private:
  size_t Move(RecordingHost& from, RecordingHost& to, size_t most, size_t cut,
              std::string* record);
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_SESSION_PAIR_H_
