#include "bench/load/load.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "bench/load/process.h"

namespace tern::bench {
namespace {

constexpr int kConnectingAtOnce = 64;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kConnectTimeout = 60'000 * kMillisecond;

class Countdown final : public Completion {
 public:
  void Expect(int count) { left_ += count; }
  void Done() override { --left_; }
  bool done() const { return left_ == 0; }

 private:
  std::atomic<int> left_{0};
};

}  // namespace

std::vector<std::unique_ptr<Connection>> ConnectAll(Peer& peer, int count) {
  std::vector<std::unique_ptr<Connection>> connections;
  const int64_t give_up = NowNanoseconds() + kConnectTimeout;
  while (static_cast<int>(connections.size()) < count) {
    const int batch = std::min<int>(
        kConnectingAtOnce, count - static_cast<int>(connections.size()));
    Countdown calls;
    calls.Expect(batch);
    for (int i = 0; i < batch; ++i) {
      connections.push_back(peer.Connect());
      connections.back()->Start(&calls);
    }
    while (!calls.done()) {
      const int64_t now = NowNanoseconds();
      if (now > give_up) Die("could not connect and call within a minute");
      peer.Run(now + kMillisecond);
    }
  }
  return connections;
}

void RunIdle(const LoadOptions& options, const PeerFactory& make_peer) {
  const auto peer = make_peer(options.peer);
  const auto rest = [&] {
    const int64_t until =
        NowNanoseconds() + static_cast<int64_t>(options.idle_seconds * 1e9);
    while (NowNanoseconds() < until) peer->Run(until);
  };
  // What the first connections make is not theirs: threads, pools.
  const auto first = ConnectAll(*peer, 16);
  rest();
  const int64_t before = ResidentBytes(options.server_pid);
  const auto idle = ConnectAll(*peer, options.connections);
  rest();
  const int64_t after = ResidentBytes(options.server_pid);
  std::printf(
      "{\"connections\": %d, \"idle_seconds\": %g, "
      "\"bytes_per_connection\": %.1f, \"server_rss_kib\": %lld, "
      "\"server_threads\": %d}\n",
      options.connections, options.idle_seconds,
      static_cast<double>(after - before) / options.connections,
      static_cast<long long>(after / 1024), CountThreads(options.server_pid));
  std::fflush(stdout);
}

int LoadMain(int argc, char** argv, const PeerFactory& make_peer) {
  BeginProcess();
  const LoadOptions options = ParseOptions(argc, argv);
  switch (options.mode) {
    case Mode::kBlocking:
      RunBlocking(options, make_peer);
      break;
    case Mode::kAsync:
      RunAsync(options, make_peer);
      break;
    case Mode::kOpen:
      RunOpen(options, make_peer);
      break;
    case Mode::kPour:
      RunPour(options, make_peer);
      break;
    case Mode::kBeside:
      RunBeside(options, make_peer);
      break;
    case Mode::kIdle:
      RunIdle(options, make_peer);
      break;
  }
  return 0;
}

}  // namespace tern::bench
