// Unary calls through two sessions in memory.

#include "bench/micro/echo_sessions.h"
#include "benchmark/benchmark.h"

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

}  // namespace
}  // namespace tern::bench
