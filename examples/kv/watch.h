#ifndef TERN_EXAMPLES_KV_WATCH_H_
#define TERN_EXAMPLES_KV_WATCH_H_

#include "absl/status/status.h"
#include "examples/kv/change_log.h"
#include "examples/kv/kv.tern.server.h"

namespace kv {

// KeyValue.Watch: tells of what `log` gets until the client has enough, does
// not keep up with it, or is to go on elsewhere. Blocks that long. What waits
// for the client is bounded by a reply's limits and those of the stream.
absl::Status Watch(ChangeLog& log, tern::ServerContext& context,
                   const v1::WatchRequest& request,
                   tern::ServerWriter<v1::WatchReply>& writer);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_WATCH_H_
