#ifndef TERN_LIB_CALL_CALL_ERROR_H_
#define TERN_LIB_CALL_CALL_ERROR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tern/lib/wire/certainty.h"

namespace tern {

// How far a call had come when it failed.
enum class CallPhase {
  kResolve,  // Looking up the target's name.
  kConnect,  // Connecting to one of its addresses, or waiting to try again.
  kSend,     // On this side: checked, queued, or not all sent yet.
  kQueue,    // At the server, before its handler ran.
  kHandler,  // At the server, in its handler or after it was started.
  kReceive,  // Sent whole; the response was awaited or was being read.
};
std::string_view ToString(CallPhase phase);

// What Tern knows of a failed call beside its code and message. Every failed
// call's absl::Status carries one, as a payload that absl::Status::ToString
// prints readably:
//
//   UNAVAILABLE: connect to 10.0.0.7:7117: connection refused
//   [tern.call='not started; in connect; method kv.v1.KeyValue/Get;
//   to 10.0.0.7:7117; after 1.2ms']
//
//   if (auto error = tern::CallError::From(reply.status());
//       error && error->certainty == tern::Certainty::kNotStarted) { ... retry
//
// A value type.
struct CallError {
  // Whether the handler ran: kNotStarted is safe to retry.
  Certainty certainty = Certainty::kMaybeStarted;
  CallPhase phase = CallPhase::kSend;
  std::string method;  // "kv.v1.KeyValue/Get".
  std::string peer;    // The server's address, else the target's name.
  std::string local;   // This end's address, empty when never connected.
  absl::Duration elapsed = absl::ZeroDuration();  // Since the call was made.
  // The server asks not to be tried again sooner; absent when it did not say.
  std::optional<absl::Duration> retry_after = std::nullopt;
  // How busy the server was when it refused the call for load, in thousandths:
  // 1,000 is its capacity, and more that calls wait. Absent when it did not
  // say.
  std::optional<uint32_t> load_permille = std::nullopt;
  // The server's status was too long to be sent whole: its details are left
  // out, or also its trailing metadata and the end of its message.
  bool truncated = false;

  // nullopt when `status` is OK or does not come from a call.
  static std::optional<CallError> From(const absl::Status& status);

  // Adds this to `*status` (not OK), in place of what an inner call left there.
  void AttachTo(absl::Status* status) const;
  // Takes it off, for a status that is passed on as a handler's own.
  static void RemoveFrom(absl::Status* status);

  // One line for a person; what the payload holds.
  std::string ToString() const;
};

// The certainty of a failed call; kMaybeStarted when `status` does not say.
Certainty CertaintyOf(const absl::Status& status);

}  // namespace tern

#endif  // TERN_LIB_CALL_CALL_ERROR_H_
