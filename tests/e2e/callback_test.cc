// Callbacks run on the channel's I/O thread, in the middle of its turn: they
// may do to the channel what they like.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using Reply = absl::StatusOr<Message>;

class CallbackTest : public EndToEnd {};

TEST_F(CallbackTest, MayBeginTheNextCall) {
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  constexpr int kChains = 10;
  constexpr int kCalls = 300;
  Event over;
  std::function<void(int)> next = [&](int left) {
    if (left == 0) return over.Notify();
    stub.Call(MessageWith(std::to_string(left)), {},
              [&, left](const Reply& reply) {
                EXPECT_TRUE(reply.ok()) << reply.status();
                if (reply.ok()) {
                  EXPECT_EQ(reply->text(), std::to_string(left));
                }
                next(left - 1);
              });
  };
  for (int i = 0; i < kChains; ++i) next(kCalls);
  EXPECT_TRUE(over.Wait(kChains));
  EXPECT_EQ(service_.started(), kChains * kCalls);
}

// A reply that a callback leaves where it is gives its memory to another's.
TEST_F(CallbackTest, SeesNothingOfAnEarlierReply) {
  service_.OnCall([](ServerContext&, const Message& request, Message* reply) {
    reply->set_text(request.text());
    if (request.text() == "long") reply->set_payload(std::string(100, 'x'));
    return request.text() == "failed" ? absl::AbortedError("as it was asked to")
                                      : absl::OkStatus();
  });
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  const std::vector<std::string> requests = {"long",  "long", "short",  "short",
                                             "long",  "long", "failed", "short",
                                             "short", "long"};
  Event over;
  std::vector<std::string> told;
  std::function<void(size_t)> call = [&](size_t i) {
    if (i == requests.size()) return over.Notify();
    stub.Call(MessageWith(requests[i]), {}, [&, i](const Reply& reply) {
      told.push_back(reply.ok() ? reply->text() + " " + reply->payload()
                                : "failed");
      call(i + 1);
    });
  };
  call(0);
  ASSERT_TRUE(over.Wait());
  std::vector<std::string> expected;
  for (const std::string& request : requests) {
    expected.push_back(request == "long"     ? "long " + std::string(100, 'x')
                       : request == "failed" ? request
                                             : "short ");
  }
  EXPECT_EQ(told, expected);
}

// Never inside the call that it was given to, whatever becomes of that.
TEST_F(CallbackTest, IsCalledAfterTheCallThatItWasGivenToHasReturned) {
  StartServer();
  const auto channel = Connect();
  Event over;
  int inside = 0;  // The I/O thread's.
  int early = 0;
  const auto begin = [&](Channel& on, const CallOptions& options) {
    ++inside;
    Tester::Stub(on).Call(MessageWith("x"), options, [&](const Reply&) {
      early += inside;
      over.Notify();
    });
    --inside;
  };
  Tester::Stub(*channel).Call(MessageWith("x"), {}, [&](const Reply&) {
    begin(*channel, {});
    begin(*channel, {.timeout = absl::ZeroDuration()});
    begin(*channel, {.metadata = {{"Not A Key", "x"}}});
    begin(*channel, {.metadata = {{"key", std::string(1 << 20, 'x')}}});
    over.Notify();
  });
  EXPECT_TRUE(over.Wait(5));
  EXPECT_EQ(early, 0);
}

TEST_F(CallbackTest, MayCancelOtherCallsAndItsOwn) {
  service_.OnOther(holdup_.HandlerThatHeedsCancellation());
  StartServer();
  const auto channel = Connect();
  Tester::Stub stub(*channel);
  Event over;
  std::vector<CallHandle> handles;
  for (int i = 0; i < 5; ++i) {
    handles.push_back(stub.Other(Message(), {}, [&](const Reply& reply) {
      EXPECT_EQ(reply.status().code(), StatusCode::kCancelled);
      over.Notify();
    }));
  }
  ASSERT_TRUE(holdup_.WaitForEntered(5));
  Event begun;
  CallHandle own;
  own = stub.Call(Message(), {}, [&](const Reply& reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    EXPECT_TRUE(begun.Wait());
    own.Cancel();
    for (CallHandle& handle : handles) handle.Cancel();
    over.Notify();
  });
  begun.Notify();
  EXPECT_TRUE(over.Wait(6));
}

// With calls of its own and of others still open, and a call begun just before.
TEST_F(CallbackTest, MayDestroyItsChannelInTheMiddle) {
  StartServer();
  for (int i = 0; i < 30; ++i) {
    auto channel = Connect();
    Event begun;
    Event over;
    constexpr int kCalls = 20;
    int answered = 0;  // The I/O thread's.
    Tester::Stub stub(*channel);
    for (int call = 0; call < kCalls; ++call) {
      stub.Call(Message(), {}, [&, i](const Reply& reply) {
        EXPECT_TRUE(begun.Wait());
        if (!reply.ok()) {
          EXPECT_EQ(reply.status().code(), StatusCode::kCancelled);
        }
        if (++answered == 1 + i % 5) {
          stub.Call(Message(), {}, [&](const Reply& last) {
            if (!last.ok()) {
              EXPECT_EQ(last.status().code(), StatusCode::kCancelled);
            }
            over.Notify();
          });
          channel.reset();
        }
        over.Notify();
      });
    }
    begun.Notify();
    EXPECT_TRUE(over.Wait(kCalls + 1));
    EXPECT_EQ(over.count(), kCalls + 1);
  }
}

// The channels of an I/O thread wait for each other's callbacks, and no longer.
TEST_F(CallbackTest, ThatTakesLongDelaysOthersAndLosesNone) {
  StartServer();
  std::vector<std::unique_ptr<Channel>> channels;
  for (int i = 0; i < 6; ++i) channels.push_back(Connect());
  Event slow_begun;
  Event let_go;
  Event over;
  Tester::Stub(*channels[0]).Call(Message(), {}, [&](const Reply&) {
    slow_begun.Notify();
    EXPECT_TRUE(let_go.Wait());
    over.Notify();
  });
  ASSERT_TRUE(slow_begun.Wait());
  for (const auto& channel : channels) {
    for (int i = 0; i < 20; ++i) {
      Tester::Stub(*channel).Call(Message(), {}, [&](const Reply& reply) {
        EXPECT_TRUE(reply.ok()) << reply.status();
        over.Notify();
      });
    }
  }
  // Blocking calls end by their deadlines meanwhile, whose thread they need
  // not: some of them are on the channels of the thread that is held up.
  for (const auto& channel : channels) {
    const absl::Status status =
        CallStatus(*channel, "x", {.timeout = absl::Milliseconds(20)});
    if (!status.ok()) {
      EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
    }
  }
  let_go.Notify();
  EXPECT_TRUE(over.Wait(1 + 6 * 20));
}

}  // namespace
}  // namespace tern::testing
