// The modes in which a call follows a call.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "bench/histogram.h"
#include "bench/load/load.h"
#include "bench/load/process.h"
#include "bench/load/window.h"

namespace tern::bench {
namespace {

// Of many callers one in eight is timed: reading the clock for each call would
// cost the fastest peers a few per cent. Callers are alike.
constexpr int kUntimedCallers = 8;

constexpr int64_t kDrainTimeout = 20'000'000'000;

struct Phase {
  std::atomic<bool> measuring{false};
  std::atomic<bool> stopping{false};
  std::atomic<int> running{0};
};

// One of those who call. Used by one thread at a time; `calls` is read by
// others. A cache line of its own, so that callers do not slow each other.
class alignas(64) Caller final : public Completion {
 public:
  // block_milliseconds < 0: echoes.
  Caller(Phase& phase, Connection& connection, bool timed,
         int block_milliseconds = -1)
      : phase_(phase),
        connection_(connection),
        block_milliseconds_(block_milliseconds),
        latencies_(timed ? std::make_unique<Histogram>() : nullptr) {}

  void Begin() {
    ++phase_.running;
    if (latencies_ != nullptr) started_ = NowNanoseconds();
    Start();
  }

  void Done() override {
    Count();
    if (!phase_.stopping.load(std::memory_order_relaxed)) {
      Start();
    } else {
      --phase_.running;
    }
  }

  // Blocking, until the end.
  void CallOnAndOn() {
    started_ = NowNanoseconds();
    while (!phase_.stopping.load(std::memory_order_relaxed)) {
      connection_.Call();
      Count();
    }
  }

  // Echoes that have ended.
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  const Histogram* latencies() const { return latencies_.get(); }

 private:
  void Start() {
    if (block_milliseconds_ < 0) {
      connection_.Start(this);
    } else {
      connection_.StartBlock(block_milliseconds_, this);
    }
  }

  void Count() {
    if (block_milliseconds_ >= 0) return;
    // One writer: no need of an atomic addition.
    calls_.store(calls() + 1, std::memory_order_relaxed);
    if (latencies_ == nullptr) return;
    // The end of a call is the beginning of the next.
    const int64_t now = NowNanoseconds();
    if (phase_.measuring.load(std::memory_order_relaxed)) {
      latencies_->Record(now - started_);
    }
    started_ = now;
  }

  Phase& phase_;
  Connection& connection_;
  const int block_milliseconds_;
  const std::unique_ptr<Histogram> latencies_;
  int64_t started_ = 0;
  std::atomic<uint64_t> calls_{0};
};

using Callers = std::vector<std::unique_ptr<Caller>>;

uint64_t Calls(const Callers& callers) {
  uint64_t calls = 0;
  for (const auto& caller : callers) calls += caller->calls();
  return calls;
}

Histogram Latencies(const Callers& callers) {
  Histogram all;
  for (const auto& caller : callers) {
    if (caller->latencies() != nullptr) all.Merge(*caller->latencies());
  }
  return all;
}

// A thread's peer, its connections and those who call on them.
struct Loop {
  std::unique_ptr<Peer> peer;
  std::vector<std::unique_ptr<Connection>> connections;
  Callers callers;
};

Loop MakeLoop(const LoadOptions& options, const PeerFactory& make_peer,
              Phase& phase, int connections, int blocked) {
  Loop loop;
  loop.peer = make_peer(options.peer);
  loop.connections = ConnectAll(*loop.peer, connections);
  const int callers = connections * options.outstanding;
  for (int i = 0; i < callers; ++i) {
    loop.callers.push_back(std::make_unique<Caller>(
        phase, *loop.connections[i % connections],
        callers <= kUntimedCallers || i % kUntimedCallers == 0));
  }
  for (int i = 0; i < blocked; ++i) {
    loop.callers.push_back(
        std::make_unique<Caller>(phase, *loop.connections[0], /*timed=*/false,
                                 options.block_milliseconds));
  }
  return loop;
}

// Lets every call that is under way end: their callers are destroyed next.
void Drain(Phase& phase, Peer& peer) {
  phase.stopping = true;
  const int64_t give_up = NowNanoseconds() + kDrainTimeout;
  while (phase.running != 0) {
    const int64_t now = NowNanoseconds();
    if (now > give_up) Die("calls are still unanswered after 20 s");
    peer.Run(now + 1'000'000);
  }
}

void RunUntil(Peer& peer, int64_t end) {
  while (NowNanoseconds() < end) peer.Run(end);
}

int64_t ToNanoseconds(double seconds) {
  return static_cast<int64_t>(seconds * 1e9);
}

}  // namespace

void RunBlocking(const LoadOptions& options, const PeerFactory& make_peer) {
  const auto peer = make_peer(options.peer);
  std::vector<std::unique_ptr<Connection>> connections;
  connections.reserve(static_cast<size_t>(options.connections));
  for (int i = 0; i < options.connections; ++i) {
    connections.push_back(peer->Connect());
  }
  Phase phase;
  Callers callers;
  for (int i = 0; i < options.threads; ++i) {
    callers.push_back(std::make_unique<Caller>(
        phase, *connections[i % options.connections], /*timed=*/true));
  }
  Window window(options.server_pid, options.counters,
                [&callers] { return Calls(callers); });
  // One caller is the main thread: some peers' connections belong to the
  // thread that made them. A second thread watches the time.
  std::thread watch([&] {
    SleepUntil(NowNanoseconds() + ToNanoseconds(options.warmup_seconds));
    window.Begin();
    phase.measuring = true;
    SleepUntil(NowNanoseconds() + ToNanoseconds(options.seconds));
    window.End();
    phase.stopping = true;
  });
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) {
    threads.emplace_back([&callers, i] { callers[i]->CallOnAndOn(); });
  }
  callers[0]->CallOnAndOn();
  for (std::thread& thread : threads) thread.join();
  watch.join();
  window.Print(Latencies(callers));
}

void RunAsync(const LoadOptions& options, const PeerFactory& make_peer) {
  // All loops begin together, and are measured together.
  Phase phase;
  std::atomic<int> ready{0};
  std::vector<Loop> loops(options.loops);
  const auto prepare = [&](int index) {
    const int share = options.connections / options.loops +
                      (index < options.connections % options.loops);
    loops[index] = MakeLoop(options, make_peer, phase, share,
                            index == 0 ? options.blocked : 0);
    ++ready;
    while (ready != options.loops) SleepUntil(NowNanoseconds() + 1'000'000);
    for (const auto& caller : loops[index].callers) caller->Begin();
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.loops; ++i) {
    threads.emplace_back([&, i] {
      prepare(i);
      while (!phase.stopping) {
        RunUntil(*loops[i].peer, NowNanoseconds() + 10'000'000);
      }
      Drain(phase, *loops[i].peer);
    });
  }
  prepare(0);
  Peer& peer = *loops[0].peer;
  RunUntil(peer, NowNanoseconds() + ToNanoseconds(options.warmup_seconds));
  Window window(options.server_pid, options.counters, [&loops] {
    uint64_t calls = 0;
    for (const Loop& loop : loops) calls += Calls(loop.callers);
    return calls;
  });
  window.Begin();
  phase.measuring = true;
  RunUntil(peer, NowNanoseconds() + ToNanoseconds(options.seconds));
  window.End();
  phase.measuring = false;
  Drain(phase, peer);
  for (std::thread& thread : threads) thread.join();
  Histogram latencies;
  for (const Loop& loop : loops) latencies.Merge(Latencies(loop.callers));
  window.Print(latencies);
}

}  // namespace tern::bench
