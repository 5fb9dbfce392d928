#include "tern/lib/wire/metadata_codec.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "gtest/gtest.h"
#include "tern/call.pb.h"
#include "tests/testing/append_fields.h"

namespace tern::wire {
namespace {

bool Accepts(std::string_view key, std::string_view value = "value") {
  const absl::Status status = CheckMetadataEntry(key, value);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  }
  return status.ok();
}

TEST(Metadata, KeysHaveOneToSixtyFourLowerCaseCharacters) {
  EXPECT_FALSE(Accepts(""));
  EXPECT_TRUE(Accepts("a"));
  EXPECT_TRUE(Accepts(std::string(64, 'k')));
  EXPECT_FALSE(Accepts(std::string(65, 'k')));
  for (int c = 0; c < 256; ++c) {
    const char character = static_cast<char>(c);
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                         c == '_' || c == '.' || c == '-';
    EXPECT_EQ(Accepts(std::string("k") + character), allowed) << c;
  }
}

TEST(Metadata, TheReservedPrefixIsRefused) {
  EXPECT_FALSE(Accepts("tern-"));
  EXPECT_FALSE(Accepts("tern-anything"));
  EXPECT_FALSE(Accepts("tern-anything-bin"));
  EXPECT_TRUE(Accepts("tern"));
  EXPECT_TRUE(Accepts("ternary"));
  EXPECT_TRUE(Accepts("x-tern-y"));
}

// F27.
TEST(Metadata, ValuesAreUtf8WithoutControlCharactersUnlessTheKeyEndsInBin) {
  for (int c = 0; c < 128; ++c) {
    const std::string value = std::string("v") + static_cast<char>(c);
    EXPECT_EQ(Accepts("key", value), c >= 0x20 && c != 0x7f) << c;
    EXPECT_TRUE(Accepts("key-bin", value));
  }
  EXPECT_TRUE(Accepts("key", ""));
  EXPECT_TRUE(Accepts("key", "größe \xf0\x9f\x90\xa6"));
  EXPECT_FALSE(Accepts("key", "\xff"));
  EXPECT_TRUE(Accepts("key-bin", "\xff"));
  EXPECT_TRUE(Accepts("-bin", "\xff")) << "the suffix alone is a key";
  EXPECT_FALSE(Accepts("bin", "\xff"));
}

TEST(Metadata, Utf8HasNeitherOverlongFormsNorSurrogates) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8(std::string(1, '\0')));
  for (const char* text :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41",
        "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

// The other way round: what UTF-8 makes of each character there is.
std::string EncodeUtf8(uint32_t character) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((character >> shift) & 0x3f));
  };
  if (character < 0x80) return {static_cast<char>(character)};
  if (character < 0x800) {
    return {static_cast<char>(0xc0 | character >> 6), tail(0)};
  }
  if (character < 0x10000) {
    return {static_cast<char>(0xe0 | character >> 12), tail(6), tail(0)};
  }
  return {static_cast<char>(0xf0 | character >> 18), tail(12), tail(6),
          tail(0)};
}

bool IsSequenceOf(const std::unordered_set<std::string>& characters,
                  std::string_view text) {
  if (text.empty()) return true;
  for (size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (characters.count(std::string(text.substr(0, size))) != 0) {
      return IsSequenceOf(characters, text.substr(size));
    }
  }
  return false;
}

TEST(Metadata, Utf8IsWhatTheCharactersAreEncodedAs) {
  std::unordered_set<std::string> characters;
  for (uint32_t character = 0; character <= 0x10ffff; ++character) {
    if (character >= 0xd800 && character <= 0xdfff) continue;
    // Of the third and fourth bytes, the ends are enough.
    const auto at_an_end = [&](int shift) {
      return ((character >> shift) & 0x3f) % 0x3f == 0;
    };
    if (character >= 0x800 && !at_an_end(0)) continue;
    if (character >= 0x10000 && !at_an_end(6)) continue;
    characters.insert(EncodeUtf8(character));
  }
  int differences = 0;
  for (int first = 0x7f; first < 256; ++first) {
    for (int second = 0x70; second < 0xd0; ++second) {
      for (const char third : {'\0', '\x7f', '\x80', '\xbf', '\xc0'}) {
        const std::string text = {static_cast<char>(first),
                                  static_cast<char>(second), third};
        differences += IsUtf8(text) != IsSequenceOf(characters, text);
        for (const char fourth : {'\x7f', '\x80', '\xbf', '\xc0'}) {
          const std::string longer = text + fourth;
          differences += IsUtf8(longer) != IsSequenceOf(characters, longer);
        }
      }
    }
  }
  EXPECT_EQ(differences, 0);
}

// F26: the sum of key + value + 8.
TEST(Metadata, BytesAreLimitedBeforeAnythingIsStored) {
  MetadataChecker at_limit({.max_bytes = 100});
  EXPECT_TRUE(at_limit.Add("key", std::string(100 - 3 - 8, 'v')).ok());
  EXPECT_EQ(at_limit.Add("k", "").code(), absl::StatusCode::kResourceExhausted);
  MetadataChecker past_limit({.max_bytes = 100});
  EXPECT_EQ(past_limit.Add("key", std::string(101 - 3 - 8, 'v')).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Metadata, EntriesAreLimited) {
  MetadataChecker checker({.max_entries = 2});
  EXPECT_TRUE(checker.Add("a", "").ok());
  EXPECT_TRUE(checker.Add("a", "").ok()) << "keys may repeat";
  EXPECT_EQ(checker.Add("a", "").code(), absl::StatusCode::kResourceExhausted);
}

absl::Status ReadOne(std::string_view fields,
                     std::vector<MetadataEntryView>* entries) {
  std::string block;
  AppendBytesField(3, fields, &block);
  FieldReader reader(block);
  EXPECT_TRUE(reader.Next());
  MetadataChecker checker({});
  return ReadMetadataEntry(reader, checker, entries);
}

TEST(Metadata, EntriesAreReadStrictly) {
  std::vector<MetadataEntryView> entries;
  v1::MetadataEntry entry;
  entry.set_key("key");
  entry.set_value("value");
  const std::string good = entry.SerializeAsString();
  EXPECT_TRUE(ReadOne(good, &entries).ok());
  EXPECT_EQ(entries.size(), 1u);
  EXPECT_TRUE(ReadOne(good + "\x18\x01", &entries).ok()) << "unknown field";
  EXPECT_EQ(ReadOne(good + good, &entries).code(),
            absl::StatusCode::kInvalidArgument)
      << "twice";
  EXPECT_EQ(ReadOne("\x12\x01v", &entries).code(),
            absl::StatusCode::kInvalidArgument)
      << "no key";
  EXPECT_EQ(ReadOne("\x0a\x05key", &entries).code(),
            absl::StatusCode::kInvalidArgument)
      << "truncated";
  EXPECT_EQ(entries.size(), 2u);

  // An entry that is a number.
  FieldReader reader("\x18\x01");
  ASSERT_TRUE(reader.Next());
  MetadataChecker checker({});
  EXPECT_EQ(ReadMetadataEntry(reader, checker, &entries).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tern::wire
