#ifndef TERN_EXAMPLES_KV_TRANSACT_H_
#define TERN_EXAMPLES_KV_TRANSACT_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/kv/kv.tern.server.h"
#include "examples/kv/store.h"

namespace kv {

// KeyValue.Transact: does what the client asks for, one after the other, until
// it commits, aborts, goes away, breaks a limit, the server drains, or
// `max_time` has passed. Blocks that long.
absl::Status Transact(
    Store& store, absl::Duration max_time, tern::ServerContext& context,
    tern::ServerStream<v1::TransactRequest, v1::TransactReply>& stream);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_TRANSACT_H_
