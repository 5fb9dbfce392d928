// Many callers at once: every call is answered once, with its own answer.

#include <memory>
#include <string>
#include <vector>

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

class ManyClientsTest : public EndToEnd {
 protected:
  static void ExpectEcho(Channel& channel, const std::string& text) {
    const absl::StatusOr<Message> reply = Call(channel, text);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), text);
  }
};

TEST_F(ManyClientsTest, ManyChannelsInManyThreads) {
  StartServer();
  InThreads(16, [&](int thread) {
    std::vector<std::unique_ptr<Channel>> channels;
    for (int i = 0; i < 4; ++i) channels.push_back(Connect());
    for (int call = 0; call < 10; ++call) {
      for (int i = 0; i < 4; ++i) {
        ExpectEcho(*channels[i], std::to_string(thread) + "/" +
                                     std::to_string(i) + "/" +
                                     std::to_string(call));
      }
    }
  });
  EXPECT_EQ(service_.started(), 16 * 4 * 10);
}

TEST_F(ManyClientsTest, ManyThreadsOnOneChannel) {
  StartServer();
  const auto channel = Connect();
  InThreads(64, [&](int thread) {
    for (int call = 0; call < 40; ++call) {
      ExpectEcho(*channel, std::to_string(thread) + "/" + std::to_string(call));
    }
  });
  EXPECT_EQ(service_.started(), 64 * 40);
}

TEST_F(ManyClientsTest, ThousandsOfCallsWithACallback) {
  constexpr int kCalls = 5'000;
  // The queue has room for what one connection may begin at once.
  StartServer({.max_queued_calls = 4096});
  const auto channel = Connect();
  std::vector<std::atomic<int>> answers(kCalls);
  Event done;
  Tester::Stub stub(*channel);
  for (int i = 0; i < kCalls; ++i) {
    stub.Call(MessageWith(std::to_string(i)), {},
              [&, i](const absl::StatusOr<Message>& reply) {
                EXPECT_TRUE(reply.ok()) << reply.status();
                if (reply.ok()) {
                  EXPECT_EQ(reply->text(), std::to_string(i));
                }
                ++answers[i];
                done.Notify();
              });
  }
  ASSERT_TRUE(done.Wait(kCalls));
  EXPECT_TRUE(CallStatus(*channel, "one more").ok());
  for (const std::atomic<int>& count : answers) EXPECT_EQ(count, 1);
}

// Whoever drives a connection does the others' work on the way, but not for
// ever: a flood of new calls must keep no answer from being read.
TEST_F(ManyClientsTest, AFloodOfCallsDoesNotStarveTheAnswers) {
  constexpr int kThreads = 3;
  constexpr int kCalls = 15'000;
  constexpr int kWaiting = 100;
  StartServer({.max_queued_calls = 4096, .max_concurrent_calls = kWaiting});
  const auto channel = Connect({.max_waiting_calls = kWaiting});
  WaitForArrival(*channel);
  Tester::Stub stub(*channel);
  Event answered;
  Event ended;
  InThreads(kThreads, [&](int) {
    for (int i = 0; i < kCalls; ++i) {
      // Those that wait make room for others.
      stub.Call(Message(), {.priority = i % 8},
                [&](const absl::StatusOr<Message>& reply) {
                  if (reply.ok()) answered.Notify();
                  ended.Notify();
                });
    }
  });
  // More than fit in at the beginning.
  EXPECT_GT(answered.count(), 3 * kWaiting);
  EXPECT_TRUE(ended.Wait(kThreads * kCalls));
  RecordProperty("answered", answered.count());
}

// Callbacks may make calls, from the I/O thread.
TEST_F(ManyClientsTest, ACallbackMayBeginTheNextCall) {
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  Event done;
  std::function<void(int)> begin = [&](int left) {
    stub.Call(MessageWith(std::to_string(left)), {},
              [&, left](const absl::StatusOr<Message>& reply) {
                EXPECT_TRUE(reply.ok()) << reply.status();
                if (left == 0) {
                  done.Notify();
                } else {
                  begin(left - 1);
                }
              });
  };
  begin(300);
  EXPECT_TRUE(done.Wait());
}

TEST_F(ManyClientsTest, OneClientHasTwoServers) {
  StartServer();
  TestService other_service;
  other_service.OnCall([](ServerContext&, const Message&, Message* reply) {
    reply->set_text("other");
    return absl::OkStatus();
  });
  Server other({.listen = {"127.0.0.1:0"}});
  other.Register(&other_service);
  ASSERT_TRUE(other.Start().ok());
  const auto channel = Connect();
  const auto other_channel = Channel::Create(other.addresses()[0]);
  InThreads(4, [&](int) {
    for (int i = 0; i < 20; ++i) {
      ExpectEcho(*channel, "this");
      EXPECT_EQ(Call(*other_channel, "x")->text(), "other");
    }
  });
  // The end of one is nothing to the other.
  other.Stop();
  EXPECT_FALSE(CallStatus(*other_channel, "x").ok());
  ExpectEcho(*channel, "this");
}

}  // namespace
}  // namespace tern::testing
