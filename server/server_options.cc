#include "tern/server/server_options.h"

#include <sched.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/net/connection.h"
#include "tern/lib/wire/hello.h"
#include "tern/server/memory_budget.h"

namespace tern {
namespace {

constexpr char kAgent[] = "tern-cpp/0.1.0";

int Cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

wire::Hello ToHello(const ServerOptions& options) {
  wire::Hello hello;
  hello.max_frame_bytes = options.max_frame_bytes;
  hello.max_message_bytes = options.max_message_bytes;
  hello.stream_window_bytes = options.stream_window_bytes;
  hello.connection_window_bytes = options.connection_window_bytes;
  hello.max_concurrent_calls = options.max_concurrent_calls;
  hello.min_ping_interval_ms = static_cast<uint32_t>(
      absl::ToInt64Milliseconds(options.min_ping_interval));
  hello.metadata.max_bytes = options.max_metadata_bytes;
  hello.metadata.max_entries = options.max_metadata_entries;
  hello.features = options.compressors.features();
  if (options.checksums) hello.features |= wire::kFeatureChecksum;
  hello.agent = kAgent;
  return hello;
}

class Checker {
 public:
  void AtLeast(const char* name, int64_t value, int64_t least) {
    if (value >= least) return;
    status_.Update(absl::InvalidArgumentError(absl::StrCat(
        "ServerOptions::", name, " is ", value, ", less than ", least)));
  }
  void Positive(const char* name, absl::Duration value) {
    if (value >= absl::Milliseconds(1) && value <= absl::Hours(24 * 30)) return;
    status_.Update(absl::InvalidArgumentError(absl::StrCat(
        "ServerOptions::", name, " is ", absl::FormatDuration(value),
        ", not from 1ms to 30 days")));
  }
  void PositiveOrInfinite(const char* name, absl::Duration value) {
    if (value != absl::InfiniteDuration()) Positive(name, value);
  }
  absl::Status status() const { return status_; }
  void Add(absl::Status status) { status_.Update(std::move(status)); }

 private:
  absl::Status status_;
};

}  // namespace

ServerOptions ResolveServerDefaults(ServerOptions options) {
  if (options.loop_threads == -1) options.loop_threads = Cores();
  if (options.worker_threads == -1) {
    options.worker_threads = std::max(8, 4 * Cores());
  }
  if (options.max_request_memory_bytes == -1) {
    options.max_request_memory_bytes = MemoryBudget::DefaultBytes();
  }
  return options;
}

absl::Status CheckServerOptions(const ServerOptions& given) {
  const ServerOptions options = ResolveServerDefaults(given);
  Checker checker;
  if (options.listen.empty()) {
    checker.Add(
        absl::InvalidArgumentError("ServerOptions::listen names no address"));
  }
  checker.AtLeast("loop_threads", options.loop_threads, 1);
  checker.AtLeast("worker_threads", options.worker_threads, 1);
  checker.AtLeast("max_stream_threads", options.max_stream_threads, 1);
  checker.AtLeast("max_stream_unsent_bytes",
                  static_cast<int64_t>(options.max_stream_unsent_bytes), 1);
  checker.AtLeast("max_queued_calls",
                  static_cast<int64_t>(options.max_queued_calls), 1);
  checker.AtLeast("max_connections",
                  static_cast<int64_t>(options.max_connections), 1);
  checker.AtLeast("max_request_memory_bytes", options.max_request_memory_bytes,
                  1);
  checker.AtLeast("max_concurrent_calls", options.max_concurrent_calls, 1);
  checker.AtLeast("max_message_bytes", options.max_message_bytes, 1);
  checker.AtLeast("max_metadata_bytes", options.max_metadata_bytes, 1);
  checker.AtLeast("max_metadata_entries", options.max_metadata_entries, 1);
  checker.AtLeast("max_unsent_bytes",
                  static_cast<int64_t>(options.max_unsent_bytes), 1);
  for (const auto& interceptor : options.interceptors) {
    if (interceptor != nullptr) continue;
    checker.Add(absl::InvalidArgumentError(
        "ServerOptions::interceptors has one that is null"));
  }
  if (options.compression != Compression::kNone &&
      options.compressors.Find(options.compression) == nullptr) {
    checker.Add(absl::InvalidArgumentError(
        absl::StrCat("ServerOptions::compression is ",
                     NameOf(options.compression), ", not one of compressors")));
  }
  checker.Positive("min_ping_interval", options.min_ping_interval);
  checker.Positive("hello_timeout", options.hello_timeout);
  checker.Positive("frame_timeout", options.frame_timeout);
  checker.Positive("write_timeout", options.write_timeout);
  checker.PositiveOrInfinite("max_connection_age", options.max_connection_age);
  checker.PositiveOrInfinite("max_connection_age_grace",
                             options.max_connection_age_grace);
  checker.Add(wire::CheckHello(ToHello(options)));
  return checker.status();
}

net::ConnectionOptions ToConnectionOptions(const ServerOptions& options,
                                           const std::string& instance_id) {
  net::ConnectionOptions result;
  result.session.role = wire::Role::kServer;
  result.session.hello = ToHello(options);
  result.session.hello.instance_id = instance_id;
  result.session.hello_timeout = options.hello_timeout;
  result.session.max_stream_window_bytes = options.max_stream_window_bytes;
  result.session.frame_timeout = options.frame_timeout;
  result.max_unsent_bytes = options.max_unsent_bytes;
  result.write_timeout = options.write_timeout;
  return result;
}

}  // namespace tern
