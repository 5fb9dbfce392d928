#ifndef TERN_SERVER_SERVICE_H_
#define TERN_SERVER_SERVICE_H_

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/message_stream.h"
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
                         MessageStream* messages) = nullptr;
  // In place of `invoke`, of a handler that may end later than this returns.
  void (*start)(Service& service, ServerContext& context,
                const google::protobuf::MessageLite& request,
                google::protobuf::MessageLite* reply,
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

template <typename Method>
struct StreamTraits;
template <typename S, typename Q, typename R>
struct StreamTraits<absl::Status (S::*)(ServerContext&, const Q&,
                                        ServerWriter<R>&)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = false;
  static constexpr bool kServerStreams = true;
};
template <typename S, typename Q, typename R>
struct StreamTraits<absl::Status (S::*)(ServerContext&, ServerReader<Q>&, R*)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = true;
  static constexpr bool kServerStreams = false;
};
template <typename S, typename Q, typename R>
struct StreamTraits<absl::Status (S::*)(ServerContext&, ServerStream<Q, R>&)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
  static constexpr bool kClientStreams = true;
  static constexpr bool kServerStreams = true;
};

// StreamMethod<&Service::Watch>("kv.v1.KeyValue/Watch")
template <auto method>
constexpr MethodHandler StreamMethod(std::string_view full_name,
                                     MethodSettings settings = {}) {
  using Traits = StreamTraits<decltype(method)>;
  return {
      .info = {.full_name = full_name,
               .client_streaming = Traits::kClientStreams,
               .server_streaming = Traits::kServerStreams,
               .settings = settings},
      .new_request = NewMessage<typename Traits::Request>,
      .new_reply = NewMessage<typename Traits::Reply>,
      .stream =
          [](Service& service, ServerContext& context,
             const google::protobuf::MessageLite& request,
             google::protobuf::MessageLite* reply, MessageStream* messages) {
            using Request = typename Traits::Request;
            using Reply = typename Traits::Reply;
            auto& self = static_cast<typename Traits::ServiceType&>(service);
            if constexpr (!Traits::kClientStreams) {
              ServerWriter<Reply> writer(messages);
              return (self.*method)(
                  context, static_cast<const Request&>(request), writer);
            } else if constexpr (!Traits::kServerStreams) {
              ServerReader<Request> reader(messages);
              return (self.*method)(context, reader,
                                    static_cast<Reply*>(reply));
            } else {
              ServerStream<Request, Reply> stream(messages);
              return (self.*method)(context, stream);
            }
          },
  };
}

}  // namespace server_internal
}  // namespace tern

#endif  // TERN_SERVER_SERVICE_H_
