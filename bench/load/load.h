#ifndef TERN_BENCH_LOAD_LOAD_H_
#define TERN_BENCH_LOAD_LOAD_H_

#include <functional>
#include <memory>

#include "bench/load/options.h"
#include "bench/load/peer.h"

namespace tern::bench {

// Makes a peer's client; called once for each of LoadOptions::loops threads,
// on that thread.
using PeerFactory = std::function<std::unique_ptr<Peer>(const PeerOptions&)>;

// The main() of a client: one measurement against a server that runs, printed
// as one line of JSON.
int LoadMain(int argc, char** argv, const PeerFactory& make_peer);

// The modes of LoadOptions.
void RunBlocking(const LoadOptions& options, const PeerFactory& make_peer);
void RunAsync(const LoadOptions& options, const PeerFactory& make_peer);
void RunOpen(const LoadOptions& options, const PeerFactory& make_peer);
void RunPour(const LoadOptions& options, const PeerFactory& make_peer);
void RunBeside(const LoadOptions& options, const PeerFactory& make_peer);
void RunIdle(const LoadOptions& options, const PeerFactory& make_peer);

// `count` new connections, each of which has made a call.
std::vector<std::unique_ptr<Connection>> ConnectAll(Peer& peer, int count);

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_LOAD_H_
