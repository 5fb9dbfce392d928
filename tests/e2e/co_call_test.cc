// Calls that tasks await.

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tern/lib/call/child_call.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/when.h"
#include "tern/lib/net/event_loop.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class CoCallTest : public EndToEnd {
 protected:
  static Task<absl::StatusOr<Message>> CoCall(Channel& channel,
                                              std::string text,
                                              CallOptions options = {}) {
    Tester::Stub stub(channel);
    co_return co_await stub.Co().Call(MessageWith(text), options);
  }
};

// What the compiler has one sentence for: see PromiseBase::await_transform.
using task_internal::CanBeAwaited;
static_assert(
    CanBeAwaited<decltype(std::declval<Tester::Stub&>().Co().Call(Message()))>);
static_assert(
    !CanBeAwaited<decltype(std::declval<Tester::Stub&>().Call(Message()))>);
static_assert(CanBeAwaited<Task<int>>);
static_assert(!CanBeAwaited<absl::Status>);
static_assert(!CanBeAwaited<absl::Status&>);
static_assert(!CanBeAwaited<bool>);  // Of a stream's Read().

TEST_F(CoCallTest, GivesTheReply) {
  StartServer();
  const auto channel = Connect();
  const absl::StatusOr<Message> reply = BlockOn(CoCall(*channel, "hello"));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text(), "hello");
}

TEST_F(CoCallTest, GoesOnOnTheIoThreadWhereABlockingCallIsRefused) {
  StartServer();
  const auto channel = Connect();
  const auto task = [&]() -> Task<absl::Status> {
    Tester::Stub stub(*channel);
    EXPECT_FALSE(net::EventLoop::OnAnyLoopThread());
    // One whose reply is there before it waits goes on where it is.
    for (int i = 0; i < 10'000 && !net::EventLoop::OnAnyLoopThread(); ++i) {
      EXPECT_TRUE((co_await stub.Co().Call(MessageWith("x"))).ok());
    }
    EXPECT_TRUE(net::EventLoop::OnAnyLoopThread());
    co_return stub.Call(MessageWith("blocks")).status();
  };
  EXPECT_TRUE(Failed(BlockOn(task()), StatusCode::kFailedPrecondition,
                     Certainty::kNotStarted));
}

TEST_F(CoCallTest, ABlockingCallOnTheTimerThreadIsRefused) {
  StartServer();
  const auto channel = Connect();
  const auto task = [&]() -> Task<absl::Status> {
    (void)co_await tern::SleepFor(absl::Milliseconds(1));
    co_return CallStatus(*channel, "blocks");
  };
  EXPECT_TRUE(Failed(BlockOn(task()), StatusCode::kFailedPrecondition,
                     Certainty::kNotStarted));
}

TEST_F(CoCallTest, FailsAsOtherCallsDo) {
  const auto channel = Channel::Create("127.0.0.1:0");  // Nobody is there.
  EXPECT_TRUE(Failed(BlockOn(CoCall(*channel, "x")).status(),
                     StatusCode::kUnavailable, Certainty::kNotStarted,
                     CallPhase::kConnect));
  const auto nonsense = Channel::Create("no port");
  EXPECT_TRUE(Failed(BlockOn(CoCall(*nonsense, "x")).status(),
                     StatusCode::kInvalidArgument, Certainty::kNotStarted));
}

// gcc 12 frees what such braces own twice, if it lets it: AwaitSafe.
TEST_F(CoCallTest, TakesOptionsInBraces) {
  std::vector<std::string> seen;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    for (const auto& [key, value] : context.metadata().entries()) {
      seen.push_back(key + "=" + value);
    }
    EXPECT_LE(context.deadline().Remaining(), absl::Minutes(1));
    return absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  const std::string long_value(1000, 'v');
  Metadata metadata;
  metadata.Add("key", long_value);
  const auto task = [&]() -> Task<absl::Status> {
    Tester::Stub stub(*channel);
    absl::StatusOr<Message> reply = co_await stub.Co().Call(
        MessageWith("x"), {.timeout = absl::Minutes(1), .metadata = metadata});
    if (!reply.ok()) co_return std::move(reply).status();
    reply = co_await stub.Co().Call(
        MessageWith("x"),
        {.timeout = absl::Minutes(1), .metadata = Metadata(metadata)});
    co_return std::move(reply).status();
  };
  const absl::Status status = BlockOn(task());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, std::vector<std::string>(2, "key=" + long_value));
}

TEST_F(CoCallTest, ManyAtATimeHaveTheirOwnRequests) {
  StartServer({.max_concurrent_calls = 10});
  const auto channel = Connect();
  const auto task = [&]() -> Task<int> {
    Tester::Stub stub(*channel);
    std::vector<Task<absl::StatusOr<Message>>> calls;
    Message request;
    for (int i = 0; i < 200; ++i) {
      request.set_text(std::to_string(i));
      calls.push_back(stub.Co().Call(request));
    }
    request.Clear();
    int right = 0;
    int next = 0;
    for (const auto& reply : co_await WhenAll(std::move(calls))) {
      if (reply.ok() && reply->text() == std::to_string(next)) ++right;
      ++next;
    }
    co_return right;
  };
  EXPECT_EQ(BlockOn(task()), 200);
}

TEST_F(CoCallTest, OneOfTwoThatIsLateIsCancelled) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  const auto task = [&]() -> Task<size_t> {
    Tester::Stub stub(*channel);
    const Message request = MessageWith("late");
    const auto first = co_await WhenAny(stub.Co().Call(request),
                                        stub.Co().Other(MessageWith("early")));
    EXPECT_TRUE(first.index() == 1 && std::get<1>(first).ok());
    co_return first.index();
  };
  EXPECT_EQ(BlockOn(task()), 1);
  StopServer();  // Its handlers have seen it, else this does not return.
}

TEST_F(CoCallTest, EndsWithTheCallThatItIsPartOf) {
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  CancellablePart call(nullptr);
  std::optional<absl::StatusOr<Message>> reply;
  Event over;
  {
    const AmbientCallScope scope(call.ambient());
    Spawn(CoCall(*channel, "x"), [&](absl::StatusOr<Message> result) {
      reply = std::move(result);
      over.Notify();
    });
  }
  ASSERT_TRUE(holdup_.WaitForEntered());
  EXPECT_EQ(over.count(), 0);
  call.Cancel();
  ASSERT_TRUE(over.Wait());
  EXPECT_TRUE(Failed(reply->status(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

TEST_F(CoCallTest, EndsByItsDeadline) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  const auto channel = Connect();
  EXPECT_EQ(BlockOn(CoCall(*channel, "x", {.timeout = absl::Milliseconds(50)}))
                .status()
                .code(),
            StatusCode::kDeadlineExceeded);
}

TEST_F(CoCallTest, EndsWithItsChannel) {
  service_.OnCall(holdup_.Handler());
  StartServer();
  auto channel = Connect();
  std::optional<absl::StatusOr<Message>> reply;
  Event over;
  Spawn(CoCall(*channel, "x"), [&](absl::StatusOr<Message> result) {
    reply = std::move(result);
    over.Notify();
  });
  ASSERT_TRUE(holdup_.WaitForEntered());
  channel.reset();
  ASSERT_TRUE(over.Wait());
  EXPECT_TRUE(Failed(reply->status(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted));
}

}  // namespace
}  // namespace tern::testing
