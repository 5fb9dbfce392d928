#ifndef TERN_CLIENT_GENERIC_STUB_H_
#define TERN_CLIENT_GENERIC_STUB_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tern/client/call_handle.h"
#include "tern/client/call_options.h"
#include "tern/client/channel.h"
#include "tern/client/client_stream.h"
#include "tern/client/stub.h"
#include "tern/lib/call/raw_message.h"
#include "tern/lib/call/task.h"

namespace tern {

// Calls any method without its generated code: serialised messages go in and
// come out. For proxies and tools.
//
//   tern::GenericStub stub(*channel);
//   auto reply = stub.Call("kv.v1.KeyValue/Get", request.SerializeAsString());
//
// Deadline, metadata, cancellation, inheritance and errors are those of other
// calls. What the .proto says of the method (tern.method: its timeout, its
// priority) is not known here. A method name that is none, "package.Service/
// Method", ends the call INVALID_ARGUMENT, NOT_STARTED.
//
// Thread-safe, cheap to make. The channel outlives it.
class GenericStub {
 public:
  explicit GenericStub(Channel& channel) : channel_(channel) {}

  // One request, one reply: blocking, with a callback, and for coroutines. As
  // of generated stubs, see tern/client/stub.h. A method that streams its
  // replies ends the call INTERNAL, if it sends other than one.
  absl::StatusOr<RawMessage> Call(std::string_view method,
                                  const RawMessage& request,
                                  const CallOptions& options = {});
  CallHandle Call(std::string_view method, const RawMessage& request,
                  const CallOptions& options, ReplyCallback<RawMessage> done);
  Task<absl::StatusOr<RawMessage>> CoCall(std::string method,
                                          RawMessage request,
                                          CallOptions options = {});

  // Any number of messages either way, which carries every kind of method: a
  // method with one request wants one, then EndWrites(); one with one reply
  // sends one, if it ends OK. As of every stream, there is no timeout but the
  // one that `options` give, and a call of which something was sent is not
  // begun again on another connection.
  ClientStream<RawMessage, RawMessage> Stream(std::string_view method,
                                              const CallOptions& options = {});

 private:
  Channel& channel_;
};

}  // namespace tern

#endif  // TERN_CLIENT_GENERIC_STUB_H_
