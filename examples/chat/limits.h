#ifndef TERN_EXAMPLES_CHAT_LIMITS_H_
#define TERN_EXAMPLES_CHAT_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace chat {

// As chat.proto states them.
inline constexpr size_t kMaxNameBytes = 32;
inline constexpr size_t kMaxRoomBytes = 64;
inline constexpr size_t kMaxTextBytes = 4096;

struct Limits {
  size_t max_members = 100;        // Of a room.
  size_t max_queued_replies = 64;  // For one member.
  absl::Duration enter_timeout = absl::Seconds(10);
};

}  // namespace chat

#endif  // TERN_EXAMPLES_CHAT_LIMITS_H_
