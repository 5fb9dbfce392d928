#ifndef TERN_EXAMPLES_KV_PROGRESS_H_
#define TERN_EXAMPLES_KV_PROGRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"

namespace kv {

// 1234567 as "1,234,567".
std::string WithCommas(uint64_t number);

// "[=====     ]  50 %  1,234 entries, 617/s". Without a bar: without the
// brackets; `total_bytes` 0 (not known): without the share either.
std::string FormatProgress(uint64_t entries, uint64_t bytes,
                           uint64_t total_bytes, absl::Duration elapsed,
                           bool bar);

// Shows on stderr how far a load is: a bar that is drawn over and over when
// stderr is a terminal, else a plain line every second at most. Not
// thread-safe.
class Progress {
 public:
  // `total_bytes` 0: not known, and no share is shown.
  explicit Progress(uint64_t total_bytes);
  ~Progress();  // Clears the bar.
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(uint64_t entries, uint64_t bytes);
  // Prints a line of its own, above the bar.
  void PrintLine(std::string_view line);

 private:
  const uint64_t total_bytes_;
  const bool terminal_;
  const tern::MonotonicTime started_;
  tern::MonotonicTime next_;  // Earlier updates are not shown.
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_PROGRESS_H_
