#ifndef TERN_EXAMPLES_KV_CALL_END_H_
#define TERN_EXAMPLES_KV_CALL_END_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tern/lib/base/string_view.h"
#include "tern/server/server_context.h"

namespace kv {

// What a streaming handler returns whose call was over before `what`, "the
// commit". It may reach the client: where a deadline passes at both ends,
// either end may be the first to say so.
inline absl::Status EndedBefore(std::string_view what,
                                const tern::ServerContext& context) {
  if (context.deadline().HasPassed()) {
    return absl::DeadlineExceededError(
        absl::StrCat("the deadline passed before ", tern::ToAbsl(what)));
  }
  return absl::CancelledError(
      absl::StrCat("the client has gone before ", tern::ToAbsl(what)));
}

// Of one that does not read on because the server is draining.
inline absl::Status DrainedBefore(std::string_view what) {
  return absl::UnavailableError(absl::StrCat("the server is draining before ",
                                             tern::ToAbsl(what),
                                             ": go on elsewhere"));
}

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CALL_END_H_
