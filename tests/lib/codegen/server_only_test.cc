// What a server includes, and nothing of the client.
#include "tests/lib/codegen/basic.tern.server.h"

#ifdef TERN_CLIENT_STUB_H_
#error "A generated server header includes the client's."
#endif

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/arena.h"
#include "gtest/gtest.h"
#include "tests/lib/codegen/streaming.tern.server.h"

namespace kv::v1 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A context for handlers that do not look at it.
class EmptyContext final : public tern::ServerContext {
 public:
  std::string_view method() const override { return ""; }
  const std::string& peer() const override { return address_; }
  const std::string& local() const override { return address_; }
  tern::Deadline deadline() const override { return tern::Deadline(); }
  bool cancelled() const override { return false; }
  tern::Cancellation& cancellation() override { return cancellation_; }
  bool draining() const override { return false; }
  tern::Cancellation::Registration OnDrain(
      absl::AnyInvocable<void()>) override {
    return {};
  }
  const tern::Metadata& metadata() const override { return metadata_; }
  const absl::Cord& attachment() const override { return attachment_; }
  void set_reply_attachment(absl::Cord) override {}
  tern::Metadata& response_metadata() override { return metadata_; }
  tern::Metadata& trailing_metadata() override { return metadata_; }
  void PassOn(const tern::CallError&) override {}
  const tern::wire::TraceContext& trace() const override { return trace_; }
  const tern::AmbientCall& ambient() const override { return ambient_; }

 private:
  const std::string address_;
  tern::Cancellation cancellation_;
  tern::Metadata metadata_;
  const absl::Cord attachment_;
  const tern::wire::TraceContext trace_ = {};
  const tern::AmbientCall ambient_ = {};
};

// Serves Get and leaves the rest.
class Store final : public KeyValue::Service {
 public:
  absl::Status Get(tern::ServerContext&, const GetRequest& request,
                   GetReply* reply) override {
    reply->set_value("value of " + request.key());
    return absl::OkStatus();
  }
};

std::vector<std::string_view> MethodNames(const tern::Service& service) {
  std::vector<std::string_view> names;
  for (const tern::MethodHandler& method : service.TernMethods()) {
    names.push_back(method.info.full_name);
  }
  return names;
}

TEST(GeneratedService, TellsItsNameAndMethods) {
  EXPECT_EQ(Store().TernServiceName(), "kv.v1.KeyValue");
  EXPECT_THAT(MethodNames(Store()),
              ElementsAre("kv.v1.KeyValue/Get", "kv.v1.KeyValue/Put",
                          "kv.v1.KeyValue/Clear"));
}

TEST(GeneratedService, TellsWhoStreams) {
  EXPECT_THAT(
      MethodNames(streaming::v1::Mixed::Service()),
      ElementsAre("streaming.v1.Mixed/Unary", "streaming.v1.Mixed/Watch",
                  "streaming.v1.Mixed/Upload", "streaming.v1.Mixed/Chat"));
  const streaming::v1::Mixed::Service service;
  const auto methods = service.TernMethods();
  const auto streams = [&](size_t i) {
    return std::pair(methods[i].info.client_streaming,
                     methods[i].info.server_streaming);
  };
  EXPECT_EQ(streams(0), std::pair(false, false));
  EXPECT_EQ(streams(1), std::pair(false, true));
  EXPECT_EQ(streams(2), std::pair(true, false));
  EXPECT_EQ(streams(3), std::pair(true, true));
  EXPECT_THAT(MethodNames(streaming::v1::NoMethods::Service()), IsEmpty());
}

TEST(GeneratedService, AnswersUnimplementedByDefault) {
  Store store;
  EmptyContext context;
  BatchPut::Reply reply;
  absl::Status status = store.Put(context, BatchPut::Request(), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "kv.v1.KeyValue/Put is not implemented");
}

TEST(GeneratedService, IsInvokedThroughItsTable) {
  Store store;
  EmptyContext context;
  const tern::MethodHandler& get = store.TernMethods()[0];
  google::protobuf::Arena arena;
  auto* request = dynamic_cast<GetRequest*>(get.new_request(&arena));
  auto* reply = dynamic_cast<GetReply*>(get.new_reply(&arena));
  ASSERT_NE(request, nullptr);
  ASSERT_NE(reply, nullptr);

  request->set_key("k");
  EXPECT_TRUE(get.invoke(store, context, *request, reply).ok());
  EXPECT_EQ(reply->value(), "value of k");
}

TEST(GeneratedService, MakesMessagesWithoutAnArenaToo) {
  const tern::MethodHandler& get = Store().TernMethods()[0];
  std::unique_ptr<google::protobuf::MessageLite> request(
      get.new_request(nullptr));
  EXPECT_EQ(request->GetTypeName(), "kv.v1.GetRequest");
}

}  // namespace
}  // namespace kv::v1
