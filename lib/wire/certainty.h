#ifndef TERN_LIB_WIRE_CERTAINTY_H_
#define TERN_LIB_WIRE_CERTAINTY_H_

#include <cstdint>
#include <string_view>

namespace tern {

// Whether a failed call's handler ran (PROTOCOL.md, "Execution certainty"). The
// values are those on the wire.
enum class Certainty : uint8_t {
  kMaybeStarted = 0,  // Unknown: retry only what may run twice.
  kNotStarted = 1,    // It did not and will not: safe to retry.
  kFinished = 2,      // The handler itself returned this status.
};

// "maybe started", "not started", "finished".
std::string_view ToString(Certainty certainty);

}  // namespace tern

#endif  // TERN_LIB_WIRE_CERTAINTY_H_
