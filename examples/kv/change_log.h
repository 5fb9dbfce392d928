#ifndef TERN_EXAMPLES_KV_CHANGE_LOG_H_
#define TERN_EXAMPLES_KV_CHANGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tern/lib/base/mutex.h"

namespace kv {

// What has happened to one key.
struct Change {
  uint64_t revision = 0;
  std::string key;
  std::optional<std::string> value;  // None: it was deleted.

  size_t bytes() const {
    return key.size() + (value.has_value() ? value->size() : 0);
  }
};
// Kept once, however many watchers are about to tell of it.
using SharedChange = std::shared_ptr<const Change>;

// The last changes of a store, in order, each with a revision one above that of
// the one before. Bounded: the oldest ones make room, whoever still wants them.
//
// So nobody who reads it can hold up who writes, nor make it keep more: a
// reader that is too slow learns that it has missed something, and what.
//
// Thread-safe; Append() is called by one thread at a time.
class ChangeLog {
 public:
  struct Limits {
    size_t max_changes = 65'536;
    size_t max_bytes = 16 << 20;  // Of keys and values.
  };

  // Empty; the next change's revision is last_revision + 1.
  ChangeLog(const Limits& limits, uint64_t last_revision)
      : limits_(limits),
        oldest_revision_(last_revision),
        last_revision_(last_revision) {}
  ChangeLog(const ChangeLog&) = delete;
  ChangeLog& operator=(const ChangeLog&) = delete;

  const Limits& limits() const { return limits_; }

  // Their revisions go on from last_revision().
  void Append(std::vector<SharedChange> changes);

  // That of the last change.
  uint64_t last_revision() const;

  // OK: all changes after `revision` are here. OUT_OF_RANGE: not any more, and
  // the message says from where on they are; or there is no such revision yet.
  absl::Status CheckAfter(uint64_t revision) const;
  // The next of them, as far as the limits reach, but at least one; empty when
  // there is none. Errors as CheckAfter.
  absl::StatusOr<std::vector<SharedChange>> ReadAfter(uint64_t revision,
                                                      size_t max_changes,
                                                      size_t max_bytes) const;

  // Waits until there is a change after `revision`, or `stop` says so. It is
  // asked with the log's lock held, now and after each Wake().
  void WaitForChange(uint64_t revision, absl::FunctionRef<bool()> stop) const;
  // Waits until a change after `revision` is lost, or likewise.
  void WaitForLoss(uint64_t revision, absl::FunctionRef<bool()> stop) const;
  void Wake();

 private:
  absl::Status CheckAfterLocked(uint64_t revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Limits limits_;

  mutable tern::Mutex mutex_;
  mutable tern::CondVar changed_;
  std::deque<SharedChange> changes_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the last change that is no longer in changes_, and of the last one.
  uint64_t oldest_revision_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_revision_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CHANGE_LOG_H_
