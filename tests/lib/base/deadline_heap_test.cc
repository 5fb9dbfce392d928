#include "tern/lib/base/deadline_heap.h"

#include <array>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

struct Item {
  size_t place = static_cast<size_t>(-1);
  // What the reference knows of it.
  bool queued = false;
  int64_t time = 0;
  uint64_t order = 0;
};
using Heap = DeadlineHeap<Item, &Item::place>;

MonotonicTime At(int64_t nanoseconds) {
  return MonotonicTime::FromNanoseconds(nanoseconds);
}

Item* Pop(Heap& heap) {
  Item* const item = heap.front().item;
  heap.Remove(item);
  return item;
}

TEST(DeadlineHeap, GivesTheEarliestFirst) {
  Heap heap;
  std::array<Item, 4> items;
  heap.Set(&items[0], At(30));
  heap.Set(&items[1], At(10));
  heap.Set(&items[2], MonotonicTime::InfiniteFuture());
  heap.Set(&items[3], At(20));
  EXPECT_EQ(heap.Latest().item, &items[2]);
  EXPECT_EQ(Pop(heap), &items[1]);
  EXPECT_EQ(Pop(heap), &items[3]);
  EXPECT_EQ(Pop(heap), &items[0]);
  EXPECT_EQ(Pop(heap), &items[2]);
  EXPECT_TRUE(heap.empty());
}

TEST(DeadlineHeap, GivesEqualTimesInOrderOfSetting) {
  Heap heap;
  std::array<Item, 3> items;
  for (Item& item : items) heap.Set(&item, At(5));
  heap.Set(&items[0], At(5));  // Set again: now the last.
  EXPECT_EQ(heap.Latest().item, &items[0]);
  EXPECT_EQ(Pop(heap), &items[1]);
  EXPECT_EQ(Pop(heap), &items[2]);
  EXPECT_EQ(Pop(heap), &items[0]);
}

// Against a reference that looks at every item: any mix of setting, moving and
// removing keeps the order and the items' own places.
class DeadlineHeapAgainstReference : public testing::TestWithParam<int> {
 protected:
  Item* Extreme(bool latest) {
    Item* best = nullptr;
    for (Item& item : items_) {
      if (!item.queued) continue;
      const bool before =
          best != nullptr &&
          std::pair(item.time, item.order) < std::pair(best->time, best->order);
      if (best == nullptr || before != latest) best = &item;
    }
    return best;
  }

  void Step() {
    Item& item = items_[random_() % items_.size()];
    if (random_() % 3 == 0 && item.queued) {
      heap_.Remove(&item);
      item.queued = false;
    } else {
      item.time = random_() % 20;
      item.order = next_order_++;
      item.queued = true;
      heap_.Set(&item, At(item.time));
    }
  }

  std::mt19937 random_{static_cast<unsigned>(GetParam())};
  std::vector<Item> items_ = std::vector<Item>(40);
  uint64_t next_order_ = 0;
  Heap heap_;
};

TEST_P(DeadlineHeapAgainstReference, AgreesAfterEveryStep) {
  for (int step = 0; step < 2'000; ++step) {
    Step();
    ASSERT_EQ(heap_.empty() ? nullptr : heap_.front().item, Extreme(false));
    ASSERT_EQ(heap_.empty() ? nullptr : heap_.Latest().item, Extreme(true));
    for (const Item& item : items_) {
      ASSERT_EQ(item.place != Heap::kNotInHeap, item.queued);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DeadlineHeapAgainstReference,
                         testing::Range(0, 8));

}  // namespace
}  // namespace tern
