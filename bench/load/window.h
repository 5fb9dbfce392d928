#ifndef TERN_BENCH_LOAD_WINDOW_H_
#define TERN_BENCH_LOAD_WINDOW_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/histogram.h"
#include "bench/load/counters.h"

namespace tern::bench {

// The time in which is measured: what the clocks and counters said at its
// beginning and at its end. Used by the main thread.
class Window {
 public:
  // `calls` is asked for the number of calls that have ended so far.
  Window(pid_t server, bool counters, std::function<uint64_t()> calls);

  void Begin();
  void End();

  double seconds() const {
    return static_cast<double>(end_.time - begin_.time) / 1e9;
  }

  // One line of JSON, with the latencies that were recorded meanwhile and
  // `more` values.
  using Values = std::vector<std::pair<const char*, double>>;
  void Print(const Histogram& latencies, const Values& more = {}) const;

 private:
  struct Reading {
    int64_t time = 0;
    uint64_t calls = 0;
    int64_t server_cpu = 0;
    int64_t client_cpu = 0;
    std::optional<uint64_t> user_instructions;
    std::optional<uint64_t> kernel_instructions;
    std::optional<uint64_t> system_calls;
  };
  Reading Read() const;

  const pid_t server_;
  const bool count_;
  const std::function<uint64_t()> calls_;
  std::unique_ptr<ProcessCounters> counters_;
  Reading begin_;
  Reading end_;
};

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_WINDOW_H_
