#ifndef TERN_EXAMPLES_KV_WATCH_COMMAND_H_
#define TERN_EXAMPLES_KV_WATCH_COMMAND_H_

#include <cstdint>
#include <string>

#include "examples/kv/client_output.h"
#include "examples/kv/kv.tern.client.h"

namespace kv {

// The client's `watch`: prints changes to stdout until that fails or the watch
// does. When the server goes away it waits for it, and goes on where it was.
ExitCode WatchCommand(v1::KeyValue::StubInterface& store,
                      const std::string& prefix, uint64_t after_revision);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_WATCH_COMMAND_H_
