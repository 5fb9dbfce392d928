#include "tern/server/unknown_method_service.h"

#include "google/protobuf/empty.pb.h"

namespace tern {

std::span<const MethodHandler> UnknownMethodService::TernMethods() const {
  using google::protobuf::Empty;  // There is no message but the stream's.
  static constexpr MethodHandler kHandler = {
      .info = {.full_name = "",
               .client_streaming = true,
               .server_streaming = true,
               .generic = true},
      .new_request = server_internal::NewMessage<Empty>,
      .new_reply = server_internal::NewMessage<Empty>,
      .stream =
          [](Service& service, ServerContext& context,
             const google::protobuf::MessageLite& /*request*/,
             google::protobuf::MessageLite* /*reply*/,
             server_internal::HandlerStream* stream) {
            return static_cast<UnknownMethodService&>(service).Handle(
                context, stream->Make<ServerStream<RawMessage, RawMessage>>());
          },
  };
  return {&kHandler, 1};
}

}  // namespace tern
