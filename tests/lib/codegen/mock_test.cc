#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/call/spawn.h"
#include "tests/lib/codegen/basic.tern.mock.h"

namespace kv::v1 {
namespace {

using ::testing::_;
using ::testing::NiceMock;
using ::testing::Property;
using ::testing::Return;
using ::testing::StrictMock;

GetRequest RequestFor(const std::string& key) {
  GetRequest request;
  request.set_key(key);
  return request;
}

GetReply ReplyWith(const std::string& value) {
  GetReply reply;
  reply.set_value(value);
  return reply;
}

TEST(MockStub, AnswersBlockingCalls) {
  StrictMock<KeyValue::MockStub> mock;
  EXPECT_CALL(mock, Get(Property(&GetRequest::key, "k"), _))
      .WillOnce(Return(ReplyWith("v")));

  KeyValue::StubInterface& kv = mock;
  EXPECT_EQ(kv.Get(RequestFor("k"))->value(), "v");
}

TEST(MockStub, SeesOptions) {
  StrictMock<KeyValue::MockStub> mock;
  EXPECT_CALL(mock, Get(_, _)).WillOnce([](const auto&, const auto& options) {
    EXPECT_EQ(options.timeout, absl::Milliseconds(50));
    return absl::DeadlineExceededError("late");
  });

  KeyValue::StubInterface& kv = mock;
  auto reply = kv.Get(RequestFor("k"), {.timeout = absl::Milliseconds(50)});
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(MockStub, AnswersCallsWithACallback) {
  StrictMock<KeyValue::MockStub> mock;
  EXPECT_CALL(mock, Get(_, _, _))
      .WillOnce([](const GetRequest& request, const tern::CallOptions&,
                   tern::ReplyCallback<GetReply> done) {
        std::move(done)(ReplyWith("value of " + request.key()));
        return tern::CallHandle();
      });

  KeyValue::StubInterface& kv = mock;
  std::string value;
  kv.Get(RequestFor("k"), {},
         [&](absl::StatusOr<GetReply> reply) { value = reply->value(); });
  EXPECT_EQ(value, "value of k");
}

TEST(MockStub, AnswersCallsThatTasksAwait) {
  StrictMock<KeyValue::MockStub> mock;
  EXPECT_CALL(mock, Get(Property(&GetRequest::key, "k"), _, _))
      .WillOnce([](const auto&, const auto&, auto done) {
        std::move(done)(ReplyWith("v"));
        return tern::CallHandle();
      });
  const auto task = [](KeyValue::StubInterface& kv) -> tern::Task<std::string> {
    const auto reply = co_await kv.Co().Get(RequestFor("k"));
    co_return reply->value();
  };
  EXPECT_EQ(tern::BlockOn(task(mock)), "v");
}

TEST(MockStub, LetsNoTaskWaitForACallbackThatItHasDropped) {
  NiceMock<KeyValue::MockStub> mock;
  const auto task =
      [](KeyValue::StubInterface& kv) -> tern::Task<absl::StatusCode> {
    const auto reply = co_await kv.Co().Get(RequestFor("k"));
    co_return reply.status().code();
  };
  EXPECT_EQ(tern::BlockOn(task(mock)), absl::StatusCode::kInternal);
}

TEST(MockStub, KeepsMethodsApart) {
  NiceMock<Administration::MockStub> mock;
  BatchPut::Reply reply;
  reply.set_sequence(7);
  ON_CALL(mock, CompactEverythingThatIsStored(_, _))
      .WillByDefault(Return(reply));

  Administration::StubInterface& administration = mock;
  EXPECT_EQ(administration.CompactEverythingThatIsStored({})->sequence(), 7u);
}

TEST(MockStub, FailsCallsThatNobodyExpected) {
  NiceMock<KeyValue::MockStub> mock;
  KeyValue::StubInterface& kv = mock;
  EXPECT_FALSE(kv.Get(RequestFor("k")).ok());
}

}  // namespace
}  // namespace kv::v1
