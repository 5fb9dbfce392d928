#include "examples/kv/progress.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

TEST(Progress, GroupsDigits) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1000), "1,000");
  EXPECT_EQ(WithCommas(123456), "123,456");
  EXPECT_EQ(WithCommas(1234567), "1,234,567");
}

TEST(Progress, DrawsABar) {
  EXPECT_EQ(FormatProgress(1000, 50, 100, absl::Seconds(2), true),
            "[===============               ]  50 %  1,000 entries, 500/s");
  EXPECT_EQ(FormatProgress(1000, 100, 100, absl::Seconds(2), true),
            "[==============================] 100 %  1,000 entries, 500/s");
}

TEST(Progress, StaysWithinTheBarWhenAFileGrows) {
  EXPECT_EQ(FormatProgress(1, 200, 100, absl::Seconds(1), true),
            "[==============================] 100 %  1 entries, 1/s");
}

TEST(Progress, IsAPlainLineWithoutABar) {
  EXPECT_EQ(FormatProgress(1000, 50, 100, absl::Seconds(2), false),
            " 50 %  1,000 entries, 500/s");
  EXPECT_EQ(FormatProgress(1000, 50, 0, absl::Seconds(2), true),
            "1,000 entries, 500/s");
}

TEST(Progress, KnowsNoRateAtOnce) {
  EXPECT_EQ(FormatProgress(0, 0, 0, absl::ZeroDuration(), false),
            "0 entries, 0/s");
}

}  // namespace
}  // namespace kv
