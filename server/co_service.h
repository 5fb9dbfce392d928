#ifndef TERN_SERVER_CO_SERVICE_H_
#define TERN_SERVER_CO_SERVICE_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/task.h"
#include "tern/server/responder.h"
#include "tern/server/service.h"

// A service of coroutines overrides the methods of the generated CoService:
//
//   tern::Task<absl::Status> Get(tern::ServerContext& context,
//                                const GetRequest& request,
//                                GetReply* reply) override {
//     auto entry = co_await store_.Co().Read(request);
//     if (!entry.ok()) co_return entry.status();
//     reply->set_value(entry->value());
//     co_return absl::OkStatus();
//   }
//
// It begins where other handlers run, and goes on where what it awaits happens
// (tern/lib/call/task.h): it must not block there. Context, request and reply
// live until it has ended. When the call is cancelled or its deadline passes,
// its calls and sleeps end early, with a status; what else it awaits must be
// ended by itself: see ServerContext::cancellation(). An exception ends the
// call UNKNOWN.
//
// A streaming method has a ServerReader, ServerWriter or ServerStream, which
// lives as long, too, and is awaited (a blocking read or write would hold up an
// I/O thread, and is refused there); it goes on on an I/O thread of the server:
//
//   tern::Task<absl::Status> Chat(tern::ServerContext&,
//                                 tern::ServerStream<Ask, Answer>& stream)
//       override {
//     Ask ask;
//     while (co_await stream.CoRead(&ask)) {
//       const Answer answer = AnswerTo(ask);
//       if (!co_await stream.CoWrite(answer)) break;
//     }
//     co_return absl::OkStatus();
//   }
//
// The rest is for generated code.
namespace tern::server_internal {

// Runs `task` until it has to wait; its end is the call's answer.
void RunTask(Task<absl::Status> task, Responder responder);

// Unimplemented(), by a coroutine: one for all, as each takes its time to be
// compiled.
Task<absl::Status> CoUnimplemented(std::string_view method);

template <typename Method>
struct CoTraits;
template <typename S, typename Q, typename R>
struct CoTraits<Task<absl::Status> (S::*)(ServerContext&, const Q&, R*)> {
  using ServiceType = S;
  using Request = Q;
  using Reply = R;
};

// CoMethod<&CoService::Get>("kv.v1.KeyValue/Get")
template <auto method>
constexpr MethodHandler CoMethod(std::string_view full_name,
                                 MethodSettings settings = {}) {
  using Traits = CoTraits<decltype(method)>;
  return {
      .info = {.full_name = full_name, .settings = settings},
      .new_request = NewMessage<typename Traits::Request>,
      .new_reply = NewMessage<typename Traits::Reply>,
      .start =
          [](Service& service, ServerContext& context,
             const google::protobuf::MessageLite& request,
             google::protobuf::MessageLite* reply, Responder responder) {
            using ServiceType = typename Traits::ServiceType;
            RunTask((static_cast<ServiceType&>(service).*method)(
                        context,
                        static_cast<const typename Traits::Request&>(request),
                        static_cast<typename Traits::Reply*>(reply)),
                    std::move(responder));
          },
  };
}

// CoStreamMethod<&CoService::Watch>("kv.v1.KeyValue/Watch")
template <auto method>
constexpr MethodHandler CoStreamMethod(std::string_view full_name,
                                       MethodSettings settings = {}) {
  MethodHandler handler = StreamHandler<method>(full_name, settings);
  handler.start_stream = [](Service& service, ServerContext& context,
                            const google::protobuf::MessageLite& request,
                            google::protobuf::MessageLite* reply,
                            HandlerStream* stream, Responder responder) {
    RunTask(CallStreamMethod<method>(service, context, request, reply, stream),
            std::move(responder));
  };
  return handler;
}

}  // namespace tern::server_internal

#endif  // TERN_SERVER_CO_SERVICE_H_
