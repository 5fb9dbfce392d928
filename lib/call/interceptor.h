#ifndef TERN_LIB_CALL_INTERCEPTOR_H_
#define TERN_LIB_CALL_INTERCEPTOR_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/call/raw_message.h"
#include "tern/lib/wire/call_header.h"

// What stands around calls, whatever their methods: tracing, metrics,
// authentication. The same interface at both ends
// (ChannelOptions::interceptors, ServerOptions::interceptors) and for calls of
// every kind and form. See docs/interceptors.md.
namespace tern {

enum class CallSide { kClient, kServer };

// A call that is about to begin. Valid during the hook.
struct CallStart {
  CallSide side;
  std::string_view method;  // "kv.v1.KeyValue/Get"
  // At the server the client's address, at the client the channel's target.
  std::string_view peer;
  Deadline deadline;
  // To be changed: what the client sends, what the handler is to see.
  Metadata& metadata;
  // The same for the call's trace context.
  wire::TraceContext& trace;
  // At the server: what is sent before the (first) reply, see
  // ServerContext::response_metadata(). nullptr at the client.
  Metadata* response_metadata = nullptr;
  // Set to an error, it ends the call: NOT_STARTED.
  absl::Status refusal = absl::OkStatus();
};

// A message on its way: at the client between the user and what is sent, at the
// server between what has come and the handler, and back. Its attachment, if
// there is one, passes unseen. Valid during the hook.
class MessageInPassing {
 public:
  // One that may be changed where it is, and one that is copied for that.
  explicit MessageInPassing(google::protobuf::MessageLite* message)
      : message_(message), mutable_message_(message) {}
  explicit MessageInPassing(const google::protobuf::MessageLite& message)
      : message_(&message) {}
  explicit MessageInPassing(RawMessage* raw) : raw_(raw), mutable_raw_(raw) {}
  explicit MessageInPassing(const RawMessage& raw) : raw_(&raw) {}
  MessageInPassing(const MessageInPassing&) = delete;
  MessageInPassing& operator=(const MessageInPassing&) = delete;

  // Of its method's type; nullptr in a call without generated code.
  const google::protobuf::MessageLite* message() const { return message_; }
  // The bytes of one in such a call, else nullptr.
  const RawMessage* raw() const { return raw_; }
  // As it is serialised. Counts: linear in the size of one that is not raw.
  size_t ByteSize() const;

  // To change what goes on from here; a copy, where the message is the user's.
  // Its type stays what it is. REQUIRES: that there is a message(), or raw().
  google::protobuf::MessageLite* mutable_message();
  RawMessage* mutable_raw();

  // Ends the call with this error (OK: nothing happens), and no later hook sees
  // the message. The one request of a call leaves it NOT_STARTED.
  void Refuse(absl::Status error) { refusal_ = std::move(error); }
  const absl::Status& refusal() const { return refusal_; }
  absl::Status TakeRefusal() { return std::move(refusal_); }

 private:
  const google::protobuf::MessageLite* message_ = nullptr;
  google::protobuf::MessageLite* mutable_message_ = nullptr;
  std::unique_ptr<google::protobuf::MessageLite> copy_;
  const RawMessage* raw_ = nullptr;
  RawMessage* mutable_raw_ = nullptr;
  RawMessage raw_copy_;
  absl::Status refusal_;
};

// A call that has ended. Valid during the hook.
struct CallEnd {
  // How; at the client an error has a CallError (and is given the old one, if
  // what replaces it has none). May be replaced. An OK in place of an error
  // comes with the reply as it is then: as a rule, empty.
  absl::Status status;
  // To be changed: what the server sends with the status, what the client's
  // user sees.
  Metadata& trailing_metadata;
  // Since the start.
  absl::Duration elapsed = absl::ZeroDuration();
  // At the server: nobody waits for the answer any more. The client has
  // cancelled, the deadline has passed, the connection is lost, or a drain is
  // over. The status is what the handler has said.
  bool cancelled = false;
  // In the server's queue, and in its handler; absent when it did not say. (At
  // the server `elapsed` is the handler's time.)
  std::optional<absl::Duration> queue_time = std::nullopt;
  std::optional<absl::Duration> handler_time = std::nullopt;
};

// One call at an interceptor. OnEnd() is called exactly once for each of these
// that has been made, whatever becomes of the call; it is destroyed after that,
// where hooks run, and before its interceptor.
//
// Hooks run without any lock of Tern's and never inside its I/O, on the thread
// that has the message or the end in its hands:
//
//   at the client   start, requests, and the replies of a stream: the caller's,
//                   or whoever reads and writes the stream; the one reply and
//                   the end: the caller's, if it waits for the call, else the
//                   channel's I/O thread;
//   at the server   where the handler runs: its thread, or (ServerOptions::
//                   handler_threads) an I/O thread; the one reply and the end:
//                   wherever the handler ends.
//
// On an I/O thread they must not block; their time is the handler's time there.
// An exception that leaves one ends the process.
//
// Of a unary call, one hook at a time is called, the end last. Of a stream,
// requests and replies may pass at the same time, on two threads; at the server
// the end is last there, too (no hook begins after it; one may still run, if
// the handler has answered while a read or write was outstanding). At the
// client a stream ends when its status has
// come, while its user may still write, and read what came before: so OnEnd()
// may be called while the others are, and before them.
class CallInterceptor {
 public:
  virtual ~CallInterceptor() = default;
  // Requests go through the interceptors in their order ...
  virtual void OnRequest(MessageInPassing& /*request*/) {}
  // ... and what comes back, the end, too, goes through them in reverse.
  virtual void OnReply(MessageInPassing& /*reply*/) {}
  virtual void OnEnd(CallEnd& /*end*/) {}
};

class Interceptor;
using Interceptors = std::vector<std::shared_ptr<Interceptor>>;

namespace call_internal {
// nullptr when nobody is interested in what comes. REQUIRES: there are some.
std::unique_ptr<CallChain> BeginCall(const Interceptors& interceptors,
                                     CallStart* start);
}  // namespace call_internal

// Thread-safe: calls start on many threads. Destroyed with its channel, if that
// was the last to hold it, or after that with the last of its calls, on
// whatever thread: the destructor must not block.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  // A call begins: at the client before anything is done for it; at the server
  // when its handler is about to run. (What is refused before that, for load or
  // as malformed, is not seen there.) nullptr: nothing more of it is of
  // interest. When it is refused here, later interceptors do not see it, and
  // what is returned sees its end.
  virtual std::unique_ptr<CallInterceptor> OnStart(CallStart& start) = 0;

 private:
  friend std::unique_ptr<call_internal::CallChain> call_internal::BeginCall(
      const Interceptors& interceptors, CallStart* start);
  // Not to be overridden: see CallChain, why it is virtual.
  virtual std::unique_ptr<call_internal::CallChain> Begin(
      const Interceptors& all, CallStart* start) noexcept;
};

inline std::unique_ptr<call_internal::CallChain> call_internal::BeginCall(
    const Interceptors& interceptors, CallStart* start) {
  return interceptors.front()->Begin(interceptors, start);
}

}  // namespace tern

#endif  // TERN_LIB_CALL_INTERCEPTOR_H_
