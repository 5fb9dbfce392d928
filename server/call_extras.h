#ifndef TERN_SERVER_CALL_EXTRAS_H_
#define TERN_SERVER_CALL_EXTRAS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "tern/lib/call/call_chain.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/metadata.h"
#include "tern/lib/call/packed_message.h"
#include "tern/server/memory_budget.h"

namespace tern {

// What travels with few calls. A call has one when something is in it.
struct CallExtras {
  absl::Cord attachment;  // The request's.
  absl::Cord reply_attachment;
  Metadata response_metadata;
  bool response_header_sent = false;

  // How the request came.
  Compression request_compression = Compression::kNone;
  MemoryHold inflated;
  // The client has broken the protocol with what it sent.
  bool peers_fault = false;
  // For replies, if they are long enough. nullptr: they go as they are.
  const Compressor* compressor = nullptr;
  // What the response header names; of a single reply, when `packed` is set.
  Compression response_compression = Compression::kNone;
  // The one reply, when it is compressed, with its attachment.
  PackedMessage packed;

  std::string method;  // Of one that no service has.
  // Its interceptors, if the server has any: from where its handler begins.
  std::unique_ptr<call_internal::CallChain> chain;
  // What is told of a failure in place of the handler's own: see
  // ServerContext::PassOn().
  std::optional<Certainty> certainty;
  std::optional<absl::Duration> retry_after;
  std::optional<uint32_t> load_permille;

  bool any_to_send() const {
    return !response_metadata.empty() || !reply_attachment.empty() ||
           response_compression != Compression::kNone;
  }
};

}  // namespace tern

#endif  // TERN_SERVER_CALL_EXTRAS_H_
