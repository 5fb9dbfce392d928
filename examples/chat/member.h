#ifndef TERN_EXAMPLES_CHAT_MEMBER_H_
#define TERN_EXAMPLES_CHAT_MEMBER_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "examples/chat/chat.tern.server.h"
#include "tern/lib/base/mutex.h"

namespace chat {

// A reply that many are told.
using SharedReply = std::shared_ptr<const v1::TalkReply>;
using TalkStream = tern::ServerStream<v1::TalkRequest, v1::TalkReply>;

// One who is in a room, between the others and his own call.
//
// Nobody waits for him: what he is told waits in a bounded queue, and is
// written to his stream by whoever has it at that moment, one thread at a time:
// one who has told him something, or the connection's, when the stream has room
// again.
class Member : public std::enable_shared_from_this<Member> {
 public:
  // `stream` is used until Detach() has returned.
  Member(std::string name, TalkStream* stream, size_t max_queued_replies)
      : name_(std::move(name)),
        max_queued_replies_(max_queued_replies),
        stream_(*stream) {}
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  const std::string& name() const { return name_; }

  // --- Any thread; neither blocks --------------------------------------------

  // Puts a reply in his queue; ends him RESOURCE_EXHAUSTED when it is full.
  // True: the caller is to call WriteQueued(), without locks.
  [[nodiscard]] bool Queue(SharedReply reply);
  void WriteQueued();
  // His call is to end so. The first one counts.
  void End(absl::Status why);

  // --- His call's thread -----------------------------------------------------

  // Waits for his next request. nullopt when there is none: he has left, or
  // TakeEnd() says why he is to.
  std::optional<v1::TalkRequest> AwaitRequest();
  // What End() was given, or OK.
  absl::Status TakeEnd();
  // Nobody uses the stream afterwards.
  void Detach();

 private:
  enum class Writer {
    kNone,
    kWriting,   // A thread is in WriteQueued().
    kAwaiting,  // OnWritable() will be called.
  };

  void EndLocked(absl::Status why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  SharedReply FirstInQueue();
  // False: OnWritable() will go on.
  bool GoOnWhenWritable();
  void OnWritable();
  void OnReadable();

  const std::string name_;
  const size_t max_queued_replies_;
  TalkStream& stream_;

  tern::Mutex mutex_;
  tern::CondVar changed_;
  std::deque<SharedReply> queue_ ABSL_GUARDED_BY(mutex_);
  Writer writer_ ABSL_GUARDED_BY(mutex_) = Writer::kNone;
  bool writable_ ABSL_GUARDED_BY(mutex_) = false;  // OnWritable() came early.
  bool readable_ ABSL_GUARDED_BY(mutex_) = false;
  bool detached_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace chat

#endif  // TERN_EXAMPLES_CHAT_MEMBER_H_
