#include "tern/lib/wire/call_header.h"

#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tern/call.pb.h"
#include "tests/testing/append_fields.h"

namespace tern::wire {
namespace {

constexpr char kMethod[] = "kv.v1.KeyValue/Get";

v1::CallHeader Minimal() {
  v1::CallHeader header;
  header.set_method(kMethod);
  header.set_timeout_us(1'000'000);
  return header;
}

absl::Status Parse(const std::string& block, CallHeader* header = nullptr) {
  CallHeader own;
  return ParseCallHeader(block, {}, header != nullptr ? header : &own);
}

absl::StatusCode CodeOf(const std::string& block) {
  return Parse(block).code();
}
absl::StatusCode CodeOf(const v1::CallHeader& header) {
  return CodeOf(header.SerializeAsString());
}

constexpr absl::StatusCode kOk = absl::StatusCode::kOk;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kExhausted = absl::StatusCode::kResourceExhausted;

// --- Against the generated classes -------------------------------------------

std::string RandomText(std::mt19937_64& random, std::string_view alphabet,
                       size_t most) {
  std::string text(random() % (most + 1), '\0');
  for (char& c : text) c = alphabet[random() % alphabet.size()];
  return text;
}

// Mostly small, sometimes at the ends of the range.
uint64_t RandomNumber(std::mt19937_64& random) {
  return random() >> (random() % 64);
}

v1::CallHeader RandomHeader(std::mt19937_64& random) {
  v1::CallHeader header;
  header.set_method("s" + RandomText(random, "abcXYZ019_.", 100) + "/m" +
                    RandomText(random, "abcXYZ019_", 100));
  header.set_timeout_us(random() % 4 == 0 ? 0 : RandomNumber(random));
  for (uint64_t left = random() % 5; left > 0; --left) {
    v1::MetadataEntry* entry = header.add_metadata();
    entry->set_key("k" + RandomText(random, "abcxyz019_.-", 60));
    if (random() % 2 == 0) entry->set_key("key-bin");
    entry->set_value(RandomText(random, "abc \xc3\xa4", 1) +
                     RandomText(random, "abc XYZ~!", 200));
    if (entry->key() != "key-bin") entry->set_value("plain");
  }
  const auto sometimes = [&] { return random() % 2 == 0; };
  if (sometimes()) header.set_priority(random() % 8);
  if (sometimes()) header.set_required_features(RandomNumber(random));
  if (sometimes()) {
    v1::RequestId* id = header.mutable_request_id();
    if (sometimes()) id->set_client(RandomNumber(random));
    if (sometimes()) id->set_sequence(RandomNumber(random));
    if (sometimes()) id->set_attempt(RandomNumber(random) & 0xffffffff);
  }
  if (sometimes()) {
    v1::TraceContext* trace = header.mutable_trace();
    if (sometimes()) trace->set_trace_id_high(RandomNumber(random));
    if (sometimes()) trace->set_trace_id_low(RandomNumber(random));
    if (sometimes()) trace->set_span_id(RandomNumber(random));
    if (sometimes()) trace->set_flags(RandomNumber(random) & 0xffffffff);
  }
  if (sometimes()) header.set_codec(RandomNumber(random) & 0xffffffff);
  if (sometimes()) header.set_compression(RandomNumber(random) & 0xffffffff);
  return header;
}

void ExpectSame(const CallHeader& ours, const v1::CallHeader& theirs) {
  EXPECT_EQ(ours.method, theirs.method());
  EXPECT_EQ(ours.timeout_us, theirs.timeout_us());
  ASSERT_EQ(ours.metadata.size(), static_cast<size_t>(theirs.metadata_size()));
  for (int i = 0; i < theirs.metadata_size(); ++i) {
    EXPECT_EQ(ours.metadata[i].key, theirs.metadata(i).key());
    EXPECT_EQ(ours.metadata[i].value, theirs.metadata(i).value());
  }
  EXPECT_EQ(ours.priority, std::min<uint32_t>(theirs.priority(), 7));
  EXPECT_EQ(ours.required_features, theirs.required_features());
  EXPECT_EQ(ours.request_id.client, theirs.request_id().client());
  EXPECT_EQ(ours.request_id.sequence, theirs.request_id().sequence());
  EXPECT_EQ(ours.request_id.attempt, theirs.request_id().attempt());
  EXPECT_EQ(ours.trace.trace_id_high, theirs.trace().trace_id_high());
  EXPECT_EQ(ours.trace.trace_id_low, theirs.trace().trace_id_low());
  EXPECT_EQ(ours.trace.span_id, theirs.trace().span_id());
  EXPECT_EQ(ours.trace.flags, theirs.trace().flags());
  EXPECT_EQ(ours.codec, theirs.codec());
  EXPECT_EQ(ours.compression, theirs.compression());
}

TEST(CallHeader, ReadsWhatTheGeneratedClassWrites) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 5000; ++round) {
    const v1::CallHeader theirs = RandomHeader(random);
    const std::string block = theirs.SerializeAsString();
    CallHeader ours;
    ASSERT_TRUE(Parse(block, &ours).ok())
        << Parse(block) << theirs.ShortDebugString();
    ExpectSame(ours, theirs);
  }
}

TEST(CallHeader, WritesWhatTheGeneratedClassReads) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 5000; ++round) {
    const std::string block = RandomHeader(random).SerializeAsString();
    CallHeader ours;
    ASSERT_TRUE(Parse(block, &ours).ok());
    std::string written(CallHeaderSize(ours), '\0');
    WriteCallHeader(ours, written.data());
    v1::CallHeader theirs;
    ASSERT_TRUE(theirs.ParseFromString(written));
    ExpectSame(ours, theirs);
    EXPECT_TRUE(theirs.has_timeout_us());
  }
}

// Bytes flipped, inserted and cut: what the hand-written reader still takes,
// the generated one reads the same way.
TEST(CallHeader, AgreesWithTheGeneratedClassOnDamagedBlocks) {
  std::mt19937_64 random(3);
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string block = RandomHeader(random).SerializeAsString();
    for (uint64_t left = 1 + random() % 3; left > 0 && !block.empty(); --left) {
      const size_t at = random() % block.size();
      switch (random() % 4) {
        case 0:
          block[at] = static_cast<char>(random());
          break;
        case 1:
          block[at] = static_cast<char>(block[at] ^ (1 << random() % 8));
          break;
        case 2:
          block.insert(at, 1, static_cast<char>(random()));
          break;
        case 3:
          block.erase(at, 1 + random() % 4);
          break;
      }
    }
    CallHeader ours;
    if (!Parse(block, &ours).ok()) continue;
    ++accepted;
    v1::CallHeader theirs;
    ASSERT_TRUE(theirs.ParseFromString(block));
    ExpectSame(ours, theirs);
  }
  EXPECT_GT(accepted, 1000);
}

// --- The rules ---------------------------------------------------------------

TEST(CallHeader, MethodAndTimeoutAreRequired) {
  EXPECT_EQ(CodeOf(Minimal()), kOk);
  v1::CallHeader no_method = Minimal();
  no_method.clear_method();
  EXPECT_EQ(CodeOf(no_method), kInvalid);
  v1::CallHeader no_timeout = Minimal();
  no_timeout.clear_timeout_us();
  EXPECT_EQ(CodeOf(no_timeout), kInvalid);
  v1::CallHeader zero_timeout = Minimal();
  zero_timeout.set_timeout_us(0);
  EXPECT_EQ(CodeOf(zero_timeout), kOk) << "present";
  EXPECT_EQ(CodeOf(std::string()), kInvalid);
}

// L11.
TEST(CallHeader, TimeoutsTakeEveryNumber) {
  v1::CallHeader header = Minimal();
  header.set_timeout_us(std::numeric_limits<uint64_t>::max());
  CallHeader ours;
  const std::string block = header.SerializeAsString();
  EXPECT_TRUE(Parse(block, &ours).ok());
  EXPECT_EQ(ours.timeout_us, std::numeric_limits<uint64_t>::max());
}

// S14: one spelling for each method.
TEST(CallHeader, MethodNamesHaveOneForm) {
  for (const char* name : {"a/b", "a.b.C/D", "A_1.b/m_2", "a..b/c", "9/9"}) {
    EXPECT_TRUE(IsMethodName(name)) << name;
  }
  for (const char* name :
       {"", "/", "a", "a/", "/b", "a/b/c", "/a/b", "a//b", "a/b.c", "a b/c",
        "a/b c", "a-b/c", "a/b-c", "a/b?", "a%2f/b", "a/b\n", "ä/b"}) {
    EXPECT_FALSE(IsMethodName(name)) << name;
  }
  EXPECT_FALSE(IsMethodName(std::string_view("a/b\0", 4)));
  EXPECT_TRUE(
      IsMethodName(std::string(128, 's') + "/" + std::string(127, 'm')));
  EXPECT_FALSE(
      IsMethodName(std::string(128, 's') + "/" + std::string(128, 'm')));
  v1::CallHeader header = Minimal();
  header.set_method("/" + header.method());
  EXPECT_EQ(CodeOf(header), kInvalid);
}

// F28.
TEST(CallHeader, SingularFieldsOccurOnce) {
  v1::CallHeader all = Minimal();
  all.set_priority(1);
  all.set_required_features(1);
  all.mutable_request_id()->set_sequence(1);
  all.mutable_trace()->set_flags(1);
  all.set_codec(1);
  all.set_compression(1);
  const std::string block = all.SerializeAsString();
  EXPECT_EQ(CodeOf(block), kOk);
  for (const int field : {1, 2, 4, 5, 6, 7, 8, 9}) {
    // The field alone, taken out of the whole.
    FieldReader reader(block);
    std::string again = block;
    while (reader.Next()) {
      if (static_cast<int>(reader.field()) != field) continue;
      if (reader.type() == WireType::kVarint) {
        AppendVarintField(reader.field(), reader.varint(), &again);
      } else {
        AppendBytesField(reader.field(), reader.bytes(), &again);
      }
    }
    EXPECT_EQ(CodeOf(again), kInvalid) << field;
  }
}

TEST(CallHeader, UnknownFieldsAreSkippedAndMayRepeat) {
  std::string block = Minimal().SerializeAsString();
  AppendVarintField(10, 1, &block);
  AppendVarintField(10, 1, &block);
  AppendBytesField(100, "later", &block);
  AppendFixed64Field(74, 1, &block);  // 10 + 64.
  AppendFixed64Field(74, 1, &block);
  EXPECT_EQ(CodeOf(block), kOk);
}

// F23, F25.
TEST(CallHeader, MalformedBlocksAreInvalid) {
  const std::string block = Minimal().SerializeAsString();
  EXPECT_EQ(CodeOf(block + "\x08"), kInvalid) << "truncated";
  EXPECT_EQ(CodeOf(block + "\x53\x54"), kInvalid) << "a group";
  EXPECT_EQ(CodeOf(block + "\x50" + std::string(10, '\x80') + "\x01"), kInvalid)
      << "a varint of 11 bytes";
  EXPECT_EQ(CodeOf(block + "\x21"
                           "12345678"),
            kInvalid)
      << "priority of another wire type";
  std::string wide = block;
  AppendVarintField(4, uint64_t{1} << 32, &wide);
  EXPECT_EQ(CodeOf(wide), kInvalid) << "priority of 33 bits";
  std::string id = block;
  AppendBytesField(6, "\x08", &id);
  EXPECT_EQ(CodeOf(id), kInvalid) << "truncated request id";
  std::string trace = block;
  AppendBytesField(7, "\x08\x01", &trace);
  EXPECT_EQ(CodeOf(trace), kInvalid) << "trace id of another wire type";
}

TEST(CallHeader, PriorityAboveSevenCountsAsSeven) {
  for (const uint32_t priority : {7u, 8u, 0xffffffffu}) {
    v1::CallHeader header = Minimal();
    header.set_priority(priority);
    const std::string block = header.SerializeAsString();
    CallHeader ours;
    EXPECT_TRUE(Parse(block, &ours).ok());
    EXPECT_EQ(ours.priority, 7u);
  }
}

// F26.
TEST(CallHeader, MetadataIsLimitedInBytesAndEntries) {
  v1::CallHeader entries = Minimal();
  for (int i = 0; i < 64; ++i) entries.add_metadata()->set_key("k");
  EXPECT_EQ(CodeOf(entries), kOk);
  entries.add_metadata()->set_key("k");
  EXPECT_EQ(CodeOf(entries), kExhausted);

  v1::CallHeader bytes = Minimal();
  bytes.add_metadata()->set_key("k");
  bytes.mutable_metadata(0)->set_value(std::string(16'384 - 8 - 1, 'v'));
  EXPECT_EQ(CodeOf(bytes), kOk);
  bytes.mutable_metadata(0)->mutable_value()->push_back('v');
  EXPECT_EQ(CodeOf(bytes), kExhausted);
}

// F27.
TEST(CallHeader, BadMetadataIsInvalid) {
  v1::CallHeader header = Minimal();
  header.add_metadata()->set_key("Key");
  EXPECT_EQ(CodeOf(header), kInvalid);
  header.mutable_metadata(0)->set_key("tern-key");
  EXPECT_EQ(CodeOf(header), kInvalid);
  header.mutable_metadata(0)->set_key("key");
  header.mutable_metadata(0)->set_value("a\r\nb");
  EXPECT_EQ(CodeOf(header), kInvalid);
}

// F24.
TEST(CallHeader, BlocksAreLimitedInBytes) {
  std::string block = Minimal().SerializeAsString();
  AppendBytesField(10, std::string(24'576 - block.size() - 4, 'x'), &block);
  ASSERT_EQ(block.size(), 24'576u);
  EXPECT_EQ(CodeOf(block), kOk);
  std::string longer = Minimal().SerializeAsString();
  AppendBytesField(10, std::string(24'577 - longer.size() - 4, 'x'), &longer);
  ASSERT_EQ(longer.size(), 24'577u);
  EXPECT_EQ(CodeOf(longer), kExhausted);
}

// --- ResponseHeader ----------------------------------------------------------

TEST(ResponseHeader, BothWaysWithTheGeneratedClass) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 2000; ++round) {
    v1::ResponseHeader theirs;
    *theirs.mutable_metadata() = RandomHeader(random).metadata();
    if (random() % 2 == 0) theirs.set_compression(random() % 4);
    const std::string block = theirs.SerializeAsString();
    ResponseHeader ours;
    ASSERT_TRUE(ParseResponseHeader(block, {}, &ours).ok());
    EXPECT_EQ(ours.compression, theirs.compression());
    ASSERT_EQ(ours.metadata.size(),
              static_cast<size_t>(theirs.metadata_size()));
    std::string written;
    AppendResponseHeader(ours, &written);
    v1::ResponseHeader again;
    ASSERT_TRUE(again.ParseFromString(written));
    EXPECT_EQ(again.SerializeAsString(), block);
  }
}

TEST(ResponseHeader, FollowsTheSameRules) {
  const auto code_of = [](const std::string& block) {
    ResponseHeader header;
    return ParseResponseHeader(block, {}, &header).code();
  };
  EXPECT_EQ(code_of(""), kOk);
  EXPECT_EQ(code_of("\x10\x01\x10\x01"), kInvalid) << "compression twice";
  EXPECT_EQ(code_of("\x0a\x03\x0a\x01K"), kInvalid) << "key";
  EXPECT_EQ(code_of("\x10"), kInvalid);
  v1::ResponseHeader header;
  for (int i = 0; i < 65; ++i) header.add_metadata()->set_key("k");
  EXPECT_EQ(code_of(header.SerializeAsString()), kExhausted);
  std::string block;
  AppendBytesField(10, std::string(24'577 - 4, 'x'), &block);
  EXPECT_EQ(code_of(block), kExhausted);
}

}  // namespace
}  // namespace tern::wire
