#include "tern/client/generic_stub.h"

#include <memory>
#include <utility>

#include "tern/client/client_call.h"
#include "tern/client/co_call.h"
#include "tern/client/make_call.h"

namespace tern {
namespace {

// A method of a stub, for CoCall.
struct BoundMethod {
  CallHandle Call(const RawMessage& request, const CallOptions& options,
                  ReplyCallback<RawMessage> done) {
    return stub.Call(name, request, options, std::move(done));
  }
  GenericStub stub;
  const std::string name;
};

class RawCompletion final : public client_internal::UnaryCompletion {
 public:
  explicit RawCompletion(ReplyCallback<RawMessage> done)
      : done_(std::move(done)) {}
  google::protobuf::MessageLite* reply() override { return nullptr; }
  RawMessage* raw_reply() { return &reply_; }
  void Done(absl::Status status) override {
    if (status.ok()) {
      std::move(done_)(std::move(reply_));
    } else {
      std::move(done_)(std::move(status));
    }
  }

 private:
  RawMessage reply_;
  ReplyCallback<RawMessage> done_;
};

}  // namespace

absl::StatusOr<RawMessage> GenericStub::Call(std::string_view method,
                                             const RawMessage& request,
                                             const CallOptions& options) {
  absl::StatusOr<RawMessage> reply(absl::in_place);
  absl::Status status = client_internal::CallAndWait(
      channel_, {.full_name = method, .generic = true},
      {.raw_request = &request,
       .request_size = request.size(),
       .raw_reply = &*reply},
      options);
  if (!status.ok()) reply = std::move(status);
  return reply;
}

CallHandle GenericStub::Call(std::string_view method, const RawMessage& request,
                             const CallOptions& options,
                             ReplyCallback<RawMessage> done) {
  auto completion = std::make_unique<RawCompletion>(std::move(done));
  RawMessage* const reply = completion->raw_reply();
  return client_internal::StartCall(channel_,
                                    {.full_name = method, .generic = true},
                                    {.raw_request = &request,
                                     .request_size = request.size(),
                                     .raw_reply = reply},
                                    options, std::move(completion));
}

Task<absl::StatusOr<RawMessage>> GenericStub::CoCall(std::string method,
                                                     RawMessage request,
                                                     CallOptions options) {
  return [](BoundMethod bound, RawMessage request,
            CallOptions options) -> Task<absl::StatusOr<RawMessage>> {
    co_return co_await tern::CoCall<BoundMethod, RawMessage, RawMessage>(
        bound, &BoundMethod::Call, request, options);
  }(BoundMethod{.stub = *this, .name = std::move(method)}, std::move(request),
                                 std::move(options));
}

ClientStream<RawMessage, RawMessage> GenericStub::Stream(
    std::string_view method, const CallOptions& options) {
  return StartStream<RawMessage, RawMessage>(channel_,
                                             {.full_name = method,
                                              .client_streaming = true,
                                              .server_streaming = true,
                                              .generic = true},
                                             options);
}

}  // namespace tern
