#include "tern/lib/base/priority_turns.h"

#include <algorithm>
#include <array>
#include <string>

#include "gtest/gtest.h"

namespace tern {
namespace {

// The classes of the next turns, while something waits in all of `waiting`.
std::string Turns(PriorityTurns& turns, uint8_t waiting, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) {
    result += std::to_string(turns.Next(waiting));
  }
  return result;
}

TEST(PriorityTurns, AreTheOnlyOnes) {
  PriorityTurns turns;
  EXPECT_EQ(Turns(turns, 1 << 0, 20), std::string(20, '0'));
  EXPECT_EQ(Turns(turns, 1 << 7, 20), std::string(20, '7'));
}

TEST(PriorityTurns, AreTheHighestsButForOneInNine) {
  PriorityTurns turns;
  EXPECT_EQ(Turns(turns, 1 << 5 | 1 << 2, 19), "5555555525555555525");
}

TEST(PriorityTurns, OfTheOthersGoRound) {
  PriorityTurns turns;
  EXPECT_EQ(Turns(turns, 1 << 7 | 1 << 4 | 1 << 0, 36),
            "777777770777777774777777770777777774");
}

// Nobody has waited while the highest was alone.
TEST(PriorityTurns, AloneOvertakesNobody) {
  PriorityTurns turns;
  Turns(turns, 1 << 3, 100);
  EXPECT_EQ(Turns(turns, 1 << 3 | 1 << 0, 9), "333333330");
}

TEST(PriorityTurns, ComeToAllWithinTheirBound) {
  PriorityTurns turns;
  std::array<int, 8> waited = {};
  std::array<int, 8> longest = {};
  for (int i = 0; i < 1000; ++i) {
    const unsigned turn = turns.Next(0xff);
    for (unsigned other = 0; other < 8; ++other) {
      waited[other] = other == turn ? 0 : waited[other] + 1;
      longest[other] = std::max(longest[other], waited[other]);
    }
  }
  EXPECT_EQ(longest[7], 1);
  for (unsigned other = 0; other < 7; ++other) {
    EXPECT_EQ(longest[other], 7 * 8 + 6) << other;
  }
}

}  // namespace
}  // namespace tern
