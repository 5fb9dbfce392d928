#ifndef TERN_TESTS_TESTING_SESSION_IO_H_
#define TERN_TESTS_TESTING_SESSION_IO_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/session.h"

namespace tern::testing {

// What a session has to send at the moment, in one piece.
std::string OutputOf(wire::Session& session);
// The same, or the first `most` bytes, which are then sent.
std::string TakeOutput(wire::Session& session,
                       size_t most = static_cast<size_t>(-1));

// How bytes come in: by Receive, or as far as it can be by ReceivedInto.
enum class Way { kCopied, kDirect };
void Receive(wire::Session& session, std::string_view bytes, MonotonicTime now,
             Way way);

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_SESSION_IO_H_
