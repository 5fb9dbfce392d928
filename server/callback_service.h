#ifndef TERN_SERVER_CALLBACK_SERVICE_H_
#define TERN_SERVER_CALLBACK_SERVICE_H_

#include <string_view>
#include <utility>

#include "google/protobuf/message_lite.h"
#include "tern/server/responder.h"
#include "tern/server/service.h"

// For the code that is generated for a CallbackService: see
// tern/server/responder.h.
namespace tern::server_internal {

template <typename Method>
struct CallbackTraits;
template <typename S, typename Q, typename R>
struct CallbackTraits<void (S::*)(ServerContext&, const Q&, R*, Responder)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
};

// CallbackMethod<&CallbackService::Get>("kv.v1.KeyValue/Get")
template <auto method>
constexpr MethodHandler CallbackMethod(std::string_view full_name,
                                       MethodSettings settings = {}) {
  using Traits = CallbackTraits<decltype(method)>;
  return {
      .info = {.full_name = full_name, .settings = settings},
      .new_request = NewMessage<typename Traits::Request>,
      .new_reply = NewMessage<typename Traits::Reply>,
      .start =
          [](Service& service, ServerContext& context,
             const google::protobuf::MessageLite& request,
             google::protobuf::MessageLite* reply, Responder responder) {
            using ServiceType = typename Traits::ServiceType;
            (static_cast<ServiceType&>(service).*method)(
                context, static_cast<const typename Traits::Request&>(request),
                static_cast<typename Traits::Reply*>(reply),
                std::move(responder));
          },
  };
}

// CallbackStreamMethod<&CallbackService::Watch>("kv.v1.KeyValue/Watch")
template <auto method>
constexpr MethodHandler CallbackStreamMethod(std::string_view full_name,
                                             MethodSettings settings = {}) {
  MethodHandler handler = StreamHandler<method>(full_name, settings);
  handler.start_stream = CallStreamMethod<method, Responder>;
  return handler;
}

}  // namespace tern::server_internal

#endif  // TERN_SERVER_CALLBACK_SERVICE_H_
