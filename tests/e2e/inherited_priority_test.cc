// The priority of calls that a handler makes, whatever kind of handler it is.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/task.h"
#include "tests/e2e/method_options.tern.client.h"
#include "tests/e2e/method_options.tern.server.h"
#include "tests/testing/end_to_end.h"

namespace tern::testing {
namespace {

// Answers with the priority of the call.
class TellingService final : public Optioned::Service {
  absl::Status Plain(ServerContext& context, const Message&,
                     Message* reply) override {
    return Tell(context, reply);
  }
  absl::Status Urgent(ServerContext& context, const Message&,
                      Message* reply) override {
    return Tell(context, reply);
  }
  static absl::Status Tell(ServerContext& context, Message* reply) {
    reply->set_text(absl::StrCat(context.ambient().priority));
    return absl::OkStatus();
  }
};

// A call that a handler makes.
struct Nested {
  bool urgent;  // Of a method whose .proto says 5, else of one that says none.
  CallOptions options = {};
};

// What becomes of a nested call's end.
absl::Status Answer(const absl::StatusOr<Message>& told, Message* reply) {
  if (told.ok()) *reply = *told;
  return told.status();
}

class BlockingOuter final : public Tester::Service {
 public:
  std::unique_ptr<Optioned::Stub> stub;
  Nested nested;

  absl::Status Call(ServerContext&, const Message& request,
                    Message* reply) override {
    return Answer(nested.urgent ? stub->Urgent(request, nested.options)
                                : stub->Plain(request, nested.options),
                  reply);
  }
  absl::Status Watch(ServerContext&, const Message& request,
                     ServerWriter<Message>& writer) override {
    const auto told = stub->Plain(request, nested.options);
    if (told.ok()) writer.Write(*told);
    return told.status();
  }
};

// Makes its call after it has waited: on another thread than it began on.
class CoOuter final : public Tester::CoService {
 public:
  std::unique_ptr<Optioned::Stub> stub;
  Nested nested;

  Task<absl::Status> Call(ServerContext&, const Message& request,
                          Message* reply) override {
    (void)co_await tern::SleepFor(absl::Milliseconds(1));
    if (nested.urgent) {
      co_return Answer(co_await stub->Co().Urgent(request, nested.options),
                       reply);
    }
    co_return Answer(co_await stub->Co().Plain(request, nested.options), reply);
  }
};

class CallbackOuter final : public Tester::CallbackService {
 public:
  std::unique_ptr<Optioned::Stub> stub;
  Nested nested;

  void Call(ServerContext&, const Message& request, Message* reply,
            Responder responder) override {
    auto done = [reply, responder = std::move(responder)](
                    const absl::StatusOr<Message>& told) mutable {
      responder.Answer(Answer(told, reply));
    };
    if (nested.urgent) {
      stub->Urgent(request, nested.options, std::move(done));
    } else {
      stub->Plain(request, nested.options, std::move(done));
    }
  }
};

template <typename Outer>
class InheritedPriorityTest : public EndToEnd {
 protected:
  void SetUp() override {
    more_services_ = {&telling_};
    StartServerOf(&outer_);
    inner_channel_ = Connect();
    outer_.stub = std::make_unique<Optioned::Stub>(*inner_channel_);
    channel_ = Connect();
  }
  void TearDown() override { StopServer(); }

  // What priority the call has that the handler makes for one of `priority`.
  std::string Told(int priority, Nested nested) {
    outer_.nested = std::move(nested);
    const absl::StatusOr<Message> reply =
        Call(*channel_, "", {.priority = priority});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->text() : "";
  }

  TellingService telling_;
  Outer outer_;
  std::unique_ptr<Channel> inner_channel_;
  std::unique_ptr<Channel> channel_;
};

using Kinds = ::testing::Types<BlockingOuter, CoOuter, CallbackOuter>;
TYPED_TEST_SUITE(InheritedPriorityTest, Kinds);

TYPED_TEST(InheritedPriorityTest, IsThatOfTheCallAroundIt) {
  for (const int priority : {0, 3, 7}) {
    EXPECT_EQ(this->Told(priority, {.urgent = false}), absl::StrCat(priority));
  }
}

TYPED_TEST(InheritedPriorityTest, OrTheMethodsIfThatIsHigher) {
  EXPECT_EQ(this->Told(0, {.urgent = true}), "5");
  EXPECT_EQ(this->Told(4, {.urgent = true}), "5");
  EXPECT_EQ(this->Told(6, {.urgent = true}), "6");
}

TYPED_TEST(InheritedPriorityTest, OrWhatTheCallItselfSays) {
  EXPECT_EQ(this->Told(7, {.urgent = false, .options = {.priority = 0}}), "0");
  EXPECT_EQ(this->Told(7, {.urgent = true, .options = {.priority = 1}}), "1");
  EXPECT_EQ(this->Told(0, {.urgent = true, .options = {.priority = 6}}), "6");
}

TYPED_TEST(InheritedPriorityTest, IsNotInheritedByADetachedCall) {
  EXPECT_EQ(this->Told(7, {.urgent = false, .options = {.detached = true}}),
            "0");
  EXPECT_EQ(this->Told(7, {.urgent = true, .options = {.detached = true}}),
            "5");
}

using InheritedPriorityOfStreamsTest = InheritedPriorityTest<BlockingOuter>;

TEST_F(InheritedPriorityOfStreamsTest, IsThatOfTheStreamAroundIt) {
  auto stream = Tester::Stub(*channel_).Watch(Message(), {.priority = 3});
  Message told;
  EXPECT_TRUE(stream.Read(&told));
  EXPECT_EQ(told.text(), "3");
  EXPECT_TRUE(stream.Finish().ok());
}

}  // namespace
}  // namespace tern::testing
