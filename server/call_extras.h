#ifndef TERN_SERVER_CALL_EXTRAS_H_
#define TERN_SERVER_CALL_EXTRAS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/metadata.h"

namespace tern {

// What travels with few calls. A call has one when something is in it.
struct CallExtras {
  absl::Cord attachment;  // The request's.
  absl::Cord reply_attachment;
  Metadata response_metadata;
  bool response_metadata_sent = false;
  std::string method;  // Of one that no service has.
  // Its interceptors, if the server has any: from where its handler begins.
  std::unique_ptr<call_internal::CallChain> chain;
  // What is told of a failure in place of the handler's own: see
  // ServerContext::PassOn().
  std::optional<Certainty> certainty;
  std::optional<absl::Duration> retry_after;
  std::optional<uint32_t> load_permille;

  bool any_to_send() const {
    return !response_metadata.empty() || !reply_attachment.empty();
  }
};

}  // namespace tern

#endif  // TERN_SERVER_CALL_EXTRAS_H_
