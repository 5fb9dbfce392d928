#include "examples/kv/change_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/status_macros.h"

namespace kv {

void ChangeLog::Append(std::vector<SharedChange> changes) {
  std::vector<SharedChange> dropped;  // Freed without the lock.
  tern::MutexLock lock(mutex_);
  for (SharedChange& change : changes) {
    last_revision_ = change->revision;
    bytes_ += change->bytes();
    changes_.push_back(std::move(change));
  }
  while (changes_.size() > limits_.max_changes || bytes_ > limits_.max_bytes) {
    bytes_ -= changes_.front()->bytes();
    oldest_revision_ = changes_.front()->revision;
    dropped.push_back(std::move(changes_.front()));
    changes_.pop_front();
  }
  changed_.NotifyAll();
}

uint64_t ChangeLog::last_revision() const {
  tern::MutexLock lock(mutex_);
  return last_revision_;
}

absl::Status ChangeLog::CheckAfter(uint64_t revision) const {
  tern::MutexLock lock(mutex_);
  return CheckAfterLocked(revision);
}

absl::Status ChangeLog::CheckAfterLocked(uint64_t revision) const {
  if (revision > last_revision_) {
    return absl::OutOfRangeError(absl::StrCat("there is no revision ", revision,
                                              " yet: the last one is ",
                                              last_revision_));
  }
  if (revision < oldest_revision_) {
    return absl::OutOfRangeError(
        absl::StrCat("the changes after revision ", revision,
                     " are not all kept any more: those after revision ",
                     oldest_revision_, " are"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SharedChange>> ChangeLog::ReadAfter(
    uint64_t revision, size_t max_changes, size_t max_bytes) const {
  std::vector<SharedChange> read;
  size_t bytes = 0;
  tern::MutexLock lock(mutex_);
  TERN_RETURN_IF_ERROR(CheckAfterLocked(revision));
  for (size_t i = revision - oldest_revision_; i < changes_.size(); ++i) {
    bytes += changes_[i]->bytes();
    if (!read.empty() && (read.size() == max_changes || bytes > max_bytes)) {
      break;
    }
    read.push_back(changes_[i]);
  }
  return read;
}

void ChangeLog::WaitForChange(uint64_t revision,
                              absl::FunctionRef<bool()> stop) const {
  tern::MutexLock lock(mutex_);
  while (last_revision_ <= revision && !stop()) changed_.Wait(mutex_);
}

void ChangeLog::WaitForLoss(uint64_t revision,
                            absl::FunctionRef<bool()> stop) const {
  tern::MutexLock lock(mutex_);
  while (oldest_revision_ <= revision && !stop()) changed_.Wait(mutex_);
}

void ChangeLog::Wake() {
  // With the lock: who waits has either not yet asked `stop`, or hears this.
  tern::MutexLock lock(mutex_);
  changed_.NotifyAll();
}

}  // namespace kv
