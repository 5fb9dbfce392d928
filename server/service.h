#ifndef TERN_SERVER_SERVICE_H_
#define TERN_SERVER_SERVICE_H_

#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/method_info.h"
#include "tern/server/responder.h"
#include "tern/server/server_context.h"
#include "tern/server/server_stream.h"

namespace tern {

class Service;

// How the server calls one method: a constant that generated code defines.
struct MethodHandler {
  MethodInfo info;
  google::protobuf::MessageLite* (*new_request)(google::protobuf::Arena*);
  google::protobuf::MessageLite* (*new_reply)(google::protobuf::Arena*);
  // `request` and `reply` are what the two functions above made. nullptr for a
  // streaming method.
  absl::Status (*invoke)(Service& service, ServerContext& context,
                         const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* reply) = nullptr;
  // Of a streaming method: `request` is set when the client does not stream,
  // `reply` is sent when the server does not.
  absl::Status (*stream)(Service& service, ServerContext& context,
                         const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* reply,
                         server_internal::HandlerStream* stream) = nullptr;
  // In place of these two, of a handler that may end later than this returns,
  // and holds no thread until then.
  void (*start)(Service& service, ServerContext& context,
                const google::protobuf::MessageLite& request,
                google::protobuf::MessageLite* reply,
                Responder responder) = nullptr;
  void (*start_stream)(Service& service, ServerContext& context,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* reply,
                       server_internal::HandlerStream* stream,
                       Responder responder) = nullptr;
};

// The base of generated service classes. Its methods may be called from many
// threads at once, and may block. Where they run: ARCHITECTURE.md, Handlers.
class Service {
 public:
  virtual ~Service() = default;
  // "kv.v1.KeyValue".
  virtual std::string_view TernServiceName() const = 0;
  virtual std::span<const MethodHandler> TernMethods() const = 0;
};

namespace server_internal {

// What a method answers that is not overridden: `method` is its full name.
absl::Status Unimplemented(std::string_view method);

template <typename Message>
google::protobuf::MessageLite* NewMessage(google::protobuf::Arena* arena) {
#if GOOGLE_PROTOBUF_VERSION >= 5027000
  return google::protobuf::Arena::Create<Message>(arena);
#else
  return google::protobuf::Arena::CreateMessage<Message>(arena);
#endif
}

template <typename Method>
struct UnaryTraits;
template <typename S, typename Q, typename R>
struct UnaryTraits<absl::Status (S::*)(ServerContext&, const Q&, R*)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
};

// UnaryMethod<&Service::Get>("kv.v1.KeyValue/Get")
template <auto method>
constexpr MethodHandler UnaryMethod(std::string_view full_name,
                                    MethodSettings settings = {}) {
  using Traits = UnaryTraits<decltype(method)>;
  return {
      .info = {.full_name = full_name, .settings = settings},
      .new_request = NewMessage<typename Traits::Request>,
      .new_reply = NewMessage<typename Traits::Reply>,
      .invoke =
          [](Service& service, ServerContext& context,
             const google::protobuf::MessageLite& request,
             google::protobuf::MessageLite* reply) {
            using ServiceType = typename Traits::ServiceType;
            return (static_cast<ServiceType&>(service).*method)(
                context, static_cast<const typename Traits::Request&>(request),
                static_cast<typename Traits::Reply*>(reply));
          },
  };
}

// Of a streaming method of any kind of service: `Result` is its return type,
// and behind the stream a CallbackService's has its responder.
template <typename Method>
struct StreamTraits;
template <typename Result, typename S, typename Q, typename R, typename... More>
struct StreamTraits<Result (S::*)(ServerContext&, const Q&, ServerWriter<R>&,
                                  More...)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = false;
  static constexpr bool kServerStreams = true;
};
template <typename Result, typename S, typename Q, typename R, typename... More>
struct StreamTraits<Result (S::*)(ServerContext&, ServerReader<Q>&, R*,
                                  More...)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = true;
  static constexpr bool kServerStreams = false;
};
template <typename Result, typename S, typename Q, typename R, typename... More>
struct StreamTraits<Result (S::*)(ServerContext&, ServerStream<Q, R>&,
                                  More...)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = true;
  static constexpr bool kServerStreams = true;
};

// All but how it is called.
template <auto method>
constexpr MethodHandler StreamHandler(std::string_view full_name,
                                      MethodSettings settings) {
  using Traits = StreamTraits<decltype(method)>;
  return {
      .info = {.full_name = full_name,
               .client_streaming = Traits::kClientStreams,
               .server_streaming = Traits::kServerStreams,
               .settings = settings},
      .new_request = NewMessage<typename Traits::Request>,
      .new_reply = NewMessage<typename Traits::Reply>,
  };
}

template <auto method, typename... More>
auto CallStreamMethod(Service& service, ServerContext& context,
                      const google::protobuf::MessageLite& request,
                      google::protobuf::MessageLite* reply,
                      HandlerStream* stream, More... more) {
  using Traits = StreamTraits<decltype(method)>;
  using Request = typename Traits::Request;
  using Reply = typename Traits::Reply;
  auto& self = static_cast<typename Traits::ServiceType&>(service);
  if constexpr (!Traits::kClientStreams) {
    return (self.*method)(context, static_cast<const Request&>(request),
                          stream->Make<ServerWriter<Reply>>(),
                          std::move(more)...);
  } else if constexpr (!Traits::kServerStreams) {
    return (self.*method)(context, stream->Make<ServerReader<Request>>(),
                          static_cast<Reply*>(reply), std::move(more)...);
  } else {
    return (self.*method)(context, stream->Make<ServerStream<Request, Reply>>(),
                          std::move(more)...);
  }
}

// StreamMethod<&Service::Watch>("kv.v1.KeyValue/Watch")
template <auto method>
constexpr MethodHandler StreamMethod(std::string_view full_name,
                                     MethodSettings settings = {}) {
  MethodHandler handler = StreamHandler<method>(full_name, settings);
  handler.stream = CallStreamMethod<method>;
  return handler;
}

}  // namespace server_internal
}  // namespace tern

#endif  // TERN_SERVER_SERVICE_H_
