#ifndef TERN_EXAMPLES_KV_STORE_H_
#define TERN_EXAMPLES_KV_STORE_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/kv/change_log.h"
#include "examples/kv/write_queue.h"

namespace leveldb {
class DB;
class Status;
}  // namespace leveldb

namespace kv {

class Transaction;

struct StoreOptions {
  // Made when it does not exist (its parent must).
  std::string directory;
  // Whether a write is on disk when it returns OK: it then survives a crash of
  // the machine, else only one of the process.
  bool sync = true;
  // How many of the last changes are kept for those who watch.
  ChangeLog::Limits history = {};
};

// An ordered map from bytes to bytes in a directory: LevelDB behind
// absl::Status. It knows no limits but memory; the service does. No key is
// empty: that one is the store's own.
//
// Thread-safe. Errors: DATA_LOSS when what is on disk is damaged, INTERNAL when
// the disk fails.
class Store {
 public:
  // A view of an entry; what it points to belongs to somebody else.
  struct Entry {
    std::string_view key;
    std::string_view value;
  };

  // FAILED_PRECONDITION when another store, of this process or another, has the
  // directory open; every error names the directory.
  static absl::StatusOr<std::unique_ptr<Store>> Open(
      const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // NOT_FOUND when the key has no value; `*value` is then unspecified.
  absl::Status Get(std::string_view key, std::string* value) const;
  // OK too when there is nothing to delete.
  absl::Status Delete(std::string_view key);
  // All of them or none; of two entries with one key the later one counts.
  absl::Status Put(std::span<const Entry> entries);

  // Visits the entries whose key starts with `prefix` and is not below `start`,
  // in the order of the keys' bytes, until there is none left or `visit`
  // returns false. All of them are as they were at one moment.
  absl::Status Scan(std::string_view prefix, std::string_view start,
                    absl::FunctionRef<bool(const Entry&)> visit) const;

  // The store outlives it.
  std::unique_ptr<Transaction> Begin();

  // What has been put and deleted, in this order. Who reads its last_revision()
  // and then the store finds there all changes up to it, and maybe more. A
  // store that is opened again goes on counting, with nothing kept: after the
  // same revision when it was closed, after a later one when its process died.
  ChangeLog& changes() { return changes_; }

 private:
  friend class Transaction;
  Store(const StoreOptions& options, std::unique_ptr<leveldb::DB> db,
        uint64_t revision);
  absl::Status ToAbslStatus(const leveldb::Status& status) const;

  const StoreOptions options_;
  const std::unique_ptr<leveldb::DB> db_;
  ChangeLog changes_;
  WriteQueue writes_;  // Uses the two.
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_STORE_H_
