#include "examples/kv/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "examples/kv/transaction.h"
#include "leveldb/db.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"

namespace kv {
namespace {

leveldb::Slice ToSlice(std::string_view text) {
  return leveldb::Slice(text.data(), text.size());
}
std::string_view ToView(const leveldb::Slice& slice) {
  return std::string_view(slice.data(), slice.size());
}

// LevelDB tells a lock that somebody else holds from other I/O errors only in
// words: "IO error: lock DIRECTORY/LOCK: already held by process" when it is
// this process, errno's text when it is another.
bool IsLocked(const leveldb::Status& status, const std::string& directory) {
  return status.IsIOError() &&
         absl::StrContains(status.ToString(),
                           absl::StrCat("lock ", directory, "/LOCK: "));
}

leveldb::ReadOptions Reading() {
  leveldb::ReadOptions options;
  options.verify_checksums = true;  // Better an error than a wrong value.
  return options;
}

absl::StatusCode CodeOf(const leveldb::Status& status) {
  if (status.IsNotFound()) return absl::StatusCode::kNotFound;
  if (status.IsCorruption()) return absl::StatusCode::kDataLoss;
  if (status.IsNotSupportedError()) return absl::StatusCode::kUnimplemented;
  if (status.IsInvalidArgument()) return absl::StatusCode::kInvalidArgument;
  return absl::StatusCode::kInternal;  // An I/O error.
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(
    const StoreOptions& options) {
  leveldb::Options leveldb_options;
  leveldb_options.create_if_missing = true;
  // Damage is reported, not skipped. (A last record that a crash cut short is
  // no damage: it was never acknowledged.)
  leveldb_options.paranoid_checks = true;
  leveldb::DB* db = nullptr;
  leveldb::Status status =
      leveldb::DB::Open(leveldb_options, options.directory, &db);
  std::unique_ptr<leveldb::DB> owned(db);
  uint64_t revision = 0;
  if (status.ok()) status = WriteQueue::ReadRevision(db, &revision);
  if (status.ok()) {
    return std::unique_ptr<Store>(
        new Store(options, std::move(owned), revision));
  }
  if (IsLocked(status, options.directory)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the data directory \"", options.directory,
        "\" is in use by another server (", status.ToString(), ")"));
  }
  return absl::Status(CodeOf(status), absl::StrCat("open the data directory \"",
                                                   options.directory,
                                                   "\": ", status.ToString()));
}

Store::Store(const StoreOptions& options, std::unique_ptr<leveldb::DB> db,
             uint64_t revision)
    : options_(options),
      db_(std::move(db)),
      changes_(options.history, revision),
      writes_(db_.get(), options.sync, &changes_) {}

Store::~Store() = default;

absl::Status Store::Get(std::string_view key, std::string* value) const {
  return ToAbslStatus(db_->Get(Reading(), ToSlice(key), value));
}

absl::Status Store::Delete(std::string_view key) {
  Write write;
  write.Delete(key);
  return ToAbslStatus(writes_.Apply(write));
}

absl::Status Store::Put(std::span<const Entry> entries) {
  Write write;
  for (const Entry& entry : entries) write.Put(entry.key, entry.value);
  return ToAbslStatus(writes_.Apply(write));
}

absl::Status Store::Scan(std::string_view prefix, std::string_view start,
                         absl::FunctionRef<bool(const Entry&)> visit) const {
  leveldb::ReadOptions reading = Reading();
  reading.fill_cache = false;  // A long scan would push out what Get needs.
  const std::unique_ptr<leveldb::Iterator> iterator(db_->NewIterator(reading));
  for (iterator->Seek(ToSlice(std::max(prefix, start))); iterator->Valid();
       iterator->Next()) {
    const Entry entry = {ToView(iterator->key()), ToView(iterator->value())};
    if (entry.key == WriteQueue::kRevisionKey) continue;
    if (!entry.key.starts_with(prefix) || !visit(entry)) break;
  }
  return ToAbslStatus(iterator->status());
}

std::unique_ptr<Transaction> Store::Begin() {
  return std::unique_ptr<Transaction>(new Transaction(this));
}

absl::Status Store::ToAbslStatus(const leveldb::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(
      CodeOf(status),
      absl::StrCat("store \"", options_.directory, "\": ", status.ToString()));
}

}  // namespace kv
