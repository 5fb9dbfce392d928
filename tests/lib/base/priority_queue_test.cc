#include "tern/lib/base/priority_queue.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace tern {
namespace {

struct Named {
  unsigned priority() const { return priority_of; }
  unsigned priority_of;
  char name;
};

class PriorityQueueTest : public ::testing::Test {
 protected:
  std::shared_ptr<Named> Add(char name, unsigned priority) {
    auto item = std::make_shared<Named>(Named{priority, name});
    queue_.Add(item);
    return item;
  }
  std::string TakeInTurns() {
    std::string names;
    for (; !queue_.empty(); queue_.PopNext()) names += queue_.Next()->name;
    return names;
  }
  static std::string NamesOf(const PriorityQueue<Named>::Items& items) {
    std::string names;
    for (const auto& item : items) names += item->name;
    return names;
  }

  PriorityQueue<Named> queue_;
};

TEST_F(PriorityQueueTest, HasTurnsByPriorityThenByArrival) {
  for (const char name : {'a', 'b'}) Add(name, 0);
  for (const char name : {'c', 'd'}) Add(name, 7);
  Add('e', 3);
  EXPECT_EQ(queue_.size(), 5u);
  EXPECT_EQ(TakeInTurns(), "cdeab");
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(PriorityQueueTest, GivesOthersTheirTurn) {
  Add('b', 0);
  for (int i = 0; i < 9; ++i) Add('u', 1);
  EXPECT_EQ(TakeInTurns(), "uuuuuuuubu");
}

TEST_F(PriorityQueueTest, TakesOutWhatIsNamed) {
  Add('a', 2);
  const auto named = Add('b', 2);
  Add('c', 2);
  EXPECT_TRUE(queue_.Remove(named));
  EXPECT_FALSE(queue_.Remove(named));
  EXPECT_EQ(TakeInTurns(), "ac");
}

TEST_F(PriorityQueueTest, TakesTheLeastUrgentThatCameLast) {
  Add('a', 5);
  Add('b', 1);
  Add('c', 5);
  Add('d', 1);
  std::string taken;
  while (!queue_.empty()) taken += queue_.TakeLast()->name;
  EXPECT_EQ(taken, "dbca");
}

TEST_F(PriorityQueueTest, TakesTheMostUrgentFirst) {
  Add('a', 0);
  Add('b', 6);
  Add('c', 6);
  EXPECT_EQ(
      NamesOf(queue_.TakeIf([](const Named& n) { return n.name != 'b'; })),
      "ca");
  Add('d', 7);
  EXPECT_EQ(NamesOf(queue_.TakeAll()), "db");
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace tern
