#include "examples/kv/watch.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/kv/call_end.h"
#include "examples/kv/checks.h"
#include "examples/kv/limits.h"
#include "tern/lib/base/status_macros.h"

namespace kv {
namespace {

class Watching {
 public:
  Watching(ChangeLog& log, tern::ServerContext& context,
           const v1::WatchRequest& request,
           tern::ServerWriter<v1::WatchReply>& writer)
      : log_(log), context_(context), request_(request), writer_(writer) {}

  absl::Status Run();

 private:
  absl::Status TellNext();
  absl::Status Send(const v1::WatchReply& reply);
  bool IsOver() const { return context_.cancelled() || context_.draining(); }
  absl::Status Over() const;
  // Whether a quarter of the history has gone by since the last reply: a client
  // that goes on after that one is to find the rest.
  bool IsTellingDue() const {
    return skipped_changes_ >= log_.limits().max_changes / 4 ||
           skipped_bytes_ >= log_.limits().max_bytes / 4;
  }

  ChangeLog& log_;
  tern::ServerContext& context_;
  const v1::WatchRequest& request_;
  tern::ServerWriter<v1::WatchReply>& writer_;

  uint64_t revision_ = 0;  // Read up to here.
  // Since the last reply: of other keys.
  size_t skipped_changes_ = 0;
  size_t skipped_bytes_ = 0;
};

absl::Status Watching::Run() {
  if (request_.prefix().size() > kMaxKeyBytes) {
    return TooLarge("a prefix", request_.prefix().size(), "bytes",
                    kMaxKeyBytes);
  }
  revision_ = request_.after_revision() == 0 ? log_.last_revision()
                                             : request_.after_revision();
  TERN_RETURN_IF_ERROR(log_.CheckAfter(revision_));
  const tern::Cancellation::Registration on_cancel =
      context_.cancellation().OnCancel([this] { log_.Wake(); });
  const tern::Cancellation::Registration on_drain =
      context_.OnDrain([this] { log_.Wake(); });
  v1::WatchReply begun;
  begun.set_revision(revision_);
  TERN_RETURN_IF_ERROR(Send(begun));
  while (true) {
    log_.WaitForChange(revision_, [this] { return IsOver(); });
    if (IsOver()) return Over();
    TERN_RETURN_IF_ERROR(TellNext());
  }
}

absl::Status Watching::Over() const {
  if (context_.cancelled()) return EndedBefore("the next change", context_);
  return absl::UnavailableError(
      "the server is draining: watch on elsewhere, after the last reply");
}

absl::Status Watching::TellNext() {
  auto changes = log_.ReadAfter(revision_, kMaxWatchChanges, kMaxWatchBytes);
  if (!changes.ok()) {
    return absl::Status(
        changes.status().code(),
        absl::StrCat("the watcher is too slow: ", changes.status().message()));
  }
  v1::WatchReply reply;
  for (const SharedChange& change : *changes) {
    revision_ = change->revision;
    if (!change->key.starts_with(request_.prefix())) {
      ++skipped_changes_;
      skipped_bytes_ += change->bytes();
      continue;
    }
    v1::Change& told = *reply.add_changes();
    told.set_revision(change->revision);
    told.set_key(change->key);
    if (change->value.has_value()) {
      told.set_value(*change->value);
    } else {
      told.set_deleted(true);
    }
  }
  changes->clear();  // While the client does not read, the history may go.
  if (reply.changes().empty() && !IsTellingDue()) return absl::OkStatus();
  reply.set_revision(revision_);
  skipped_changes_ = 0;
  skipped_bytes_ = 0;
  return Send(reply);
}

absl::Status Watching::Send(const v1::WatchReply& reply) {
  while (true) {
    switch (writer_.TryWrite(reply)) {
      case tern::Poll::kReady:
        return absl::OkStatus();
      case tern::Poll::kOver:
        return Over();
      case tern::Poll::kNotYet:
        break;
    }
    // May be called when this is gone; the log is not.
    const auto writable = std::make_shared<std::atomic<bool>>(false);
    if (!writer_.WakeForWrite([writable, &log = log_] {
          writable->store(true);
          log.Wake();
        })) {
      continue;
    }
    // A client that does not read ends here, not when it reads at last: it has
    // a thread.
    log_.WaitForLoss(revision_, [&] { return *writable || IsOver(); });
    if (IsOver()) return Over();
    if (*writable) continue;
    const absl::Status lost = log_.CheckAfter(revision_);
    return absl::Status(
        lost.code(), absl::StrCat("the watcher is too slow: ", lost.message()));
  }
}

}  // namespace

absl::Status Watch(ChangeLog& log, tern::ServerContext& context,
                   const v1::WatchRequest& request,
                   tern::ServerWriter<v1::WatchReply>& writer) {
  return Watching(log, context, request, writer).Run();
}

}  // namespace kv
