#ifndef TERN_EXAMPLES_KV_LATENCIES_H_
#define TERN_EXAMPLES_KV_LATENCIES_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/time/time.h"

namespace kv {

// How long each of a number of calls took. Keeps them all, so that its
// percentiles are exact. Not thread-safe.
class Latencies {
 public:
  void Add(absl::Duration latency) {
    latencies_.push_back(latency);
    sorted_ = false;
  }
  size_t size() const { return latencies_.size(); }

  // The smallest latency that at least `percent` % of the calls did not exceed
  // (0 < percent <= 100). REQUIRES: size() > 0.
  absl::Duration Percentile(double percent) {
    if (!sorted_) std::sort(latencies_.begin(), latencies_.end());
    sorted_ = true;
    const double rank =
        std::ceil(percent * static_cast<double>(latencies_.size()) / 100);
    return latencies_[std::max<size_t>(1, static_cast<size_t>(rank)) - 1];
  }

 private:
  std::vector<absl::Duration> latencies_;
  bool sorted_ = false;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LATENCIES_H_
