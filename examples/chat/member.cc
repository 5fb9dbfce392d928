#include "examples/chat/member.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace chat {

// --- Telling him -------------------------------------------------------------

bool Member::Queue(SharedReply reply) {
  tern::MutexLock lock(mutex_);
  if (ended_ || detached_) return false;
  if (queue_.size() == max_queued_replies_) {
    EndLocked(absl::ResourceExhaustedError(
        absl::StrCat("too slow: ", max_queued_replies_,
                     " messages wait already, the limit; dropped")));
    return false;
  }
  queue_.push_back(std::move(reply));
  if (writer_ != Writer::kNone) return false;
  writer_ = Writer::kWriting;
  return true;
}

void Member::WriteQueued() {
  while (const SharedReply reply = FirstInQueue()) {
    switch (stream_.TryWrite(*reply)) {
      case tern::Poll::kReady: {
        tern::MutexLock lock(mutex_);
        queue_.pop_front();
        break;
      }
      case tern::Poll::kOver: {  // His thread is told, too.
        tern::MutexLock lock(mutex_);
        queue_.clear();
        break;
      }
      case tern::Poll::kNotYet:
        if (!GoOnWhenWritable()) return;
        break;
    }
  }
}

SharedReply Member::FirstInQueue() {
  tern::MutexLock lock(mutex_);
  if (!queue_.empty() && !detached_) return queue_.front();
  writer_ = Writer::kNone;
  changed_.NotifyAll();
  return nullptr;
}

bool Member::GoOnWhenWritable() {
  // The callback may come before this returns: it then leaves a note.
  if (!stream_.WakeForWrite(
          [self = shared_from_this()] { self->OnWritable(); })) {
    return true;
  }
  tern::MutexLock lock(mutex_);
  if (std::exchange(writable_, false)) return true;
  writer_ = Writer::kAwaiting;
  changed_.NotifyAll();
  return false;
}

void Member::OnWritable() {
  {
    tern::MutexLock lock(mutex_);
    if (writer_ == Writer::kWriting) {
      writable_ = true;
      return;
    }
    if (detached_) return;
    writer_ = Writer::kWriting;
  }
  WriteQueued();
}

// --- His call ----------------------------------------------------------------

std::optional<v1::TalkRequest> Member::AwaitRequest() {
  v1::TalkRequest request;
  while (true) {
    {
      tern::MutexLock lock(mutex_);
      if (ended_) return std::nullopt;
      readable_ = false;
    }
    switch (stream_.TryRead(&request)) {
      case tern::Poll::kReady:
        return request;
      case tern::Poll::kOver:
        return std::nullopt;
      case tern::Poll::kNotYet:
        break;
    }
    if (!stream_.WakeForRead(
            [self = shared_from_this()] { self->OnReadable(); })) {
      continue;
    }
    tern::MutexLock lock(mutex_);
    while (!readable_ && !ended_) changed_.Wait(mutex_);
  }
}

void Member::OnReadable() {
  tern::MutexLock lock(mutex_);
  readable_ = true;
  changed_.NotifyAll();
}

void Member::End(absl::Status why) {
  tern::MutexLock lock(mutex_);
  EndLocked(std::move(why));
}

void Member::EndLocked(absl::Status why) {
  if (ended_) return;
  ended_ = true;
  end_ = std::move(why);
  changed_.NotifyAll();
}

absl::Status Member::TakeEnd() {
  tern::MutexLock lock(mutex_);
  return std::exchange(end_, absl::OkStatus());
}

void Member::Detach() {
  tern::MutexLock lock(mutex_);
  detached_ = true;
  while (writer_ == Writer::kWriting) changed_.Wait(mutex_);
  queue_.clear();
}

}  // namespace chat
