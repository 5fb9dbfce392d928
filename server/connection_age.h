#ifndef TERN_SERVER_CONNECTION_AGE_H_
#define TERN_SERVER_CONNECTION_AGE_H_

#include <cstdint>

#include "absl/time/time.h"

namespace tern {

// A maximum age with its jitter, so that connections which began together do
// not end together: 90 % to 110 % of `age`, spread evenly over the seeds, even
// when those are 0, 1, 2, ...
inline absl::Duration JitteredAge(absl::Duration age, uint64_t seed) {
  // SplitMix64's step (Steele, Lea, Flood: Fast splittable pseudorandom number
  // generators, 2014).
  uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  mixed ^= mixed >> 31;
  const double part = static_cast<double>(mixed >> 11) * 0x1p-53;  // Of 1.
  return age * (0.9 + 0.2 * part);
}

}  // namespace tern

#endif  // TERN_SERVER_CONNECTION_AGE_H_
