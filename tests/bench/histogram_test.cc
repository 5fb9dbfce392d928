#include "bench/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace tern::bench {
namespace {

// What sorting gives.
double ExactPercentile(std::vector<int64_t> values, double percent) {
  std::sort(values.begin(), values.end());
  const double rank =
      std::ceil(percent * static_cast<double>(values.size()) / 100 - 1e-6);
  return static_cast<double>(
      values[static_cast<size_t>(std::max(rank, 1.0)) - 1]);
}

void ExpectPercentilesAsSorted(const std::vector<int64_t>& values) {
  Histogram histogram;
  for (int64_t value : values) histogram.Record(value);
  ASSERT_EQ(values.size(), histogram.count());
  for (double percent :
       {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const double exact = ExactPercentile(values, percent);
    EXPECT_NEAR(exact, histogram.Percentile(percent), exact * 0.004)
        << percent << " % of " << values.size();
  }
}

TEST(Histogram, IsZeroWhenEmpty) {
  EXPECT_EQ(0u, Histogram().count());
  EXPECT_EQ(0, Histogram().Percentile(50));
}

TEST(Histogram, IsExactBelow256Nanoseconds) {
  for (int64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.Record(value);
    EXPECT_EQ(static_cast<double>(value), histogram.Percentile(50));
  }
}

TEST(Histogram, KeepsEveryPowerOfTwoAndItsNeighbours) {
  for (int bits = 8; bits < 36; ++bits) {
    for (int64_t offset : {-1, 0, 1}) {
      const int64_t value = (int64_t{1} << bits) + offset;
      Histogram histogram;
      histogram.Record(value);
      const auto exact = static_cast<double>(value);
      EXPECT_NEAR(exact, histogram.Percentile(50), exact * 0.004) << value;
    }
  }
}

TEST(Histogram, AgreesWithSortingOnEvenlySpreadValues) {
  std::mt19937_64 random(1);
  std::vector<int64_t> values;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(static_cast<int64_t>(random() % 1'000'000));
  }
  ExpectPercentilesAsSorted(values);
}

TEST(Histogram, AgreesWithSortingOverManyOrdersOfMagnitude) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponent(0, 10.8);
  std::vector<int64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<int64_t>(std::pow(10.0, exponent(random))));
  }
  ExpectPercentilesAsSorted(values);
}

TEST(Histogram, AgreesWithSortingOnFewValues) {
  for (size_t count = 1; count <= 20; ++count) {
    std::vector<int64_t> values;
    for (size_t i = 0; i < count; ++i) {
      values.push_back(static_cast<int64_t>(1000 * i * i));
    }
    ExpectPercentilesAsSorted(values);
  }
}

TEST(Histogram, ThePercentileOfARoundCountIsNotOneTooHigh) {
  std::vector<int64_t> values(999, 100);
  values.push_back(5'000'000);
  Histogram histogram;
  for (int64_t value : values) histogram.Record(value);
  EXPECT_EQ(100, histogram.Percentile(99.9));
  EXPECT_NEAR(5'000'000, histogram.Percentile(99.91), 20'000);
}

TEST(Histogram, ClampsWhatIsOutOfRange) {
  Histogram histogram;
  histogram.Record(-5);
  EXPECT_EQ(0, histogram.Percentile(100));
  histogram.Record(int64_t{1} << 50);
  EXPECT_NEAR(68.7e9, histogram.Percentile(100), 0.3e9);
}

TEST(Histogram, MergedIsAsIfRecordedInOne) {
  Histogram all;
  Histogram one;
  Histogram other;
  for (int64_t value = 1; value < 3000; ++value) {
    all.Record(value * 1000);
    (value % 3 == 0 ? one : other).Record(value * 1000);
  }
  one.Merge(other);
  EXPECT_EQ(all.count(), one.count());
  for (double percent : {1.0, 50.0, 99.0, 100.0}) {
    EXPECT_EQ(all.Percentile(percent), one.Percentile(percent));
  }
}

}  // namespace
}  // namespace tern::bench
