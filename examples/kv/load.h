#ifndef TERN_EXAMPLES_KV_LOAD_H_
#define TERN_EXAMPLES_KV_LOAD_H_

#include "absl/status/status.h"
#include "examples/kv/kv.tern.server.h"
#include "examples/kv/store.h"

namespace kv {

// KeyValue.Load: stores what the client sends until it has sent all. Blocks
// that long, and holds one batch and one request.
absl::Status Load(Store& store, tern::ServerContext& context,
                  tern::ServerReader<v1::LoadRequest>& reader,
                  v1::LoadReply* reply);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LOAD_H_
