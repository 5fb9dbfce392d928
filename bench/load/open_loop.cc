// Calls at times that were settled beforehand, whatever became of those before:
// a server that stands still for a moment is seen by all the calls that should
// have been made meanwhile ("coordinated omission" is the opposite).

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "bench/histogram.h"
#include "bench/load/load.h"
#include "bench/load/process.h"
#include "bench/load/window.h"

namespace tern::bench {
namespace {

// A call for which there is no place waits, and its time runs.
constexpr size_t kMostOutstanding = 8192;
constexpr int64_t kDrainTimeout = 20'000'000'000;
// Behind the intended times: more is no load that the server can take.
constexpr int64_t kMostDelay = 10'000'000'000;

// A place for a call that is under way. Its latency is taken by the main
// thread when it uses the place again.
class alignas(64) Place final : public Completion {
 public:
  void Begin(int64_t intended) {
    intended_ = intended;
    busy_.store(true, std::memory_order_relaxed);
  }
  void Done() override {
    latency_ = NowNanoseconds() - intended_;
    busy_.store(false, std::memory_order_release);
  }
  bool busy() const { return busy_.load(std::memory_order_acquire); }

  // -1 when there is none.
  int64_t TakeLatency() {
    const int64_t latency = latency_;
    latency_ = -1;
    return latency;
  }

 private:
  std::atomic<bool> busy_{false};
  int64_t intended_ = 0;
  int64_t latency_ = -1;
};

class OpenLoop {
 public:
  OpenLoop(const LoadOptions& options, const PeerFactory& make_peer)
      : interval_(1e9 / options.rate),
        peer_(make_peer(options.peer)),
        connections_(ConnectAll(*peer_, options.connections)),
        places_(kMostOutstanding) {}

  // Makes the calls of that time. Latencies of calls that end meanwhile are
  // recorded if `latencies` is not null.
  void Run(int64_t nanoseconds, Histogram* latencies) {
    latencies_ = latencies;
    const int64_t begin = NowNanoseconds();
    const auto due = [this, begin](uint64_t i) {
      return begin + static_cast<int64_t>(static_cast<double>(i) * interval_);
    };
    const auto calls =
        static_cast<uint64_t>(static_cast<double>(nanoseconds) / interval_);
    for (uint64_t i = 0; i < calls;) {
      const int64_t now = NowNanoseconds();
      for (; i < calls && due(i) <= now; ++i) Start(due(i));
      if (i < calls) peer_->Run(due(i));
    }
  }

  // Waits for what is under way, and records it.
  void Drain() {
    const int64_t give_up = NowNanoseconds() + kDrainTimeout;
    for (Place& place : places_) {
      while (place.busy()) {
        const int64_t now = NowNanoseconds();
        if (now > give_up) Die("calls are still unanswered after 20 s");
        peer_->Run(now + 1'000'000);
      }
      Harvest(place);
    }
  }

  uint64_t started() const { return started_; }

 private:
  void Start(int64_t due) {
    Place* place = &NextPlace();
    for (size_t tried = 1; place->busy(); ++tried) {
      if (tried % places_.size() == 0) {
        const int64_t now = NowNanoseconds();
        if (now - due > kMostDelay) Die("the server does not keep up");
        peer_->Run(now);
      }
      place = &NextPlace();
    }
    Harvest(*place);
    place->Begin(due);
    connections_[started_++ % connections_.size()]->Start(place);
  }

  Place& NextPlace() {
    next_place_ = (next_place_ + 1) % places_.size();
    return places_[next_place_];
  }

  void Harvest(Place& place) {
    const int64_t latency = place.TakeLatency();
    if (latency >= 0 && latencies_ != nullptr) latencies_->Record(latency);
  }

  const double interval_;
  const std::unique_ptr<Peer> peer_;
  const std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Place> places_;
  size_t next_place_ = 0;
  uint64_t started_ = 0;
  Histogram* latencies_ = nullptr;
};

}  // namespace

void RunOpen(const LoadOptions& options, const PeerFactory& make_peer) {
  OpenLoop loop(options, make_peer);
  loop.Run(static_cast<int64_t>(options.warmup_seconds * 1e9), nullptr);
  loop.Drain();
  Histogram latencies;
  Window window(options.server_pid, options.counters,
                [&loop] { return loop.started(); });
  window.Begin();
  loop.Run(static_cast<int64_t>(options.seconds * 1e9), &latencies);
  loop.Drain();
  window.End();
  window.Print(latencies);
}

}  // namespace tern::bench
