#ifndef TERN_CLIENT_CALL_OPTIONS_H_
#define TERN_CLIENT_CALL_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/deadline.h"
#include "tern/lib/call/metadata.h"

namespace tern {

// What a call's answer told beside its message; also filled when it failed.
// When a call is made, what another has left there is gone.
struct CallInfo {
  std::string
      peer;  // The server's address and port, empty when never connected.
  std::string local;  // This end's.
  // ServerContext::response_metadata(). Of a stream it may be read once a
  // message has been.
  Metadata response_metadata;
  Metadata trailing_metadata;
  // The bytes beside the reply, empty when there are none: see
  // ServerContext::set_reply_attachment(). A long one lies in one piece where
  // it was received, and holds the memory of the whole reply.
  absl::Cord attachment;
  absl::Duration elapsed = absl::ZeroDuration();  // As seen here.
  // As told by the server; absent when it did not say.
  std::optional<absl::Duration> queue_time;
  std::optional<absl::Duration> handler_time;
  // How the request and the response of a unary call were compressed; absent
  // for one that travelled as it is (CallOptions::compression is what is asked
  // for), or not at all.
  std::optional<Compression> request_compression;
  std::optional<Compression> response_compression;
};

// Options of one call. An aggregate: {.timeout = absl::Milliseconds(50)}. A
// member that owns something holds it in an AwaitSafe: with gcc 12 it would
// else be freed twice where the braces stand in a co_await.
struct CallOptions {
  // Time that the call may take; the earliest of `timeout`, `deadline` and the
  // deadline of the call that is being handled (unless `detached`) holds.
  // Without any, the method's own (proto/tern/method.proto); without that, a
  // unary call has ChannelOptions::default_timeout (30 s), and a streaming one
  // none: it may go on for days. A deadline that has passed ends the call
  // DEADLINE_EXCEEDED, NOT_STARTED, before anything is sent.
  std::optional<absl::Duration> timeout = std::nullopt;
  std::optional<Deadline> deadline = std::nullopt;

  Metadata metadata = {};

  // How this call's messages are compressed, both ways: see
  // docs/compression.md. kNone is of requests only: the server may answer as it
  // likes. Absent: as the method's .proto says, if the channel can (plain if
  // the server can't), else as ChannelOptions says. It must be one of the
  // channel's compressors (INVALID_ARGUMENT) and of the server's
  // (UNIMPLEMENTED, NOT_STARTED).
  std::optional<Compression> compression = std::nullopt;

  // How urgent it is: 0 (normal) to 7, else INVALID_ARGUMENT. Absent: the
  // higher one of what the method's .proto says (0 when it says nothing) and,
  // unless `detached`, the priority of the call that is being handled. Of what
  // waits for a connection, for room or a worker on the server, or to be sent
  // on a connection either way, the more urgent comes first, but for every
  // ninth turn: see docs/extras.md.
  std::optional<int> priority = std::nullopt;

  // Bytes to travel beside the request, as they are; together the two are
  // within the server's limit for messages (ServerOptions::max_message_bytes),
  // else the call ends RESOURCE_EXHAUSTED, NOT_STARTED. (INVALID_ARGUMENT where
  // the client streams its requests.) One of 64 KiB or more is sent from where
  // it lies; its parts of less than 4 KiB (those of a Cord made of a
  // string_view) are copied, and so is a shorter one, one beside a request that
  // is compressed, and with checksums all. The call has a share of the Cord
  // until it has ended and what it sends has been sent: a releaser given to
  // absl::MakeCordFromExternal may be called on an I/O thread, while its
  // connection waits for it, and must not block.
  absl::Cord attachment = {};

  // Without a connection: false fails the call with the reason as soon as
  // connecting has failed once; true waits for a connection until the deadline.
  bool wait_for_ready = false;

  // Inherits nothing from the call that this thread is handling.
  bool detached = false;

  // Filled before the call ends, when not null; outlives the call.
  CallInfo* info = nullptr;
};

}  // namespace tern

#endif  // TERN_CLIENT_CALL_OPTIONS_H_
