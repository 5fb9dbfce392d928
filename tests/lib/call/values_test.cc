// The small values of a call: deadline, metadata, the call of a thread.

#include <thread>

#include "gtest/gtest.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/metadata.h"

namespace tern {
namespace {

TEST(Deadline, IsInfiniteWhenNotGiven) {
  EXPECT_TRUE(Deadline().is_infinite());
  EXPECT_FALSE(Deadline().HasPassed());
  EXPECT_EQ(Deadline().Remaining(), absl::InfiniteDuration());
  EXPECT_TRUE(Deadline::After(absl::InfiniteDuration()).is_infinite());
}

TEST(Deadline, OrdersByTime) {
  const Deadline soon = Deadline::After(absl::Hours(1));
  const Deadline later = Deadline::After(absl::Hours(2));
  EXPECT_LT(soon, later);
  EXPECT_LT(later, Deadline());
  EXPECT_LE(soon.Remaining(), absl::Hours(1));
  EXPECT_GT(soon.Remaining(), absl::Minutes(50));
}

TEST(Deadline, LeavesNothingOnceItHasPassed) {
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), -absl::Hours(1), -absl::InfiniteDuration()}) {
    EXPECT_TRUE(Deadline::After(timeout).HasPassed());
    EXPECT_EQ(Deadline::After(timeout).Remaining(), absl::ZeroDuration());
  }
}

TEST(Metadata, KeepsOrderAndRepetitions) {
  Metadata metadata = {{"a", "1"}, {"b", "2"}};
  metadata.Add("a", "3");
  EXPECT_EQ(metadata.Get("a"), "1");
  EXPECT_EQ(metadata.Get("c"), std::nullopt);
  EXPECT_EQ(metadata.entries(),
            (std::vector<Metadata::Entry>{{"a", "1"}, {"b", "2"}, {"a", "3"}}));
  metadata.clear();
  EXPECT_TRUE(metadata.empty());
}

TEST(Metadata, SetsAndRemovesAllOfAKey) {
  Metadata metadata = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  metadata.Set("a", "4");
  EXPECT_EQ(metadata.entries(),
            (std::vector<Metadata::Entry>{{"b", "2"}, {"a", "4"}}));
  metadata.Remove("b");
  metadata.Remove("c");
  EXPECT_EQ(metadata.entries(), (std::vector<Metadata::Entry>{{"a", "4"}}));
}

TEST(AmbientCall, IsTheInnermostOfItsThread) {
  EXPECT_EQ(CurrentAmbientCall(), nullptr);
  const AmbientCall outer;
  const AmbientCallScope scope(&outer);
  {
    const AmbientCall inner;
    const AmbientCallScope inner_scope(&inner);
    EXPECT_EQ(CurrentAmbientCall(), &inner);
    std::thread([] { EXPECT_EQ(CurrentAmbientCall(), nullptr); }).join();
  }
  EXPECT_EQ(CurrentAmbientCall(), &outer);
}

}  // namespace
}  // namespace tern
