#include "tern/lib/call/task.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tern/lib/base/await_safe.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/child_call.h"
#include "tern/lib/call/spawn.h"
#include "tests/testing/gate.h"

namespace tern {
namespace {

using ::tern::testing::Gate;

Task<int> Return(int number) { co_return number; }

Task<int> ReturnBehind(Gate& gate, int number) {
  co_await gate;
  co_return number;
}

TEST(Task, GivesItsResultToWhoeverAwaitsIt) {
  const auto sum = []() -> Task<int> {
    const int one = co_await Return(1);
    co_return one + co_await Return(2);
  };
  EXPECT_EQ(BlockOn(sum()), 3);
}

TEST(Task, DoesNothingUntilItIsAwaited) {
  bool ran = false;
  const auto set = [&]() -> Task<> {
    ran = true;
    co_return;
  };
  { const Task<> dropped = set(); }
  EXPECT_FALSE(ran);
  Task<> task = set();
  EXPECT_FALSE(ran);
  BlockOn(std::move(task));
  EXPECT_TRUE(ran);
}

TEST(Task, FreesWhatADroppedOneWasGiven) {
  const auto given = std::make_shared<int>(7);
  const auto keep = [](std::shared_ptr<int> kept) -> Task<int> {
    co_return *kept;
  };
  { const Task<int> dropped = keep(given); }
  EXPECT_EQ(given.use_count(), 1);
  EXPECT_EQ(BlockOn(keep(given)), 7);
  EXPECT_EQ(given.use_count(), 1);
}

TEST(Task, ReturnsWhatCannotBeCopied) {
  const auto make = []() -> Task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(5);
  };
  const auto pass_on = [&]() -> Task<absl::StatusOr<std::unique_ptr<int>>> {
    co_return co_await make();
  };
  EXPECT_EQ(**BlockOn(pass_on()), 5);
}

TEST(Task, ReturnsAStatusInPlaceOfAValue) {
  const auto fail = []() -> Task<absl::StatusOr<std::string>> {
    co_return absl::NotFoundError("it");
  };
  EXPECT_EQ(BlockOn(fail()).status().code(), absl::StatusCode::kNotFound);
}

TEST(Task, ThrowsOutOfTheAwait) {
  Gate gate;
  const auto fail = [&](bool wait) -> Task<int> {
    if (wait) co_await gate;
    throw std::runtime_error("it");
  };
  const auto catcher = [&](bool wait) -> Task<std::string> {
    try {
      co_await fail(wait);
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
    co_return "nothing";
  };
  EXPECT_EQ(BlockOn(catcher(false)), "it");
  std::thread opener([&] { gate.Open(); });
  EXPECT_EQ(BlockOn(catcher(true)), "it");
  opener.join();
  EXPECT_THROW(BlockOn(fail(false)), std::runtime_error);
}

TEST(Task, GoesOnWhereWhatItWaitsForHappens) {
  Gate gate;
  std::thread::id before;
  std::thread::id behind;
  std::optional<int> result;
  const auto task = [&]() -> Task<int> {
    before = std::this_thread::get_id();
    const int number = co_await ReturnBehind(gate, 5);
    behind = std::this_thread::get_id();
    co_return number;
  };
  Spawn(task(), [&](int number) { result = number; });
  EXPECT_EQ(before, std::this_thread::get_id());
  EXPECT_FALSE(result.has_value());
  std::thread opener([&] { gate.Open(); });
  const std::thread::id opener_id = opener.get_id();
  opener.join();
  EXPECT_EQ(behind, opener_id);
  EXPECT_EQ(result, 5);
}

// Also without optimisation and with sanitizers, where a transfer from one
// coroutine to another is no tail call.
TEST(Task, TakesNoStackForThoseThatEndAtOnce) {
  const auto loop = []() -> Task<int64_t> {
    int64_t sum = 0;
    for (int i = 0; i < 300'000; ++i) sum += co_await Return(i);
    co_return sum;
  };
  EXPECT_EQ(BlockOn(loop()), int64_t{300'000} * 299'999 / 2);
}

TEST(Task, MayBeDeeplyNested) {
  Gate gate;
  struct Nest {
    static Task<int> Down(Gate& gate, int levels) {
      if (levels == 0) {
        co_await gate;
        co_return 0;
      }
      co_return 1 + co_await Down(gate, levels - 1);
    }
  };
  std::optional<int> result;
  Spawn(Nest::Down(gate, 1000), [&](int levels) { result = levels; });
  EXPECT_FALSE(result.has_value());
  gate.Open();
  EXPECT_EQ(result, 1000);
}

// The end of a task on one thread meets its start on another.
TEST(Task, EndsOnceWhereverTheThreadsMeet) {
  for (int i = 0; i < 2000; ++i) {
    Gate gate;
    std::thread opener([&] { gate.Open(); });
    const auto task = [&]() -> Task<int> {
      const int one = co_await ReturnBehind(gate, i);
      co_return one + co_await ReturnBehind(gate, 1);
    };
    EXPECT_EQ(BlockOn(task()), i + 1);
    opener.join();
  }
}

// ---- What gcc 12 has been known to get wrong

struct Options {
  std::optional<int> number = std::nullopt;
  AwaitSafe<std::vector<std::string>> names = {};
  AwaitSafe<std::shared_ptr<int>> counted = {};
};

Task<std::string> Join(Gate& gate, const std::string& text,
                       const Options& options = {}) {
  co_await gate;
  std::string joined = text;
  for (const std::string& name : *options.names) joined += " " + name;
  co_return joined;
}

// (Not {"a", second} in the co_await: "array used as initializer", says gcc.)
AwaitSafe<std::vector<std::string>> Names(const std::string& second) {
  return AwaitSafe<std::vector<std::string>>({"a", second});
}

Task<std::string> JoinOwn(Gate& gate, Options options) {
  co_return co_await Join(gate, std::string(), options);
}

TEST(Task, KeepsTemporariesOfTheAwaitAliveAndDestroysThemOnce) {
  Gate gate;
  const AwaitSafe<std::shared_ptr<int>> counted(std::make_shared<int>(0));
  const std::string long_text(100, 'x');
  const auto task = [&]() -> Task<std::string> {
    std::string all = co_await Join(gate, long_text + "y");
    all += co_await Join(gate, long_text,
                         {.number = 1, .names = Names(long_text)});
    all += co_await Join(gate, std::string(50, 'z'),
                         Options{.names = Names("b"), .counted = counted});
    all += co_await JoinOwn(gate, {.names = Names(long_text)});
    co_return all;
  };
  std::optional<std::string> result;
  Spawn(task(), [&](std::string text) { result = std::move(text); });
  EXPECT_FALSE(result.has_value());
  gate.Open();
  EXPECT_EQ(result, long_text + "y" + long_text + " a " + long_text +
                        std::string(50, 'z') + " a b a " + long_text);
  EXPECT_EQ(counted->use_count(), 1);
}

// ---- The ambient call

class AmbientTask : public ::testing::Test {
 protected:
  AmbientCall call_;
  AmbientCall other_;
  Gate gate_;
};

TEST_F(AmbientTask, FollowsTheTaskToAnotherThread) {
  std::vector<const AmbientCall*> seen;
  const auto inner = [&]() -> Task<> {
    seen.push_back(CurrentAmbientCall());
    co_await gate_;
    seen.push_back(CurrentAmbientCall());
  };
  const auto outer = [&]() -> Task<> {
    co_await inner();
    seen.push_back(CurrentAmbientCall());
    co_await inner();
    seen.push_back(CurrentAmbientCall());
  };
  std::thread opener;
  {
    const AmbientCallScope scope(&call_);
    Task<> task = outer();
    struct Ignore final : task_internal::TaskEnd {
      std::coroutine_handle<> OnTaskEnd() noexcept override {
        return std::noop_coroutine();
      }
    } ignore;
    task.Start(CurrentAmbientCall(), &ignore);
    EXPECT_EQ(CurrentAmbientCall(), &call_);
    opener = std::thread([&] {
      const AmbientCallScope others(&other_);
      gate_.Open();
      EXPECT_EQ(CurrentAmbientCall(), &other_);
    });
    opener.join();
  }
  EXPECT_EQ(CurrentAmbientCall(), nullptr);
  EXPECT_EQ(seen, std::vector<const AmbientCall*>(6, &call_));
}

TEST_F(AmbientTask, IsTheThreadsOwnAgainWhenTheTaskWaits) {
  const AmbientCallScope scope(&call_);
  const auto task = [&]() -> Task<> { co_await gate_; };
  Spawn(task(), [] {});
  EXPECT_EQ(CurrentAmbientCall(), &call_);
  const AmbientCallScope others(&other_);
  gate_.Open();
  EXPECT_EQ(CurrentAmbientCall(), &other_);
}

TEST_F(AmbientTask, OfASpawnedTaskOutlivesTheCall) {
  auto call = std::make_unique<AmbientCall>();
  call->deadline = Deadline(MonotonicTime::FromNanoseconds(77));
  call->trace.trace_id_low = 7;
  auto part = std::make_unique<CancellablePart>(call.get());
  const AmbientCall* seen = nullptr;
  Deadline deadline;
  bool cancelled = false;
  uint64_t trace = 0;
  const auto task = [&]() -> Task<> {
    co_await gate_;
    seen = CurrentAmbientCall();
    deadline = seen->deadline;
    trace = seen->trace.trace_id_low;
    cancelled = seen->cancellation->ShareCancellation()->cancelled();
  };
  {
    const AmbientCallScope scope(part->ambient());
    Spawn(task(), [] {});
  }
  part->Cancel();
  part.reset();
  call.reset();
  gate_.Open();
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(deadline.time().nanoseconds(), 77);
  EXPECT_EQ(trace, 7);
  EXPECT_TRUE(cancelled);
}

TEST_F(AmbientTask, OfASpawnedTaskIsNoneOutsideCalls) {
  bool none = false;
  const auto task = [&]() -> Task<> {
    co_await gate_;
    none = CurrentAmbientCall() == nullptr;
  };
  Spawn(task(), [] {});
  const AmbientCallScope scope(&call_);
  gate_.Open();
  EXPECT_TRUE(none);
}

// ---- Misuse

using TaskDeathTest = ::testing::Test;

TEST(TaskDeathTest, ThatNobodyAwaitsMustNotThrow) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fail = []() -> Task<> {
    throw std::runtime_error("nobody catches it");
    co_return;
  };
  // What std::terminate() prints of the exception differs between builds.
  EXPECT_DEATH(Spawn(fail(), [] {}), "terminate called");
}

TEST(TaskDeathTest, IsAwaitedOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Task<int> task = Return(1);
        BlockOn(std::move(task));
        BlockOn(std::move(task));
      },
      "awaited once");
}

}  // namespace
}  // namespace tern
