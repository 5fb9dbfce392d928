#include "tern/lib/base/submission_queue.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

struct Item {
  explicit Item(int number) : number(number) {}
  const int number;
  SubmissionLink<Item> submission;
};

std::vector<int> Take(SubmissionQueue<Item>& queue) {
  std::vector<int> numbers;
  queue.TakeAll([&](const std::shared_ptr<Item>& item) {
    numbers.push_back(item->number);
  });
  return numbers;
}

TEST(SubmissionQueue, HandsOverInOrder) {
  SubmissionQueue<Item> queue;
  EXPECT_TRUE(Take(queue).empty());
  for (int i = 1; i <= 3; ++i) queue.Push(std::make_shared<Item>(i));
  EXPECT_EQ(Take(queue), (std::vector<int>{1, 2, 3}));
  EXPECT_TRUE(Take(queue).empty());
}

TEST(SubmissionQueue, KeepsItsObjectsAlive) {
  std::weak_ptr<Item> weak;
  {
    SubmissionQueue<Item> queue;
    auto item = std::make_shared<Item>(1);
    weak = item;
    queue.Push(std::move(item));
    EXPECT_FALSE(weak.expired());
    Take(queue);
    EXPECT_TRUE(weak.expired());

    item = std::make_shared<Item>(2);
    weak = item;
    queue.Push(std::move(item));
  }
  EXPECT_TRUE(weak.expired());
}

TEST(SubmissionQueue, AnObjectMayBePushedAgainWhenItIsTaken) {
  SubmissionQueue<Item> queue;
  for (int i = 1; i <= 3; ++i) queue.Push(std::make_shared<Item>(i));
  queue.TakeAll([&](std::shared_ptr<Item> item) {
    if (item->number != 2) queue.Push(std::move(item));
  });
  EXPECT_EQ(Take(queue), (std::vector<int>{1, 3}));
}

TEST(SubmissionQueue, LosesNothingBetweenThreads) {
  constexpr int kThreads = 3;
  constexpr int kItems = 10'000;
  SubmissionQueue<Item> queue;
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kItems; ++n) {
        queue.Push(std::make_shared<Item>(i * kItems + n));
      }
      --running;
    });
  }
  std::vector<int> next = {0, kItems, 2 * kItems};
  int taken = 0;
  while (taken < kThreads * kItems) {
    const bool last = running == 0;
    for (const int number : Take(queue)) {
      // Each thread's in its order.
      ASSERT_EQ(number, next[number / kItems]++);
      ++taken;
    }
    if (last) break;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kThreads * kItems);
}

}  // namespace
}  // namespace tern
