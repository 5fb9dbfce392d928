// The modes in which the server streams.

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "bench/histogram.h"
#include "bench/load/load.h"
#include "bench/load/process.h"
#include "bench/load/window.h"

namespace tern::bench {
namespace {

int64_t ToNanoseconds(double seconds) {
  return static_cast<int64_t>(seconds * 1e9);
}

}  // namespace

void Connection::Pour(const std::function<bool()>& /*on_message*/) {
  Die("this peer has no streams");
}

// "Calls" are messages here. They have no latencies.
void RunPour(const LoadOptions& options, const PeerFactory& make_peer) {
  const auto peer = make_peer(options.peer);
  const auto connection = peer->Connect();
  std::atomic<uint64_t> messages{0};
  std::atomic<bool> stopping{false};
  Window window(options.server_pid, options.counters,
                [&messages] { return messages.load(); });
  std::thread watch([&] {
    SleepUntil(NowNanoseconds() + ToNanoseconds(options.warmup_seconds));
    window.Begin();
    SleepUntil(NowNanoseconds() + ToNanoseconds(options.seconds));
    window.End();
    stopping = true;
  });
  connection->Pour([&] {
    // One writer: no need of an atomic addition.
    messages.store(messages.load(std::memory_order_relaxed) + 1,
                   std::memory_order_relaxed);
    return !stopping.load(std::memory_order_relaxed);
  });
  watch.join();
  window.Print(Histogram());
}

void RunBeside(const LoadOptions& options, const PeerFactory& make_peer) {
  const auto peer = make_peer(options.peer);
  const auto connection = peer->Connect();
  connection->Call();
  const int64_t resident_before = ResidentBytes(options.server_pid);
  std::atomic<uint64_t> messages{0};
  std::atomic<bool> stopping{false};
  std::thread reader([&] {
    connection->Pour([&] {
      messages.fetch_add(1, std::memory_order_relaxed);
      return !stopping.load(std::memory_order_relaxed);
    });
  });
  uint64_t calls = 0;
  Histogram latencies;
  Window window(options.server_pid, options.counters,
                [&calls] { return calls; });
  const int64_t begin =
      NowNanoseconds() + ToNanoseconds(options.warmup_seconds);
  int64_t now = NowNanoseconds();
  while (now < begin) {
    connection->Call();
    now = NowNanoseconds();
  }
  const uint64_t messages_before = messages;
  const auto streamed_bytes = [&] {
    return (messages - messages_before) * options.peer.stream_bytes;
  };
  window.Begin();
  const int64_t end = now + ToNanoseconds(options.seconds);
  uint64_t messages_seen = messages_before;
  int64_t seen_at = now;
  while (now < end || streamed_bytes() < options.stream_mib << 20) {
    connection->Call();
    const int64_t answered = NowNanoseconds();
    latencies.Record(answered - now);
    now = answered;
    ++calls;
    if (messages != messages_seen) {
      messages_seen = messages;
      seen_at = now;
    } else if (now - seen_at > ToNanoseconds(10)) {
      Die("the stream beside the calls stands still");
    }
  }
  window.End();
  const double megabytes = static_cast<double>(streamed_bytes()) / 1e6;
  if (megabytes == 0) Die("the stream beside the calls stands still");
  // The server was started for this: the most that it ever had, it had now.
  const int64_t grown = PeakResidentBytes(options.server_pid) - resident_before;
  stopping = true;
  reader.join();
  window.Print(latencies,
               {{"streamed_mb", megabytes},
                {"megabytes_per_s", megabytes / window.seconds()},
                {"server_grown_mb", static_cast<double>(grown) / 1e6}});
}

}  // namespace tern::bench
