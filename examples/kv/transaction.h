#ifndef TERN_EXAMPLES_KV_TRANSACTION_H_
#define TERN_EXAMPLES_KV_TRANSACTION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/kv/store.h"
#include "leveldb/status.h"

namespace leveldb {
class Snapshot;
}  // namespace leveldb

namespace kv {

// Reads and writes of a store that happen at one moment, or not at all. It is
// optimistic: nobody waits for it, and whether somebody came in between is seen
// at the end. Meanwhile the store keeps, on disk, what it may still read.
//
// Made by Store::Begin(). Not thread-safe.
class Transaction {
 public:
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // As the store was when the transaction began, with its own writes; nullopt
  // when there is none. Errors as Store's.
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key);
  void Put(std::string_view key, std::string_view value) {
    writes_[std::string(key)] = value;
  }
  void Delete(std::string_view key) {
    writes_[std::string(key)] = std::nullopt;
  }

  // Writes; one change for each key, in the order of keys. Returns the last
  // one's revision, or the one at which the transaction began when there is
  // none. ABORTED: a key that was read from the store has another value now;
  // nothing is written. The last call.
  absl::StatusOr<uint64_t> Commit();

 private:
  friend class Store;
  explicit Transaction(Store* store);
  // `*conflict`: the key that has changed, if one has.
  leveldb::Status FindConflict(std::optional<std::string>* conflict) const;
  leveldb::Status Read(const leveldb::Snapshot* snapshot, std::string_view key,
                       std::optional<std::string>* value) const;

  Store& store_;
  // Before the snapshot: what was written in between is in it, and taken for
  // later than that.
  const uint64_t began_at_;
  const leveldb::Snapshot* const snapshot_;
  std::map<std::string, std::optional<std::string>, std::less<>> writes_;
  std::set<std::string, std::less<>> reads_;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_TRANSACTION_H_
