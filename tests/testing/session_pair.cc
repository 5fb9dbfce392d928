#include "tests/testing/session_pair.h"

#include <algorithm>

#include "tests/testing/session_io.h"

namespace tern::testing {
namespace {

// Not 0, so that "never" and "at the beginning" differ.
constexpr MonotonicTime kStart = MonotonicTime::FromNanoseconds(1'000'000'000);

wire::SessionOptions WithRole(wire::SessionOptions options, wire::Role role) {
  options.role = role;
  return options;
}

}  // namespace

SessionPair::SessionPair(wire::SessionOptions client_options,
                         wire::SessionOptions server_options)
    : now(kStart),
      client(WithRole(std::move(client_options), wire::Role::kClient), kStart),
      server(WithRole(std::move(server_options), wire::Role::kServer), kStart) {
}

size_t SessionPair::Move(RecordingHost& from, RecordingHost& to, size_t most,
                         size_t cut, std::string* record) {
  // A copy: the receiver's hook may use the sender's session.
  const std::string bytes = TakeOutput(from.session(), connected ? most : 0);
  std::string_view left = bytes;
  while (!left.empty()) {
    size_t size = std::min(left.size(), piece);
    if (record->size() < cut) size = std::min(size, cut - record->size());
    record->append(left.substr(0, size));
    // Storage of exactly this size: a read beyond it is seen by ASan.
    const std::string exact(left.substr(0, size));
    Receive(to.session(), exact, now, way);
    left.remove_prefix(size);
  }
  return bytes.size();
}

size_t SessionPair::MoveToServer(size_t most) {
  return Move(client, server, most, cut_to_server, &sent_to_server);
}

size_t SessionPair::MoveToClient(size_t most) {
  return Move(server, client, most, cut_to_client, &sent_to_client);
}

void SessionPair::Run() {
  while (MoveToServer() + MoveToClient() > 0) {
  }
}

void SessionPair::Advance(absl::Duration duration) {
  const MonotonicTime end = now + duration;
  for (;;) {
    const MonotonicTime next = std::min(client.session().NextTimeout(),
                                        server.session().NextTimeout());
    if (next > end) break;
    now = std::max(now, next);
    client.session().OnTime(now);
    server.session().OnTime(now);
    Run();
  }
  now = end;
  client.session().OnTime(now);
  server.session().OnTime(now);
  Run();
}

void SessionPair::Disconnect() {
  connected = false;
  client.session().OnTransportClosed("disconnected by the test", now);
  server.session().OnTransportClosed("disconnected by the test", now);
}

}  // namespace tern::testing
