// The main job, on this machine: starts the key-value server as a process of
// its own, stores the list of installed packages in it over TCP, reads it back,
// shows what failures look like and what the calls cost, stops the server, and
// leaves nothing behind.
//
//   demo [FILE]    FILE: KEY<TAB>VALUE lines to store instead

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "examples/kv/call_window.h"
#include "examples/kv/child_process.h"
#include "examples/kv/demo_input.h"
#include "examples/kv/demo_page.h"
#include "examples/kv/entry_text.h"
#include "examples/kv/kv.tern.client.h"
#include "examples/kv/latencies.h"
#include "examples/kv/progress.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/string_view.h"

namespace {

using kv::WithCommas;
using tern::MonotonicTime;

constexpr int kCallsInFlight = 64;
constexpr int kBatchEntries = 64;
constexpr size_t kReadsInFlight = 20'000;  // At least, for a steady p99.
constexpr int kShownEntries = 4;
// Of the stream that is watched: the watcher is not to lose any.
constexpr size_t kMaxLoadedEntries = 20'000;
constexpr size_t kMaxLoadedBytes = 4 << 20;
constexpr absl::Duration kServerTimeout = absl::Seconds(30);

volatile sig_atomic_t interrupted = 0;
void OnInterrupt(int) { interrupted = 1; }

// A folder of its own, removed at the end with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    path_ = std::filesystem::temp_directory_path(error) / "tern-demo-XXXXXX";
    if (error || mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }  // Empty: it failed.

 private:
  std::string path_;
};

// The server's binary lies beside this one, also in Bazel's runfiles.
std::string FindServer(const std::string& program) {
  std::error_code error;
  for (const std::filesystem::path& self :
       {std::filesystem::path(program),
        std::filesystem::read_symlink("/proc/self/exe", error)}) {
    const std::filesystem::path server = self.parent_path() / "server";
    if (std::filesystem::exists(server, error)) return server;
  }
  return "";
}

// Calls, and how long they took.
struct Measured {
  kv::Latencies latencies;
  absl::Duration all;
};

class Demo {
 public:
  Demo(std::string server_path, kv::DemoInput input)
      : server_path_(std::move(server_path)), input_(std::move(input)) {}

  absl::Status Run();

 private:
  using Store = kv::v1::KeyValue::Stub;

  absl::Status StartServer();
  absl::Status Connect();
  absl::Status Write();
  absl::Status Stream();
  absl::StatusOr<size_t> Load();
  absl::Status Transact();
  absl::Status ReadBack();
  absl::Status ScanPrefix();
  absl::Status FailACall();
  absl::Status StopServer();

  // Times `call` for every entry, one after the other.
  absl::StatusOr<Measured> OneByOne(
      const std::function<absl::Status(const std::string& key,
                                       const std::string& value)>& call);
  // Times `count` callback calls, kCallsInFlight at a time; each from before it
  // is made until its callback runs. start(i, end) makes call number i.
  using End = std::function<void(absl::Status)>;
  absl::StatusOr<Measured> InFlight(
      size_t count, const std::function<void(size_t, End)>& start);
  void Show(const std::string& what, Measured measured);
  kv::v1::GetRequest GetRequestFor(const std::string& key) {
    kv::v1::GetRequest request;
    request.set_key(key);
    return request;
  }

  const std::string server_path_;
  const kv::DemoInput input_;
  kv::DemoPage page_;
  TemporaryFolder folder_;

  std::unique_ptr<kv::ChildProcess> server_;
  std::unique_ptr<tern::Channel> channel_;
  std::optional<Store> store_;

  uint64_t calls_ = 0;
  MonotonicTime first_call_;
};

absl::Status Demo::Run() {
  page_.Title("Tern: a key-value store, served over TCP");
  for (const auto step : {&Demo::StartServer, &Demo::Connect, &Demo::Write,
                          &Demo::Stream, &Demo::ReadBack, &Demo::ScanPrefix,
                          &Demo::FailACall, &Demo::StopServer}) {
    TERN_RETURN_IF_ERROR((this->*step)());
    if (interrupted) return absl::CancelledError("interrupted");
  }
  return absl::OkStatus();
}

absl::Status Demo::StartServer() {
  if (folder_.path().empty()) {
    return absl::InternalError("no temporary folder can be made");
  }
  TERN_ASSIGN_OR_RETURN(
      server_, kv::ChildProcess::Start({server_path_, "--listen=127.0.0.1:0",
                                        "--data=" + folder_.path()}));
  TERN_ASSIGN_OR_RETURN(
      const std::string line,
      server_->ReadLineAfter("listening on ", kServerTimeout));
  const std::string address =
      std::vector<std::string>(absl::StrSplit(line, ';')).front();
  channel_ = tern::Channel::Create(address);
  store_.emplace(*channel_);

  page_.Fact("server", absl::StrCat("process ", server_->pid(),
                                    ", listening on ", address));
  page_.Fact("store", absl::StrCat("LevelDB in ", folder_.path(),
                                   "; a write is on disk when it returns"));
  page_.Fact("input", absl::StrCat(WithCommas(input_.entries.size()), " ",
                                   input_.source));
  return absl::OkStatus();
}

absl::Status Demo::Connect() {
  const MonotonicTime start = MonotonicTime::Now();
  TERN_ASSIGN_OR_RETURN(const auto page, store_->Scan({}));
  const absl::Duration took = MonotonicTime::Now() - start;
  ++calls_;
  first_call_ = start;
  if (page.entries_size() != 0) {
    return absl::InternalError("the new store is not empty");
  }
  page_.Fact("connect", absl::StrCat("the first call, connecting included: ",
                                     kv::FormatLatency(took)));
  return absl::OkStatus();
}

absl::Status Demo::Write() {
  page_.CallsHeading("Write");
  const std::vector<std::pair<std::string, std::string>> entries(
      input_.entries.begin(), input_.entries.end());
  const auto put = [&](size_t i, End end) {
    kv::v1::PutRequest request;
    request.set_key(entries[i].first);
    request.set_value(entries[i].second);
    store_->Put(request, {}, [end](auto reply) { end(reply.status()); });
  };
  TERN_ASSIGN_OR_RETURN(Measured puts, InFlight(entries.size(), put));
  Show(absl::StrCat("Put, ", kCallsInFlight, " in flight"), std::move(puts));

  Measured batches;
  const MonotonicTime start = MonotonicTime::Now();
  for (size_t first = 0; first < entries.size(); first += kBatchEntries) {
    kv::v1::BatchPutRequest request;
    const size_t end = std::min(first + kBatchEntries, entries.size());
    for (size_t i = first; i < end; ++i) {
      kv::v1::Entry& entry = *request.add_entries();
      entry.set_key(entries[i].first);
      entry.set_value(entries[i].second);
    }
    const MonotonicTime called = MonotonicTime::Now();
    TERN_RETURN_IF_ERROR(store_->BatchPut(request).status());
    batches.latencies.Add(MonotonicTime::Now() - called);
  }
  batches.all = MonotonicTime::Now() - start;
  Show(absl::StrCat("BatchPut of ", kBatchEntries, ", one by one"),
       std::move(batches));
  return absl::OkStatus();
}

// Watches while it loads.
absl::Status Demo::Stream() {
  page_.Heading("Streams");
  auto watch = store_->Watch({});
  kv::v1::WatchReply told;
  if (!watch.Read(&told)) return watch.Finish();
  TERN_ASSIGN_OR_RETURN(const size_t loaded, Load());
  size_t changes = 0;
  while (changes < loaded && watch.Read(&told)) {
    for (const kv::v1::Change& change : told.changes()) {
      const auto entry = input_.entries.find(change.key());
      if (entry == input_.entries.end() || entry->second != change.value()) {
        return absl::DataLossError("the watch told of what was not written");
      }
      ++changes;
    }
  }
  if (changes < loaded) return watch.Finish();
  page_.Check(absl::StrCat("Watch: told of these ", WithCommas(changes),
                           " changes, up to revision ",
                           WithCommas(told.revision())));
  calls_ += 3;
  return Transact();
}

// Returns how many entries.
absl::StatusOr<size_t> Demo::Load() {
  const MonotonicTime start = MonotonicTime::Now();
  auto load = store_->Load();
  size_t entries = 0;
  size_t bytes = 0;
  kv::v1::LoadRequest request;
  for (const auto& [key, value] : input_.entries) {
    if (++entries > kMaxLoadedEntries || bytes > kMaxLoadedBytes) break;
    bytes += key.size() + value.size();
    kv::v1::Entry& entry = *request.add_entries();
    entry.set_key(key);
    entry.set_value(value);
    if (request.entries_size() < kBatchEntries) continue;
    if (!load.Write(request)) break;  // Finish() says why.
    request.Clear();
  }
  if (!request.entries().empty()) (void)load.Write(request);
  TERN_ASSIGN_OR_RETURN(const auto reply, load.Finish());
  const absl::Duration took = MonotonicTime::Now() - start;
  page_.Check(absl::StrCat(
      "Load: ", WithCommas(reply.entries()), " entries in one call, ",
      kv::FormatLatency(took), ": ",
      WithCommas(static_cast<uint64_t>(static_cast<double>(reply.entries()) /
                                       absl::ToDoubleSeconds(took))),
      " entries/s"));
  return reply.entries();
}

absl::Status Demo::Transact() {
  const MonotonicTime start = MonotonicTime::Now();
  const auto& [key, value] = *input_.entries.begin();
  auto transaction = store_->Transact();
  kv::v1::TransactRequest request;
  kv::v1::TransactReply reply;
  *request.mutable_get() = GetRequestFor(key);
  if (!transaction.Write(request) || !transaction.Read(&reply)) {
    return transaction.Finish();
  }
  if (reply.get().value() != value) {
    return absl::DataLossError("the transaction read what was not written");
  }
  request.mutable_put()->set_key(key);
  request.mutable_put()->set_value(value);
  if (!transaction.Write(request) || !transaction.Read(&reply)) {
    return transaction.Finish();
  }
  request.mutable_commit();
  if (!transaction.Write(request) || !transaction.Read(&reply)) {
    return transaction.Finish();
  }
  page_.Check(absl::StrCat("Transact: a read, a write and a commit, ",
                           kv::FormatLatency(MonotonicTime::Now() - start)));
  return transaction.Finish();
}

absl::Status Demo::ReadBack() {
  page_.CallsHeading("Read back");
  const auto check = [](const std::string& key, const std::string& value,
                        const absl::StatusOr<kv::v1::GetReply>& reply) {
    if (!reply.ok() || reply->value() == value) return reply.status();
    return absl::DataLossError(absl::StrCat(key, " should have the value \"",
                                            value, "\", not \"", reply->value(),
                                            "\""));
  };
  TERN_ASSIGN_OR_RETURN(
      Measured blocking,
      OneByOne([&](const std::string& key, const std::string& value) {
        return check(key, value, store_->Get(GetRequestFor(key)));
      }));
  Show("Get, one by one", std::move(blocking));

  const std::vector<std::pair<std::string, std::string>> entries(
      input_.entries.begin(), input_.entries.end());
  const size_t rounds = (kReadsInFlight + entries.size() - 1) / entries.size();
  const size_t count = rounds * entries.size();
  const auto start = [&](size_t i, End end) {
    const auto& entry = entries[i % entries.size()];
    store_->Get(GetRequestFor(entry.first), {},
                [&entry, &check, end](auto reply) {
                  end(check(entry.first, entry.second, reply));
                });
  };
  TERN_ASSIGN_OR_RETURN(Measured many, InFlight(count, start));
  Show(absl::StrCat("Get, ", kCallsInFlight, " in flight"), std::move(many));
  page_.Check(absl::StrCat("every value that was read is the one written: ",
                           WithCommas(entries.size()), " entries, ",
                           WithCommas(count + entries.size()), " reads"));
  return absl::OkStatus();
}

absl::Status Demo::ScanPrefix() {
  // "lib" where there are packages, else what the first key starts with.
  std::string prefix = "lib";
  if (const auto found = input_.entries.lower_bound(prefix);
      found == input_.entries.end() || !found->first.starts_with(prefix)) {
    prefix = input_.entries.begin()->first.substr(0, 1);
  }
  page_.CallsHeading(absl::StrCat("Scan \"", tern::EscapeForLog(prefix), "\""));

  Measured pages;
  std::map<std::string, std::string> found;
  kv::v1::ScanRequest request;
  request.set_prefix(prefix);
  const MonotonicTime start = MonotonicTime::Now();
  do {
    const MonotonicTime called = MonotonicTime::Now();
    TERN_ASSIGN_OR_RETURN(const auto page, store_->Scan(request));
    pages.latencies.Add(MonotonicTime::Now() - called);
    for (const kv::v1::Entry& entry : page.entries()) {
      found[entry.key()] = entry.value();
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  pages.all = MonotonicTime::Now() - start;
  Show("Scan, pages of 100 entries", std::move(pages));

  std::map<std::string, std::string> expected;
  for (const auto& [key, value] : input_.entries) {
    if (key.starts_with(prefix)) expected[key] = value;
  }
  if (found != expected) {
    return absl::DataLossError(absl::StrCat("the scan found ", found.size(),
                                            " entries that are not the ",
                                            expected.size(), " written"));
  }
  int shown = 0;
  for (const auto& [key, value] : found) {
    if (++shown > kShownEntries) break;
    const std::string line = kv::FormatEntry(key, value);
    const size_t tab = line.find('\t');
    page_.Entry(line.substr(0, tab), line.substr(tab + 1));
  }
  if (found.size() > kShownEntries) {
    page_.Note(absl::StrCat("... and ",
                            WithCommas(found.size() - kShownEntries), " more"));
  }
  return absl::OkStatus();
}

absl::Status Demo::FailACall() {
  const std::string& key = input_.entries.rbegin()->first;
  page_.Heading(absl::StrCat("A call that fails: Get \"",
                             tern::EscapeForLog(key), "\" after Delete"));
  kv::v1::DeleteRequest request;
  request.set_key(key);
  TERN_RETURN_IF_ERROR(store_->Delete(request).status());
  const auto reply = store_->Get(GetRequestFor(key));
  calls_ += 2;
  if (!absl::IsNotFound(reply.status())) {
    return absl::InternalError(
        absl::StrCat("Get of a deleted key should be NOT_FOUND, not ",
                     reply.status().ToString()));
  }
  page_.Error(reply.status());
  return absl::OkStatus();
}

absl::Status Demo::StopServer() {
  page_.Heading(
      absl::StrCat("In all ", WithCommas(calls_), " calls over TCP in ",
                   kv::FormatLatency(MonotonicTime::Now() - first_call_)));

  page_.Heading("Stop");
  const MonotonicTime start = MonotonicTime::Now();
  server_->Signal(SIGTERM);
  TERN_ASSIGN_OR_RETURN(const int code, server_->Wait(kServerTimeout));
  const absl::Duration took = MonotonicTime::Now() - start;
  if (code != 0 || !server_->output().ends_with("drained\n")) {
    return absl::InternalError(absl::StrCat("the server ended with exit code ",
                                            code, "; it printed:\n",
                                            server_->output()));
  }
  page_.Check(absl::StrCat("SIGTERM: the server drained and ended, exit code ",
                           code, ", after ", kv::FormatLatency(took)));

  const auto reply = store_->Get(GetRequestFor("any"));
  if (!absl::IsUnavailable(reply.status())) {
    return absl::InternalError(
        absl::StrCat("a call to a stopped server should be UNAVAILABLE, not ",
                     reply.status().ToString()));
  }
  page_.Note("a call made now:");
  page_.Error(reply.status());
  return absl::OkStatus();
}

absl::StatusOr<Measured> Demo::OneByOne(
    const std::function<absl::Status(const std::string&, const std::string&)>&
        call) {
  Measured measured;
  const MonotonicTime start = MonotonicTime::Now();
  for (const auto& [key, value] : input_.entries) {
    const MonotonicTime called = MonotonicTime::Now();
    TERN_RETURN_IF_ERROR(call(key, value));
    measured.latencies.Add(MonotonicTime::Now() - called);
  }
  measured.all = MonotonicTime::Now() - start;
  return measured;
}

absl::StatusOr<Measured> Demo::InFlight(
    size_t count, const std::function<void(size_t, End)>& start_call) {
  struct {
    tern::Mutex mutex;
    absl::Status first_error ABSL_GUARDED_BY(mutex);
    kv::Latencies latencies ABSL_GUARDED_BY(mutex);
  } state;
  kv::CallWindow window(kCallsInFlight);  // Last: it waits for the callbacks.
  const MonotonicTime start = MonotonicTime::Now();
  for (size_t i = 0; i < count && !interrupted; ++i) {
    window.Open();
    const MonotonicTime called = MonotonicTime::Now();
    start_call(i, [&, called](absl::Status status) {
      const absl::Duration took = MonotonicTime::Now() - called;
      {
        tern::MutexLock lock(state.mutex);
        state.latencies.Add(took);
        state.first_error.Update(status);
      }
      window.Close();
    });
  }
  window.WaitUntilEmpty();
  const absl::Duration all = MonotonicTime::Now() - start;
  if (interrupted) return absl::CancelledError("interrupted");
  tern::MutexLock lock(state.mutex);
  if (!state.first_error.ok()) return state.first_error;
  return Measured{.latencies = std::move(state.latencies), .all = all};
}

void Demo::Show(const std::string& what, Measured measured) {
  calls_ += measured.latencies.size();
  page_.Calls(what, measured.latencies, measured.all);
}

int Main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
    std::cerr << "Usage: demo [FILE]    FILE: lines of KEY<TAB>VALUE\n";
    return argc == 2 && std::string(argv[1]) == "--help" ? 0 : 2;
  }
  // Ends in an orderly way, so that nothing stays behind.
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART;
  for (const int stop : {SIGINT, SIGTERM}) sigaction(stop, &action, nullptr);

  absl::Status status;
  if (const std::string server = FindServer(argv[0]); server.empty()) {
    status = absl::NotFoundError("the server's binary is not beside this one");
  } else if (auto input = kv::ReadDemoInput(argc == 2 ? argv[1] : "");
             !input.ok()) {
    status = input.status();
  } else {
    status = Demo(server, *std::move(input)).Run();
  }
  if (status.ok()) return 0;
  // Ctrl-C stops the server as well: calls may have failed before we noticed.
  if (interrupted) status = absl::CancelledError("interrupted");
  kv::DemoPage().Failure(tern::ToStd(status.ToString()));
  return 1;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
