#ifndef TERN_SERVER_SERVER_CONTEXT_H_
#define TERN_SERVER_SERVER_CONTEXT_H_

#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/metadata.h"

namespace tern {

// What a handler can know of its call beside the request, and what it can add
// to the answer. Made by the server; valid until the handler has ended: has
// returned, or answered by its responder.
//
// cancelled(), deadline(), cancellation(), draining() and OnDrain() may be used
// from any thread meanwhile; the rest belongs to the handler.
class ServerContext {
 public:
  virtual ~ServerContext() = default;

  // "kv.v1.KeyValue/Get".
  virtual std::string_view method() const = 0;
  // The client's and this end's address and port: "10.0.0.9:51234", "unix:".
  virtual const std::string& peer() const = 0;
  virtual const std::string& local() const = 0;

  // By when the client wants the answer; nobody waits for it afterwards.
  virtual Deadline deadline() const = 0;

  // True once the client has cancelled, its deadline has passed, its connection
  // is lost, or a drain's grace is over. The handler should return soon (its
  // status is not sent any more, or does not matter).
  virtual bool cancelled() const = 0;
  // Calls back when that happens: see Cancellation::OnCancel.
  virtual Cancellation& cancellation() = 0;

  // True once the client has been told to make its calls elsewhere: the server
  // is draining, or the connection has reached its maximum age. This call may
  // go on until the grace is over and it is cancelled. One that could take
  // longer (a Watch, a long poll, one that reads what its client has for hours)
  // should end well before, so that its client begins it anew where it can go
  // on.
  virtual bool draining() const = 0;
  // Calls `callback` once when that happens, and at once when it has already:
  // see Cancellation::OnCancel. It must not block. One that waits to read is
  // woken by StreamReader::StopReads() in there.
  [[nodiscard]] virtual Cancellation::Registration OnDrain(
      absl::AnyInvocable<void()> callback) = 0;

  virtual const Metadata& metadata() const = 0;

  // The bytes beside the request, empty when there are none. A long one lies in
  // one piece where it was received, and may be kept after the call: it holds
  // the memory of the whole request, which max_request_memory_bytes then counts
  // no longer.
  virtual const absl::Cord& attachment() const = 0;
  // Sends bytes beside the one reply (INTERNAL where the server streams them),
  // if the call ends OK; together they are within the client's limit for
  // messages, else it ends RESOURCE_EXHAUSTED. Of 64 KiB or more they are sent
  // from where they lie: see CallOptions::attachment.
  virtual void set_reply_attachment(absl::Cord attachment) = 0;

  // Sent before the (first) message: of a method that streams its replies, what
  // is there when the first one is written, and not to be touched later. What
  // breaks Metadata's rules turns OK into INTERNAL, what is more than the
  // client takes into RESOURCE_EXHAUSTED; an error stays as it is and loses its
  // metadata.
  virtual Metadata& response_metadata() = 0;
  // Sent with the status, whatever it is; the same holds.
  virtual Metadata& trailing_metadata() = 0;

  // For a handler that has handed the call on, as a proxy does, and returns
  // that call's error: `inner` is what CallError::From(status) says. The client
  // is told its certainty, retry-after and load, where it would else be told
  // that this handler has run (FINISHED), and may retry what was not started
  // behind it.
  virtual void PassOn(const CallError& inner) = 0;

  // W3C trace context of the caller, all zero when it sent none.
  virtual const wire::TraceContext& trace() const = 0;

  // For AmbientCallScope, where the handler goes on in another thread.
  virtual const AmbientCall& ambient() const = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_CONTEXT_H_
