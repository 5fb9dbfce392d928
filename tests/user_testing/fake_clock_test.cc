#include "tern/testing/fake_clock.h"

#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/testing/local_server.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

// Each wait is longer than any test.
constexpr absl::Duration kHour = absl::Hours(1);

class SleepingService final : public Tester::CoService {
  Task<absl::Status> Call(ServerContext&, const Message& request,
                          Message* reply) override {
    *reply = request;
    co_return co_await tern::SleepFor(kHour);
  }
  Task<absl::Status> Other(ServerContext&, const Message&, Message*) override {
    co_return absl::OkStatus();
  }
  Task<absl::Status> Chat(ServerContext&,
                          ServerStream<Message, Message>& stream) override {
    Message message = MessageWith("welcome");
    while (co_await stream.CoWrite(message)) {
      if (!co_await stream.CoRead(&message)) break;
    }
    co_return absl::OkStatus();
  }
};

class FakeClockTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  SleepingService service_;
  LocalServer local_{&service_};
  Tester::Stub stub_{local_.channel()};
};

TEST_F(FakeClockTest, EndsSleepsWhenTheirTimeHasComeAndNotBefore) {
  const auto call = StartCall(local_.channel(), "x", {.timeout = 3 * kHour});
  ASSERT_TRUE(clock_.WaitForSleepers(1));
  clock_.Advance(kHour / 2);
  // The call has a deadline, which a look at the clock might have taken for
  // over. Something else goes there and back:
  ASSERT_TRUE(stub_.Other(Message()).ok());
  ASSERT_TRUE(clock_.WaitForSleepers(1));
  EXPECT_EQ(call->callbacks(), 0);
  clock_.Advance(kHour / 2);
  const absl::StatusOr<Message> reply = call->Wait();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "x");
}

TEST_F(FakeClockTest, EndsManySleepsInTheirOrder) {
  Mutex mutex;
  std::string order;
  Event done;
  const auto sleep = [&](int hours) -> Task<> {
    EXPECT_TRUE((co_await tern::SleepFor(hours * kHour)).ok());
    MutexLock lock(mutex);
    order += std::to_string(hours);
  };
  for (const int hours : {3, 1, 2}) {
    Spawn(sleep(hours), [&done] { done.Notify(); });
  }
  ASSERT_TRUE(clock_.WaitForSleepers(3));
  clock_.Advance(2 * kHour);
  ASSERT_TRUE(done.Wait(2));
  clock_.Advance(kHour);
  ASSERT_TRUE(done.Wait(3));
  MutexLock lock(mutex);
  EXPECT_EQ(order, "123");
}

TEST_F(FakeClockTest, EndsCallsAtTheirDeadlines) {
  const auto call = StartCall(local_.channel(), "x", {.timeout = kHour / 2});
  ASSERT_TRUE(clock_.WaitForSleepers(1));
  clock_.Advance(kHour / 2);
  const absl::Status status = call->WaitForStatus();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
}

TEST_F(FakeClockTest, EndsBlockingCallsAtTheirDefaultDeadline) {
  std::thread advance([this] {
    EXPECT_TRUE(clock_.WaitForSleepers(1));
    clock_.Advance(absl::Seconds(30));
  });
  const absl::Status status = stub_.Call(Message()).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  advance.join();
}

// Such a caller reads from the socket itself.
TEST_F(FakeClockTest, EndsTheCallOfALoneCallerAtItsDeadline) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(stub_.Other(Message()).ok());
  std::thread advance([this] {
    EXPECT_TRUE(clock_.WaitForSleepers(1));
    clock_.Advance(kHour / 2);
  });
  const absl::Status status =
      stub_.Call(Message(), {.timeout = kHour / 2}).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  advance.join();
}

TEST_F(FakeClockTest, EndsStreamsAtTheirDeadlines) {
  auto stream = stub_.Chat({.timeout = kHour});
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  clock_.Advance(kHour);
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_EQ(stream.Finish().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(FakeClockTest, LeavesAnIdleConnectionAsItWas) {
  ASSERT_TRUE(stub_.Other(Message()).ok());
  clock_.Advance(100 * kHour);
  CallInfo info;
  ASSERT_TRUE(stub_.Other(Message(), {.info = &info}).ok());
  EXPECT_LT(info.elapsed, kHour);
}

TEST_F(FakeClockTest, EndsTheGraceOfADrain) {
  auto stream = stub_.Chat();
  Message message;
  ASSERT_TRUE(stream.Read(&message));
  Event draining;
  absl::Status drained;
  std::thread drain([&] {
    draining.Notify();
    drained = local_.server().Drain(kHour);
  });
  ASSERT_TRUE(draining.Wait());
  // Until the drain has begun, its grace is not over: it may be asked again.
  Event over;
  std::thread advance([&] {
    while (!over.Wait(1, absl::Milliseconds(1))) clock_.Advance(kHour);
  });
  EXPECT_FALSE(stream.Read(&message));
  drain.join();
  over.Notify();
  advance.join();
  EXPECT_EQ(drained.code(), StatusCode::kDeadlineExceeded) << drained;
}

TEST(FakeClock, SkipsTheWaitBetweenAttemptsToConnect) {
  FakeClock clock;
  SleepingService service;
  ServerOptions options = {.listen = {OwnLoopbackAddress() + ":0"}};
  {
    Server first(options);
    first.Register(&service);
    ASSERT_TRUE(first.Start().ok());
    options.listen = first.addresses();
  }
  const auto channel = Channel::Create(
      options.listen[0], {.initial_backoff = kHour, .max_backoff = kHour});
  Tester::Stub stub(*channel);
  EXPECT_EQ(stub.Other(Message()).status().code(), StatusCode::kUnavailable);
  Server second(options);
  second.Register(&service);
  ASSERT_TRUE(second.Start().ok());
  std::thread advance([&clock] { clock.Advance(2 * kHour); });
  const absl::Status status =
      stub.Other(Message(), {.timeout = 10 * kHour, .wait_for_ready = true})
          .status();
  EXPECT_TRUE(status.ok()) << status;
  advance.join();
}

TEST(FakeClock, LeavesTheClockAheadOfThatWhichItWas) {
  const MonotonicTime before = MonotonicTime::Now();
  {
    FakeClock clock;
    clock.Advance(kHour);
    EXPECT_GE(MonotonicTime::Now() - before, kHour);
  }
  EXPECT_GE(MonotonicTime::Now() - before, kHour);
  // And waits are of the right length: this one would not end.
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  while (never.WaitUntil(mutex, MonotonicTime::Now() + absl::Milliseconds(5))) {
  }
}

TEST(FakeClockDeathTest, IsTheOnlyOne) {
  FakeClock clock;
  EXPECT_DEATH(FakeClock(), "already");
}

}  // namespace
}  // namespace tern::testing
