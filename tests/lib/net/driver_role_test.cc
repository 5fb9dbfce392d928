#include "tern/lib/net/driver_role.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern::net {
namespace {

TEST(DriverRole, IsTakenByOne) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  DriverRole role;
  ASSERT_TRUE(role.AcquireOrAnnounce());
  EXPECT_TRUE(role.TryRelease());
  role.Acquire();
  EXPECT_FALSE(role.AcquireOrAnnounce());
  // The announcement: one more turn for the holder.
  EXPECT_FALSE(role.TryRelease());
  EXPECT_TRUE(role.TryRelease());
  EXPECT_TRUE(role.AcquireOrAnnounce());
  EXPECT_FALSE(role.AcquireOrAnnounce());
  role.Release();
  EXPECT_TRUE(role.AcquireOrAnnounce());
}

// What the threads below share: work is done by whoever holds the role.
class Work {
 public:
  void AddAndDrive() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    announced_.fetch_add(1);
    if (!role_.AcquireOrAnnounce()) return;
    do {
      Do();
    } while (!role_.TryRelease());
  }
  void AcquireAndDrive() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    role_.Acquire();
    do {
      Do();
    } while (!role_.TryRelease());
  }
  // When nobody is at work any more.
  int done() const { return done_; }

 private:
  void Do() {
    EXPECT_EQ(holders_.fetch_add(1), 0);
    done_ += announced_.exchange(0);
    EXPECT_EQ(holders_.fetch_sub(1), 1);
  }

  DriverRole role_;
  std::atomic<int> announced_{0};
  std::atomic<int> holders_{0};
  int done_ = 0;  // The holder's.
};

TEST(DriverRole, LosesNoAnnouncementAndLetsNoTwoIn) {
  constexpr int kThreads = 4;
  constexpr int kTurns = 5'000;
  Work work;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < kTurns; ++turn) {
        if (i == 0) {
          work.AcquireAndDrive();
        } else {
          work.AddAndDrive();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(work.done(), (kThreads - 1) * kTurns);
}

// Threads that hand the role to each other do not keep it from the loop's.
TEST(DriverRole, WhoWaitsForItIsNext) {
  Work work;
  std::atomic<bool> enough{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!enough) work.AddAndDrive();
    });
  }
  for (int turn = 0; turn < 100; ++turn) work.AcquireAndDrive();
  enough = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tern::net
