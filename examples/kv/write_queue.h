#ifndef TERN_EXAMPLES_KV_WRITE_QUEUE_H_
#define TERN_EXAMPLES_KV_WRITE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "examples/kv/change_log.h"
#include "leveldb/status.h"
#include "leveldb/write_batch.h"
#include "tern/lib/base/mutex.h"

namespace leveldb {
class DB;
}  // namespace leveldb

namespace kv {

// Changes that are made together or not at all. Used once, by one thread.
class Write {
 public:
  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);

  // Asked when all writes before have been made and none is under way. Not OK:
  // nothing is written, and Apply() returns it.
  void OnlyIf(std::function<leveldb::Status()> check) {
    check_ = std::move(check);
  }

 private:
  friend class WriteQueue;

  leveldb::WriteBatch batch_;
  std::vector<std::shared_ptr<Change>> changes_;
  std::function<leveldb::Status()> check_;

  // Guarded by the queue's mutex while it is in the queue.
  tern::CondVar turn_;
  bool done_ = false;
  leveldb::Status status_;
  uint64_t revision_ = 0;
};

// Brings the writes of many threads into the one order in which a change log
// tells of them. The write at the front takes those behind it along, so that
// one write to the disk carries what has come meanwhile, as LevelDB would do it
// on its own; but LevelDB does not tell its order.
//
// Revisions go on when the database is opened again, and none is given twice:
// the database keeps, under the empty key, one that is not yet reached.
//
// Thread-safe.
class WriteQueue {
 public:
  static constexpr std::string_view kRevisionKey = "";

  // What the database keeps; 1 in a new one. Not OK: Corruption.
  static leveldb::Status ReadRevision(leveldb::DB* db, uint64_t* revision);

  // `db` and `log`, which begins at that revision, outlive it. `sync`: a write
  // is on disk when Apply() returns.
  WriteQueue(leveldb::DB* db, bool sync, ChangeLog* log);
  // Keeps the exact revision.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Makes the changes, then tells of them. `*revision`, if not null: that of
  // the last one.
  leveldb::Status Apply(Write& write, uint64_t* revision = nullptr);

 private:
  std::vector<Write*> FrontGroup() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  leveldb::Status ApplyGroup(const std::vector<Write*>& group);
  leveldb::Status WriteBatch(leveldb::WriteBatch* batch, size_t changes);

  leveldb::DB& db_;
  const bool sync_;
  ChangeLog& log_;

  // Of the thread whose write is at the front.
  leveldb::WriteBatch joined_;
  uint64_t reserved_revision_;  // What the database keeps.

  tern::Mutex mutex_;
  std::deque<Write*> queue_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_WRITE_QUEUE_H_
