// What a client includes, and nothing of the server.
#include "tests/lib/codegen/basic.tern.client.h"

#ifdef TERN_SERVER_SERVICE_H_
#error "A generated client header includes the server's."
#endif

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kv::v1 {
namespace {

// A stub without a server: answers every Get with its key, and notes the
// options.
class EchoStub final : public KeyValue::StubInterface {
 public:
  absl::StatusOr<GetReply> Get(const GetRequest& request,
                               const tern::CallOptions& options = {}) override {
    timeout = options.timeout;
    GetReply reply;
    reply.set_value(request.key());
    return reply;
  }
  tern::CallHandle Get(const GetRequest& request,
                       const tern::CallOptions& options,
                       tern::ReplyCallback<GetReply> done) override {
    std::move(done)(Get(request, options));
    return tern::CallHandle();
  }

  absl::StatusOr<BatchPut::Reply> Put(const BatchPut::Request&,
                                      const tern::CallOptions&) override {
    return absl::UnimplementedError("Put");
  }
  tern::CallHandle Put(const BatchPut::Request&, const tern::CallOptions&,
                       tern::ReplyCallback<BatchPut::Reply>) override {
    return tern::CallHandle();
  }
  absl::StatusOr<google::protobuf::Empty> Clear(
      const google::protobuf::Empty&, const tern::CallOptions&) override {
    return absl::UnimplementedError("Clear");
  }
  tern::CallHandle Clear(
      const google::protobuf::Empty&, const tern::CallOptions&,
      tern::ReplyCallback<google::protobuf::Empty>) override {
    return tern::CallHandle();
  }

  std::optional<absl::Duration> timeout;
};

class GeneratedClient : public ::testing::Test {
 protected:
  GeneratedClient() { request_.set_key("k"); }

  EchoStub echo_;
  KeyValue::StubInterface& kv_ = echo_;
  GetRequest request_;
};

TEST_F(GeneratedClient, CallsWithoutOptions) {
  EXPECT_EQ(kv_.Get(request_)->value(), "k");
  EXPECT_EQ(echo_.timeout, std::nullopt);
}

TEST_F(GeneratedClient, CallsWithOptionsInBraces) {
  EXPECT_EQ(kv_.Get(request_, {.timeout = absl::Milliseconds(50)})->value(),
            "k");
  EXPECT_EQ(echo_.timeout, absl::Milliseconds(50));
}

TEST_F(GeneratedClient, CallsWithACallback) {
  std::string value;
  tern::CallHandle handle =
      kv_.Get(request_, {.timeout = absl::Seconds(1)},
              [&](absl::StatusOr<GetReply> reply) { value = reply->value(); });
  EXPECT_EQ(value, "k");
}

TEST_F(GeneratedClient, CallsWithACallbackThatOnlyMoves) {
  auto value = std::make_unique<std::string>();
  std::string* seen = value.get();
  kv_.Get(request_, {},
          [value = std::move(value)](absl::StatusOr<GetReply> reply) {
            *value = reply->value();
            EXPECT_EQ(*value, "k");
          });
  EXPECT_NE(seen, nullptr);
}

// The stub itself takes the same calls. Not made here: no server.
template <typename Stub>
concept TakesCalls = requires(Stub& kv, const GetRequest& request) {
  kv.Get(request);
  kv.Get(request, {.timeout = absl::Milliseconds(50)});
  kv.Get(request, {}, [](absl::StatusOr<GetReply>) {});
};
static_assert(TakesCalls<KeyValue::Stub>);
static_assert(TakesCalls<KeyValue::StubInterface>);

static_assert(std::is_constructible_v<KeyValue::Stub, tern::Channel&>);
static_assert(!std::is_convertible_v<tern::Channel&, KeyValue::Stub>);
static_assert(std::is_copy_constructible_v<KeyValue::Stub>);
static_assert(KeyValue::Stub::kServiceName == "kv.v1.KeyValue");
static_assert(Administration::Stub::kServiceName == "kv.v1.Administration");

}  // namespace
}  // namespace kv::v1
