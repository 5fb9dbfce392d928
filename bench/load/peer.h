#ifndef TERN_BENCH_LOAD_PEER_H_
#define TERN_BENCH_LOAD_PEER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tern::bench {

// What a peer's client must be able to do to be measured. It makes its request
// of PeerOptions::bytes once, serialises it for each call, parses each reply,
// and compares the size of what comes back; every failure ends the process
// (Die).

// Told when a call has been answered, on whichever thread the peer calls back.
class Completion {
 public:
  virtual void Done() = 0;

 protected:
  ~Completion() = default;
};

// A connection, or what the peer has for one (a channel).
class Connection {
 public:
  virtual ~Connection() = default;
  // An echo; returns when it has been answered. Several threads at once only
  // where the peer's client allows that.
  virtual void Call() = 0;
  // An echo; `done` is told later, and may start the next from there.
  virtual void Start(Completion* done) = 0;
  // A call whose handler sleeps.
  virtual void StartBlock(int milliseconds, Completion* done) = 0;
  // A stream of PeerOptions::stream_bytes a message: reads until on_message(),
  // called for each, is false. Calls from another thread may go on meanwhile.
  // Where the peer has no streams, the process ends.
  virtual void Pour(const std::function<bool()>& on_message);
};

class Peer {
 public:
  virtual ~Peer() = default;
  // Connected when it returns, or with the first call.
  virtual std::unique_ptr<Connection> Connect() = 0;
  // Lets completions be told until a time (NowNanoseconds) that may have
  // passed: a peer that has threads of its own only sleeps. May return early.
  virtual void Run(int64_t until) = 0;
};

struct PeerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  size_t bytes = 64;         // Of the request's body.
  size_t stream_bytes = 64;  // Of each message that is poured.
  std::string variant;       // Where a peer has several: a transport, say.
  bool shared = false;       // Several threads will use one connection.
};

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_PEER_H_
