#include "tern/server/call_messages.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

using testing::Message;

constexpr MethodHandler kHandler = {
    .info = {.full_name = "test.Test/Unary"},
    .new_request = server_internal::NewMessage<Message>,
    .new_reply = server_internal::NewMessage<Message>,
    .invoke = nullptr};

class CallMessagesTest : public ::testing::Test {
 protected:
  CallMessages Take() { return cache_.Take(kHandler); }
  void GiveBack(CallMessages messages, size_t bytes = 10) {
    cache_.GiveBack(std::move(messages), bytes);
  }
  // New ones have none, those that were kept have.
  static bool WereUsed(const CallMessages& messages) {
    return messages.uses > 0;
  }

  CallMessagesCache cache_;
};

TEST_F(CallMessagesTest, AreUsedAgain) {
  CallMessages first = Take();
  EXPECT_FALSE(WereUsed(first));
  const void* const request = first.request.get();
  const void* const reply = first.reply.get();
  GiveBack(std::move(first));
  const CallMessages second = Take();
  EXPECT_EQ(second.request.get(), request);
  EXPECT_EQ(second.reply.get(), reply);
  EXPECT_TRUE(WereUsed(second));
  EXPECT_FALSE(WereUsed(Take()));  // There was one.
}

TEST_F(CallMessagesTest, HoldNothingOfTheLastReply) {
  CallMessages messages = Take();
  static_cast<Message&>(*messages.reply).set_text("a secret");
  GiveBack(std::move(messages));
  EXPECT_EQ(static_cast<Message&>(*Take().reply).ByteSizeLong(), 0u);
}

TEST_F(CallMessagesTest, AreKeptUpToASize) {
  GiveBack(Take(), CallMessagesCache::kMaxBytes + 1);
  EXPECT_FALSE(WereUsed(Take()));
  GiveBack(Take(), CallMessagesCache::kMaxBytes);
  EXPECT_TRUE(WereUsed(Take()));
}

TEST_F(CallMessagesTest, AreKeptUpToANumber) {
  std::vector<CallMessages> taken;
  for (size_t i = 0; i < CallMessagesCache::kMaxKept + 1; ++i) {
    taken.push_back(Take());
  }
  for (CallMessages& messages : taken) GiveBack(std::move(messages));
  size_t used = 0;
  for (CallMessages& messages : taken) {
    messages = Take();
    if (WereUsed(messages)) ++used;
  }
  EXPECT_EQ(used, CallMessagesCache::kMaxKept);
}

TEST_F(CallMessagesTest, AreKeptForSoManyUses) {
  for (uint32_t i = 0; i < CallMessagesCache::kMaxUses; ++i) {
    CallMessages messages = Take();
    ASSERT_EQ(messages.uses, i);
    GiveBack(std::move(messages));
  }
  CallMessages last = Take();
  EXPECT_EQ(last.uses, CallMessagesCache::kMaxUses);
  GiveBack(std::move(last));
  EXPECT_FALSE(WereUsed(Take()));
}

TEST_F(CallMessagesTest, AreOneThreadsAtATime) {
  std::atomic<int> shared{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = std::to_string(t);
      for (int i = 0; i < 5'000; ++i) {
        CallMessages messages = Take();
        auto& request = static_cast<Message&>(*messages.request);
        request.set_text(name);
        std::this_thread::yield();
        if (request.text() != name) ++shared;
        GiveBack(std::move(messages));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 0);
}

}  // namespace
}  // namespace tern
