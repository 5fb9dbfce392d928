#include "examples/chat/rooms.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace chat {
namespace {

// Those for whom something was queued that they are to write without the lock.
class Writers {
 public:
  ~Writers() {
    for (const auto& member : members_) member->WriteQueued();
  }
  void Queue(const std::shared_ptr<Member>& member, const SharedReply& reply) {
    if (member->Queue(reply)) members_.push_back(member);
  }

 private:
  std::vector<std::shared_ptr<Member>> members_;
};

}  // namespace

absl::Status Rooms::Enter(const std::string& room_name,
                          const std::shared_ptr<Member>& member) {
  Writers writers;  // Before the lock: it is let go first.
  tern::MutexLock lock(mutex_);
  const auto found = rooms_.find(room_name);
  if (found != rooms_.end() && found->second.contains(member->name())) {
    return absl::AlreadyExistsError(
        absl::StrCat(member->name(), " is in ", room_name, " already"));
  }
  if (found != rooms_.end() && found->second.size() == max_members_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        room_name, " is full: it has ", max_members_, " members, its limit"));
  }
  Room& room = rooms_[room_name];
  const auto joined = std::make_shared<v1::TalkReply>();
  joined->mutable_joined()->set_name(member->name());
  for (const auto& [name, other] : room) writers.Queue(other, joined);
  room[member->name()] = member;
  const auto entered = std::make_shared<v1::TalkReply>();
  entered->mutable_entered();
  for (const auto& [name, other] : room) {
    entered->mutable_entered()->add_names(name);
  }
  writers.Queue(member, entered);
  return absl::OkStatus();
}

void Rooms::Say(const std::string& room, const Member& from, std::string text) {
  const auto said = std::make_shared<v1::TalkReply>();
  said->mutable_said()->set_name(from.name());
  said->mutable_said()->set_text(std::move(text));
  Writers writers;
  tern::MutexLock lock(mutex_);
  for (const auto& [name, member] : rooms_[room]) {
    if (member.get() != &from) writers.Queue(member, said);
  }
}

void Rooms::Leave(const std::string& room_name, const Member& member,
                  bool dropped) {
  const auto left = std::make_shared<v1::TalkReply>();
  left->mutable_left()->set_name(member.name());
  left->mutable_left()->set_dropped(dropped);
  Writers writers;
  tern::MutexLock lock(mutex_);
  Room& room = rooms_[room_name];
  room.erase(member.name());
  for (const auto& [name, other] : room) writers.Queue(other, left);
  if (room.empty()) rooms_.erase(room_name);
}

}  // namespace chat
