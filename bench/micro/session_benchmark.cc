// Unary calls through two sessions in memory, and the table of those that are
// open.

#include "bench/micro/echo_sessions.h"
#include "benchmark/benchmark.h"
#include "tern/lib/wire/stream_table.h"

namespace tern::bench {
namespace {

void UnaryCalls(benchmark::State& state) {
  EchoSessions sessions(static_cast<size_t>(state.range(1)));
  const auto at_once = static_cast<int>(state.range(0));
  for (auto _ : state) sessions.CallAtOnce(at_once);
  state.SetItemsProcessed(state.iterations() * at_once);
}
BENCHMARK(UnaryCalls)
    ->ArgNames({"at_once", "bytes"})
    ->Args({1, 64})
    ->Args({16, 64})
    ->Args({256, 64})
    ->Args({1, 1 << 10})
    ->Args({1, 1 << 20});

// Of so many open calls the oldest ends and a new one begins.
void ReplaceOpenCall(benchmark::State& state) {
  const auto open = static_cast<wire::StreamId>(state.range(0));
  wire::StreamTable table;
  wire::StreamId next = 1;
  for (wire::StreamId i = 0; i < open; ++i, next += 2) table.Add(next);
  for (auto _ : state) {
    table.Add(next);
    wire::Stream* const oldest = table.Find(next - 2 * open);
    table.Remove(oldest);
    table.Reclaim();
    next += 2;
    if (next > wire::kMaxStreamId - 2) state.SkipWithError("no ids are left");
  }
}
BENCHMARK(ReplaceOpenCall)->ArgName("open")->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace tern::bench
