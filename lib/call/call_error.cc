#include "tern/lib/call/call_error.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tern/lib/base/string_view.h"

namespace tern {
namespace {

// Not a message type: the payload is text, so that absl::Status::ToString shows
// it as it is.
constexpr std::string_view kTypeUrl = "tern.call";
constexpr std::string_view kTruncated = "truncated";
constexpr std::string_view kPermille = "/1000";

constexpr std::array kPhases = {CallPhase::kResolve, CallPhase::kConnect,
                                CallPhase::kSend,    CallPhase::kQueue,
                                CallPhase::kHandler, CallPhase::kReceive};
constexpr std::array kCertainties = {
    Certainty::kMaybeStarted, Certainty::kNotStarted, Certainty::kFinished};

// A Unix path may hold anything; what separates the parts must not occur in it.
std::string Escape(std::string_view text) {
  return absl::StrReplaceAll(ToAbsl(text), {{"%", "%25"}, {";", "%3B"}});
}
std::string Unescape(std::string_view text) {
  return absl::StrReplaceAll(ToAbsl(text), {{"%3B", ";"}, {"%25", "%"}});
}

bool TakePrefix(std::string_view prefix, std::string_view* text) {
  if (text->substr(0, prefix.size()) != prefix) return false;
  text->remove_prefix(prefix.size());
  return true;
}

void ParsePart(std::string_view part, CallError* error) {
  absl::Duration duration;
  if (TakePrefix("in ", &part)) {
    for (CallPhase phase : kPhases) {
      if (part == ToString(phase)) error->phase = phase;
    }
  } else if (TakePrefix("method ", &part)) {
    error->method = Unescape(part);
  } else if (TakePrefix("to ", &part)) {
    error->peer = Unescape(part);
  } else if (TakePrefix("from ", &part)) {
    error->local = Unescape(part);
  } else if (TakePrefix("after ", &part)) {
    if (absl::ParseDuration(ToAbsl(part), &duration)) error->elapsed = duration;
  } else if (TakePrefix("retry after ", &part)) {
    if (absl::ParseDuration(ToAbsl(part), &duration)) {
      error->retry_after = duration;
    }
  } else if (TakePrefix("load ", &part)) {
    uint32_t load = 0;
    if (absl::SimpleAtoi(ToAbsl(part.substr(0, part.find('/'))), &load)) {
      error->load_permille = load;
    }
  } else if (part == kTruncated) {
    error->truncated = true;
  } else {
    for (Certainty certainty : kCertainties) {
      if (part == ToString(certainty)) error->certainty = certainty;
    }
  }
}

}  // namespace

std::string_view ToString(CallPhase phase) {
  switch (phase) {
    case CallPhase::kResolve:
      return "resolve";
    case CallPhase::kConnect:
      return "connect";
    case CallPhase::kSend:
      return "send";
    case CallPhase::kQueue:
      return "queue";
    case CallPhase::kHandler:
      return "handler";
    case CallPhase::kReceive:
      return "receive";
  }
  return "send";
}

std::string CallError::ToString() const {
  std::string text = absl::StrCat(ToAbsl(tern::ToString(certainty)), "; in ",
                                  ToAbsl(tern::ToString(phase)));
  if (!method.empty()) absl::StrAppend(&text, "; method ", Escape(method));
  if (!peer.empty()) absl::StrAppend(&text, "; to ", Escape(peer));
  if (!local.empty()) absl::StrAppend(&text, "; from ", Escape(local));
  absl::StrAppend(&text, "; after ", absl::FormatDuration(elapsed));
  if (retry_after.has_value()) {
    absl::StrAppend(&text, "; retry after ",
                    absl::FormatDuration(*retry_after));
  }
  if (load_permille.has_value()) {
    absl::StrAppend(&text, "; load ", *load_permille, ToAbsl(kPermille));
  }
  if (truncated) absl::StrAppend(&text, "; ", ToAbsl(kTruncated));
  return text;
}

std::optional<CallError> CallError::From(const absl::Status& status) {
  const auto payload = status.GetPayload(ToAbsl(kTypeUrl));
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  CallError error;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(text, "; "))) {
    ParsePart(part, &error);
  }
  return error;
}

void CallError::AttachTo(absl::Status* status) const {
  status->SetPayload(ToAbsl(kTypeUrl), absl::Cord(ToString()));
}

void CallError::RemoveFrom(absl::Status* status) {
  status->ErasePayload(ToAbsl(kTypeUrl));
}

Certainty CertaintyOf(const absl::Status& status) {
  const std::optional<CallError> error = CallError::From(status);
  return error.has_value() ? error->certainty : Certainty::kMaybeStarted;
}

}  // namespace tern
