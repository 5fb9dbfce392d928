// Where handlers run, and what those that block keep from going on: nothing
// but their own calls.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using Calls = std::vector<std::shared_ptr<PendingCall>>;

class HandlerThreadsTest : public EndToEnd {
 protected:
  static Calls StartCalls(Channel& channel, int count,
                          const CallOptions& options = {}) {
    Calls calls;
    for (int i = 0; i < count; ++i) {
      calls.push_back(StartCall(channel, std::to_string(i), options));
    }
    return calls;
  }
};

class OnLoops : public HandlerThreadsTest {
 protected:
  void StartServerOnLoops(int loops, int workers) {
    StartServer({.loop_threads = loops,
                 .worker_threads = workers,
                 .handler_threads = HandlerThreads::kLoops});
  }
};

// However many of them block: the loop that would tell them is never blocked.
TEST_F(OnLoops, HandlersThatBlockAreToldOfTheirCancellation) {
  for (const int count : {1, 2, 3, 20}) {
    Holdup holdup;
    service_.OnCall(holdup.HandlerThatHeedsCancellation());
    StartServerOnLoops(/*loops=*/1, /*workers=*/1);
    const auto channel = Connect();
    const Calls calls = StartCalls(*channel, count);
    ASSERT_TRUE(holdup.WaitForEntered(std::min(count, 3)));
    for (const auto& call : calls) call->Cancel();
    for (const auto& call : calls) {
      EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                         Certainty::kMaybeStarted));
    }
    // Returns when the last handler has.
    StopServer();
  }
}

}  // namespace
}  // namespace tern::testing
