#include "examples/kv/loader.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/kv/call_window.h"
#include "examples/kv/entry_text.h"
#include "examples/kv/limits.h"
#include "examples/kv/line_reader.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/call/call_error.h"

namespace kv {
namespace {

// Every byte written as \xHH, and the tab.
constexpr size_t kMaxLineBytes = 4 * (kMaxKeyBytes + kMaxValueBytes) + 1;

struct Batch {
  v1::BatchPutRequest request;
  size_t bytes = 0;  // Of keys and values.
  uint64_t first_line = 0;
  uint64_t last_line = 0;
};

class Loading {
 public:
  Loading(std::FILE* input, v1::KeyValue::StubInterface& store,
          const LoadOptions& options)
      : store_(store),
        options_(options),
        reader_(input, kMaxLineBytes),
        window_(options.max_calls_in_flight) {}

  LoadResult Run();

 private:
  struct Failure {
    uint64_t first_line;
    uint64_t last_line;
    absl::Status status;
  };

  void Add(EntryText entry);
  void Send();
  void OnEnd(const Batch& batch, absl::Status status);
  void ReportMalformed(std::string_view why);
  void ReportFailures(bool at_end);
  bool HasFailed() {
    tern::MutexLock lock(mutex_);
    return !failures_.empty();
  }
  bool IsInFlight(const std::string& key) {
    tern::MutexLock lock(mutex_);
    return keys_in_flight_.contains(key);
  }
  void ReportProgress() {
    uint64_t entries;
    {
      tern::MutexLock lock(mutex_);
      entries = acknowledged_.entries;
    }
    options_.progress(entries, reader_.bytes_read());
  }

  v1::KeyValue::StubInterface& store_;
  const LoadOptions& options_;

  // The loading thread's.
  LineReader reader_;
  Batch batch_;  // Being filled.
  uint64_t malformed_lines_ = 0;

  tern::Mutex mutex_;
  LoadResult acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::vector<Failure> failures_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::string> keys_in_flight_ ABSL_GUARDED_BY(mutex_);

  CallWindow window_;  // Last: the callbacks use what is above.
};

LoadResult Loading::Run() {
  std::string line;
  LineReader::Result read = LineReader::Result::kLine;
  while (!HasFailed()) {
    read = reader_.Next(&line);
    if (read == LineReader::Result::kTooLong) {
      ReportMalformed(
          absl::StrFormat("the line is longer than %d bytes", kMaxLineBytes));
      continue;
    }
    if (read != LineReader::Result::kLine) break;
    auto entry = ParseEntry(line);
    if (entry.ok()) {
      Add(*std::move(entry));
    } else {
      ReportMalformed(tern::ToStd(entry.status().message()));
    }
  }
  const int read_errno = errno;
  if (!HasFailed()) Send();
  window_.WaitUntilEmpty();
  ReportProgress();

  LoadResult result;
  {
    tern::MutexLock lock(mutex_);
    result = acknowledged_;
    result.failed_batches = failures_.size();
  }
  result.malformed_lines = malformed_lines_;
  if (malformed_lines_ > options_.max_reported_lines) {
    options_.report(absl::StrCat(options_.input_name, ": ",
                                 malformed_lines_ - options_.max_reported_lines,
                                 " more malformed lines"));
  }
  ReportFailures(read == LineReader::Result::kEnd);
  if (read == LineReader::Result::kFailed) {
    result.read_failed = true;
    options_.report(absl::StrCat(options_.input_name, ":",
                                 reader_.line_number() + 1, ": ",
                                 strerror(read_errno)));
  }
  return result;
}

void Loading::Add(EntryText entry) {
  const size_t bytes = entry.key.size() + entry.value.size();
  if (batch_.bytes + bytes > std::min(options_.batch_bytes, kMaxBatchBytes)) {
    Send();
  }
  // Calls in flight end in any order, and the later line is to win.
  if (IsInFlight(entry.key)) window_.WaitUntilEmpty();

  if (batch_.request.entries().empty()) {
    batch_.first_line = reader_.line_number();
  }
  batch_.last_line = reader_.line_number();
  batch_.bytes += bytes;
  v1::Entry& added = *batch_.request.add_entries();
  added.set_key(std::move(entry.key));
  added.set_value(std::move(entry.value));
  const size_t entries = static_cast<size_t>(batch_.request.entries_size());
  if (entries >= std::min(options_.batch_entries, kMaxBatchEntries)) Send();
}

void Loading::Send() {
  if (batch_.request.entries().empty()) return;
  window_.Open();
  // Nothing more once a call has failed: the rest is reported as unsent.
  if (HasFailed()) return window_.Close();
  const auto batch = std::make_shared<Batch>(std::exchange(batch_, {}));
  {
    tern::MutexLock lock(mutex_);
    for (const v1::Entry& entry : batch->request.entries()) {
      keys_in_flight_.insert(entry.key());
    }
  }
  store_.BatchPut(batch->request, {.timeout = options_.timeout},
                  [this, batch](absl::StatusOr<v1::BatchPutReply> reply) {
                    OnEnd(*batch, std::move(reply).status());
                    window_.Close();
                  });
  ReportProgress();
}

// On the channel's thread. The status is handed over: of copies, the packaged
// Abseil counts the owners where TSan does not see it.
void Loading::OnEnd(const Batch& batch, absl::Status status) {
  tern::MutexLock lock(mutex_);
  for (const v1::Entry& entry : batch.request.entries()) {
    keys_in_flight_.erase(entry.key());
  }
  if (status.ok()) {
    ++acknowledged_.batches;
    acknowledged_.entries +=
        static_cast<uint64_t>(batch.request.entries_size());
  } else {
    failures_.push_back({batch.first_line, batch.last_line, std::move(status)});
  }
}

void Loading::ReportMalformed(std::string_view why) {
  if (++malformed_lines_ > options_.max_reported_lines) return;
  options_.report(absl::StrCat(options_.input_name, ":", reader_.line_number(),
                               ": ", tern::ToAbsl(why)));
}

void Loading::ReportFailures(bool at_end) {
  std::vector<Failure> failures;
  {
    tern::MutexLock lock(mutex_);
    failures = failures_;
  }
  if (failures.empty()) return;
  std::sort(failures.begin(), failures.end(),
            [](const Failure& a, const Failure& b) {
              return a.first_line < b.first_line;
            });
  for (const Failure& failure : failures) {
    const bool surely_not =
        absl::IsInvalidArgument(failure.status) ||
        tern::CertaintyOf(failure.status) == tern::Certainty::kNotStarted;
    options_.report(absl::StrCat(
        options_.input_name, ": lines ", failure.first_line, " to ",
        failure.last_line, surely_not ? " not stored: " : " maybe stored: ",
        failure.status.ToString()));
  }
  const bool batch_is_empty = batch_.request.entries().empty();
  if (at_end && batch_is_empty) return;
  const uint64_t unsent =
      batch_is_empty ? reader_.line_number() + 1 : batch_.first_line;
  options_.report(absl::StrCat(options_.input_name, ": from line ", unsent,
                               " on nothing was sent"));
}

}  // namespace

LoadResult Load(std::FILE* input, v1::KeyValue::StubInterface& store,
                const LoadOptions& options) {
  return Loading(input, store, options).Run();
}

}  // namespace kv
