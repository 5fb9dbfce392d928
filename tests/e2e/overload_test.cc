// More than a server can do at once: what is full refuses, and the rest goes
// on.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tern/lib/wire/frame.h"
#include "tern/status.pb.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;

class OverloadTest : public EndToEnd {
 protected:
  // One worker, which is busy from now on, with a call on `channel`.
  std::shared_ptr<PendingCall> KeepTheWorkerBusy(Channel& channel) {
    WaitForArrival(channel);
    const auto call = StartCall(channel, "busy");
    EXPECT_TRUE(holdup_.WaitForEntered());
    return call;
  }
  // What a refused call was told: when to try again, and this.
  static uint32_t LoadOf(const absl::Status& refused) {
    const std::optional<CallError> error = CallError::From(refused);
    EXPECT_GT(error->retry_after.value_or(absl::ZeroDuration()),
              absl::ZeroDuration())
        << refused;
    EXPECT_TRUE(error->load_permille.has_value()) << refused;
    return error->load_permille.value_or(0);
  }
  // A message of `size` bytes in all.
  static Message MessageOfSize(size_t size) {
    Message message;
    message.set_payload(std::string(size, 'x'));
    message.set_payload(std::string(2 * size - message.ByteSizeLong(), 'x'));
    EXPECT_EQ(message.ByteSizeLong(), size);
    return message;
  }
};

TEST_F(OverloadTest, AFullQueueRefusesTheCallThatCanWaitLongest) {
  service_.OnCall(holdup_.Handler());
  // On workers, in every run: it is about their queue.
  StartServer({.loop_threads = 1,
               .worker_threads = 1,
               .handler_threads = HandlerThreads::kWorkers,
               .max_queued_calls = 2});
  const auto channel = Connect();
  std::vector<std::shared_ptr<PendingCall>> served = {
      KeepTheWorkerBusy(*channel)};
  served.push_back(StartCall(*channel, "first"));
  served.push_back(StartCall(*channel, "second", {.timeout = absl::Hours(1)}));
  // One past the limit.
  const absl::Status refused =
      CallStatus(*channel, "third", {.timeout = absl::Hours(2)});
  EXPECT_TRUE(Failed(refused, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kQueue));
  // One at work and two that wait, for one worker.
  EXPECT_EQ(LoadOf(refused), 3000u);
  EXPECT_NE(refused.ToString().find("load 3000/1000"), std::string::npos)
      << refused;
  EXPECT_NE(refused.message().find("2 calls"), std::string::npos) << refused;

  // A more urgent one takes the place of the last.
  const auto urgent =
      StartCall(*channel, "urgent", {.timeout = absl::Seconds(25)});
  EXPECT_TRUE(Failed(served.back()->WaitForStatus(),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted,
                     CallPhase::kQueue));
  served.back() = urgent;
  holdup_.LetGo();
  for (const auto& call : served) EXPECT_TRUE(call->Wait().ok());
  EXPECT_EQ(service_.started(), 3);
}

TEST_F(OverloadTest, CallsAboveTheConnectionsNumberWaitAtTheClient) {
  service_.OnCall(holdup_.Handler());
  StartServer({.worker_threads = 8, .max_concurrent_calls = 2});
  const auto channel = Connect();
  std::vector<std::shared_ptr<PendingCall>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(StartCall(*channel, std::to_string(i)));
  }
  ASSERT_TRUE(holdup_.WaitForEntered(2));
  // Another connection has a number of its own.
  const auto other = Connect();
  const auto elsewhere = StartCall(*other, "x");
  ASSERT_TRUE(holdup_.WaitForEntered(3));
  EXPECT_EQ(service_.started(), 3);
  holdup_.LetGo();
  EXPECT_TRUE(elsewhere->Wait().ok());
  for (int i = 0; i < 20; ++i) {
    const absl::StatusOr<Message> reply = calls[i]->Wait();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), std::to_string(i));
  }
}

TEST_F(OverloadTest, CallsThatWaitAtTheClientHaveALimit) {
  service_.OnCall(holdup_.Handler());
  StartServer({.max_concurrent_calls = 1});
  const auto channel = Connect({.max_waiting_calls = 2});
  const auto busy = KeepTheWorkerBusy(*channel);
  const auto first = StartCall(*channel, "first");
  const auto second = StartCall(*channel, "second");
  EXPECT_TRUE(Failed(CallStatus(*channel, "third"),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted,
                     CallPhase::kSend));
  holdup_.LetGo();
  EXPECT_TRUE(first->Wait().ok());
  EXPECT_TRUE(second->Wait().ok());
}

TEST_F(OverloadTest, CallsThatWaitForAConnectionHaveALimit) {
  const auto channel = Channel::Create("127.0.0.1:0", {.max_waiting_calls = 2});
  const CallOptions waits = {.timeout = absl::Hours(1), .wait_for_ready = true};
  const auto first = StartCall(*channel, "first", waits);
  const auto second = StartCall(*channel, "second", waits);
  EXPECT_TRUE(Failed(CallStatus(*channel, "third", waits),
                     StatusCode::kResourceExhausted, Certainty::kNotStarted));
  first->Cancel();
  second->Cancel();
  EXPECT_FALSE(first->Wait().ok());
  EXPECT_FALSE(second->Wait().ok());
}

// Of the calls that wait at a client, who makes room for a more urgent one.
class MakingRoomTest : public OverloadTest {
 protected:
  void Wait(const std::string& text, int priority) {
    calls_[text] = StartCall(
        *channel_, text,
        {.timeout = kPatience, .priority = priority, .wait_for_ready = true});
  }
  void ExpectRefused(const std::string& text) {
    EXPECT_TRUE(Failed(calls_[text]->WaitForStatus(),
                       StatusCode::kResourceExhausted, Certainty::kNotStarted,
                       CallPhase::kSend));
    ended_.push_back(std::move(calls_.extract(text).mapped()));
  }
  // So many that the limit of those that the channel has not looked at yet,
  // which is the same, is out of the way; the last two places are left.
  void WaitAtTheLimit() {
    for (int i = 0; i < kLimit - 2; ++i) Wait("U" + std::to_string(i), 7);
    const auto looked_at = StartCall(*channel_, "x", {.wait_for_ready = true});
    looked_at->Cancel();
    EXPECT_EQ(looked_at->WaitForStatus().code(), StatusCode::kCancelled);
  }
  void MakeRoom() {
    Wait("a", 2);
    Wait("b", 2);
    Wait("c", 3);  // One past the limit.
    ExpectRefused("b");
    Wait("d", 2);
    ExpectRefused("d");
    Wait("e", 0);
    ExpectRefused("e");
    Wait("f", 7);
    ExpectRefused("a");
    Wait("g", 3);
    ExpectRefused("g");
  }
  // And each call has ended once.
  void ExpectTheOthersServed() {
    for (auto& [text, call] : calls_) {
      EXPECT_TRUE(call->WaitForStatus().ok()) << text;
      ended_.push_back(std::move(call));
    }
    channel_.reset();
    for (const auto& call : ended_) EXPECT_EQ(call->callbacks(), 1);
  }

  static constexpr int kLimit = 12;
  std::unique_ptr<Channel> channel_;

 private:
  std::map<std::string, std::shared_ptr<PendingCall>> calls_;
  std::vector<std::shared_ptr<PendingCall>> ended_;
};

TEST_F(MakingRoomTest, TheLeastUrgentThatWaitsForAPlaceIsRefused) {
  service_.OnOther(holdup_.Handler());
  StartServer({.max_concurrent_calls = 1});
  channel_ = Connect({.max_waiting_calls = kLimit});
  WaitForArrival(*channel_);
  Tester::Stub(*channel_).Other({}, {}, [](absl::StatusOr<Message>) {});
  ASSERT_TRUE(holdup_.WaitForEntered());
  WaitAtTheLimit();
  MakeRoom();
  holdup_.LetGo();
  ExpectTheOthersServed();
}

TEST_F(MakingRoomTest, TheLeastUrgentThatWaitsForAConnectionIsRefused) {
  const std::string target = RawListener(OwnLoopbackAddress() + ":0").target();
  channel_ = Channel::Create(target, {.initial_backoff = absl::Milliseconds(1),
                                      .max_backoff = absl::Milliseconds(1),
                                      .max_waiting_calls = kLimit});
  WaitAtTheLimit();
  MakeRoom();
  StartServer({.listen = {target}});
  ExpectTheOthersServed();
}

// Requests hold memory from their first bytes on until they are answered,
// whether they come in one frame or in many.
TEST_F(OverloadTest, RequestsBeyondTheMemoryBudgetAreRefused) {
  for (const size_t budget : {size_t{8'000}, size_t{300'000}}) {
    Holdup holdup;
    service_.OnCall(holdup.Handler());
    StartServer({.max_request_memory_bytes = static_cast<int64_t>(budget)});
    const auto channel = Connect();
    Tester::Stub stub(*channel);
    ASSERT_TRUE(stub.Other(MessageOfSize(budget)).ok());
    const absl::Status too_large =
        stub.Other(MessageOfSize(budget + 1)).status();
    EXPECT_TRUE(Failed(too_large, StatusCode::kResourceExhausted,
                       Certainty::kNotStarted, CallPhase::kQueue));
    LoadOf(too_large);

    Event answered;
    stub.Call(MessageOfSize(budget / 2), {},
              [&](const absl::StatusOr<Message>& reply) {
                EXPECT_TRUE(reply.ok()) << reply.status();
                answered.Notify();
              });
    ASSERT_TRUE(holdup.WaitForEntered());
    const absl::Status second =
        stub.Other(MessageOfSize(budget / 2 + 1)).status();
    EXPECT_TRUE(Failed(second, StatusCode::kResourceExhausted,
                       Certainty::kNotStarted, CallPhase::kQueue));
    EXPECT_GE(LoadOf(second), 500u);
    EXPECT_TRUE(stub.Other(MessageOfSize(budget / 2)).ok());
    holdup.LetGo();
    ASSERT_TRUE(answered.Wait());
    EXPECT_TRUE(stub.Other(MessageOfSize(budget)).ok());
    StopServer();
  }
}

TEST_F(OverloadTest, AStreamWithoutAThreadIsToldTheLoad) {
  service_.OnUpload(
      [](ServerContext&, ServerReader<Message>& reader, Message*) {
        Message message;
        while (reader.Read(&message)) {
        }
        return absl::OkStatus();
      });
  StartServer({.max_stream_threads = 1});
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  auto first = stub.Upload();
  ASSERT_TRUE(first.Write(Message()));
  WaitForArrival(*channel);
  const absl::Status refused = stub.Upload().Finish().status();
  EXPECT_TRUE(Failed(refused, StatusCode::kResourceExhausted,
                     Certainty::kNotStarted, CallPhase::kQueue));
  EXPECT_GE(LoadOf(refused), 1000u);
  EXPECT_TRUE(first.Finish().ok());
}

// A client that begins more calls than it was told that it may.
TEST_F(OverloadTest, ACallAboveTheConnectionsNumberIsToldTheLoad) {
  service_.OnCall(holdup_.Handler());
  StartServer({.max_concurrent_calls = 2});
  RawConnection client = RawConnection::To(target());
  std::string calls;
  for (const uint32_t stream : {1u, 3u, 5u}) {
    calls += UnaryFrame(stream, "", "tern.testing.Tester/Call");
  }
  client.Send(GreetingBytes() + calls);
  const RawFrame answer =
      SplitFrames(
          client.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kStatus)))
          .back();
  EXPECT_EQ(answer.stream, 5u);
  wire::v1::Status status;
  ASSERT_TRUE(status.ParseFromString(answer.block));
  EXPECT_EQ(status.code(), static_cast<uint32_t>(StatusCode::kUnavailable));
  EXPECT_EQ(status.certainty(), wire::v1::NOT_STARTED);
  EXPECT_GT(status.retry_after_ms(), 0u);
  EXPECT_TRUE(status.has_load_permille());
}

// L24: handlers in every worker keep no other part of the server.
TEST_F(OverloadTest, ABusyPoolStillLetsDeadlinesCancelsAndDrainWork) {
  service_.OnCall(holdup_.Handler());
  // On workers, in every run: it is about their queue.
  StartServer({.loop_threads = 1,
               .worker_threads = 1,
               .handler_threads = HandlerThreads::kWorkers});
  const auto channel = Connect();
  const auto busy = KeepTheWorkerBusy(*channel);

  EXPECT_EQ(
      CallStatus(*channel, "late", {.timeout = absl::Milliseconds(30)}).code(),
      StatusCode::kDeadlineExceeded);
  const auto cancelled = StartCall(*channel, "cancelled");
  cancelled->Cancel();
  EXPECT_FALSE(cancelled->Wait().ok());
  WaitForArrival(*Connect());  // A new client, even.

  absl::Status drained;
  std::thread drain([&] { drained = server_->Drain(absl::Minutes(10)); });
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  while (
      CallStatus(*Connect(), "x", {.timeout = absl::Milliseconds(50)}).code() !=
          StatusCode::kUnavailable &&
      MonotonicTime::Now() < until) {
  }
  holdup_.LetGo();
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_TRUE(busy->Wait().ok());
  EXPECT_EQ(service_.started(), 1);
}

TEST_F(OverloadTest, ConnectionsAboveTheLimitAreToldAndClosed) {
  StartServer({.max_connections = 1});
  auto first = Connect();
  ASSERT_TRUE(CallStatus(*first, "x").ok());
  const auto second = Connect();
  const absl::Status refused = CallStatus(*second, "x");
  EXPECT_TRUE(
      Failed(refused, StatusCode::kUnavailable, Certainty::kNotStarted));
  EXPECT_NE(refused.message().find("OVERLOADED"), std::string::npos) << refused;
  EXPECT_NE(refused.message().find("1 connections"), std::string::npos)
      << refused;
  EXPECT_TRUE(CallStatus(*first, "x").ok());
  first.reset();
  EXPECT_TRUE(CallStatus(*second, "x", {.wait_for_ready = true}).ok());
}

}  // namespace
}  // namespace tern::testing
