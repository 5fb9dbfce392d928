#include "examples/kv/load.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/kv/call_end.h"
#include "examples/kv/checks.h"
#include "examples/kv/limits.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/call/status_details.h"

namespace kv {
namespace {

class Loading {
 public:
  Loading(Store& store, v1::LoadReply* reply) : store_(store), reply_(*reply) {}

  absl::Status Add(v1::Entry entry);
  // Stores what was added.
  absl::Status Flush();
  // `why`, with what is stored: in words for people, and as a LoadReply.
  absl::Status CutShort(const absl::Status& why) const;

 private:
  Store& store_;
  v1::LoadReply& reply_;  // Counts what is stored.
  std::vector<v1::Entry> batch_;
  size_t batch_bytes_ = 0;
};

absl::Status Loading::Add(v1::Entry entry) {
  if (absl::Status invalid = CheckEntry(entry.key(), entry.value());
      !invalid.ok()) {
    TERN_RETURN_IF_ERROR(Flush());
    return CutShort(absl::Status(
        invalid.code(),
        absl::StrCat("entries[", reply_.entries(), "]: ", invalid.message())));
  }
  const size_t bytes = entry.key().size() + entry.value().size();
  if (batch_.size() == kMaxBatchEntries ||
      batch_bytes_ + bytes > kMaxBatchBytes) {
    TERN_RETURN_IF_ERROR(Flush());
  }
  batch_bytes_ += bytes;
  batch_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status Loading::Flush() {
  if (batch_.empty()) return absl::OkStatus();
  std::vector<Store::Entry> entries;
  entries.reserve(batch_.size());
  for (const v1::Entry& entry : batch_) {
    entries.push_back({entry.key(), entry.value()});
  }
  // A disk that fails may have got it all the same: entries() is at least what
  // is stored.
  if (const absl::Status failed = store_.Put(entries); !failed.ok()) {
    return CutShort(failed);
  }
  reply_.set_entries(reply_.entries() + batch_.size());
  reply_.set_bytes(reply_.bytes() + batch_bytes_);
  batch_.clear();
  batch_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status Loading::CutShort(const absl::Status& why) const {
  return tern::WithDetails(
      absl::Status(why.code(),
                   absl::StrCat(why.message(), "; the first ", reply_.entries(),
                                " entries are stored")),
      reply_);
}

}  // namespace

absl::Status Load(Store& store, tern::ServerContext& context,
                  tern::ServerReader<v1::LoadRequest>& reader,
                  v1::LoadReply* reply) {
  const tern::Cancellation::Registration on_drain =
      context.OnDrain([&reader] { reader.StopReads(); });
  Loading loading(store, reply);
  for (v1::LoadRequest request; reader.Read(&request);) {
    for (v1::Entry& entry : *request.mutable_entries()) {
      TERN_RETURN_IF_ERROR(loading.Add(std::move(entry)));
    }
  }
  if (context.cancelled()) {
    return loading.CutShort(EndedBefore("the last entry", context));
  }
  TERN_RETURN_IF_ERROR(loading.Flush());
  if (!reader.cut_short()) return absl::OkStatus();
  return loading.CutShort(DrainedBefore("the last entry"));
}

}  // namespace kv
