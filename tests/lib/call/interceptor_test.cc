#include "tern/lib/call/interceptor.h"

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_pipe.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;
using Way = call_internal::CallChain::Way;
using Seen = std::vector<std::string>;

tern::testing::Message MessageWith(const std::string& text) {
  tern::testing::Message message;
  message.set_text(text);
  return message;
}

// Puts its name behind each message, unless it is to refuse it.
class Signer final : public Interceptor {
 public:
  Signer(std::string name, Seen* seen) : name_(std::move(name)), seen_(*seen) {}
  bool interested = true;
  bool refuses_calls = false;
  bool refuses_messages = false;

  std::unique_ptr<CallInterceptor> OnStart(CallStart& start) override {
    seen_.push_back(name_ + " start");
    if (refuses_calls) start.refusal = absl::UnauthenticatedError("no");
    if (!interested) return nullptr;
    return std::make_unique<OfCall>(*this);
  }

 private:
  class OfCall final : public CallInterceptor {
   public:
    explicit OfCall(const Signer& by) : by_(by) {}
    ~OfCall() override { by_.seen_.push_back(by_.name_ + " gone"); }
    void OnRequest(MessageInPassing& request) override { Sign(request); }
    void OnReply(MessageInPassing& reply) override { Sign(reply); }
    void OnEnd(CallEnd& end) override {
      by_.seen_.push_back(by_.name_ + " end");
      EXPECT_GE(end.elapsed, absl::ZeroDuration());
    }

   private:
    void Sign(MessageInPassing& passing) const {
      by_.seen_.push_back(by_.name_);
      if (by_.refuses_messages) {
        return passing.Refuse(absl::DataLossError("no"));
      }
      if (passing.raw() != nullptr) {
        *passing.mutable_raw() =
            RawMessage(std::string(passing.raw()->view()) + by_.name_);
        return;
      }
      auto* message =
          static_cast<tern::testing::Message*>(passing.mutable_message());
      message->set_text(message->text() + by_.name_);
      EXPECT_EQ(passing.ByteSize(), message->ByteSizeLong());
    }
    const Signer& by_;
  };

  const std::string name_;
  Seen& seen_;
};

class InterceptorTest : public ::testing::Test {
 protected:
  Signer& Add(const char* name) {
    auto signer = std::make_shared<Signer>(name, &seen_);
    interceptors_.push_back(signer);
    return *signer;
  }
  std::unique_ptr<call_internal::CallChain> Begin(
      CallSide side = CallSide::kClient) {
    CallStart start = {.side = side,
                       .method = "a.B/C",
                       .peer = "peer",
                       .metadata = metadata_,
                       .trace = trace_};
    auto chain = call_internal::BeginCall(interceptors_, &start);
    refusal_ = std::move(start.refusal);
    return chain;
  }
  void End(call_internal::CallChain& chain) {
    CallEnd end = {.status = absl::OkStatus(), .trailing_metadata = metadata_};
    chain.End(&end);
  }

  Seen seen_;
  Interceptors interceptors_;
  Metadata metadata_;
  wire::TraceContext trace_;
  absl::Status refusal_;
};

TEST_F(InterceptorTest, RequestsGoForwardsAndAllElseBack) {
  Add("a");
  Add("b");
  const auto chain = Begin();
  auto message = MessageWith("");
  EXPECT_TRUE(chain->Pass(Way::kRequest, &message).ok());
  EXPECT_EQ(message.text(), "ab");
  EXPECT_TRUE(chain->Pass(Way::kReply, &message).ok());
  EXPECT_EQ(message.text(), "abba");
  End(*chain);
  EXPECT_THAT(seen_, ElementsAre("a start", "b start", "a", "b", "b", "a",
                                 "b end", "a end"));
}

TEST_F(InterceptorTest, AMessageOfTheUsersIsCopiedToBeChanged) {
  Add("a");
  Add("b");
  const auto chain = Begin();
  const auto message = MessageWith("x");
  std::string passed;
  EXPECT_TRUE(
      chain
          ->PassOn(
              Way::kRequest, message,
              [&](const google::protobuf::MessageLite& changed) {
                passed =
                    static_cast<const tern::testing::Message&>(changed).text();
              })
          .ok());
  EXPECT_EQ(passed, "xab");
  EXPECT_EQ(message.text(), "x");

  const RawMessage raw = std::string("y");
  EXPECT_TRUE(chain
                  ->PassOn(Way::kReply, raw,
                           [&](const RawMessage& changed) {
                             passed = std::string(changed.view());
                           })
                  .ok());
  EXPECT_EQ(passed, "yba");
  EXPECT_EQ(raw.view(), "y");
  RawMessage own = std::string("z");
  EXPECT_TRUE(chain->Pass(Way::kRequest, &own).ok());
  EXPECT_EQ(own.view(), "zab");
}

TEST_F(InterceptorTest, ARefusedMessageGoesNoFurther) {
  Add("a");
  Add("b").refuses_messages = true;
  Add("c");
  const auto chain = Begin();
  seen_.clear();
  auto message = MessageWith("");
  EXPECT_EQ(chain->Pass(Way::kRequest, &message).code(), StatusCode::kDataLoss);
  EXPECT_THAT(seen_, ElementsAre("a", "b"));
  bool passed = false;
  const auto pass = [&](const google::protobuf::MessageLite&) {
    passed = true;
  };
  EXPECT_EQ(chain->PassOn(Way::kReply, MessageWith(""), pass).code(),
            StatusCode::kDataLoss);
  EXPECT_FALSE(passed);
}

TEST_F(InterceptorTest, ARefusedCallIsNotSeenByLaterOnes) {
  Add("a");
  Add("b").refuses_calls = true;
  Add("c");
  const auto chain = Begin();
  EXPECT_EQ(refusal_.code(), StatusCode::kUnauthenticated);
  End(*chain);
  EXPECT_THAT(seen_, ElementsAre("a start", "b start", "b end", "a end"));
}

TEST_F(InterceptorTest, WhoIsNotInterestedIsAskedNoMore) {
  Add("a").interested = false;
  EXPECT_EQ(Begin(), nullptr);
  Add("b");
  const auto chain = Begin();
  seen_.clear();
  End(*chain);
  EXPECT_THAT(seen_, ElementsAre("b end"));
}

// Where a server gives up a call, no code of the user's may run.
TEST_F(InterceptorTest, AtTheServerTheEndIsTheLastOfIt) {
  Add("a");
  const auto chain = Begin(CallSide::kServer);
  auto message = MessageWith("");
  EXPECT_TRUE(chain->Pass(Way::kRequest, &message).ok());
  End(*chain);
  EXPECT_EQ(chain->Pass(Way::kRequest, &message).code(),
            StatusCode::kCancelled);
  EXPECT_THAT(seen_, ElementsAre("a start", "a", "a end", "a gone"));
}

TEST_F(InterceptorTest, AtTheClientMessagesMayComeLater) {
  Add("a");
  auto chain = Begin(CallSide::kClient);
  End(*chain);
  auto message = MessageWith("");
  EXPECT_TRUE(chain->Pass(Way::kReply, &message).ok());
  chain.reset();
  EXPECT_THAT(seen_, ElementsAre("a start", "a end", "a", "a gone"));
}

// A message that has to wait is seen when it is written, not each time that
// somebody tries.
TEST_F(InterceptorTest, AMessageOfAStreamIsSeenOnce) {
  class Host final : public StreamPipe::Host {
   public:
    void OnPipeWork() override {}
  };
  Host host;
  StreamPipe pipe(&host, /*max_unsent_bytes=*/5, /*credit_bytes=*/100);
  MessageStream stream(&pipe, MessageStream::End::kClient);
  Add("a");
  const auto chain = Begin();
  seen_.clear();
  stream.SetChain(chain.get());
  EXPECT_EQ(stream.TryWrite(MessageWith("x")), Poll::kReady);
  EXPECT_THAT(seen_, ElementsAre("a"));
  EXPECT_EQ(stream.TryWrite(MessageWith("y")), Poll::kNotYet);
  EXPECT_EQ(stream.TryWrite(RawMessage(std::string("y"))), Poll::kNotYet);
  EXPECT_THAT(seen_, ElementsAre("a"));
  pipe.TakeWork().messages->Clear();
  EXPECT_FALSE(pipe.SetQueuedBytes(0));
  EXPECT_EQ(stream.TryWrite(RawMessage(std::string("y"))), Poll::kReady);
  EXPECT_THAT(seen_, ElementsAre("a", "a"));
  EXPECT_EQ(pipe.TakeWork().messages->Next().bytes, "ya");
  (void)pipe.Close(/*at_once=*/true);
  EXPECT_EQ(stream.TryWrite(MessageWith("z")), Poll::kOver);
  EXPECT_THAT(seen_, ElementsAre("a", "a"));
}

}  // namespace
}  // namespace tern
