#ifndef TERN_BENCH_HISTOGRAM_H_
#define TERN_BENCH_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tern::bench {

// Counts of durations in log-linear buckets, after HdrHistogram
// (hdrhistogram.org): exact below 256 ns, from there on 128 buckets for each
// power of two, so that a percentile is within 0.4 % of the value that sorting
// would give. Values from about 68 s on count as that.
//
// Not thread-safe: one for each thread (or each caller), merged at the end.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  void Record(int64_t nanoseconds) {
    const uint64_t value =
        std::min<uint64_t>(std::max<int64_t>(nanoseconds, 0), kLargest);
    ++counts_[BucketOf(value)];
    ++count_;
  }

  void Merge(const Histogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
  }

  uint64_t count() const { return count_; }

  // The value at or below which `percent` of the recorded ones lie: the middle
  // of the bucket of the ceil(percent / 100 * count)-th smallest. 0 when empty.
  double Percentile(double percent) const {
    if (count_ == 0) return 0;
    // A hair less, or 99.9 % of 1000 would be the 1000th.
    const double wanted =
        std::ceil(percent / 100 * static_cast<double>(count_) - 1e-6);
    const uint64_t rank =
        std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += counts_[bucket];
      if (seen >= rank) return MiddleOf(bucket);
    }
    return kLargest;
  }

 private:
  static constexpr int kPrecisionBits = 7;
  static constexpr int kValueBits = 36;
  static constexpr uint64_t kLargest = (uint64_t{1} << kValueBits) - 1;

  static constexpr size_t kBuckets = size_t{kValueBits - kPrecisionBits + 1}
                                     << kPrecisionBits;

  // Values of up to kPrecisionBits + 1 bits have a bucket each; of longer ones
  // that many leading bits choose it.
  static size_t BucketOf(uint64_t value) {
    const auto width = static_cast<int>(std::bit_width(value));
    if (width <= kPrecisionBits + 1) return value;
    const int shift = width - kPrecisionBits - 1;
    return (static_cast<size_t>(shift) << kPrecisionBits) + (value >> shift);
  }

  static double MiddleOf(size_t bucket) {
    if (bucket < (size_t{2} << kPrecisionBits)) {
      return static_cast<double>(bucket);
    }
    const int shift = static_cast<int>(bucket >> kPrecisionBits) - 1;
    const uint64_t lowest =
        (bucket - (static_cast<size_t>(shift) << kPrecisionBits)) << shift;
    return static_cast<double>(lowest) +
           static_cast<double>((uint64_t{1} << shift) - 1) / 2;
  }

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
};

}  // namespace tern::bench

#endif  // TERN_BENCH_HISTOGRAM_H_
