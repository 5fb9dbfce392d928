#include "tern/lib/net/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/lib/net/loop_fakes.h"
#include "tests/lib/net/slot.h"

namespace tern::net {
namespace {

using Numbers = std::vector<int>;
using Strings = std::vector<std::string>;
using Timer = EventLoop::Timer;

std::unique_ptr<EventLoop> NewLoop() {
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create("test");
  EXPECT_TRUE(loop.ok()) << loop.status();
  return *std::move(loop);
}

// A timer that the test's thread owns: destroyed on the loop's thread, and so
// after a callback of which the test may have heard while it still ran.
class OwnedTimer {
 public:
  OwnedTimer(EventLoop* loop, absl::AnyInvocable<void()> on_due)
      : loop_(loop), timer_(std::make_unique<Timer>(loop, std::move(on_due))) {}
  ~OwnedTimer() {
    loop_->PostAndWait([this] { timer_.reset(); });
  }
  Timer* operator->() const { return timer_.get(); }

 private:
  EventLoop* const loop_;
  std::unique_ptr<Timer> timer_;
};

class EventLoopTest : public testing::Test {
 protected:
  // Runs `function` on the loop and waits for it.
  void OnLoop(absl::AnyInvocable<void()> function) {
    loop_->PostAndWait(std::move(function));
  }
  MonotonicTime In(absl::Duration duration) { return loop_->now() + duration; }

  const std::unique_ptr<EventLoop> loop_ = NewLoop();
};

// ---- Post

TEST_F(EventLoopTest, RunsWhatIsPostedInOrderOnItsThread) {
  Numbers ran;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(loop_->Post([&ran, i, loop = loop_.get()] {
      EXPECT_TRUE(loop->OnLoopThread());
      EXPECT_TRUE(EventLoop::OnAnyLoopThread());
      ran.push_back(i);
    }));
  }
  OnLoop([] {});
  ASSERT_EQ(ran.size(), 1'000u);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(ran[i], i);
  EXPECT_FALSE(loop_->OnLoopThread());
  EXPECT_FALSE(EventLoop::OnAnyLoopThread());
}

TEST_F(EventLoopTest, KeepsTheOrderOfEachOfManyPostingThreads) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 5'000;
  std::vector<Numbers> ran(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop_->Post([&ran, t, i] { ran[t].push_back(i); });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  OnLoop([] {});
  for (const Numbers& of_one_thread : ran) {
    ASSERT_EQ(of_one_thread.size(), size_t{kPosts});
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(of_one_thread[i], i);
  }
}

// A lost wake-up would leave one of these waiting for ever.
TEST_F(EventLoopTest, WakesForEachPostHoweverItFallsAsleep) {
  constexpr int kThreads = 3;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3'000; ++i) loop_->PostAndWait([] {});
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EventLoopTest, PostedFunctionThatPostsItselfLetsOthersRun) {
  bool stop = false;
  absl::AnyInvocable<void()> again = [&] {
    if (!stop) loop_->Post([&again] { again(); });
  };
  loop_->Post([&again] { again(); });
  Pair pair;
  std::latch ready(1);
  FunctionHandler handler([&](uint32_t) {
    loop_->Unregister(pair.ours.get(), &handler);
    ready.count_down();
  });
  pair.MakeReadable();
  OnLoop([&] {
    EXPECT_TRUE(loop_->Register(pair.ours.get(), EPOLLIN, &handler).ok());
  });
  ready.wait();
  OnLoop([&] { stop = true; });
  OnLoop([] {});  // Behind the last that was posted.
}

TEST_F(EventLoopTest, PostAndWaitOnTheLoopRunsAtOnce) {
  Numbers ran;
  OnLoop([&] {
    loop_->PostAndWait([&] { ran.push_back(1); });
    ran.push_back(2);
  });
  EXPECT_EQ(ran, (Numbers{1, 2}));
}

TEST_F(EventLoopTest, DestroysEachPostedFunctionOnceItHasRun) {
  auto held = std::make_shared<int>();
  std::weak_ptr<int> watch = held;
  loop_->Post([held = std::move(held)] {});
  bool gone = false;
  loop_->Post([&] { gone = watch.expired(); });
  OnLoop([] {});
  EXPECT_TRUE(gone);
}

// ---- Stop

TEST_F(EventLoopTest, StopRunsWhatWasPostedAndRefusesTheRest) {
  int ran = 0;
  std::latch posted(1);
  loop_->Post([&] { posted.wait(); });  // So that the others are queued.
  for (int i = 0; i < 10; ++i) loop_->Post([&] { ++ran; });
  posted.count_down();
  loop_->Stop();
  EXPECT_EQ(ran, 10);
  auto held = std::make_shared<int>();
  std::weak_ptr<int> watch = held;
  EXPECT_FALSE(loop_->Post([&ran, held = std::move(held)] { ++ran; }));
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(ran, 10);
}

TEST_F(EventLoopTest, StopEndsALoopThatPostsToItself) {
  absl::AnyInvocable<void()> again = [&] { loop_->Post([&] { again(); }); };
  loop_->Post([&] { again(); });
  loop_->Stop();
}

TEST_F(EventLoopTest, StopReturnsOnEachOfManyThreadsAfterTheLastCallback) {
  std::atomic<bool> ran{false};
  std::latch started(1);
  std::latch release(1);
  loop_->Post([&] {
    started.count_down();
    release.wait();
    ran = true;
  });
  started.wait();
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      loop_->Stop();
      EXPECT_TRUE(ran);
    });
  }
  release.count_down();
  for (std::thread& thread : threads) thread.join();
  loop_->Stop();
}

TEST_F(EventLoopTest, PostAndWaitRunsOnTheCallerOnceTheLoopHasStopped) {
  loop_->Stop();
  bool ran = false;
  loop_->PostAndWait([&] {
    EXPECT_TRUE(loop_->OnLoopThread());
    ran = true;
  });
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopTest, OwnersCanBeTornDownAfterStop) {
  Pair pair;
  FunctionHandler handler([](uint32_t) { ADD_FAILURE(); });
  auto timer = std::make_unique<Timer>(loop_.get(), [] { ADD_FAILURE(); });
  OnLoop([&] {
    EXPECT_TRUE(loop_->Register(pair.ours.get(), EPOLLIN, &handler).ok());
    timer->Set(In(absl::Hours(1)));
  });
  loop_->Stop();
  EXPECT_TRUE(timer->when().is_infinite());
  timer->Set(MonotonicTime::FromNanoseconds(1));
  EXPECT_TRUE(timer->when().is_infinite());
  loop_->Unregister(pair.ours.get(), &handler);
  timer.reset();
}

// ---- Timers

TEST_F(EventLoopTest, RunsTimersInOrderOfTimeAndThenOfSetting) {
  Slot<Strings> slot;
  Strings ran;
  std::vector<std::unique_ptr<Timer>> timers;
  const auto add = [&](MonotonicTime when, const std::string& name) {
    timers.push_back(std::make_unique<Timer>(
        loop_.get(), [&ran, name] { ran.push_back(name); }));
    timers.back()->Set(when);
  };
  OwnedTimer last(loop_.get(), [&] { slot.Put(ran); });
  OnLoop([&] {
    const MonotonicTime soon = In(absl::Milliseconds(2));
    add(soon + absl::Milliseconds(2), "d");
    add(soon, "b");
    add(soon, "c");
    add(MonotonicTime(), "a");
    last->Set(soon + absl::Milliseconds(3));
  });
  EXPECT_EQ(slot.Take(), (Strings{"a", "b", "c", "d"}));
  OnLoop([&] { timers.clear(); });
}

TEST_F(EventLoopTest, RunsATimerNeverEarly) {
  Slot<bool> early;
  MonotonicTime when;
  OwnedTimer timer(loop_.get(), [&] {
    early.Put(MonotonicTime::Now() < when || loop_->now() < when);
  });
  for (const int microseconds : {1, 300, 1'500, 10'000}) {
    OnLoop([&] {
      when = In(absl::Microseconds(microseconds));
      timer->Set(when);
      EXPECT_EQ(timer->when(), when);
    });
    EXPECT_FALSE(early.Take());
  }
}

TEST_F(EventLoopTest, WaitsForATimerWithoutSpinning) {
  const auto cpu_time = [] {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return absl::DurationFromTimespec(time);
  };
  Slot<absl::Duration> used;
  absl::Duration before;
  OwnedTimer timer(loop_.get(), [&] { used.Put(cpu_time() - before); });
  OnLoop([&] {
    before = cpu_time();
    timer->Set(In(absl::Milliseconds(200)));
  });
  EXPECT_LT(used.Take(), absl::Milliseconds(50));
}

TEST_F(EventLoopTest, CancelledTimerDoesNotRun) {
  Slot<bool> done;
  OwnedTimer cancelled(loop_.get(), [] { ADD_FAILURE(); });
  OwnedTimer later(loop_.get(), [&] { done.Put(true); });
  OnLoop([&] {
    cancelled->Set(In(absl::Milliseconds(1)));
    cancelled->Cancel();
    EXPECT_TRUE(cancelled->when().is_infinite());
    later->Set(In(absl::Milliseconds(2)));
  });
  done.Take();
}

TEST_F(EventLoopTest, InfiniteFutureCancels) {
  Slot<bool> done;
  OwnedTimer cancelled(loop_.get(), [] { ADD_FAILURE(); });
  OwnedTimer later(loop_.get(), [&] { done.Put(true); });
  OnLoop([&] {
    cancelled->Set(In(absl::Milliseconds(1)));
    cancelled->Set(MonotonicTime::InfiniteFuture());
    later->Set(In(absl::Milliseconds(2)));
  });
  done.Take();
}

TEST_F(EventLoopTest, TimerRunsOnceForItsLatestTime) {
  Slot<int> done;
  int runs = 0;
  OwnedTimer timer(loop_.get(), [&] { ++runs; });
  OwnedTimer later(loop_.get(), [&] { done.Put(runs); });
  OnLoop([&] {
    timer->Set(In(absl::Milliseconds(1)));
    timer->Set(In(absl::Hours(1)));
    timer->Set(In(absl::Milliseconds(2)));
    later->Set(In(absl::Milliseconds(4)));
  });
  EXPECT_EQ(done.Take(), 1);
}

TEST_F(EventLoopTest, TimerMaySetItselfAgain) {
  Slot<int> done;
  int runs = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop_.get(), [&] {
    EXPECT_TRUE(timer->when().is_infinite());
    if (++runs == 3) return done.Put(runs);
    timer->Set(loop_->now());
  });
  OnLoop([&] { timer->Set(loop_->now()); });
  EXPECT_EQ(done.Take(), 3);
  OnLoop([&] { timer.reset(); });
}

TEST_F(EventLoopTest, TimerThatIsAlwaysDueStarvesNobody) {
  Slot<bool> posted;
  Slot<bool> other_ran;
  std::unique_ptr<Timer> greedy;
  greedy = std::make_unique<Timer>(loop_.get(),
                                   [&] { greedy->Set(MonotonicTime()); });
  OwnedTimer other(loop_.get(), [&] { other_ran.Put(true); });
  OnLoop([&] {
    greedy->Set(MonotonicTime());
    other->Set(In(absl::Milliseconds(1)));
  });
  loop_->Post([&] { posted.Put(true); });
  posted.Take();
  other_ran.Take();
  OnLoop([&] { greedy.reset(); });
}

TEST_F(EventLoopTest, DueTimerMayCancelAndDestroyOthersThatAreDue) {
  Slot<bool> done;
  OwnedTimer cancelled(loop_.get(), [] { ADD_FAILURE(); });
  auto destroyed = std::make_unique<Timer>(loop_.get(), [] { ADD_FAILURE(); });
  OwnedTimer first(loop_.get(), [&] {
    cancelled->Cancel();
    destroyed.reset();
  });
  OwnedTimer last(loop_.get(), [&] { done.Put(true); });
  OnLoop([&] {
    first->Set(loop_->now());
    cancelled->Set(loop_->now());
    destroyed->Set(loop_->now());
    last->Set(loop_->now());
  });
  done.Take();
}

TEST_F(EventLoopTest, TimerMayDestroyItselfAndStillUseWhatItHolds) {
  Slot<std::string> done;
  std::unique_ptr<Timer> timer;
  const std::string held = "a string that is too long for its own storage";
  timer = std::make_unique<Timer>(loop_.get(), [&, held] {
    timer.reset();
    done.Put(held);
  });
  OnLoop([&] { timer->Set(loop_->now()); });
  EXPECT_EQ(done.Take(), held);
}

// ---- Descriptors

TEST_F(EventLoopTest, TellsOfReadinessUntilItIsUsedUp) {
  Pair pair;
  Slot<std::string> got;
  FunctionHandler handler([&](uint32_t events) {
    EXPECT_EQ(events, uint32_t{EPOLLIN});
    char* const buffer = loop_->read_buffer().data();
    // One byte a time: level-triggered, so the rest is told again.
    const IoResult result = ReadSome(pair.ours.get(), buffer, 1);
    got.Put(std::string(buffer, result.bytes));
  });
  OnLoop([&] {
    EXPECT_TRUE(loop_->Register(pair.ours.get(), EPOLLIN, &handler).ok());
  });
  WriteSome(pair.theirs.get(), "ab");
  EXPECT_EQ(got.Take(), "a");
  EXPECT_EQ(got.Take(), "b");
  OnLoop([&] { loop_->Unregister(pair.ours.get(), &handler); });
}

TEST_F(EventLoopTest, ModifyFromAnyThreadChangesWhatIsTold) {
  Pair pair;
  Slot<uint32_t> got;
  FunctionHandler handler([&](uint32_t events) {
    loop_->Modify(pair.ours.get(), 0, &handler);
    got.Put(events);
  });
  OnLoop(
      [&] { EXPECT_TRUE(loop_->Register(pair.ours.get(), 0, &handler).ok()); });
  pair.MakeReadable();
  loop_->Modify(pair.ours.get(), EPOLLOUT, &handler);
  EXPECT_EQ(got.Take(), uint32_t{EPOLLOUT});
  loop_->Modify(pair.ours.get(), EPOLLIN, &handler);
  EXPECT_EQ(got.Take(), uint32_t{EPOLLIN});
  OnLoop([&] { loop_->Unregister(pair.ours.get(), &handler); });
}

TEST_F(EventLoopTest, TellsOfTheEndEvenWhenNothingIsAskedFor) {
  Pair pair;
  Slot<uint32_t> got;
  FunctionHandler handler([&](uint32_t events) {
    loop_->Unregister(pair.ours.get(), &handler);
    got.Put(events);
  });
  OnLoop(
      [&] { EXPECT_TRUE(loop_->Register(pair.ours.get(), 0, &handler).ok()); });
  pair.theirs.Close();
  EXPECT_TRUE(got.Take() & EPOLLHUP);
  OnLoop([] {});
}

TEST_F(EventLoopTest, RegisterNamesWhatFailed) {
  FunctionHandler handler([](uint32_t) {});
  OnLoop([&] {
    const absl::Status status = loop_->Register(-1, EPOLLIN, &handler);
    EXPECT_EQ(status.message(), "epoll_ctl: bad file descriptor");
  });
}

TEST_F(EventLoopTest, HandlerMayUnregisterAndDestroyItself) {
  Pair pair;
  Slot<bool> done;
  std::unique_ptr<FunctionHandler> handler;
  handler = std::make_unique<FunctionHandler>([&](uint32_t) {
    loop_->Unregister(pair.ours.get(), handler.get());
    pair.ours.Close();
    loop_->Post([owned = std::move(handler)] {});
    done.Put(true);
  });
  pair.MakeReadable();
  OnLoop([&] {
    EXPECT_TRUE(loop_->Register(pair.ours.get(), EPOLLIN, handler.get()).ok());
  });
  done.Take();
  OnLoop([] {});
}

// Two handlers are ready in one turn; whichever is called first destroys the
// other, of whose readiness the loop has been told already.
TEST_F(EventLoopTest, HandlerDestroyedEarlierInTheTurnIsNotCalled) {
  struct Victim {
    Pair pair;
    std::unique_ptr<FunctionHandler> handler;
  };
  Victim victims[2];
  int calls = 0;
  const auto on_ready = [&](Victim& other) {
    ++calls;
    loop_->Unregister(other.pair.ours.get(), other.handler.get());
    other.handler.reset();
    other.pair.ours.Close();
  };
  OnLoop([&] {
    for (int i = 0; i < 2; ++i) {
      victims[i].handler = std::make_unique<FunctionHandler>(
          [&, i](uint32_t) { on_ready(victims[1 - i]); });
      victims[i].pair.MakeReadable();
      EXPECT_TRUE(loop_
                      ->Register(victims[i].pair.ours.get(), EPOLLIN,
                                 victims[i].handler.get())
                      .ok());
    }
    // After the handlers of the next turn; the survivor's bytes are not read,
    // so that it is removed here.
    loop_->Post([&] {
      EXPECT_EQ(calls, 1);
      for (Victim& victim : victims) {
        if (victim.handler == nullptr) continue;
        loop_->Unregister(victim.pair.ours.get(), victim.handler.get());
      }
    });
  });
  OnLoop([] {});
  EXPECT_EQ(calls, 1);
}

// As above, but the destroyed handler's descriptor number and, as it happens,
// its memory are used again in the same turn by one that nothing is ready for.
TEST_F(EventLoopTest,
       HandlerThatTakesTheNumberOfADestroyedOneIsNotCalledForIt) {
  Pair killer_pair;
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<FunctionHandler>> handlers;
  Pair quiet;
  bool replaced = false;
  int spurious = 0;
  const auto on_ready = [&](size_t self) {
    if (std::exchange(replaced, true)) return;
    const size_t other = 1 - self;
    const int number = pairs[other]->ours.get();
    loop_->Unregister(number, handlers[other].get());
    handlers[other].reset();
    ASSERT_EQ(dup2(quiet.ours.get(), number), number);
    handlers[other] =
        std::make_unique<FunctionHandler>([&](uint32_t) { ++spurious; });
    EXPECT_TRUE(loop_->Register(number, EPOLLIN, handlers[other].get()).ok());
  };
  OnLoop([&] {
    for (size_t i = 0; i < 2; ++i) {
      pairs.push_back(std::make_unique<Pair>());
      handlers.push_back(
          std::make_unique<FunctionHandler>([&, i](uint32_t) { on_ready(i); }));
      pairs[i]->MakeReadable();
      EXPECT_TRUE(
          loop_->Register(pairs[i]->ours.get(), EPOLLIN, handlers[i].get())
              .ok());
    }
    loop_->Post([&] {
      for (size_t i = 0; i < 2; ++i) {
        loop_->Unregister(pairs[i]->ours.get(), handlers[i].get());
      }
    });
  });
  OnLoop([] {});
  EXPECT_TRUE(replaced);
  EXPECT_EQ(spurious, 0);
}

TEST_F(EventLoopTest, ServesMoreReadyDescriptorsThanOneWaitTakes) {
  constexpr int kPairs = 600;
  std::vector<Pair> pairs(kPairs);
  std::vector<std::unique_ptr<FunctionHandler>> handlers(kPairs);
  Slot<bool> done;
  int called = 0;
  OnLoop([&] {
    for (int i = 0; i < kPairs; ++i) {
      handlers[i] = std::make_unique<FunctionHandler>([&, i](uint32_t) {
        loop_->Unregister(pairs[i].ours.get(), handlers[i].get());
        if (++called == kPairs) done.Put(true);
      });
      pairs[i].MakeReadable();
      EXPECT_TRUE(
          loop_->Register(pairs[i].ours.get(), EPOLLIN, handlers[i].get())
              .ok());
    }
  });
  done.Take();
  OnLoop([] {});
}

TEST_F(EventLoopTest, KnowsWhetherOnlyOneDescriptorIsReady) {
  Pair one;
  Pair other;
  Slot<bool> for_one;
  const auto handler = [&](Pair& pair) {
    return std::make_unique<FunctionHandler>([&](uint32_t) {
      char byte;
      ReadSome(pair.ours.get(), &byte, 1);
      for_one.Put(loop_->IsForOne());
    });
  };
  const auto ones = handler(one);
  const auto others = handler(other);
  OnLoop([&] {
    EXPECT_TRUE(loop_->Register(one.ours.get(), EPOLLIN, ones.get()).ok());
    EXPECT_TRUE(loop_->Register(other.ours.get(), EPOLLIN, others.get()).ok());
  });
  const auto tell = [&](const Pair& pair) {
    pair.MakeReadable();
    return for_one.Take();
  };
  for (int round = 0; round < 2; ++round) {
    const MonotonicTime start = MonotonicTime::Now();
    EXPECT_FALSE(tell(one)) << "there was another, or none";
    while (!tell(one)) {
    }
    EXPECT_GE(MonotonicTime::Now() - start, absl::Milliseconds(10));
    EXPECT_FALSE(tell(other));
  }
  OnLoop([&] {
    loop_->Unregister(one.ours.get(), ones.get());
    loop_->Unregister(other.ours.get(), others.get());
  });
}

// ---- Several that are ready at once

// Notes what is asked of those that are registered, and may do something then.
class GatherTest : public EventLoopTest {
 protected:
  class Reader final : public EventLoop::IoHandler {
   public:
    Reader(GatherTest* test, std::string name)
        : test_(test), name_(std::move(name)) {}

    void OnReady(uint32_t events) override {
      EXPECT_EQ(events, uint32_t{EPOLLIN});
      IoResult result;
      Read(buffer_, &result);
      Note("ready", buffer_, result);
    }
    bool Gather(uint32_t events, std::span<char> place,
                IoResult* result) override {
      EXPECT_EQ(events, uint32_t{EPOLLIN});
      EXPECT_EQ(place.size(), size_t{4096});
      if (!gathers) return false;
      Read(place, result);
      Note("gather", place, *result);
      return true;
    }
    void OnGathered(std::span<char> place, const IoResult& result) override {
      Note("gathered", place, result);
      if (on_gathered) on_gathered();
    }

    Pair pair;
    bool gathers = true;
    absl::AnyInvocable<void()> on_gathered;

   private:
    void Read(std::span<char> place, IoResult* result) {
      *result = ReadSome(pair.ours.get(), place.data(), place.size());
    }
    void Note(const std::string& what, std::span<const char> place,
              const IoResult& result) {
      test_->noted_.push_back(what + " " +
                              std::string(place.data(), result.bytes));
      EXPECT_EQ(std::string(place.data(), result.bytes), name_);
    }

    GatherTest* const test_;
    const std::string name_;
    std::array<char, 16> buffer_;
  };

  ~GatherTest() override {
    OnLoop([this] {
      for (const auto& reader : readers_) {
        if (reader != nullptr) Remove(*reader);
      }
    });
  }
  Reader& Add(const std::string& name) {
    readers_.push_back(std::make_unique<Reader>(this, name));
    Reader& reader = *readers_.back();
    OnLoop([&] {
      EXPECT_TRUE(
          loop_->Register(reader.pair.ours.get(), EPOLLIN, &reader).ok());
    });
    names_.push_back(name);
    return reader;
  }
  void Remove(Reader& reader) {
    loop_->Unregister(reader.pair.ours.get(), &reader);
  }
  // Sends to all at once, and waits until they have been called.
  void SendToAll() {
    Slot<bool> called;
    OnLoop([&] {
      for (size_t i = 0; i < readers_.size(); ++i) {
        EXPECT_EQ(WriteSome(readers_[i]->pair.theirs.get(), names_[i]).kind,
                  IoResult::kOk);
      }
      // From here, as posting wakes no loop that is awake: it would count.
      loop_->Post([&] { called.Put(true); });
    });
    called.Take();
  }

  Strings noted_;
  Strings names_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

TEST_F(GatherTest, AllReadBeforeTheFirstIsCalled) {
  Add("a");
  Add("b");
  Add("c");
  SendToAll();
  EXPECT_EQ(noted_, (Strings{"gather a", "gather b", "gather c", "gathered a",
                             "gathered b", "gathered c"}));
}

TEST_F(GatherTest, OneReadsWhenItIsCalled) {
  Add("a");
  SendToAll();
  EXPECT_EQ(noted_, Strings{"ready a"});
}

TEST_F(GatherTest, NobodyMustReadAhead) {
  Add("a");
  Add("b").gathers = false;
  Add("c");
  SendToAll();
  EXPECT_EQ(noted_, (Strings{"gather a", "gather c", "gathered a", "ready b",
                             "gathered c"}));
}

TEST_F(GatherTest, WhoIsUnregisteredIsNotCalledThoughItHasRead) {
  Reader& a = Add("a");
  Reader& b = Add("b");
  Add("c");
  a.on_gathered = [&] {
    Remove(b);
    readers_[1] = nullptr;
  };
  SendToAll();
  EXPECT_EQ(noted_, (Strings{"gather a", "gather b", "gather c", "gathered a",
                             "gathered c"}));
}

// So that the first does not wait for long.
TEST_F(GatherTest, EightAtATime) {
  Strings expected;
  for (const bool all_read : {false, true}) {
    for (char c = 'a'; c < 'i'; ++c) {
      if (!all_read) Add(std::string(1, c));
      expected.push_back((all_read ? "gathered " : "gather ") +
                         std::string(1, c));
    }
  }
  SendToAll();
  EXPECT_EQ(noted_, expected);
  noted_.clear();
  Add("i");
  expected.push_back("ready i");
  SendToAll();
  EXPECT_EQ(noted_, expected);
}

// ---- Create

TEST(EventLoop, CreateNamesTheSystemCallThatFailed) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = EventLoop::Create("test").status();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "epoll_create1: too many open files");
}

TEST(EventLoopGroup, DealsOutItsLoopsInTurn) {
  const auto group = EventLoopGroup::Create(2, "test");
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ((*group)->size(), 2u);
  EXPECT_EQ((*group)->Next(), (*group)->at(0));
  EXPECT_EQ((*group)->Next(), (*group)->at(1));
  EXPECT_EQ((*group)->Next(), (*group)->at(0));
}

TEST(EventLoopGroup, HasOneLoopPerCoreWhenNotToldHowMany) {
  cpu_set_t cores;
  ASSERT_EQ(sched_getaffinity(0, sizeof(cores), &cores), 0);
  const auto group = EventLoopGroup::Create(0, "test");
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ((*group)->size(), static_cast<size_t>(CPU_COUNT(&cores)));
}

TEST(EventLoopGroup, RefusesANegativeCount) {
  EXPECT_EQ(EventLoopGroup::Create(-1, "test").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tern::net
