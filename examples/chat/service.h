#ifndef TERN_EXAMPLES_CHAT_SERVICE_H_
#define TERN_EXAMPLES_CHAT_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "examples/chat/chat.tern.server.h"
#include "examples/chat/limits.h"
#include "examples/chat/member.h"
#include "examples/chat/rooms.h"

namespace chat {

// Answers chat.proto's calls. Thread-safe. A call has a thread while its member
// is in a room.
class ChatService final : public v1::Chat::Service {
 public:
  explicit ChatService(const Limits& limits = {})
      : limits_(limits), rooms_(limits.max_members) {}

  absl::Status Talk(tern::ServerContext& context, TalkStream& stream) override;

 private:
  absl::Status Listen(tern::ServerContext& context, const std::string& room,
                      Member& member);

  const Limits limits_;
  Rooms rooms_;
};

}  // namespace chat

#endif  // TERN_EXAMPLES_CHAT_SERVICE_H_
