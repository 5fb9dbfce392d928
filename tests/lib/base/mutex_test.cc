#include "tern/lib/base/mutex.h"

#include <thread>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(CondVar, WaitEndsWhenNotified) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread notifier([&] {
    MutexLock lock(mutex);
    ready = true;
    changed.NotifyOne();
  });
  {
    MutexLock lock(mutex);
    while (!ready) changed.Wait(mutex);
  }
  notifier.join();
}

TEST(CondVar, WaitUntilAnInfiniteDeadlineEndsWhenNotified) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread notifier([&] {
    MutexLock lock(mutex);
    ready = true;
    changed.NotifyAll();
  });
  {
    MutexLock lock(mutex);
    while (!ready) {
      EXPECT_TRUE(changed.WaitUntil(mutex, MonotonicTime::InfiniteFuture()));
    }
  }
  notifier.join();
}

TEST(CondVar, WaitUntilReturnsFalseOnceTheDeadlineHasPassed) {
  Mutex mutex;
  CondVar changed;
  const MonotonicTime deadline = MonotonicTime::Now() + absl::Milliseconds(5);
  MutexLock lock(mutex);
  while (changed.WaitUntil(mutex, deadline)) {
  }
  EXPECT_GE(MonotonicTime::Now(), deadline);
}

TEST(CondVar, WaitUntilThePastReturnsFalse) {
  Mutex mutex;
  CondVar changed;
  MutexLock lock(mutex);
  EXPECT_FALSE(changed.WaitUntil(mutex, MonotonicTime()));
}

TEST(TryMutex, IsHeldByOneAtATime) {
  TryMutex mutex;
  if (!mutex.TryLock()) FAIL() << "nobody holds it";
  std::thread([&] {
    const bool locked = mutex.TryLock();
    EXPECT_FALSE(locked);
    if (locked) mutex.Unlock();
  }).join();
  mutex.Unlock();
  if (!mutex.TryLock()) FAIL() << "nobody holds it";
  mutex.Unlock();
}

TEST(TryMutex, KeepsWhatItGuardsFromOthers) {
  TryMutex mutex;
  int count = 0;
  const auto add = [&] {
    for (int added = 0; added < 10'000;) {
      if (!mutex.TryLock()) continue;
      ++count;
      ++added;
      mutex.Unlock();
    }
  };
  std::thread other(add);
  add();
  other.join();
  EXPECT_EQ(count, 20'000);
}

}  // namespace
}  // namespace tern
