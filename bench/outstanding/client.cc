// Makes calls that wait, until all are outstanding, and reads what the server
// takes for them.

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench/echo.tern.client.h"
#include "bench/load/options.h"
#include "bench/load/process.h"
#include "tern/client/channel.h"

namespace tern::bench {
namespace {

constexpr int kBlockMilliseconds = 600'000;
constexpr int kBurst = 500;
constexpr int64_t kPatienceNs = 60'000'000'000;

// How many wait at the server.
int Waiting(Echo::Stub& stub) {
  const absl::StatusOr<Payload> reply = stub.Call(Payload());
  if (!reply.ok()) Die(reply.status().ToString());
  return std::stoi(reply->body());
}

void AwaitWaiting(Echo::Stub& stub, int count) {
  const int64_t until = NowNanoseconds() + kPatienceNs;
  while (Waiting(stub) < count) {
    if (NowNanoseconds() > until) Die("not all calls have begun");
    SleepUntil(NowNanoseconds() + 200'000);
  }
}

void Run(const LoadOptions& options) {
  std::vector<std::unique_ptr<Channel>> channels;
  std::vector<Echo::Stub> stubs;
  const std::string target =
      options.peer.host + ":" + std::to_string(options.peer.port);
  for (int i = 0; i < options.connections; ++i) {
    channels.push_back(Channel::Create(target));
    stubs.emplace_back(*channels.back());
    // A short one, so that the threads for such calls are there.
    BlockRequest at_once;
    at_once.set_milliseconds(1);
    if (!stubs.back().Block(at_once).ok()) Die("a call has failed");
    if (Waiting(stubs.back()) != 0) Die("somebody else's calls wait");
  }
  const int64_t before = ResidentBytes(options.server_pid);
  const int threads_before = CountThreads(options.server_pid);

  BlockRequest request;
  request.set_milliseconds(kBlockMilliseconds);
  const CallOptions call_options = {
      .timeout = absl::Milliseconds(2 * kBlockMilliseconds)};
  // Calls are still told of their end when all else here has gone.
  static std::atomic<bool> leaving{false};
  for (int i = 0; i < options.outstanding; ++i) {
    stubs[static_cast<size_t>(i) % stubs.size()].Block(
        request, call_options, [](const absl::StatusOr<Payload>& reply) {
          if (!leaving) Die(reply.status().ToString());
        });
    // No more at a time than the server's queue takes.
    if (i % kBurst == kBurst - 1) AwaitWaiting(stubs.front(), i + 1);
  }
  AwaitWaiting(stubs.front(), options.outstanding);
  const int64_t after = ResidentBytes(options.server_pid);
  std::printf(
      "{\"outstanding\": %d, \"connections\": %d, \"bytes_per_call\": %.1f, "
      "\"server_rss_kib\": %lld, \"threads_added\": %d}\n",
      options.outstanding, options.connections,
      static_cast<double>(after - before) / options.outstanding,
      static_cast<long long>(after / 1024),
      CountThreads(options.server_pid) - threads_before);
  std::fflush(stdout);
  leaving = true;
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  tern::bench::BeginProcess();
  tern::bench::Run(tern::bench::ParseOptions(argc, argv));
}
