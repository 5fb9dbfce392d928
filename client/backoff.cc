#include "tern/client/backoff.h"

#include <algorithm>

namespace tern {

absl::Duration Backoff::Next() {
  const absl::Duration base = std::min(next_, max_);
  next_ = std::min(base * kFactor, max_);
  std::uniform_real_distribution<double> factor(1 - kJitter, 1 + kJitter);
  return base * factor(random_);
}

}  // namespace tern
