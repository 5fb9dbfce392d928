#ifndef TERN_SERVER_UNKNOWN_METHOD_SERVICE_H_
#define TERN_SERVER_UNKNOWN_METHOD_SERVICE_H_

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "tern/lib/call/raw_message.h"
#include "tern/server/server_context.h"
#include "tern/server/server_stream.h"
#include "tern/server/service.h"

namespace tern {

// Takes the calls of all methods that no other service of its server has, of
// any kind, their messages as they travel: for proxies. Registered as any other
// service, at most one to a server:
//
//   class Proxy final : public tern::UnknownMethodService { ... };
//   server.Register(&proxy);
//
// Without one, such calls end UNIMPLEMENTED, NOT_STARTED.
class UnknownMethodService : public Service {
 public:
  // As a handler of a method where both stream, with what holds for those:
  // limits, deadline, cancellation, a thread of ServerOptions::
  // max_stream_threads while it runs; from many threads at once. The method is
  // context.method(). What kind it has is not known to the server: a unary call
  // brings one message and wants one, if this returns OK, else its client ends
  // INTERNAL. Unset: ServerContext::attachment().
  //
  // One that hands the call on to another server calls
  // ServerContext::PassOn() before it returns what that has said.
  virtual absl::Status Handle(ServerContext& context,
                              ServerStream<RawMessage, RawMessage>& stream) = 0;

 private:
  std::string_view TernServiceName() const final { return "*"; }
  std::span<const MethodHandler> TernMethods() const final;
};

}  // namespace tern

#endif  // TERN_SERVER_UNKNOWN_METHOD_SERVICE_H_
