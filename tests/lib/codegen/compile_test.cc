// All golden files in one program: they compile, and nothing in them collides.

#include <concepts>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/lib/codegen/basic.tern.client.h"
#include "tests/lib/codegen/basic.tern.mock.h"
#include "tests/lib/codegen/basic.tern.server.h"
#include "tests/lib/codegen/comments.tern.client.h"
#include "tests/lib/codegen/comments.tern.mock.h"
#include "tests/lib/codegen/comments.tern.server.h"
#include "tests/lib/codegen/deprecated.tern.client.h"
#include "tests/lib/codegen/deprecated.tern.mock.h"
#include "tests/lib/codegen/deprecated.tern.server.h"
#include "tests/lib/codegen/empty.tern.client.h"
#include "tests/lib/codegen/empty.tern.mock.h"
#include "tests/lib/codegen/empty.tern.server.h"
#include "tests/lib/codegen/imports.tern.client.h"
#include "tests/lib/codegen/imports.tern.mock.h"
#include "tests/lib/codegen/imports.tern.server.h"
#include "tests/lib/codegen/long-names_and.v1.tern.client.h"
#include "tests/lib/codegen/long-names_and.v1.tern.mock.h"
#include "tests/lib/codegen/long-names_and.v1.tern.server.h"
#include "tests/lib/codegen/nopackage.tern.client.h"
#include "tests/lib/codegen/nopackage.tern.mock.h"
#include "tests/lib/codegen/nopackage.tern.server.h"
#include "tests/lib/codegen/options.tern.client.h"
#include "tests/lib/codegen/options.tern.mock.h"
#include "tests/lib/codegen/options.tern.server.h"
#include "tests/lib/codegen/proto2.tern.client.h"
#include "tests/lib/codegen/proto2.tern.mock.h"
#include "tests/lib/codegen/proto2.tern.server.h"
#include "tests/lib/codegen/reserved.tern.client.h"
#include "tests/lib/codegen/reserved.tern.mock.h"
#include "tests/lib/codegen/reserved.tern.server.h"
#include "tests/lib/codegen/streaming.tern.client.h"
#include "tests/lib/codegen/streaming.tern.mock.h"
#include "tests/lib/codegen/streaming.tern.server.h"

namespace {

// Whether Stub's blocking function of a method takes Request and returns Reply.
template <typename Function, typename Stub, typename Request, typename Reply>
concept IsBlockingCall =
    std::same_as<std::invoke_result_t<Function, Stub&, const Request&>,
                 absl::StatusOr<Reply>>;

#define EXPECT_METHOD(Stub, Method, Request, Reply)                    \
  static_assert(                                                       \
      IsBlockingCall<decltype([](Stub& stub, const Request& request) { \
                       return stub.Method(request);                    \
                     }),                                               \
                     Stub, Request, Reply>)

namespace reserved = ::tern::codegen::test::absl;
EXPECT_METHOD(reserved::template_::Stub, delete_, reserved::class_,
              reserved::class__int);
EXPECT_METHOD(reserved::template_::Stub, requires_, reserved::class_,
              reserved::class__int);
EXPECT_METHOD(reserved::template_::Stub, NULL_, reserved::class_,
              reserved::class__int);
EXPECT_METHOD(reserved::Collisions::Stub, Stub_, reserved::class_,
              reserved::absl);
EXPECT_METHOD(reserved::Collisions::Stub, Service_, reserved::class_,
              reserved::absl);
EXPECT_METHOD(reserved::Collisions::Stub, channel__, reserved::class_,
              reserved::absl);
EXPECT_METHOD(reserved::Collisions::Stub, std, reserved::class_,
              reserved::absl);
EXPECT_METHOD(reserved::Collisions::Stub, lowerCamel, reserved::class_,
              reserved::absl);

EXPECT_METHOD(::NoPackage::Stub, Call, ::NoPackageMessage, ::NoPackageMessage);
EXPECT_METHOD(old::syntax::Proto2::Stub, CallPart, old::syntax::Request::Part,
              old::syntax::Reply);
EXPECT_METHOD(imports::v1::Imports::Stub, Now, google::protobuf::StringValue,
              google::protobuf::Timestamp);
EXPECT_METHOD(imports::v1::Imports::Stub, Share, imported::types::Shared,
              imported::types::Shared::Inner);

// A deprecated method is no nuisance to who serves it.
class Server final : public deprecated::v1::Current::Service {
  absl::Status Fetch(tern::ServerContext&, const deprecated::v1::OldMessage&,
                     deprecated::v1::Message*) override {
    return absl::OkStatus();
  }
};

TEST(GeneratedNames, StayThoseOfTheProtoOnTheWire) {
  EXPECT_EQ(reserved::template_::Stub::kServiceName,
            "tern.codegen.test.absl.template");
  reserved::template_::Service service;
  EXPECT_EQ(service.TernServiceName(), "tern.codegen.test.absl.template");
  EXPECT_EQ(service.TernMethods()[0].info.full_name,
            "tern.codegen.test.absl.template/delete");
  EXPECT_EQ(::NoPackage::Service().TernMethods()[0].info.full_name,
            "NoPackage/Call");
}

TEST(GeneratedService, KnowsWhatTheOptionsOfItsMethodsSay) {
  options::v1::Options::Service service;
  const auto settings = [&](int i) -> const tern::MethodSettings& {
    return service.TernMethods()[i].info.settings;
  };
  EXPECT_EQ(settings(0).timeout_ms, 0);
  EXPECT_EQ(settings(0).max_concurrency, 0u);
  EXPECT_EQ(settings(0).priority, 0);
  EXPECT_EQ(settings(0).idempotency, tern::Idempotency::kUnknown);
  EXPECT_EQ(settings(0).handler_threads, std::nullopt);

  EXPECT_EQ(settings(1).timeout_ms, 1500);
  EXPECT_EQ(settings(1).max_concurrency, 8u);
  EXPECT_EQ(settings(1).priority, 7);
  EXPECT_EQ(settings(1).idempotency, tern::Idempotency::kNoSideEffects);
  EXPECT_EQ(settings(1).handler_threads, tern::HandlerThreads::kWorkers);

  EXPECT_EQ(settings(2).idempotency, tern::Idempotency::kIdempotent);
  EXPECT_EQ(settings(3).handler_threads, tern::HandlerThreads::kLoops);
  EXPECT_EQ(settings(4).handler_threads, tern::HandlerThreads::kAdaptive);
}

TEST(GeneratedService, MayBeDeprecated) {
  EXPECT_EQ(Server().TernMethods().size(), 2u);
  EXPECT_EQ(deprecated::v1::Old::Service().TernServiceName(),
            "deprecated.v1.Old");
}

}  // namespace
