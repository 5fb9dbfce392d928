#include "examples/chat/service.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/call/cancellation.h"
#include "tern/lib/call/deadline.h"

namespace chat {
namespace {

absl::Status CheckSize(std::string_view what, size_t bytes, size_t limit) {
  if (bytes == 0) {
    return absl::InvalidArgumentError(absl::StrFormat("the %s is empty", what));
  }
  if (bytes <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "a %s of %d bytes exceeds the limit of %d", what, bytes, limit));
}

// Names stand in everybody's lines: what could make another line of one, or
// another name, is not in them.
absl::Status CheckName(std::string_view what, const std::string& name,
                       size_t limit) {
  TERN_RETURN_IF_ERROR(CheckSize(what, name.size(), limit));
  const std::string escaped = tern::EscapeForLog(name);
  if (escaped == name) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "the %s \"%s\" has control characters or backslashes", what, escaped));
}

absl::Status CheckEnter(const v1::TalkRequest& request) {
  if (!request.has_enter()) {
    return absl::InvalidArgumentError("the first request is not an Enter");
  }
  TERN_RETURN_IF_ERROR(
      CheckName("room", request.enter().room(), kMaxRoomBytes));
  return CheckName("name", request.enter().name(), kMaxNameBytes);
}

absl::Status Draining() {
  return absl::UnavailableError("the server is draining: enter elsewhere");
}

// Wakes one thread. Shared by those who may come late.
class Bell {
 public:
  void Ring() {
    tern::MutexLock lock(mutex_);
    rung_ = true;
    changed_.NotifyAll();
  }
  // False when it has not rung since the last time, and `deadline` has passed.
  bool Wait(tern::Deadline deadline) {
    tern::MutexLock lock(mutex_);
    while (!rung_ && changed_.WaitUntil(mutex_, deadline.time())) {
    }
    return std::exchange(rung_, false);
  }

 private:
  tern::Mutex mutex_;
  tern::CondVar changed_;
  bool rung_ ABSL_GUARDED_BY(mutex_) = false;
};

// The first request. kNotYet: it has not come by the deadline, or before the
// server drains.
tern::Poll ReadFirst(tern::ServerContext& context, TalkStream& stream,
                     tern::Deadline deadline, v1::TalkRequest* request) {
  const auto bell = std::make_shared<Bell>();
  const tern::Cancellation::Registration on_drain =
      context.OnDrain([bell] { bell->Ring(); });
  while (true) {
    const tern::Poll poll = stream.TryRead(request);
    if (poll != tern::Poll::kNotYet || context.draining()) return poll;
    if (stream.WakeForRead([bell] { bell->Ring(); }) && !bell->Wait(deadline)) {
      return tern::Poll::kNotYet;
    }
  }
}

}  // namespace

absl::Status ChatService::Talk(tern::ServerContext& context,
                               TalkStream& stream) {
  v1::TalkRequest request;
  switch (ReadFirst(context, stream,
                    tern::Deadline::After(limits_.enter_timeout), &request)) {
    case tern::Poll::kReady:
      break;
    case tern::Poll::kNotYet:
      if (context.draining()) return Draining();
      return absl::DeadlineExceededError(
          absl::StrCat("no Enter came within ",
                       absl::FormatDuration(limits_.enter_timeout)));
    case tern::Poll::kOver:
      return absl::InvalidArgumentError("there was no Enter");
  }
  TERN_RETURN_IF_ERROR(CheckEnter(request));
  const std::string& room = request.enter().room();
  const auto member = std::make_shared<Member>(request.enter().name(), &stream,
                                               limits_.max_queued_replies);
  TERN_RETURN_IF_ERROR(rooms_.Enter(room, member));
  const tern::Cancellation::Registration on_drain =
      context.OnDrain([member] { member->End(Draining()); });
  absl::Status status = Listen(context, room, *member);
  rooms_.Leave(room, *member, absl::IsResourceExhausted(status));
  member->Detach();
  return status;
}

absl::Status ChatService::Listen(tern::ServerContext& context,
                                 const std::string& room, Member& member) {
  while (std::optional<v1::TalkRequest> request = member.AwaitRequest()) {
    if (!request->has_say()) {
      return absl::InvalidArgumentError("a request in a room is not a Say");
    }
    std::string& text = *request->mutable_say()->mutable_text();
    TERN_RETURN_IF_ERROR(CheckSize("text", text.size(), kMaxTextBytes));
    rooms_.Say(room, member, std::move(text));
  }
  if (context.cancelled()) return absl::CancelledError("the member has gone");
  return member.TakeEnd();
}

}  // namespace chat
