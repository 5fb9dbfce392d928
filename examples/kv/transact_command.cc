#include "examples/kv/transact_command.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/kv/entry_text.h"
#include "examples/kv/limits.h"
#include "examples/kv/line_reader.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/call/deadline.h"

namespace kv {
namespace {

// Every byte written as \xHH, the command and two spaces.
constexpr size_t kMaxLineBytes = 4 * (kMaxKeyBytes + kMaxValueBytes) + 8;

// Takes off the word at the front of `text` and the spaces behind it.
std::string_view TakeWord(std::string_view* text) {
  const size_t end = std::min(text->find(' '), text->size());
  const std::string_view word = text->substr(0, end);
  text->remove_prefix(
      std::min(text->find_first_not_of(' ', end), text->size()));
  return word;
}

absl::StatusOr<v1::TransactRequest> Parse(std::string_view line) {
  v1::TransactRequest request;
  const std::string_view command = TakeWord(&line);
  if (command == "commit" || command == "abort") {
    if (!line.empty()) {
      return absl::InvalidArgumentError("there is something behind it");
    }
    if (command == "commit") request.mutable_commit();
    if (command == "abort") request.mutable_abort();
    return request;
  }
  const bool puts = command == "put";
  if (!puts && command != "get" && command != "delete") {
    return absl::InvalidArgumentError(
        "not one of: get KEY, put KEY VALUE, delete KEY, commit, abort");
  }
  TERN_ASSIGN_OR_RETURN(const std::string key, UnescapeText(TakeWord(&line)));
  if (key.empty()) return absl::InvalidArgumentError("the key is missing");
  if (puts) {
    TERN_ASSIGN_OR_RETURN(const std::string value, UnescapeText(line));
    request.mutable_put()->set_key(key);
    request.mutable_put()->set_value(value);
    return request;
  }
  if (!line.empty()) {
    return absl::InvalidArgumentError(
        "there is something behind the key (a space in it is \\x20)");
  }
  if (command == "get") request.mutable_get()->set_key(key);
  if (command == "delete") request.mutable_delete_()->set_key(key);
  return request;
}

class Command {
 public:
  Command(v1::KeyValue::StubInterface& store, std::FILE* input, bool forgiving,
          absl::Duration timeout)
      : reader_(input, kMaxLineBytes),
        forgiving_(forgiving),
        timeout_(timeout),
        stream_(store.Transact()) {}

  ExitCode Run();

 private:
  // nullopt: it goes on.
  std::optional<ExitCode> DoLine(const std::string& line);
  std::optional<ExitCode> Show(const v1::TransactRequest& request,
                               const v1::TransactReply& reply);
  std::optional<ExitCode> Malformed(std::string_view why);
  ExitCode Fail();

  LineReader reader_;
  const bool forgiving_;
  const absl::Duration timeout_;
  tern::ClientStream<v1::TransactRequest, v1::TransactReply> stream_;
};

ExitCode Command::Run() {
  std::string line;
  while (true) {
    std::optional<ExitCode> end;
    switch (reader_.Next(&line)) {
      case LineReader::Result::kLine:
        end = DoLine(line);
        break;
      case LineReader::Result::kTooLong:
        end = Malformed("the line is too long");
        break;
      case LineReader::Result::kEnd:
        std::cerr << "client: no commit; nothing was written\n";
        return kFailed;
      case LineReader::Result::kFailed:
        std::cerr << "client: read stdin: " << strerror(errno)
                  << "; nothing was written\n";
        return kFailed;
    }
    if (end.has_value()) return *end;
  }
}

std::optional<ExitCode> Command::DoLine(const std::string& line) {
  if (line.empty()) return std::nullopt;
  const auto request = Parse(line);
  if (!request.ok()) return Malformed(std::string(request.status().message()));
  const auto deadline = tern::Deadline::After(timeout_);
  v1::TransactReply reply;
  tern::Poll poll = stream_.WriteUntil(*request, deadline);
  if (poll == tern::Poll::kReady) poll = stream_.ReadUntil(&reply, deadline);
  switch (poll) {
    case tern::Poll::kReady:
      return Show(*request, reply);
    case tern::Poll::kNotYet:
      std::cerr << "client: no answer within " << absl::FormatDuration(timeout_)
                << "\n";
      return kFailed;  // What is dropped is cancelled.
    case tern::Poll::kOver:
      return Fail();
  }
  return std::nullopt;
}

std::optional<ExitCode> Command::Show(const v1::TransactRequest& request,
                                      const v1::TransactReply& reply) {
  switch (reply.result_case()) {
    case v1::TransactReply::kGet: {
      const std::string& key = request.get().key();
      std::cout << (reply.get().found() ? FormatEntry(key, reply.get().value())
                                        : EscapeText(key))
                << "\n";
      if (FinishOutput() != kOk) return kFailed;
      return std::nullopt;
    }
    case v1::TransactReply::kCommit:
      std::cerr << "client: committed, at revision "
                << reply.commit().revision() << "\n";
      break;
    case v1::TransactReply::kAbort:
      std::cerr << "client: aborted; nothing was written\n";
      break;
    default:
      return std::nullopt;
  }
  // The outcome is in the reply; how the call ends does not matter any more.
  return kOk;
}

std::optional<ExitCode> Command::Malformed(std::string_view why) {
  std::cerr << "client: line " << reader_.line_number() << ": " << why;
  if (!forgiving_) std::cerr << "; nothing was written";
  std::cerr << std::endl;
  if (forgiving_) return std::nullopt;
  return kFailed;
}

ExitCode Command::Fail() {
  const absl::Status status = stream_.Finish();
  FailCall(status);
  return absl::IsAborted(status) ? kConflict : kFailed;
}

}  // namespace

ExitCode TransactCommand(v1::KeyValue::StubInterface& store, std::FILE* input,
                         bool forgiving, absl::Duration timeout) {
  return Command(store, input, forgiving, timeout).Run();
}

}  // namespace kv
