#ifndef TERN_CLIENT_CLIENT_PROCESS_H_
#define TERN_CLIENT_CLIENT_PROCESS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "tern/lib/net/event_loop.h"

namespace tern {

// What all channels of a process share: the I/O threads, and who it is.

// One of the process's client loops, in turn. They are started by the first
// channel, one for each core, and run until the process ends.
// RESOURCE_EXHAUSTED when they cannot be started; FAILED_PRECONDITION in the
// child of a fork() when its parent had started them.
absl::StatusOr<net::EventLoop*> NextClientLoop();

// Changes in the child of a fork(), which has none of its parent's threads.
uint32_t ForkGeneration();

// Random; names this process in request ids.
uint64_t ClientProcessId();
// Never the same twice in this process.
uint64_t NextCallSequence();

}  // namespace tern

#endif  // TERN_CLIENT_CLIENT_PROCESS_H_
