#include "examples/kv/write_queue.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "leveldb/db.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"

namespace kv {
namespace {

// How many revisions are reserved at once, with one more entry to write.
constexpr uint64_t kReservedRevisions = uint64_t{1} << 20;

// LevelDB's own limits: a group is at most 1 MiB, and a small write does not
// wait for more than 128 KiB of others.
constexpr size_t kMaxGroupBytes = 1 << 20;
constexpr size_t kMaxAddedBytes = 128 << 10;

leveldb::Slice ToSlice(std::string_view text) {
  return leveldb::Slice(text.data(), text.size());
}

}  // namespace

void Write::Put(std::string_view key, std::string_view value) {
  batch_.Put(ToSlice(key), ToSlice(value));
  auto change = std::make_shared<Change>();
  change->key = key;
  change->value = value;
  changes_.push_back(std::move(change));
}

void Write::Delete(std::string_view key) {
  batch_.Delete(ToSlice(key));
  auto change = std::make_shared<Change>();
  change->key = key;
  changes_.push_back(std::move(change));
}

leveldb::Status WriteQueue::ReadRevision(leveldb::DB* db, uint64_t* revision) {
  std::string text;
  const leveldb::Status status =
      db->Get(leveldb::ReadOptions(), ToSlice(kRevisionKey), &text);
  if (status.IsNotFound()) {
    *revision = 1;
    return leveldb::Status::OK();
  }
  if (status.ok() && !absl::SimpleAtoi(text, revision)) {
    return leveldb::Status::Corruption("the revision is not a number");
  }
  return status;
}

WriteQueue::WriteQueue(leveldb::DB* db, bool sync, ChangeLog* log)
    : db_(*db),
      sync_(sync),
      log_(*log),
      reserved_revision_(log->last_revision()) {}

WriteQueue::~WriteQueue() {
  const uint64_t last = log_.last_revision();
  if (last == reserved_revision_) return;
  leveldb::WriteOptions writing;
  writing.sync = true;
  // If it fails, the next one begins at what was reserved.
  (void)db_.Put(writing, ToSlice(kRevisionKey), absl::StrCat(last));
}

leveldb::Status WriteQueue::Apply(Write& write, uint64_t* revision) {
  mutex_.Lock();
  queue_.push_back(&write);
  while (!write.done_ && queue_.front() != &write) write.turn_.Wait(mutex_);
  if (!write.done_) {
    const std::vector<Write*> group = FrontGroup();
    mutex_.Unlock();
    leveldb::Status status = ApplyGroup(group);
    mutex_.Lock();
    for (Write* const done : group) {
      queue_.pop_front();
      done->done_ = true;
      done->status_ = status;  // A copy of its own.
      done->turn_.NotifyOne();
    }
    if (!queue_.empty()) queue_.front()->turn_.NotifyOne();
  }
  if (revision != nullptr) *revision = write.revision_;
  leveldb::Status status = std::move(write.status_);
  mutex_.Unlock();
  return status;
}

std::vector<Write*> WriteQueue::FrontGroup() const {
  size_t bytes = queue_.front()->batch_.ApproximateSize();
  const size_t max_bytes = std::min(kMaxGroupBytes, bytes + kMaxAddedBytes);
  std::vector<Write*> group = {queue_.front()};
  if (queue_.front()->check_ != nullptr) return group;
  for (size_t i = 1; i < queue_.size(); ++i) {
    bytes += queue_[i]->batch_.ApproximateSize();
    if (queue_[i]->check_ != nullptr || bytes > max_bytes) break;
    group.push_back(queue_[i]);
  }
  return group;
}

leveldb::Status WriteQueue::ApplyGroup(const std::vector<Write*>& group) {
  if (const auto& check = group.front()->check_; check != nullptr) {
    leveldb::Status status = check();
    if (!status.ok()) return status;
  }
  leveldb::WriteBatch* batch = &group.front()->batch_;
  size_t count = group.front()->changes_.size();
  if (group.size() > 1) {
    batch = &joined_;
    joined_ = group.front()->batch_;
    for (size_t i = 1; i < group.size(); ++i) {
      joined_.Append(group[i]->batch_);
      count += group[i]->changes_.size();
    }
  }
  leveldb::Status status = WriteBatch(batch, count);
  if (!status.ok()) return status;

  uint64_t revision = log_.last_revision();
  std::vector<SharedChange> changes;
  changes.reserve(count);
  for (Write* const write : group) {
    for (std::shared_ptr<Change>& change : write->changes_) {
      change->revision = ++revision;
      changes.push_back(std::move(change));
    }
    write->revision_ = revision;
  }
  log_.Append(std::move(changes));
  return status;
}

leveldb::Status WriteQueue::WriteBatch(leveldb::WriteBatch* batch,
                                       size_t changes) {
  leveldb::WriteOptions writing;
  writing.sync = sync_;
  uint64_t reserved = reserved_revision_;
  if (const uint64_t last = log_.last_revision() + changes; last > reserved) {
    reserved = last + kReservedRevisions;
    batch->Put(ToSlice(kRevisionKey), absl::StrCat(reserved));
    // Whatever a crash takes away: no revision that a watcher may have seen is
    // given to another change.
    writing.sync = true;
  }
  leveldb::Status status = db_.Write(writing, batch);
  if (status.ok()) reserved_revision_ = reserved;
  return status;
}

}  // namespace kv
