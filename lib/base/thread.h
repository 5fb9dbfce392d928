#ifndef TERN_LIB_BASE_THREAD_H_
#define TERN_LIB_BASE_THREAD_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace tern {

// Starts a thread of our own. All of Tern's threads are started here.
//
// Asynchronous signals (SIGTERM, SIGCHLD, ...) are blocked on it, so that the
// user's handlers run on the user's threads; faults (SIGSEGV, ...) and a
// profiler's SIGPROF are not. The caller's mask is as before afterwards.
//
// The kernel shows the first 15 bytes of `name`. RESOURCE_EXHAUSTED when the
// system has no thread left.
absl::StatusOr<std::thread> StartThread(std::string_view name,
                                        absl::AnyInvocable<void()> body);

// "<prefix>-<index>", the prefix cut so that the kernel shows the index.
std::string ThreadName(std::string_view prefix, size_t index);

}  // namespace tern

#endif  // TERN_LIB_BASE_THREAD_H_
