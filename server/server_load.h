#ifndef TERN_SERVER_SERVER_LOAD_H_
#define TERN_SERVER_SERVER_LOAD_H_

#include <cstdint>

#include "tern/server/server_environment.h"

namespace tern {

// When an overloaded server asks to be tried again, at the earliest.
inline constexpr uint32_t kRetryAfterMs = 100;

// `used` in thousandths of `capacity`: from 0 to 4,000,000,000.
uint32_t Permille(int64_t used, int64_t capacity);

// How busy the server is, in thousandths of what it can do at once: of its
// workers (calls that wait for one count, too, so it may be far above 1,000),
// of its threads for streams, or of its memory for requests, whichever is used
// most. Any thread. Takes locks for a moment: for answers that refuse a call.
uint32_t LoadPermille(const ServerEnvironment& environment);

}  // namespace tern

#endif  // TERN_SERVER_SERVER_LOAD_H_
