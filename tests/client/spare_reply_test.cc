#include "tern/client/spare_reply.h"

#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tests/testing/tester.pb.h"

namespace tern::client_internal {
namespace {

using testing::Message;
using Spare = SpareReply<Message>;

// Each test has a thread of its own, with nothing spare.
template <typename Body>
void OnNewThread(Body body) {
  std::thread(body).join();
}

Message LongText() {
  Message message;
  message.set_text(std::string(100, 'x'));
  return message;
}

TEST(SpareReply, IsNoneAtFirst) {
  OnNewThread([] {
    Message reply;
    EXPECT_EQ(Spare::Take(&reply), 0u);
    EXPECT_EQ(reply.text(), "");
  });
}

TEST(SpareReply, HandsTheMemoryToTheNext) {
  OnNewThread([] {
    Message left = LongText();
    const char* const memory = left.text().data();
    Spare::Leave(std::move(left), 102, 0);
    Message reply;
    EXPECT_EQ(Spare::Take(&reply), 1u);
    EXPECT_EQ(reply.text(), "") << "what an earlier call was told";
    EXPECT_EQ(reply.text().data(), memory);
    Message other;
    EXPECT_EQ(Spare::Take(&other), 0u) << "there was one";
  });
}

TEST(SpareReply, KeepsTheLastThatWasLeft) {
  OnNewThread([] {
    Message last = LongText();
    const char* const memory = last.text().data();
    Spare::Leave(LongText(), 102, 7);
    Spare::Leave(std::move(last), 102, 3);
    Message reply;
    EXPECT_EQ(Spare::Take(&reply), 4u);
    EXPECT_EQ(reply.text().data(), memory);
  });
}

TEST(SpareReply, KeepsNoneAboveItsLimits) {
  OnNewThread([] {
    Message reply;
    Spare::Leave(LongText(), Spare::kMaxBytes + 1, 0);
    EXPECT_EQ(Spare::Take(&reply), 0u);
    Spare::Leave(LongText(), Spare::kMaxBytes, 0);
    EXPECT_EQ(Spare::Take(&reply), 1u);

    Spare::Leave(LongText(), 102, Spare::kMaxUses - 1);
    EXPECT_EQ(Spare::Take(&reply), 0u) << "it has been used so often now";
    Spare::Leave(LongText(), 102, Spare::kMaxUses - 2);
    EXPECT_EQ(Spare::Take(&reply), Spare::kMaxUses - 1);
  });
}

TEST(SpareReply, IsAThreadsOwn) {
  OnNewThread([] {
    Spare::Leave(LongText(), 102, 0);
    OnNewThread([] {
      Message reply;
      EXPECT_EQ(Spare::Take(&reply), 0u);
    });
    Message reply;
    EXPECT_EQ(Spare::Take(&reply), 1u);
  });
}

// What other objects of a thread do when it ends, the spare one gone already.
TEST(SpareReply, IsNoneWhenItsThreadEnds) {
  struct Last {
    ~Last() {
      Message reply;
      *uses = Spare::Take(&reply);
      Spare::Leave(LongText(), 102, 0);
      *uses_after = Spare::Take(&reply);
    }
    uint32_t* uses = nullptr;
    uint32_t* uses_after = nullptr;
  };
  uint32_t uses = 99, uses_after = 99;
  OnNewThread([&] {
    thread_local Last last;  // Before the spare reply: it ends behind that.
    last.uses = &uses;
    last.uses_after = &uses_after;
    Spare::Leave(LongText(), 102, 0);
  });
  EXPECT_EQ(uses, 0u);
  EXPECT_EQ(uses_after, 0u);
}

}  // namespace
}  // namespace tern::client_internal
