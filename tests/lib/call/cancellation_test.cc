#include "tern/lib/call/cancellation.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/event.h"

namespace tern {
namespace {

TEST(Cancellation, CallsBackOnce) {
  Cancellation cancellation;
  int calls = 0;
  const auto registration = cancellation.OnCancel([&] { ++calls; });
  EXPECT_FALSE(cancellation.cancelled());
  cancellation.Cancel();
  cancellation.Cancel();
  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_EQ(calls, 1);
}

TEST(Cancellation, CallsBackAtOnceWhenItHasHappened) {
  Cancellation cancellation;
  cancellation.Cancel();
  int calls = 0;
  const auto registration = cancellation.OnCancel([&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(Cancellation, CallsBackInOrderAndLeavesOutWhatIsGone) {
  Cancellation cancellation;
  std::vector<int> calls;
  const auto first = cancellation.OnCancel([&] { calls.push_back(1); });
  auto second = cancellation.OnCancel([&] { calls.push_back(2); });
  auto third = cancellation.OnCancel([&] { calls.push_back(3); });
  const Cancellation::Registration moved = std::move(third);
  second.Reset();
  second.Reset();
  cancellation.Cancel();
  EXPECT_EQ(calls, (std::vector<int>{1, 3}));
}

TEST(Cancellation, AnAssignedRegistrationReplacesTheOldOne) {
  Cancellation cancellation;
  int calls = 0;
  auto registration = cancellation.OnCancel([&] { calls += 1; });
  registration = cancellation.OnCancel([&] { calls += 10; });
  cancellation.Cancel();
  EXPECT_EQ(calls, 10);
}

TEST(Cancellation, ACallbackMayDropItsRegistrationAndMakeAnother) {
  Cancellation cancellation;
  int calls = 0;
  std::optional<Cancellation::Registration> own;
  Cancellation::Registration inner;
  own = cancellation.OnCancel([&] {
    own.reset();
    inner = cancellation.OnCancel([&] { ++calls; });
    ++calls;
  });
  cancellation.Cancel();
  EXPECT_EQ(calls, 2);
}

// What the callback uses may be gone as soon as its registration is.
TEST(Cancellation, DroppingARegistrationWaitsForItsCallback) {
  Cancellation cancellation;
  testing::Event entered;
  testing::Event let_go;
  std::atomic<bool> returned{false};
  auto registration =
      std::make_unique<Cancellation::Registration>(cancellation.OnCancel([&] {
        entered.Notify();
        EXPECT_TRUE(let_go.Wait());
        returned = true;
      }));
  std::thread canceller([&] { cancellation.Cancel(); });
  ASSERT_TRUE(entered.Wait());
  std::thread helper([&] { let_go.Notify(); });
  registration.reset();
  EXPECT_TRUE(returned);
  canceller.join();
  helper.join();
}

TEST(Cancellation, RegistrationsRaceWithIt) {
  for (int i = 0; i < 300; ++i) {
    Cancellation cancellation;
    std::atomic<int> calls{0};
    std::thread canceller([&] { cancellation.Cancel(); });
    {
      const auto kept = cancellation.OnCancel([&] { ++calls; });
      {
        const auto dropped = cancellation.OnCancel([] {});
      }
      canceller.join();
    }
    EXPECT_EQ(calls, 1);
  }
}

}  // namespace
}  // namespace tern
