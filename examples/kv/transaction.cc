#include "examples/kv/transaction.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/kv/write_queue.h"
#include "leveldb/db.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/status_macros.h"

namespace kv {

Transaction::Transaction(Store* store)
    : store_(*store),
      began_at_(store->changes_.last_revision()),
      snapshot_(store->db_->GetSnapshot()) {}

Transaction::~Transaction() { store_.db_->ReleaseSnapshot(snapshot_); }

absl::StatusOr<std::optional<std::string>> Transaction::Get(
    std::string_view key) {
  if (const auto own = writes_.find(key); own != writes_.end()) {
    return own->second;
  }
  std::optional<std::string> value;
  TERN_RETURN_IF_ERROR(store_.ToAbslStatus(Read(snapshot_, key, &value)));
  reads_.insert(std::string(key));
  return value;
}

absl::StatusOr<uint64_t> Transaction::Commit() {
  // What was only read, was so at one moment.
  if (writes_.empty()) return began_at_;
  Write write;
  for (const auto& [key, value] : writes_) {
    if (value.has_value()) {
      write.Put(key, *value);
    } else {
      write.Delete(key);
    }
  }
  std::optional<std::string> conflict;
  write.OnlyIf([&] { return FindConflict(&conflict); });
  uint64_t revision = 0;
  const leveldb::Status status = store_.writes_.Apply(write, &revision);
  if (conflict.has_value()) {
    return absl::AbortedError(absl::StrCat("the key \"",
                                           tern::EscapeForLog(*conflict),
                                           "\" has changed since it was read"));
  }
  TERN_RETURN_IF_ERROR(store_.ToAbslStatus(status));
  return revision;
}

leveldb::Status Transaction::FindConflict(
    std::optional<std::string>* conflict) const {
  if (store_.changes_.last_revision() == began_at_) {
    return leveldb::Status::OK();
  }
  for (const std::string& key : reads_) {
    std::optional<std::string> then;
    std::optional<std::string> now;
    leveldb::Status status = Read(snapshot_, key, &then);
    if (status.ok()) status = Read(nullptr, key, &now);
    if (!status.ok()) return status;
    if (then == now) continue;
    *conflict = key;
    return leveldb::Status::InvalidArgument("a conflict");
  }
  return leveldb::Status::OK();
}

leveldb::Status Transaction::Read(const leveldb::Snapshot* snapshot,
                                  std::string_view key,
                                  std::optional<std::string>* value) const {
  leveldb::ReadOptions reading;
  reading.verify_checksums = true;
  reading.snapshot = snapshot;
  const leveldb::Status status = store_.db_->Get(
      reading, leveldb::Slice(key.data(), key.size()), &value->emplace());
  if (status.ok()) return status;
  value->reset();
  return status.IsNotFound() ? leveldb::Status::OK() : status;
}

}  // namespace kv
