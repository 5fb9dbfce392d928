#include "tern/lib/codegen/method_options.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.pb.h"
#include "tern/method.pb.h"

namespace tern::codegen {
namespace {

using google::protobuf::MethodDescriptor;
using Options = ::tern::MethodOptions;
using ProtobufOptions = google::protobuf::MethodOptions;

constexpr int64_t kMaxTimeoutMs = int64_t{365} * 24 * 3600 * 1000;
constexpr int64_t kMaxConcurrency = 1'000'000;
constexpr int64_t kMaxPriority = 7;

std::string Where(const MethodDescriptor& method) {
  return std::string(method.file()->name()) + ": " +
         std::string(method.service()->full_name()) + "/" +
         std::string(method.name()) + ": ";
}

absl::Status CheckRange(const MethodDescriptor& method, const char* option,
                        int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(Where(method) + "option (tern.method)." +
                                    option + " is " + std::to_string(value) +
                                    ", not " + std::to_string(least) + " to " +
                                    std::to_string(most));
}

// An enum's number that has no name: protoc takes any.
absl::Status CheckNamed(const MethodDescriptor& method, const char* option,
                        int value, bool (*is_named)(int)) {
  if (is_named(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(Where(method) + "option (tern.method)." +
                                    option + " is " + std::to_string(value) +
                                    ", which is none of its names");
}

absl::Status Check(const MethodDescriptor& method, const Options& options) {
  absl::Status status;
  if (options.has_timeout_ms()) {
    status.Update(CheckRange(method, "timeout_ms", options.timeout_ms(), 1,
                             kMaxTimeoutMs));
  }
  if (options.has_max_concurrency()) {
    status.Update(CheckRange(method, "max_concurrency",
                             options.max_concurrency(), 1, kMaxConcurrency));
  }
  if (options.has_priority()) {
    status.Update(
        CheckRange(method, "priority", options.priority(), 0, kMaxPriority));
  }
  status.Update(CheckNamed(method, "idempotency", options.idempotency(),
                           Options::Idempotency_IsValid));
  status.Update(
      CheckNamed(method, "runs", options.runs(), Options::Runs_IsValid));
  status.Update(CheckNamed(method, "compression", options.compression(),
                           Options::Compression_IsValid));
  return status;
}

Options::Idempotency ToOurs(ProtobufOptions::IdempotencyLevel level) {
  switch (level) {
    case ProtobufOptions::IDEMPOTENT:
      return Options::IDEMPOTENT;
    case ProtobufOptions::NO_SIDE_EFFECTS:
      return Options::NO_SIDE_EFFECTS;
    default:
      return Options::UNKNOWN;
  }
}

// Protobuf's own option counts as well as ours.
absl::StatusOr<Options::Idempotency> IdempotencyOf(
    const MethodDescriptor& method, const Options& options) {
  const ProtobufOptions& protobufs = method.options();
  const Options::Idempotency level = ToOurs(protobufs.idempotency_level());
  if (!options.has_idempotency()) return level;
  if (protobufs.has_idempotency_level() && level != options.idempotency()) {
    return absl::InvalidArgumentError(
        Where(method) + "option (tern.method).idempotency is " +
        Options::Idempotency_Name(options.idempotency()) +
        ", but option idempotency_level is " +
        ProtobufOptions::IdempotencyLevel_Name(protobufs.idempotency_level()));
  }
  return options.idempotency();
}

const char* ToConstant(Options::Idempotency idempotency) {
  switch (idempotency) {
    case Options::IDEMPOTENT:
      return "kIdempotent";
    case Options::NO_SIDE_EFFECTS:
      return "kNoSideEffects";
    default:
      return "kUnknown";
  }
}

const char* ToConstant(Options::Runs runs) {
  switch (runs) {
    case Options::ON_WORKER:
      return "kWorkers";
    case Options::ON_LOOP:
      return "kLoops";
    default:
      return "kAdaptive";
  }
}

const char* ToConstant(Options::Compression compression) {
  switch (compression) {
    case Options::GZIP:
      return "kGzip";
    case Options::ZSTD:
      return "kZstd";
    default:
      return "kNone";
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadMethodSettings(
    const MethodDescriptor& method) {
  const Options& options = method.options().GetExtension(::tern::method);
  if (absl::Status status = Check(method, options); !status.ok()) {
    return status;
  }
  const absl::StatusOr<Options::Idempotency> idempotency =
      IdempotencyOf(method, options);
  if (!idempotency.ok()) return idempotency.status();

  std::vector<std::string> settings;
  if (options.has_timeout_ms()) {
    settings.push_back(".timeout_ms = " + std::to_string(options.timeout_ms()));
  }
  if (options.has_max_concurrency()) {
    settings.push_back(".max_concurrency = " +
                       std::to_string(options.max_concurrency()));
  }
  if (options.priority() != 0) {
    settings.push_back(".priority = " + std::to_string(options.priority()));
  }
  if (*idempotency != Options::UNKNOWN) {
    settings.push_back(std::string(".idempotency = ::tern::Idempotency::") +
                       ToConstant(*idempotency));
  }
  if (options.has_runs()) {
    settings.push_back(
        std::string(".handler_threads = ::tern::HandlerThreads::") +
        ToConstant(options.runs()));
  }
  if (options.has_compression()) {
    settings.push_back(std::string(".compression = ::tern::Compression::") +
                       ToConstant(options.compression()));
  }
  return settings;
}

std::vector<std::string> InBraces(std::vector<std::string> settings) {
  if (settings.empty()) return settings;
  settings.front().insert(0, "{");
  settings.back() += "}";
  return settings;
}

}  // namespace tern::codegen
