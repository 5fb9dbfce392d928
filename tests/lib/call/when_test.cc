#include "tern/lib/call/when.h"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tests/testing/gate.h"

namespace tern {
namespace {

using ::tern::testing::Gate;

Task<int> ReturnBehind(Gate& gate, int number) {
  co_await gate;
  co_return number;
}
Task<> Nothing() { co_return; }
Task<int> Throw(const char* what) {
  throw std::runtime_error(what);
  co_return 0;
}
// Ends only when it is cancelled.
Task<absl::Status> Forever() {
  co_return co_await tern::SleepFor(absl::InfiniteDuration());
}

std::string WhatThrows(Task<std::vector<int>> task) {
  try {
    BlockOn(std::move(task));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(WhenAll, GivesTheResultsInOrder) {
  std::array<Gate, 3> gates;
  std::optional<std::tuple<int, std::monostate, std::string>> result;
  const auto text = [&]() -> Task<std::string> {
    co_await gates[2];
    co_return "three";
  };
  Spawn(WhenAll(ReturnBehind(gates[0], 1), Nothing(), text()),
        [&](auto all) { result = std::move(all); });
  gates[2].Open();
  EXPECT_FALSE(result.has_value());
  gates[0].Open();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, std::tuple(1, std::monostate(), std::string("three")));
}

TEST(WhenAll, RunsAVectorAtATime) {
  Gate gate;
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(ReturnBehind(gate, i));
  std::optional<std::vector<int>> result;
  Spawn(WhenAll(std::move(tasks)),
        [&](std::vector<int> all) { result = std::move(all); });
  EXPECT_EQ(gate.waiters(), 100);
  gate.Open();
  ASSERT_TRUE(result.has_value());
  for (int i = 0; i < 100; ++i) EXPECT_EQ((*result)[i], i);
}

TEST(WhenAll, OfNoneIsOverAtOnce) {
  EXPECT_TRUE(BlockOn(WhenAll(std::vector<Task<>>())).empty());
  EXPECT_EQ(BlockOn(WhenAll()), std::tuple<>());
}

TEST(WhenAll, TakesWhateverCanBeAwaited) {
  const auto [slept, none] =
      BlockOn(WhenAll(tern::SleepFor(absl::ZeroDuration()), Nothing()));
  EXPECT_TRUE(slept.ok());
}

TEST(WhenAll, ThrowsTheFirstInOrderOnceAllHaveEnded) {
  Gate gate;
  std::vector<Task<int>> tasks;
  tasks.push_back(ReturnBehind(gate, 1));
  tasks.push_back(Throw("second"));
  tasks.push_back(Throw("third"));
  std::thread opener([&] {
    while (gate.waiters() == 0) std::this_thread::yield();
    gate.Open();
  });
  EXPECT_EQ(WhatThrows(WhenAll(std::move(tasks))), "second");
  opener.join();
}

TEST(WhenAll, MeetsEndsOnManyThreads) {
  for (int round = 0; round < 200; ++round) {
    std::array<Gate, 4> gates;
    std::vector<std::thread> openers;
    for (Gate& gate : gates) openers.emplace_back([&gate] { gate.Open(); });
    const auto [a, b, c, d] =
        BlockOn(WhenAll(ReturnBehind(gates[0], 1), ReturnBehind(gates[1], 2),
                        ReturnBehind(gates[2], 3), ReturnBehind(gates[3], 4)));
    EXPECT_EQ(a + b + c + d, 10);
    for (std::thread& opener : openers) opener.join();
  }
}

TEST(WhenAll, HandsTheCallDown) {
  AmbientCall call;
  std::vector<const AmbientCall*> seen;
  const auto look = [&]() -> Task<> {
    seen.push_back(CurrentAmbientCall());
    co_return;
  };
  const AmbientCallScope scope(&call);
  BlockOn(WhenAll(look(), look()));
  EXPECT_EQ(seen, std::vector<const AmbientCall*>(2, &call));
}

TEST(WhenAny, GivesTheFirstAndCancelsTheOthers) {
  Gate gate;
  std::thread opener([&] {
    while (gate.waiters() == 0) std::this_thread::yield();
    gate.Open();
  });
  EXPECT_EQ(std::get<1>(BlockOn(WhenAny(Forever(), ReturnBehind(gate, 6)))), 6);
  opener.join();
}

TEST(WhenAny, WaitsForTheOthers) {
  Gate gate;
  const auto held = std::make_shared<int>(1);
  const auto heedless = [&](std::shared_ptr<int> kept) -> Task<int> {
    co_await gate;
    co_return *kept;
  };
  std::optional<size_t> first;
  Spawn(WhenAny(heedless(held), Nothing()),
        [&](const auto& result) { first = result.index(); });
  EXPECT_FALSE(first.has_value());
  EXPECT_EQ(held.use_count(), 2);
  gate.Open();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(WhenAny, StartsNoneBehindOneThatHasEnded) {
  bool ran = false;
  const auto set = [&]() -> Task<> {
    ran = true;
    co_return;
  };
  EXPECT_EQ(BlockOn(WhenAny(Nothing(), set())).index(), 0);
  EXPECT_FALSE(ran);
}

TEST(WhenAny, OfAVectorSaysWhich) {
  Gate gate;
  std::vector<Task<int>> tasks;
  const auto forever = [](int number) -> Task<int> {
    (void)co_await Forever();
    co_return number;
  };
  for (int i = 0; i < 10; ++i) {
    tasks.push_back(i == 7 ? ReturnBehind(gate, 70) : forever(i));
  }
  std::thread opener([&] {
    while (gate.waiters() == 0) std::this_thread::yield();
    gate.Open();
  });
  const FirstResult<int> first = BlockOn(WhenAny(std::move(tasks)));
  opener.join();
  EXPECT_EQ(first.index, 7);
  EXPECT_EQ(first.value, 70);
}

TEST(WhenAny, ThrowsWhatTheFirstThrows) {
  std::vector<Task<int>> tasks;
  tasks.push_back(Throw("first"));
  tasks.push_back(Throw("second"));
  EXPECT_THROW(BlockOn(WhenAny(std::move(tasks))), std::runtime_error);
}

TEST(WhenAny, IsCancelledWithTheCall) {
  CancellablePart call(nullptr);
  std::optional<std::variant<absl::Status, absl::Status>> result;
  std::thread canceller;
  {
    const AmbientCallScope scope(call.ambient());
    canceller = std::thread([&] { call.Cancel(); });
    result = BlockOn(WhenAny(Forever(), Forever()));
  }
  canceller.join();
  const absl::Status& status =
      result->index() == 0 ? std::get<0>(*result) : std::get<1>(*result);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST(WhenAny, LeavesTheCallAround) {
  CancellablePart call(nullptr);
  const AmbientCallScope scope(call.ambient());
  const auto task = []() -> Task<bool> {
    const AmbientCall* const before = CurrentAmbientCall();
    co_await WhenAny(Forever(), Nothing());
    const auto cancellation =
        CurrentAmbientCall()->cancellation->ShareCancellation();
    co_return before == CurrentAmbientCall() && !cancellation->cancelled();
  };
  EXPECT_TRUE(BlockOn(task()));
}

TEST(WhenAny, HasOneFirstHoweverManyMeet) {
  for (int round = 0; round < 200; ++round) {
    std::array<Gate, 3> gates;
    std::vector<std::thread> openers;
    for (Gate& gate : gates) openers.emplace_back([&gate] { gate.Open(); });
    const auto first =
        BlockOn(WhenAny(ReturnBehind(gates[0], 0), ReturnBehind(gates[1], 1),
                        ReturnBehind(gates[2], 2)));
    std::visit(
        [&](int number) {
          EXPECT_EQ(static_cast<size_t>(number), first.index());
        },
        first);
    for (std::thread& opener : openers) opener.join();
  }
}

}  // namespace
}  // namespace tern
