#include "examples/chat/service.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tern/lib/base/log.h"
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

}  // namespace

absl::Status ChatService::Talk(tern::ServerContext& context,
                               TalkStream& stream) {
  tern::Cancellation::Registration on_drain =
      context.OnDrain([&stream] { stream.StopReads(); });
  v1::TalkRequest request;
  switch (stream.ReadUntil(&request,
                           tern::Deadline::After(limits_.enter_timeout))) {
    case tern::Poll::kReady:
      break;
    case tern::Poll::kNotYet:
      return absl::DeadlineExceededError(
          absl::StrCat("no Enter came within ",
                       absl::FormatDuration(limits_.enter_timeout)));
    case tern::Poll::kOver:
      if (context.draining()) return Draining();
      return absl::InvalidArgumentError("there was no Enter");
  }
  TERN_RETURN_IF_ERROR(CheckEnter(request));
  const std::string& room = request.enter().room();
  const auto member = std::make_shared<Member>(request.enter().name(), &stream,
                                               limits_.max_queued_replies);
  TERN_RETURN_IF_ERROR(rooms_.Enter(room, member));
  on_drain.Reset();  // First: else a drain could end the reads and not him.
  on_drain = context.OnDrain([member] { member->End(Draining()); });
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
