// `option (tern.method)` as the generator reads it: what is in range, and what
// it says of the rest.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/lib/codegen/plugin_run.h"

namespace tern::codegen {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

PluginRun RunWith(const std::string& options) {
  return RunPluginOnText(
      "syntax = \"proto3\"; package p; import \"tern/method.proto\";"
      "message M {} service S { rpc Get(M) returns (M) {" +
      options + "} }");
}

PluginRun RunWithMethod(const std::string& fields) {
  return RunWith("option (tern.method) = {" + fields + "};");
}

// Both ends are told of it.
void ExpectTaken(const std::string& fields, const std::string& setting) {
  PluginRun run = RunWithMethod(fields);
  EXPECT_EQ(run.error, "") << fields;
  for (const char* path : {"test.tern.client.cc", "test.tern.server.h"}) {
    EXPECT_THAT(run.files[path], HasSubstr(setting)) << fields;
  }
}

void ExpectRefused(const std::string& fields, const std::string& why) {
  PluginRun run = RunWithMethod(fields);
  EXPECT_EQ(run.error, "test.proto: p.S/Get: option (tern.method)." + why);
  EXPECT_THAT(run.files, IsEmpty());
}

TEST(MethodOptions, TimeoutIsFromAMillisecondToAYear) {
  ExpectTaken("timeout_ms: 1", "{.timeout_ms = 1}");
  ExpectTaken("timeout_ms: 31536000000", "{.timeout_ms = 31536000000}");
  for (const char* value : {"0", "-1", "31536000001", "9223372036854775807"}) {
    ExpectRefused(
        "timeout_ms: " + std::string(value),
        "timeout_ms is " + std::string(value) + ", not 1 to 31536000000");
  }
}

TEST(MethodOptions, MaxConcurrencyIsFromOneToAMillion) {
  ExpectTaken("max_concurrency: 1", "{.max_concurrency = 1}");
  ExpectTaken("max_concurrency: 1000000", "{.max_concurrency = 1000000}");
  for (const char* value : {"0", "-1", "1000001"}) {
    ExpectRefused(
        "max_concurrency: " + std::string(value),
        "max_concurrency is " + std::string(value) + ", not 1 to 1000000");
  }
}

TEST(MethodOptions, PriorityIsFromZeroToSeven) {
  ExpectTaken("priority: 1", "{.priority = 1}");
  ExpectTaken("priority: 7", "{.priority = 7}");
  for (const char* value : {"-1", "8"}) {
    ExpectRefused("priority: " + std::string(value),
                  "priority is " + std::string(value) + ", not 0 to 7");
  }
}

TEST(MethodOptions, CompressionIsByName) {
  ExpectTaken("compression: NONE",
              "{.compression = ::tern::Compression::kNone}");
  ExpectTaken("compression: GZIP",
              "{.compression = ::tern::Compression::kGzip}");
  ExpectTaken("compression: ZSTD",
              "{.compression = ::tern::Compression::kZstd}");
}

// Names that are none are refused by protoc, before the generator is asked.
TEST(MethodOptions, WhatHasNoNameIsRefused) {
  PluginRun run = RunWithMethod("compression: BROTLI");
  EXPECT_THAT(run.error, HasSubstr("\"BROTLI\" for field \"compression\""));
  EXPECT_THAT(run.files, IsEmpty());
  // Numbers are not, however large.
  ExpectTaken("compression: 2", "{.compression = ::tern::Compression::kZstd}");
  for (const char* option : {"compression", "runs", "idempotency"}) {
    for (const char* value : {"3", "-1"}) {
      ExpectRefused(
          absl::StrCat(option, ": ", value),
          absl::StrCat(option, " is ", value, ", which is none of its names"));
    }
  }
}

TEST(MethodOptions, WhatIsAsByDefaultIsNotWritten) {
  PluginRun run = RunWithMethod("priority: 0 idempotency: UNKNOWN");
  EXPECT_EQ(run.error, "");
  EXPECT_THAT(run.files["test.tern.client.cc"], Not(HasSubstr("settings")));
}

TEST(MethodOptions, ProtobufsOwnIdempotencyCounts) {
  PluginRun run = RunWith("option idempotency_level = NO_SIDE_EFFECTS;");
  EXPECT_EQ(run.error, "");
  EXPECT_THAT(run.files["test.tern.client.cc"],
              HasSubstr("::tern::Idempotency::kNoSideEffects"));
  run = RunWith(
      "option idempotency_level = IDEMPOTENT;"
      "option (tern.method).idempotency = IDEMPOTENT;");
  EXPECT_EQ(run.error, "");
}

TEST(MethodOptions, TwoThatContradictEachOtherAreRefused) {
  PluginRun run = RunWith(
      "option idempotency_level = IDEMPOTENT;"
      "option (tern.method).idempotency = NO_SIDE_EFFECTS;");
  EXPECT_EQ(run.error,
            "test.proto: p.S/Get: option (tern.method).idempotency is "
            "NO_SIDE_EFFECTS, but option idempotency_level is IDEMPOTENT");
}

}  // namespace
}  // namespace tern::codegen
