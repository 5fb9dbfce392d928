#ifndef TERN_CLIENT_BACKOFF_H_
#define TERN_CLIENT_BACKOFF_H_

#include <random>

#include "absl/time/time.h"

namespace tern {

// Pauses between attempts to connect: growing by a factor of 1.6 from `initial`
// to `max`, each varied by 20 % either way, so that many clients of a server
// that has come back do not come all at once. Not thread-safe.
class Backoff {
 public:
  static constexpr double kFactor = 1.6;
  static constexpr double kJitter = 0.2;

  Backoff(absl::Duration initial, absl::Duration max, uint64_t seed)
      : initial_(initial), max_(max), next_(initial), random_(seed) {}

  absl::Duration Next();
  void Reset() { next_ = initial_; }

 private:
  const absl::Duration initial_;
  const absl::Duration max_;
  absl::Duration next_;
  std::mt19937_64 random_;
};

}  // namespace tern

#endif  // TERN_CLIENT_BACKOFF_H_
