#include "tests/testing/session_io.h"

#include <algorithm>
#include <span>

namespace tern::testing {

std::string OutputOf(wire::Session& session) {
  std::string bytes;
  for (const std::string_view piece : session.Output()) bytes += piece;
  return bytes;
}

std::string TakeOutput(wire::Session& session, size_t most) {
  std::string bytes = OutputOf(session).substr(0, most);
  session.Sent(bytes.size());
  return bytes;
}

void Receive(wire::Session& session, std::string_view bytes, MonotonicTime now,
             Way way) {
  while (!bytes.empty()) {
    const wire::InputPieces pieces = session.ReceiveInto();
    if (way == Way::kCopied || pieces.empty()) {
      return session.Receive(bytes, now);
    }
    size_t taken = 0;
    for (const std::span<char> piece : pieces) {
      taken += bytes.substr(taken).copy(piece.data(), piece.size());
    }
    session.ReceivedInto(taken, now);
    bytes.remove_prefix(taken);
  }
}

}  // namespace tern::testing
