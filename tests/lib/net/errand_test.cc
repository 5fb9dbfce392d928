// What may stall runs as an errand of an EventLoop, and what that leaves of the
// turn is flushed; StandbyDrivers take over a loop whose errand stalls.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/socket.h"
#include "tern/lib/net/standby_drivers.h"
#include "tests/lib/net/loop_fakes.h"
#include "tests/lib/net/slot.h"

namespace tern::net {
namespace {

using Strings = std::vector<std::string>;

class FunctionErrand final : public EventLoop::Errand {
 public:
  explicit FunctionErrand(absl::AnyInvocable<void()> run)
      : run_(std::move(run)) {}

  absl::AnyInvocable<bool(bool, bool)> stays_here = [](bool, bool) {
    return true;
  };
  // Where it was over: on the loop's thread?
  Slot<bool> over;

  bool StaysHere(bool last, bool may_stall) override {
    return stays_here(last, may_stall);
  }
  MonotonicTime RunErrand(MonotonicTime) override {
    run_();
    return MonotonicTime::Now();
  }
  void OnErrandOver(bool on_loop) override { over.Put(on_loop); }

 private:
  absl::AnyInvocable<void()> run_;
};

class FunctionFlushable final : public EventLoop::Flushable {
 public:
  explicit FunctionFlushable(
      absl::AnyInvocable<void()> flush,
      absl::AnyInvocable<void()> prepare = [] {})
      : flush_(std::move(flush)), prepare_(std::move(prepare)) {}
  void Flush() override { flush_(); }
  void PrepareFlush() override { prepare_(); }

 private:
  absl::AnyInvocable<void()> flush_;
  absl::AnyInvocable<void()> prepare_;
};

// ---- One loop, nobody stands by

class ErrandTest : public testing::Test {
 protected:
  ErrandTest() : loop_(EventLoop::Create("test").value()) {}

  // Runs `function` on the loop, and waits for it and its errands and flushes.
  void OnLoop(absl::AnyInvocable<void()> function) {
    loop_->PostAndWait(std::move(function));
    loop_->PostAndWait([] {});
  }
  std::unique_ptr<FunctionErrand> ErrandThatNotes(const std::string& name) {
    return std::make_unique<FunctionErrand>(
        [this, name] { noted_.push_back(name); });
  }
  std::unique_ptr<FunctionErrand> ErrandThatNotesItsPlace(
      const std::string& name) {
    auto errand = std::make_unique<FunctionErrand>([] {});
    errand->stays_here = [this, name](bool last, bool) {
      Note(name + (last ? ", last" : ", not last"));
      return true;
    };
    return errand;
  }
  void Note(const std::string& what) { noted_.push_back(what); }

  Strings noted_;
  const std::unique_ptr<EventLoop> loop_;
};

TEST_F(ErrandTest, RunsBehindTheCallbackThatAddedItInOrder) {
  const auto first = ErrandThatNotes("first");
  const auto second = ErrandThatNotes("second");
  OnLoop([&] {
    EXPECT_FALSE(loop_->has_errands());
    loop_->AddErrand(first.get());
    loop_->AddErrand(second.get());
    EXPECT_TRUE(loop_->has_errands());
    Note("callback");
  });
  EXPECT_EQ(noted_, (Strings{"callback", "first", "second"}));
  EXPECT_TRUE(first->over.Take());
  EXPECT_TRUE(second->over.Take());
}

TEST_F(ErrandTest, RunsWithoutTheLoop) {
  FunctionErrand errand([&] {
    EXPECT_FALSE(loop_->OnLoopThread());
    EXPECT_FALSE(loop_->IsDrivenHere());
    EXPECT_FALSE(EventLoop::OnAnyLoopThread());
  });
  errand.stays_here = [&](bool, bool) {
    EXPECT_TRUE(loop_->OnLoopThread());
    return true;
  };
  OnLoop([&] { loop_->AddErrand(&errand); });
  EXPECT_TRUE(errand.over.Take());
  OnLoop([&] { EXPECT_TRUE(loop_->IsDrivenHere()); });
}

TEST_F(ErrandTest, KnowsWhetherOthersWait) {
  const auto first = ErrandThatNotesItsPlace("first");
  const auto second = ErrandThatNotesItsPlace("second");
  OnLoop([&] {
    loop_->AddErrand(first.get());
    loop_->AddErrand(second.get());
  });
  EXPECT_EQ(noted_, (Strings{"first, not last", "second, last"}));
}

// Those of other handlers do not count.
TEST_F(ErrandTest, RunsBehindAllHandlersThatWereReadyTogether) {
  const auto one = ErrandThatNotesItsPlace("one");
  const auto two = ErrandThatNotesItsPlace("two");
  const auto other = ErrandThatNotesItsPlace("other");
  Pair pairs[3];
  FunctionHandler adds_two([&](uint32_t) {
    Note("adds two");
    loop_->AddErrand(one.get());
    loop_->AddErrand(two.get());
    loop_->Unregister(pairs[0].ours.get(), &adds_two);
  });
  FunctionHandler adds_none([&](uint32_t) {
    Note("adds none");
    loop_->Unregister(pairs[1].ours.get(), &adds_none);
  });
  FunctionHandler adds_one([&](uint32_t) {
    Note("adds one");
    loop_->AddErrand(other.get());
    loop_->Unregister(pairs[2].ours.get(), &adds_one);
  });
  FunctionHandler* const handlers[] = {&adds_two, &adds_none, &adds_one};
  OnLoop([&] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(
          loop_->Register(pairs[i].ours.get(), EPOLLIN, handlers[i]).ok());
      pairs[i].MakeReadable();
    }
  });
  EXPECT_EQ(noted_, (Strings{"adds two", "adds none", "adds one",
                             "one, not last", "two, last", "other, last"}));
}

// It may be gone by the time that StaysHere() returns.
TEST_F(ErrandTest, ThatGoesElsewhereIsNotRun) {
  auto leaves = ErrandThatNotes("left");
  const auto stays = ErrandThatNotes("stayed");
  leaves->stays_here = [&](bool, bool) {
    loop_->Post([owned = std::move(leaves)] {});
    return false;
  };
  OnLoop([&] {
    loop_->AddErrand(leaves.get());
    loop_->AddErrand(stays.get());
  });
  EXPECT_EQ(noted_, (Strings{"stayed"}));
}

TEST_F(ErrandTest, RunsInTheTurnOfATimerToo) {
  const auto errand = ErrandThatNotes("errand");
  std::unique_ptr<EventLoop::Timer> timer;
  timer = std::make_unique<EventLoop::Timer>(
      loop_.get(), [&] { loop_->AddErrand(errand.get()); });
  OnLoop([&] { timer->Set(loop_->now()); });
  EXPECT_TRUE(errand->over.Take());
  OnLoop([&] { timer.reset(); });
}

// Of many handlers that are ready in one turn, eight are called together.
TEST_F(ErrandTest, RunsBeforeTheNextHandlers) {
  constexpr int kHandlers = 9;
  Pair pairs[kHandlers];
  std::unique_ptr<FunctionErrand> errands[kHandlers];
  std::unique_ptr<FunctionHandler> handlers[kHandlers];
  Strings expected(8, "handler");
  expected.insert(expected.end(), 8, "errand");
  expected.insert(expected.end(), {"handler", "errand"});
  for (int i = 0; i < kHandlers; ++i) {
    errands[i] = ErrandThatNotes("errand");
    handlers[i] = std::make_unique<FunctionHandler>([&, i](uint32_t) {
      Note("handler");
      loop_->Unregister(pairs[i].ours.get(), handlers[i].get());
      loop_->AddErrand(errands[i].get());
    });
    pairs[i].MakeReadable();
  }
  OnLoop([&] {
    for (int i = 0; i < kHandlers; ++i) {
      EXPECT_TRUE(
          loop_->Register(pairs[i].ours.get(), EPOLLIN, handlers[i].get())
              .ok());
    }
  });
  for (const auto& errand : errands) errand->over.Take();
  OnLoop([] {});
  EXPECT_EQ(noted_, expected);
}

// ---- Flushes

TEST_F(ErrandTest, FlushComesBehindTheErrands) {
  const auto errand = ErrandThatNotes("errand");
  FunctionFlushable flushable([&] {
    EXPECT_TRUE(loop_->IsDrivenHere());
    Note("flush");
  });
  OnLoop([&] {
    loop_->FlushSoon(&flushable);
    loop_->AddErrand(errand.get());
    Note("callback");
  });
  EXPECT_EQ(noted_, (Strings{"callback", "errand", "flush"}));
}

TEST_F(ErrandTest, AllArePreparedBeforeTheFirstFlush) {
  FunctionFlushable one([&] { Note("flush one"); },
                        [&] { Note("prepare one"); });
  FunctionFlushable other([&] { Note("flush other"); },
                          [&] { Note("prepare other"); });
  OnLoop([&] {
    loop_->FlushSoon(&one);
    loop_->FlushSoon(&other);
  });
  EXPECT_EQ(noted_, (Strings{"prepare one", "prepare other", "flush one",
                             "flush other"}));
}

TEST_F(ErrandTest, OneFlushIsNotPrepared) {
  FunctionFlushable one([&] { Note("flush"); }, [&] { Note("prepare"); });
  OnLoop([&] { loop_->FlushSoon(&one); });
  EXPECT_EQ(noted_, Strings{"flush"});
}

TEST_F(ErrandTest, ErrandAddedByAFlushRunsBeforeTheLoopSleeps) {
  const auto errand = ErrandThatNotes("errand");
  FunctionFlushable flushable([&] { loop_->AddErrand(errand.get()); });
  loop_->PostAndWait([&] { loop_->FlushSoon(&flushable); });
  EXPECT_TRUE(errand->over.Take());  // Nothing else wakes the loop.
}

TEST_F(ErrandTest, FlushThatAsksForAnotherStarvesNobody) {
  std::atomic<bool> enough{false};
  std::unique_ptr<FunctionFlushable> flushable;
  flushable = std::make_unique<FunctionFlushable>([&] {
    if (!enough) loop_->FlushSoon(flushable.get());
  });
  OnLoop([&] { loop_->FlushSoon(flushable.get()); });
  Slot<bool> due;
  EventLoop::Timer timer(loop_.get(), [&] { due.Put(true); });
  OnLoop([&] { timer.Set(loop_->now() + absl::Milliseconds(1)); });
  due.Take();
  enough = true;
  OnLoop([] {});
}

// As above, and the loop must not sleep on what is left for the next turn.
TEST_F(ErrandTest, FlushThatIsLeftForTheNextTurnIsNotSleptOn) {
  int left = 100;
  Slot<bool> done;
  std::unique_ptr<FunctionFlushable> flushable;
  flushable = std::make_unique<FunctionFlushable>([&] {
    if (--left == 0) return done.Put(true);
    loop_->FlushSoon(flushable.get());
  });
  loop_->PostAndWait([&] { loop_->FlushSoon(flushable.get()); });
  done.Take();
}

// ---- Stop

TEST_F(ErrandTest, StopRunsTheErrandsAndFlushesThatAreLeft) {
  const auto errand = ErrandThatNotes("errand");
  FunctionFlushable flushable([&] { Note("flush"); });
  std::latch posted(1);
  loop_->Post([&] { posted.wait(); });
  loop_->Post([&] {
    loop_->AddErrand(errand.get());
    loop_->FlushSoon(&flushable);
  });
  posted.count_down();
  loop_->Stop();
  EXPECT_EQ(noted_, (Strings{"errand", "flush"}));
}

// ---- Threads stand by

// An errand that is in there until it is let go.
class Stall {
 public:
  FunctionErrand errand{[this] {
    entered_.count_down();
    let_go_.wait();
  }};
  void WaitUntilEntered() { entered_.wait(); }
  void LetGo() { let_go_.count_down(); }

 private:
  std::latch entered_{1};
  std::latch let_go_{1};
};

class StandbyTest : public testing::Test {
 protected:
  void Create(int loops, int max_standby_drivers) {
    absl::StatusOr<std::unique_ptr<EventLoopGroup>> group =
        EventLoopGroup::Create(loops, "test", max_standby_drivers);
    ASSERT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
    loop_ = group_->at(0);
  }
  void Add(EventLoop::Errand* errand) {
    loop_->PostAndWait([=, this] { loop_->AddErrand(errand); });
  }
  // Returns when the errand runs; the loop is not driven by its thread then.
  void AddAndWait(Stall* stall) {
    Add(&stall->errand);
    stall->WaitUntilEntered();
  }

  std::unique_ptr<EventLoopGroup> group_;
  EventLoop* loop_ = nullptr;
};

TEST_F(StandbyTest, LoopGoesOnWhileAnErrandStalls) {
  Create(1, 2);
  Stall stall;
  AddAndWait(&stall);
  Slot<std::thread::id> driver;
  loop_->PostAndWait([&] {
    EXPECT_TRUE(loop_->IsDrivenHere());
    driver.Put(std::this_thread::get_id());
  });
  // Timers and handlers, too.
  Slot<bool> due;
  Slot<bool> ready;
  Pair pair;
  pair.MakeReadable();
  std::unique_ptr<EventLoop::Timer> timer;
  FunctionHandler handler([&](uint32_t) {
    loop_->Unregister(pair.ours.get(), &handler);
    ready.Put(true);
  });
  loop_->PostAndWait([&] {
    timer = std::make_unique<EventLoop::Timer>(loop_, [&] { due.Put(true); });
    timer->Set(loop_->now());
    EXPECT_TRUE(loop_->Register(pair.ours.get(), EPOLLIN, &handler).ok());
  });
  due.Take();
  ready.Take();
  EXPECT_TRUE(stall.errand.over.empty());
  stall.LetGo();
  EXPECT_FALSE(stall.errand.over.Take());
  // The thread that has lost the loop does not drive it.
  loop_->PostAndWait([&] {
    EXPECT_EQ(std::this_thread::get_id(), driver.Take());
    timer.reset();
  });
}

// What the turn still had to do is done by the next driver: errands, handlers
// that the wait has told of, timers and posted functions.
TEST_F(StandbyTest, NextDriverGoesOnWhereTheLastOneWas) {
  Create(1, 2);
  constexpr int kHandlers = 20;
  Stall stall;
  Slot<int> ran;
  FunctionErrand second([&] { ran.Put(-1); });
  std::vector<Pair> pairs(kHandlers);
  std::vector<std::unique_ptr<FunctionHandler>> handlers;
  bool first = true;
  for (int i = 0; i < kHandlers; ++i) {
    handlers.push_back(std::make_unique<FunctionHandler>([&, i](uint32_t) {
      loop_->Unregister(pairs[i].ours.get(), handlers[i].get());
      if (std::exchange(first, false)) {
        loop_->AddErrand(&stall.errand);
        loop_->AddErrand(&second);
      }
      ran.Put(i);
    }));
    pairs[i].MakeReadable();
  }
  loop_->PostAndWait([&] {
    for (int i = 0; i < kHandlers; ++i) {
      EXPECT_TRUE(
          loop_->Register(pairs[i].ours.get(), EPOLLIN, handlers[i].get())
              .ok());
    }
  });
  stall.WaitUntilEntered();
  std::vector<int> runs(kHandlers);
  // (Eight are called together, and then their errands run.)
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ran.Take(), i);
  EXPECT_EQ(ran.Take(), -1);
  for (int i = 8; i < kHandlers; ++i) EXPECT_EQ(ran.Take(), i);
  stall.LetGo();
  stall.errand.over.Take();
  group_->Stop();
  EXPECT_TRUE(ran.empty());
}

TEST_F(StandbyTest, FlushThatStandsOutIsTheNextDrivers) {
  Create(1, 2);
  Stall stall;
  Slot<bool> flushed;
  FunctionFlushable flushable([&] { flushed.Put(loop_->IsDrivenHere()); });
  loop_->PostAndWait([&] {
    loop_->FlushSoon(&flushable);
    loop_->AddErrand(&stall.errand);
  });
  stall.WaitUntilEntered();
  EXPECT_TRUE(flushed.Take());
  stall.LetGo();
  stall.errand.over.Take();
}

// Each of them takes the loop from the one before.
TEST_F(StandbyTest, AsManyErrandsMayStallAsThreadsStandBy) {
  constexpr int kThreads = 4;
  Create(1, kThreads);
  std::vector<std::unique_ptr<Stall>> stalls;
  for (int i = 0; i < kThreads; ++i) {
    stalls.push_back(std::make_unique<Stall>());
    AddAndWait(stalls.back().get());
  }
  loop_->PostAndWait([] {});
  for (const auto& stall : stalls) {
    stall->LetGo();
    EXPECT_FALSE(stall->errand.over.Take());
  }
}

// Above that, an errand is told that it must not stall; until another one is
// over, whose thread then stands by.
TEST_F(StandbyTest, NoErrandMayStallWhileNobodyStandsBy) {
  Create(1, 2);
  Stall stalls[2];
  Slot<bool> may_stall;
  for (Stall& stall : stalls) {
    stall.errand.stays_here = [&](bool, bool may) {
      may_stall.Put(may);
      return true;
    };
    AddAndWait(&stall);
    EXPECT_TRUE(may_stall.Take());
  }
  FunctionErrand third([] {});
  third.stays_here = [&](bool, bool may) {
    may_stall.Put(may);
    return may;
  };
  Add(&third);
  EXPECT_FALSE(may_stall.Take());
  EXPECT_TRUE(third.over.empty());
  stalls[0].LetGo();
  stalls[0].errand.over.Take();
  do {
    Add(&third);
  } while (!may_stall.Take());
  EXPECT_TRUE(third.over.Take());
  stalls[1].LetGo();
  stalls[1].errand.over.Take();
}

// One thread that stands by is no cover for two loops that are lent at once.
TEST_F(StandbyTest, NoErrandMayStallWhileFewerStandByThanThereAreLoops) {
  Create(2, 1);
  Slot<bool> may_stall;
  FunctionErrand errand([] {});
  errand.stays_here = [&](bool, bool may) {
    may_stall.Put(may);
    return may;
  };
  Add(&errand);
  EXPECT_FALSE(may_stall.Take());
}

// Without anybody to wake it, the watcher sleeps; the next loan wakes it.
TEST_F(StandbyTest, WatcherRestsAndIsWoken) {
  Create(1, 2);
  for (int i = 0; i < 3; ++i) {
    while (!group_->standby()->resting()) std::this_thread::yield();
    Stall stall;
    AddAndWait(&stall);
    loop_->PostAndWait([] {});  // It has been taken.
    stall.LetGo();
    EXPECT_FALSE(stall.errand.over.Take());
  }
}

// The loops of a group share those who stand by.
TEST_F(StandbyTest, EveryLoopOfAGroupIsTakenOver) {
  constexpr int kLoops = 3;
  Create(kLoops, kLoops);
  std::vector<std::unique_ptr<Stall>> stalls;
  for (int i = 0; i < kLoops; ++i) {
    loop_ = group_->at(i);
    stalls.push_back(std::make_unique<Stall>());
    AddAndWait(stalls.back().get());
  }
  for (int i = 0; i < kLoops; ++i) group_->at(i)->PostAndWait([] {});
  for (const auto& stall : stalls) {
    stall->LetGo();
    EXPECT_FALSE(stall->errand.over.Take());
  }
}

// ---- Stop, while errands stall

// The loop has ended, so that posted functions run on the caller.
void WaitUntilEnded(EventLoop* loop) {
  while (loop->Post([] {})) std::this_thread::yield();
  loop->PostAndWait([] {});
}

TEST_F(StandbyTest, StopEndsTheLoopAndWaitsForTheErrand) {
  Create(1, 2);
  Stall stall;
  AddAndWait(&stall);
  loop_->PostAndWait([] {});  // It has been taken.
  std::thread stop([&] {
    group_->Stop();
    EXPECT_FALSE(stall.errand.over.empty());
  });
  WaitUntilEnded(loop_);
  EXPECT_TRUE(stall.errand.over.empty());
  stall.LetGo();
  stop.join();
  EXPECT_FALSE(stall.errand.over.Take());
}

// The loop's last turn is the next driver's to finish, too.
TEST_F(StandbyTest, StopLeavesNoErrandBehindOneThatStalls) {
  Create(1, 2);
  Stall stall;
  Slot<bool> flushed;
  FunctionErrand second([] {});
  FunctionFlushable flushable([&] { flushed.Put(true); });
  std::latch posted(1);
  loop_->Post([&] {
    // For the turn in which the loop sees that it is to stop.
    loop_->Post([&] {
      loop_->AddErrand(&stall.errand);
      loop_->AddErrand(&second);
      loop_->FlushSoon(&flushable);
    });
    posted.count_down();
    while (loop_->Post([] {})) std::this_thread::yield();
  });
  posted.wait();
  std::thread stop([&] { group_->Stop(); });
  stall.WaitUntilEntered();
  WaitUntilEnded(loop_);
  stall.LetGo();
  stop.join();
  EXPECT_FALSE(stall.errand.over.Take());
  EXPECT_FALSE(second.over.empty());
  EXPECT_FALSE(flushed.empty());
}

// ---- Many of everything

// Handlers whose errands are short or stall, each until its loop has been taken
// over: counted exactly, and never two at once on one loop.
class TakeoverStress : public StandbyTest {
 protected:
  static constexpr int kLoops = 2;
  static constexpr int kPairsPerLoop = 40;
  static constexpr int kBytesPerPair = 60;
  static constexpr int kAll = kLoops * kPairsPerLoop * kBytesPerPair;

  // The loop's part of the test: not atomic, its drivers have it in turns.
  struct Domain {
    EventLoop* loop = nullptr;
    std::mt19937 random;
    std::unique_ptr<EventLoop::Timer> timer;
    int errands_until_stall = 1;
    int handled = 0;
    int flushes_wanted = 0;
    int flushed = 0;
    std::atomic<int> inside{0};

    // On the loop's thread.
    void Enter() {
      EXPECT_TRUE(loop->IsDrivenHere());
      EXPECT_EQ(inside.fetch_add(1), 0);
    }
    void Leave() { EXPECT_EQ(inside.fetch_sub(1), 1); }
    void OnTimer() {  // Always set.
      Enter();
      timer->Set(loop->now() + absl::Microseconds(300));
      Leave();
    }
  };

  // What one byte brings about.
  class ByteErrand final : public EventLoop::Errand,
                           public EventLoop::Flushable {
   public:
    ByteErrand(TakeoverStress* test, Domain* domain)
        : test_(test), domain_(domain) {}
    bool StaysHere(bool, bool may_stall) override {
      stalls_ = may_stall && --domain_->errands_until_stall <= 0;
      if (stalls_) domain_->errands_until_stall = domain_->random() % 80;
      return true;
    }
    MonotonicTime RunErrand(MonotonicTime) override {
      EXPECT_FALSE(domain_->loop->OnLoopThread());
      if (stalls_) domain_->loop->PostAndWait([] {});
      test_->runs_.fetch_add(1);
      return MonotonicTime::Now();
    }
    void OnErrandOver(bool on_loop) override {
      EXPECT_EQ(on_loop, domain_->loop->IsDrivenHere());
      if (stalls_) {
        EXPECT_FALSE(on_loop);
        test_->stalled_.fetch_add(1);
      }
      if (on_loop) {
        domain_->Enter();
        ++domain_->flushes_wanted;
        domain_->loop->FlushSoon(this);
        return domain_->Leave();
      }
      const bool posted = domain_->loop->Post([this] {
        domain_->Enter();
        ++domain_->flushes_wanted;
        domain_->loop->FlushSoon(this);
        domain_->Leave();
      });
      EXPECT_TRUE(posted);
    }
    void Flush() override {
      domain_->Enter();
      ++domain_->flushed;
      domain_->Leave();
      if (test_->over_.fetch_add(1) + 1 == kAll) test_->done_.Put(true);
      delete this;
    }

   private:
    TakeoverStress* const test_;
    Domain* const domain_;
    bool stalls_ = false;
  };

  void OnByte(Domain* domain, const Pair& pair) {
    domain->Enter();
    char byte;
    if (ReadSome(pair.ours.get(), &byte, 1).bytes == 1) {
      ++domain->handled;
      domain->loop->AddErrand(new ByteErrand(this, domain));
    } else {
      ADD_FAILURE() << "a handler was called for nothing";
    }
    domain->Leave();
  }

  std::atomic<int> runs_{0};
  std::atomic<int> over_{0};
  std::atomic<int> stalled_{0};
  Slot<bool> done_;
};

TEST_F(TakeoverStress, LosesAndRepeatsNothing) {
  Create(kLoops, /*max_standby_drivers=*/20);
  std::vector<std::unique_ptr<Domain>> domains;
  std::vector<Pair> pairs(kLoops * kPairsPerLoop);
  std::vector<std::unique_ptr<FunctionHandler>> handlers;
  for (int l = 0; l < kLoops; ++l) {
    domains.push_back(std::make_unique<Domain>());
    Domain* const domain = domains.back().get();
    domain->loop = group_->at(l);
    domain->random.seed(static_cast<unsigned>(l));
    domain->loop->PostAndWait([&] {
      for (int i = 0; i < kPairsPerLoop; ++i) {
        const Pair& pair = pairs[l * kPairsPerLoop + i];
        handlers.push_back(std::make_unique<FunctionHandler>(
            [this, domain, &pair](uint32_t) { OnByte(domain, pair); }));
        EXPECT_TRUE(
            domain->loop
                ->Register(pair.ours.get(), EPOLLIN, handlers.back().get())
                .ok());
      }
    });
    domain->loop->PostAndWait([domain] {
      domain->timer = std::make_unique<EventLoop::Timer>(
          domain->loop, [domain] { domain->OnTimer(); });
      domain->timer->Set(domain->loop->now());
    });
  }
  std::vector<std::thread> writers;
  for (int l = 0; l < kLoops; ++l) {
    writers.emplace_back([&, l] {
      for (int byte = 0; byte < kBytesPerPair; ++byte) {
        for (int i = 0; i < kPairsPerLoop; ++i) {
          pairs[l * kPairsPerLoop + i].MakeReadable();
        }
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done_.Take();
  group_->Stop();
  EXPECT_EQ(runs_, kAll);
  EXPECT_EQ(over_, kAll);
  for (const auto& domain : domains) {
    EXPECT_EQ(domain->handled, kAll / kLoops);
    EXPECT_EQ(domain->flushes_wanted, kAll / kLoops);
    EXPECT_EQ(domain->flushed, kAll / kLoops);
  }
  EXPECT_GE(stalled_, kLoops);
  RecordProperty("stalled", stalled_);
}

}  // namespace
}  // namespace tern::net
