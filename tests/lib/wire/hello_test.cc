#include "tern/lib/wire/hello.h"

#include <functional>
#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tern/hello.pb.h"
#include "tests/testing/append_fields.h"

namespace tern::wire {
namespace {

v1::Hello Minimal() {
  v1::Hello hello;
  hello.set_min_version(1);
  hello.set_max_version(1);
  return hello;
}

bool Accepts(const v1::Hello& hello) {
  const absl::StatusOr<Hello> parsed = ParseHello(hello.SerializeAsString());
  if (!parsed.ok()) {
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  }
  return parsed.ok();
}

TEST(Hello, WhatIsAbsentOrZeroHasTheDefault) {
  for (const bool zeros : {false, true}) {
    std::string bytes = Minimal().SerializeAsString();
    if (zeros) {
      for (uint32_t field = 3; field <= 11; ++field) {
        AppendVarintField(field, 0, &bytes);
      }
    }
    const absl::StatusOr<Hello> hello = ParseHello(bytes);
    ASSERT_TRUE(hello.ok()) << hello.status();
    EXPECT_EQ(hello->features, 0u);
    EXPECT_EQ(hello->max_frame_bytes, 16'384u);
    EXPECT_EQ(hello->max_message_bytes, 4'194'304u);
    EXPECT_EQ(hello->stream_window_bytes, 65'536u);
    EXPECT_EQ(hello->connection_window_bytes, 262'144u);
    EXPECT_EQ(hello->max_concurrent_calls, 100u);
    EXPECT_EQ(hello->min_ping_interval_ms, 10'000u);
    EXPECT_EQ(hello->metadata.max_bytes, 16'384u);
    EXPECT_EQ(hello->metadata.max_entries, 64u);
    EXPECT_EQ(hello->instance_id, "");
    EXPECT_EQ(hello->agent, "");
  }
}

TEST(Hello, BothWaysWithTheGeneratedClass) {
  std::mt19937_64 random(1);
  const auto between = [&](uint64_t low, uint64_t high) {
    return static_cast<uint32_t>(low + random() % (high - low + 1));
  };
  for (int round = 0; round < 2000; ++round) {
    v1::Hello theirs;
    theirs.set_min_version(between(1, 5));
    theirs.set_max_version(theirs.min_version() + between(0, 5));
    theirs.set_features(random());
    theirs.set_max_frame_bytes(between(16'384, 16'777'216));
    theirs.set_max_message_bytes(between(1, 0x7fffffff));
    theirs.set_stream_window_bytes(between(65'536, 0x7fffffff));
    theirs.set_connection_window_bytes(between(262'144, 0x7fffffff));
    theirs.set_max_concurrent_calls(between(1, 0xffffffff));
    theirs.set_min_ping_interval_ms(between(1, 0xffffffff));
    theirs.set_max_metadata_bytes(between(1, 0xffffffff));
    theirs.set_max_metadata_entries(between(1, 0xffffffff));
    theirs.set_instance_id(std::string(16, static_cast<char>(random())));
    theirs.set_agent(std::string(between(1, 128), 'a'));
    const std::string bytes = theirs.SerializeAsString();
    const absl::StatusOr<Hello> ours = ParseHello(bytes);
    ASSERT_TRUE(ours.ok()) << ours.status() << theirs.ShortDebugString();
    std::string written;
    AppendHello(*ours, &written);
    EXPECT_EQ(written, bytes);
    EXPECT_LE(written.size(), 1024u);
  }
}

TEST(Hello, VersionsAreARangeFromOne) {
  const auto accepts = [](uint32_t low, uint32_t high) {
    v1::Hello hello;
    hello.set_min_version(low);
    hello.set_max_version(high);
    return Accepts(hello);
  };
  EXPECT_TRUE(accepts(1, 1));
  EXPECT_TRUE(accepts(1, 0xffffffff));
  EXPECT_TRUE(accepts(7, 7));
  EXPECT_FALSE(accepts(0, 1)) << "required";
  EXPECT_FALSE(accepts(1, 0));
  EXPECT_FALSE(accepts(2, 1));
  EXPECT_FALSE(ParseHello("").ok());
}

// Each limit at its end and one past it.
TEST(Hello, LimitsAreInRange) {
  struct Field {
    std::function<void(v1::Hello*, uint32_t)> set;
    uint32_t low, high;
  };
  const Field fields[] = {
      {[](v1::Hello* h, uint32_t v) { h->set_max_frame_bytes(v); }, 16'384,
       16'777'216},
      {[](v1::Hello* h, uint32_t v) { h->set_max_message_bytes(v); }, 1,
       0x7fffffff},
      {[](v1::Hello* h, uint32_t v) { h->set_stream_window_bytes(v); }, 65'536,
       0x7fffffff},
      {[](v1::Hello* h, uint32_t v) { h->set_connection_window_bytes(v); },
       262'144, 0x7fffffff},
  };
  for (const Field& field : fields) {
    const auto accepts = [&](uint32_t value) {
      v1::Hello hello = Minimal();
      field.set(&hello, value);
      return Accepts(hello);
    };
    EXPECT_TRUE(accepts(field.low));
    EXPECT_TRUE(accepts(field.high));
    // 0 is the default.
    EXPECT_EQ(accepts(field.low - 1), field.low == 1);
    EXPECT_FALSE(accepts(field.high + 1));
  }
}

TEST(Hello, InstanceIdHasSixteenBytes) {
  v1::Hello hello = Minimal();
  for (const size_t size : {15, 17}) {
    hello.set_instance_id(std::string(size, 'i'));
    EXPECT_FALSE(Accepts(hello));
  }
  hello.set_instance_id(std::string(16, '\0'));
  EXPECT_TRUE(Accepts(hello));
}

TEST(Hello, AgentIsUtf8OfAtMost128Bytes) {
  v1::Hello hello = Minimal();
  hello.set_agent(std::string(128, 'a'));
  EXPECT_TRUE(Accepts(hello));
  hello.set_agent(std::string(129, 'a'));
  EXPECT_FALSE(Accepts(hello));
  EXPECT_FALSE(ParseHello(Minimal().SerializeAsString() + "\x6a\x01\xff").ok());
}

TEST(Hello, IsReadStrictly) {
  const std::string minimal = Minimal().SerializeAsString();
  EXPECT_TRUE(ParseHello(minimal + "\x70\x01\x70\x01").ok()) << "unknown";
  EXPECT_FALSE(ParseHello(minimal + "\x08\x01").ok()) << "twice";
  EXPECT_FALSE(ParseHello(minimal + "\x18").ok()) << "truncated";
  EXPECT_FALSE(ParseHello(minimal + "\x22\x01x").ok()) << "another wire type";
  std::string wide = minimal;
  AppendVarintField(8, uint64_t{1} << 32, &wide);
  EXPECT_FALSE(ParseHello(wide).ok()) << "33 bits";
}

TEST(Hello, FeatureBitsThatNobodyKnowsAreKept) {
  v1::Hello hello = Minimal();
  hello.set_features(std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(Accepts(hello));
}

}  // namespace
}  // namespace tern::wire
