// Calls at times that were settled beforehand, whatever became of those before:
// a server that stands still for a moment is seen by all the calls that should
// have been made meanwhile ("coordinated omission" is the opposite).

#include <algorithm>
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
// Between looking for calls that are due: a sleep for each would cost as much
// as the call, and take the cores from client and server. Above 20,000 calls/s
// this adds half of it to the median.
constexpr int64_t kShortestSleep = 50'000;
// Behind the intended times: more is no load that the server can take.
constexpr int64_t kMostDelay = 10'000'000'000;

class Place;

// Places whose calls have ended. Any thread adds, the main thread takes all.
class EndedPlaces {
 public:
  void Add(Place* place);
  Place* TakeAll() { return first_.exchange(nullptr); }

 private:
  std::atomic<Place*> first_{nullptr};
};

// A place for a call that is under way. Its latency is taken by the main
// thread, together with the place.
class Place final : public Completion {
 public:
  explicit Place(EndedPlaces& ended) : ended_(ended) {}

  void Begin(int64_t intended) { intended_ = intended; }
  void Done() override {
    latency_ = NowNanoseconds() - intended_;
    ended_.Add(this);
  }
  int64_t latency() const { return latency_; }

  Place* next = nullptr;  // In EndedPlaces.

 private:
  EndedPlaces& ended_;
  int64_t intended_ = 0;
  int64_t latency_ = 0;
};

void EndedPlaces::Add(Place* place) {
  place->next = first_.load(std::memory_order_relaxed);
  while (!first_.compare_exchange_weak(place->next, place,
                                       std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
}

class OpenLoop {
 public:
  OpenLoop(const LoadOptions& options, const PeerFactory& make_peer)
      : interval_(1e9 / options.rate),
        peer_(make_peer(options.peer)),
        connections_(ConnectAll(*peer_, options.connections)) {
    for (size_t i = 0; i < kMostOutstanding; ++i) {
      free_.push_back(&places_.emplace_back(ended_));
    }
  }

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
      if (i < calls) peer_->Run(std::max(due(i), now + kShortestSleep));
      TakeEnded();
    }
  }

  // Waits for what is under way, and records it.
  void Drain() {
    const int64_t give_up = NowNanoseconds() + kDrainTimeout;
    for (TakeEnded(); free_.size() < places_.size(); TakeEnded()) {
      const int64_t now = NowNanoseconds();
      if (now > give_up) Die("calls are still unanswered after 20 s");
      peer_->Run(now + 1'000'000);
    }
  }

  uint64_t started() const { return started_; }

 private:
  void Start(int64_t due) {
    if (free_.empty()) TakeEnded();
    while (free_.empty()) {
      const int64_t now = NowNanoseconds();
      if (now - due > kMostDelay) Die("the server does not keep up");
      // Looking all the time would take a core from those who are to end some.
      peer_->Run(now + kShortestSleep);
      TakeEnded();
    }
    // The one used last, which is in the cache.
    Place* const place = free_.back();
    free_.pop_back();
    place->Begin(due);
    connections_[started_++ % connections_.size()]->Start(place);
  }

  void TakeEnded() {
    Place* place = ended_.TakeAll();
    for (; place != nullptr; place = place->next) {
      if (latencies_ != nullptr) latencies_->Record(place->latency());
      free_.push_back(place);
    }
  }

  const double interval_;
  const std::unique_ptr<Peer> peer_;
  const std::vector<std::unique_ptr<Connection>> connections_;
  EndedPlaces ended_;
  std::deque<Place> places_;
  std::vector<Place*> free_;
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
