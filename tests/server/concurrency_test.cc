#include "tern/server/concurrency.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(Concurrency, GivesAsManyPlacesAsTheLimitSays) {
  Concurrency concurrency;
  Concurrency::Place first = concurrency.TryTake(2);
  Concurrency::Place second = concurrency.TryTake(2);
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(concurrency.TryTake(2));
  EXPECT_EQ(concurrency.calls(), 2u);
  second = Concurrency::Place();
  EXPECT_EQ(concurrency.calls(), 1u);
  EXPECT_TRUE(concurrency.TryTake(2));
  EXPECT_EQ(concurrency.calls(), 1u);
}

TEST(Concurrency, APlaceIsGivenBackOnce) {
  Concurrency concurrency;
  {
    Concurrency::Place place = concurrency.TryTake(1);
    const Concurrency::Place moved = std::move(place);
    EXPECT_FALSE(place);
    EXPECT_TRUE(moved);
    EXPECT_EQ(concurrency.calls(), 1u);
  }
  EXPECT_EQ(concurrency.calls(), 0u);
}

// As many threads as places, and more who are refused: those never take one
// away for a moment.
TEST(Concurrency, WhoIsRefusedIsInNobodysWay) {
  constexpr uint32_t kThreads = 4;
  Concurrency concurrency;
  std::atomic<int> refused{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20'000; ++n) {
        if (!concurrency.TryTake(kThreads)) ++refused;
      }
    });
  }
  std::thread nosy([&] {
    while (!over) EXPECT_FALSE(concurrency.TryTake(0));
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  nosy.join();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(concurrency.calls(), 0u);
}

}  // namespace
}  // namespace tern
