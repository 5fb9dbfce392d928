#ifndef TERN_EXAMPLES_KV_TRANSACT_COMMAND_H_
#define TERN_EXAMPLES_KV_TRANSACT_COMMAND_H_

#include <cstdio>

#include "absl/time/time.h"
#include "examples/kv/client_output.h"
#include "examples/kv/kv.tern.client.h"

namespace kv {

// The client's `transact`: makes a transaction of the commands in the lines of
// `input`, and prints what they read to stdout, each before it reads on. A line
// that is no command ends it, except where a person sits at a terminal
// (`forgiving`). kConflict: the commit was ABORTED.
ExitCode TransactCommand(v1::KeyValue::StubInterface& store, std::FILE* input,
                         bool forgiving, absl::Duration timeout);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_TRANSACT_COMMAND_H_
