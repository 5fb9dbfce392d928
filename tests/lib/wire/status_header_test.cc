#include "tern/lib/wire/status_header.h"

#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/status.pb.h"

namespace tern::wire {
namespace {

constexpr size_t kMostBytes = 24'576;

std::string Written(const StatusHeader& header, size_t max_bytes = kMostBytes) {
  const StatusBlock block(header, max_bytes);
  EXPECT_LE(block.size(), max_bytes);
  std::string bytes(block.size(), '\0');
  block.Write(bytes.data());
  return bytes;
}

v1::Status Read(const std::string& block) {
  v1::Status status;
  EXPECT_TRUE(status.ParseFromString(block));
  return status;
}

// --- Against the generated class ---------------------------------------------

v1::Status RandomStatus(std::mt19937_64& random) {
  const auto number = [&] { return random() >> (random() % 64); };
  const auto sometimes = [&] { return random() % 2 == 0; };
  const auto text = [&](size_t most) {
    std::string bytes(random() % (most + 1), '\0');
    for (char& c : bytes) c = static_cast<char>('a' + random() % 26);
    return bytes;
  };
  v1::Status status;
  if (sometimes()) status.set_code(random() % 17);
  if (sometimes()) status.set_message(text(200) + "\xc3\xa4");
  for (uint64_t left = random() % 3; left > 0; --left) {
    google::protobuf::Any* detail = status.add_details();
    if (sometimes()) detail->set_type_url("type.googleapis.com/" + text(20));
    if (sometimes()) detail->set_value(text(50) + std::string("\0\xff", 2));
  }
  status.set_certainty(static_cast<v1::Certainty>(random() % 3));
  if (sometimes()) status.set_retry_after_ms(number() & 0xffffffff);
  if (sometimes()) status.set_load_permille(number() & 0xffffffff);
  if (sometimes()) status.set_queue_us(number());
  if (sometimes()) status.set_handler_us(number());
  for (uint64_t left = random() % 3; left > 0; --left) {
    v1::MetadataEntry* entry = status.add_trailing_metadata();
    entry->set_key("k" + text(60));
    entry->set_value(text(100));
  }
  status.set_truncated(random() % 4 == 0);
  return status;
}

void ExpectSame(const StatusHeader& ours, const v1::Status& theirs) {
  EXPECT_EQ(static_cast<uint32_t>(ours.code), theirs.code());
  EXPECT_EQ(ours.message, theirs.message());
  ASSERT_EQ(ours.details.size(), static_cast<size_t>(theirs.details_size()));
  for (int i = 0; i < theirs.details_size(); ++i) {
    EXPECT_EQ(ours.details[i].type_url, theirs.details(i).type_url());
    EXPECT_EQ(ours.details[i].value, theirs.details(i).value());
  }
  EXPECT_EQ(static_cast<int>(ours.certainty),
            static_cast<int>(theirs.certainty()));
  EXPECT_EQ(ours.retry_after_ms.has_value(), theirs.has_retry_after_ms());
  EXPECT_EQ(ours.retry_after_ms.value_or(0), theirs.retry_after_ms());
  EXPECT_EQ(ours.load_permille.has_value(), theirs.has_load_permille());
  EXPECT_EQ(ours.load_permille.value_or(0), theirs.load_permille());
  EXPECT_EQ(ours.queue_us.has_value(), theirs.has_queue_us());
  EXPECT_EQ(ours.queue_us.value_or(0), theirs.queue_us());
  EXPECT_EQ(ours.handler_us.has_value(), theirs.has_handler_us());
  EXPECT_EQ(ours.handler_us.value_or(0), theirs.handler_us());
  ASSERT_EQ(ours.trailing_metadata.size(),
            static_cast<size_t>(theirs.trailing_metadata_size()));
  for (int i = 0; i < theirs.trailing_metadata_size(); ++i) {
    EXPECT_EQ(ours.trailing_metadata[i].key, theirs.trailing_metadata(i).key());
    EXPECT_EQ(ours.trailing_metadata[i].value,
              theirs.trailing_metadata(i).value());
  }
  EXPECT_EQ(ours.truncated, theirs.truncated());
}

TEST(StatusHeader, BothWaysWithTheGeneratedClass) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 5000; ++round) {
    const v1::Status theirs = RandomStatus(random);
    const std::string block = theirs.SerializeAsString();
    StatusHeader ours;
    ASSERT_TRUE(ParseStatusHeader(block, {}, &ours).ok())
        << theirs.ShortDebugString();
    ExpectSame(ours, theirs);
    // The same bytes, not only the same meaning.
    EXPECT_EQ(Written(ours), block) << theirs.ShortDebugString();
  }
}

TEST(StatusHeader, AgreesWithTheGeneratedClassOnDamagedBlocks) {
  std::mt19937_64 random(2);
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string block = RandomStatus(random).SerializeAsString();
    if (block.empty()) continue;
    for (int left = 2; left > 0; --left) {
      block[random() % block.size()] = static_cast<char>(random());
    }
    StatusHeader ours;
    if (!ParseStatusHeader(block, {}, &ours).ok()) continue;
    v1::Status theirs;
    ASSERT_TRUE(theirs.ParseFromString(block));
    // What the reader maps: codes and certainties of later versions.
    if (theirs.code() > 16) theirs.set_code(2);
    if (theirs.certainty() < 0 || theirs.certainty() > 2) {
      theirs.set_certainty(v1::MAYBE_STARTED);
    }
    ExpectSame(ours, theirs);
    ++accepted;
  }
  EXPECT_GT(accepted, 1000);
}

// --- The rules ---------------------------------------------------------------

TEST(StatusHeader, OkIsNoBytes) {
  EXPECT_EQ(Written(StatusHeader()), "");
  StatusHeader header;
  EXPECT_TRUE(ParseStatusHeader("", {}, &header).ok());
  EXPECT_EQ(header.code, absl::StatusCode::kOk);
}

TEST(StatusHeader, CodesAboveSixteenAreUnknown) {
  for (const auto& [block, code] :
       {std::pair("\x08\x10", absl::StatusCode::kUnauthenticated),
        std::pair("\x08\x11", absl::StatusCode::kUnknown),
        std::pair("\x08\xff\xff\xff\xff\x0f", absl::StatusCode::kUnknown)}) {
    StatusHeader header;
    EXPECT_TRUE(ParseStatusHeader(block, {}, &header).ok());
    EXPECT_EQ(header.code, code);
  }
}

TEST(StatusHeader, MalformedBlocksAreRefused) {
  const auto code_of = [](const std::string& block) {
    StatusHeader header;
    return ParseStatusHeader(block, {}, &header).code();
  };
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code_of("\x08"), kInvalid) << "truncated";
  EXPECT_EQ(code_of("\x08\x01\x08\x01"), kInvalid) << "code twice";
  EXPECT_EQ(code_of("\x12\x01\xff"), kInvalid) << "message not UTF-8";
  EXPECT_EQ(code_of("\x1a\x03\x0a\x01\xff"), kInvalid) << "type not UTF-8";
  EXPECT_EQ(code_of("\x1a\x02\x0a\x05"), kInvalid) << "detail truncated";
  EXPECT_EQ(code_of("\x28\xff\xff\xff\xff\x1f"), kInvalid)
      << "retry_after_ms of 33 bits";
  EXPECT_EQ(code_of("\x4a\x03\x0a\x01K"), kInvalid) << "metadata key";
  v1::Status status;
  for (int i = 0; i < 65; ++i) status.add_trailing_metadata()->set_key("k");
  EXPECT_EQ(code_of(status.SerializeAsString()),
            absl::StatusCode::kResourceExhausted);
}

TEST(StatusHeader, BlocksAreLimitedInBytes) {
  v1::Status status;
  status.set_message(std::string(kMostBytes - 4, 'm'));
  std::string block = status.SerializeAsString();
  ASSERT_EQ(block.size(), kMostBytes);
  StatusHeader header;
  EXPECT_TRUE(ParseStatusHeader(block, {}, &header).ok());
  status.mutable_message()->push_back('m');
  block = status.SerializeAsString();
  StatusHeader longer;
  EXPECT_EQ(ParseStatusHeader(block, {}, &longer).code(),
            absl::StatusCode::kResourceExhausted);
}

// --- Truncation --------------------------------------------------------------

// A status of `size` bytes when it has all its parts.
struct Large {
  explicit Large(size_t size) : detail(100, 'd'), value(100, 't') {
    header = {.code = absl::StatusCode::kNotFound,
              .details = {{"type", detail}},
              .certainty = Certainty::kFinished,
              .trailing_metadata = {{"key", value}}};
    const std::string without = Written(header);
    message.assign(size - without.size() - (size > 300 ? 4 : 3), 'm');
    if (size <= 300) {
      // One byte of length is enough for up to 127.
      message.assign(size - without.size() - 2, 'm');
    }
    header.message = message;
  }
  std::string detail;
  std::string value;
  std::string message;
  StatusHeader header;
};

TEST(StatusHeader, WhatFitsToTheByteIsNotCut) {
  const Large large(kMostBytes);
  const std::string block = Written(large.header);
  EXPECT_EQ(block.size(), kMostBytes);
  const v1::Status status = Read(block);
  EXPECT_FALSE(status.truncated());
  EXPECT_EQ(status.details_size(), 1);
  EXPECT_EQ(status.trailing_metadata_size(), 1);
}

TEST(StatusHeader, DetailsAreLeftOutFirst) {
  const Large large(kMostBytes + 1);
  const v1::Status status = Read(Written(large.header));
  EXPECT_TRUE(status.truncated());
  EXPECT_EQ(status.details_size(), 0);
  EXPECT_EQ(status.trailing_metadata_size(), 1);
  EXPECT_EQ(status.message(), large.message);
  EXPECT_EQ(status.code(), 5u);
  EXPECT_EQ(status.certainty(), v1::FINISHED);
}

TEST(StatusHeader, TrailingMetadataIsLeftOutNext) {
  const Large large(kMostBytes + 150);
  const v1::Status status = Read(Written(large.header));
  EXPECT_TRUE(status.truncated());
  EXPECT_EQ(status.details_size(), 0);
  EXPECT_EQ(status.trailing_metadata_size(), 0);
  EXPECT_EQ(status.message(), large.message);
}

// Found while reading: small details stood where larger metadata had gone.
TEST(StatusHeader, DetailsNeverOutliveTrailingMetadata) {
  const std::string value(10'000, 'v');
  const StatusHeader header = {.code = absl::StatusCode::kAborted,
                               .message = "m",
                               .details = {{"t", "d"}},
                               .trailing_metadata = {{"k", value}}};
  const v1::Status status = Read(Written(header, 5000));
  EXPECT_EQ(status.details_size(), 0);
  EXPECT_EQ(status.trailing_metadata_size(), 0);
  EXPECT_TRUE(status.truncated());
}

TEST(StatusHeader, TheEndOfTheMessageIsCutLast) {
  const Large large(kMostBytes + 5000);
  const std::string block = Written(large.header);
  EXPECT_GE(block.size(), kMostBytes - 1);
  const v1::Status status = Read(block);
  EXPECT_TRUE(status.truncated());
  EXPECT_EQ(status.details_size(), 0);
  EXPECT_EQ(status.trailing_metadata_size(), 0);
  EXPECT_EQ(status.message(), large.message.substr(0, status.message().size()));
  EXPECT_EQ(status.code(), 5u);
  EXPECT_EQ(status.certainty(), v1::FINISHED);
}

TEST(StatusHeader, CuttingKeepsCharactersWhole) {
  std::string message;
  for (int i = 0; i < 100; ++i)
    message += "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6";
  for (size_t most = 64; most < 200; ++most) {
    const v1::Status status = Read(Written(
        {.code = absl::StatusCode::kInternal, .message = message}, most));
    EXPECT_TRUE(status.truncated());
    EXPECT_GE(status.message().size() + 2 + 2 + 4 + 3, most);
    EXPECT_EQ(message.compare(0, status.message().size(), status.message()), 0);
  }
}

TEST(StatusHeader, SixtyFourBytesHoldAllNumbersAndAStart) {
  const StatusHeader header = {
      .code = absl::StatusCode::kUnauthenticated,
      .message = std::string_view("0123456789012345678901234567890123456789"),
      .certainty = Certainty::kFinished,
      .retry_after_ms = 0xffffffff,
      .load_permille = 0xffffffff,
      .queue_us = UINT64_MAX,
      .handler_us = UINT64_MAX};
  const v1::Status status = Read(Written(header, 64));
  EXPECT_EQ(status.code(), 16u);
  EXPECT_EQ(status.handler_us(), UINT64_MAX);
  EXPECT_GE(status.message().size(), 15u);
}

// Every message at every limit: whatever is cut, it fits and it parses.
TEST(StatusHeader, AlwaysFitsAndKeepsTheCode) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 5000; ++round) {
    const std::string block = RandomStatus(random).SerializeAsString();
    StatusHeader header;
    ASSERT_TRUE(ParseStatusHeader(block, {}, &header).ok());
    const size_t most = 64 + random() % 400;
    const v1::Status cut = Read(Written(header, most));
    EXPECT_EQ(cut.code(), static_cast<uint32_t>(header.code));
    if (block.size() <= most) {
      EXPECT_EQ(Written(header, most), block);
    } else {
      EXPECT_TRUE(cut.truncated());
    }
  }
}

// A handler's message may hold anything: a status that its peer could not parse
// would turn NOT_FOUND into INTERNAL.
TEST(StatusHeader, MessagesThatAreNotUtf8AreMendedWhenSent) {
  const StatusHeader header = {.code = absl::StatusCode::kNotFound,
                               .message = "key \xff\xc3\xa4\xe2\x82 missing"};
  const std::string block = Written(header);
  EXPECT_EQ(Read(block).message(), "key ?\xc3\xa4?? missing");
  StatusHeader ours;
  EXPECT_TRUE(ParseStatusHeader(block, {}, &ours).ok());
}

TEST(StatusHeader, DetailsThatAreNotForTheWireAreLeftOut) {
  const StatusHeader header = {.code = absl::StatusCode::kNotFound,
                               .details = {{"\xff", "value"}}};
  const v1::Status status = Read(Written(header));
  EXPECT_EQ(status.details_size(), 0);
  EXPECT_TRUE(status.truncated());
}

TEST(StatusHeader, HugePartsAreNotWrittenFirst) {
  const std::string huge(10 << 20, 'x');
  const StatusHeader header = {.code = absl::StatusCode::kAborted,
                               .message = huge,
                               .details = {{"type", huge}}};
  EXPECT_LE(StatusBlock(header, kMostBytes).size(), kMostBytes);
}

}  // namespace
}  // namespace tern::wire
