#ifndef TERN_LIB_CALL_INTERCEPTOR_H_
#define TERN_LIB_CALL_INTERCEPTOR_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/call/raw_message.h"
#include "tern/lib/wire/call_header.h"

// What stands around calls, whatever their methods: tracing, metrics,
// authentication. The same interface at both ends (ChannelOptions::interceptors,
// ServerOptions::interceptors) and for calls of every kind and form.
namespace tern {

// A call that is about to begin.
struct CallStart {
  // "kv.v1.KeyValue/Get". This and the peer are valid during the hook.
  std::string_view method;
  // At the server the client's address, at the client the channel's target.
  std::string_view peer;
  Deadline deadline;
  // What the client sends, or what the handler is to see: may be changed.
  Metadata metadata;
  wire::TraceContext trace;
  // Set to an error, it ends the call: NOT_STARTED.
  absl::Status refusal;
};

// A message on its way: at the client between the user and what is sent, at the
// server between what has come and the handler, and back.
class MessageInPassing {
 public:
  // One of the interceptor's to change, and one that is copied for that.
  explicit MessageInPassing(google::protobuf::MessageLite* message)
      : message_(message), mutable_message_(message) {}
  explicit MessageInPassing(const google::protobuf::MessageLite& message)
      : message_(&message) {}
  explicit MessageInPassing(RawMessage* raw) : raw_(raw), mutable_raw_(raw) {}
  explicit MessageInPassing(const RawMessage& raw) : raw_(&raw) {}

  // Of its method's type; nullptr in a call without generated code.
  const google::protobuf::MessageLite* message() const { return message_; }
  // The bytes of one in such a call, else nullptr.
  const RawMessage* raw() const { return raw_; }
  // Serialised, without an attachment. Counts them.
  size_t ByteSize() const;

  // To change what goes on from here. REQUIRES: that there is one.
  google::protobuf::MessageLite* mutable_message();
  RawMessage* mutable_raw();

  // Ends the call with this error, and no hook sees the message after this one.
  // At the client an error of a request leaves it NOT_STARTED, if it was the
  // only one.
  void Refuse(absl::Status error);
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

// A call that has ended.
struct CallEnd {
  // How; with a CallError at the client. May be replaced.
  absl::Status status;
  // At the server what is sent with it, at the client what has come: may be
  // changed.
  Metadata* trailing_metadata = nullptr;
  // Since the start.
  absl::Duration elapsed = absl::ZeroDuration();
  // In the server's queue; absent when the client was not told.
  std::optional<absl::Duration> queue_time;
};

// One call at an interceptor. OnEnd() is called exactly once, whatever becomes
// of the call, for every one of these that has been made; at the server and for
// unary calls it is the last. (A client's stream may have ended while its user
// still reads what came before: then OnReply() may come beside it, and after.)
//
// Requests and replies of a stream may pass at the same time, on two threads;
// else one hook at a time is called, on changing threads.
//
// Hooks run without any lock of Tern's and never inside its I/O, on the thread
// that has the message or the end in its hands:
//
//   at the client   start, and what is read and written: the caller's;
//                   the end and the one reply: the caller's, if it waits for
//                   the call, else the channel's I/O thread;
//   at the server   all that a handler's thread does: the handler's; the end of
//                   a coroutine's or a responder's: wherever it has ended.
//
// They may block where the user's code may, so in general they must not; and an
// exception that leaves one ends the process.
class CallInterceptor {
 public:
  virtual ~CallInterceptor() = default;
  // Requests go through the interceptors in their order ...
  virtual void OnRequest(MessageInPassing& /*request*/) {}
  // ... and what comes back goes through them in reverse.
  virtual void OnReply(MessageInPassing& /*reply*/) {}
  virtual void OnEnd(CallEnd& /*end*/) {}
};

// Thread-safe: calls start on many threads.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  // A call begins: at the client before anything is done for it; at the server
  // when its handler is about to run (what is refused before, for load or as
  // malformed, is not seen). nullptr: nothing more of it is of interest. When
  // it is refused here, later interceptors do not see it, and what is returned
  // sees its end.
  virtual std::unique_ptr<CallInterceptor> OnStart(CallStart& start) = 0;
};

using Interceptors = std::vector<std::shared_ptr<Interceptor>>;

namespace call_internal {

// All of `interceptors` as one: nullptr when there are none. INVALID_ARGUMENT
// ... is the options' to say: none is null.
std::shared_ptr<Interceptor> Combine(const Interceptors& interceptors);

}  // namespace call_internal
}  // namespace tern

#endif  // TERN_LIB_CALL_INTERCEPTOR_H_
