#ifndef TERN_BENCH_LOAD_COUNTERS_H_
#define TERN_BENCH_LOAD_COUNTERS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace tern::bench {

// What the kernel counts of another process: all threads that it has now, and
// those that they start. A machine (or container) may not count some of it:
// such a counter reads as nothing.
class ProcessCounters {
 public:
  enum Event { kUserInstructions, kKernelInstructions, kSystemCalls };

  // Counting begins at once.
  explicit ProcessCounters(pid_t pid);
  ~ProcessCounters();
  ProcessCounters(const ProcessCounters&) = delete;
  ProcessCounters& operator=(const ProcessCounters&) = delete;

  // Since the beginning, scaled up where the processor's counters were shared.
  std::optional<uint64_t> Read(Event event) const;

 private:
  std::vector<int> files_[3];  // By event, one for each thread.
};

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_COUNTERS_H_
