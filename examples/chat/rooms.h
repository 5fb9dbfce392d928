#ifndef TERN_EXAMPLES_CHAT_ROOMS_H_
#define TERN_EXAMPLES_CHAT_ROOMS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "examples/chat/chat.tern.server.h"
#include "examples/chat/member.h"
#include "tern/lib/base/mutex.h"

namespace chat {

// Who is where. Every member of a room is told of everything in the same order:
// it is queued for all of them at once. Thread-safe; no method blocks.
class Rooms {
 public:
  explicit Rooms(size_t max_members) : max_members_(max_members) {}
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;

  // Tells him who is there, and the others that he is. ALREADY_EXISTS: his name
  // is taken; RESOURCE_EXHAUSTED: the room is full.
  absl::Status Enter(const std::string& room,
                     const std::shared_ptr<Member>& member);
  // Tells the others. REQUIRES: he has entered.
  void Say(const std::string& room, const Member& from, std::string text);
  void Leave(const std::string& room, const Member& member, bool dropped);

 private:
  using Room = std::map<std::string, std::shared_ptr<Member>>;

  const size_t max_members_;
  tern::Mutex mutex_;
  std::map<std::string, Room> rooms_ ABSL_GUARDED_BY(mutex_);  // None is empty.
};

}  // namespace chat

#endif  // TERN_EXAMPLES_CHAT_ROOMS_H_
