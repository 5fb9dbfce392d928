#ifndef TERN_BENCH_LOAD_OPTIONS_H_
#define TERN_BENCH_LOAD_OPTIONS_H_

#include <sys/types.h>

#include <cstdint>

#include "bench/load/peer.h"

namespace tern::bench {

enum class Mode {
  kBlocking,  // Threads that call, and call again.
  kAsync,     // Outstanding calls, each started when the one before has ended.
  kOpen,      // Calls at given times, whatever becomes of those before.
  kIdle,      // Connections that have made a call and then rest.
  kPour,      // A stream from the server.
  kBeside,  // A thread that calls while the same connection has such a stream.
};

// A client's command line; bench.py writes it.
struct LoadOptions {
  PeerOptions peer;
  pid_t server_pid = 0;
  Mode mode = Mode::kBlocking;
  int connections = 1;
  int threads = 1;      // kBlocking: dealt out over the connections.
  int outstanding = 1;  // kAsync: of each connection.
  int blocked = 0;      // kAsync: calls that sleep, on the first connection.
  int block_milliseconds = 50;
  int loops = 1;       // kAsync: client threads, each with its connections.
  double rate = 1000;  // kOpen: calls a second, over all connections in turn.
  double seconds = 1;
  double warmup_seconds = 0.3;
  double idle_seconds = 8;  // kIdle
  // kBeside: goes on beyond `seconds` until the stream has brought so much.
  uint64_t stream_mib = 0;
  bool counters = false;  // Count the server's instructions, system calls.
};

LoadOptions ParseOptions(int argc, char** argv);

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_OPTIONS_H_
