#include "examples/kv/entry_text.h"

#include <string>

#include "examples/kv/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

using testing::HasSubstr;

// "KEY=VALUE", or what is wrong with the line.
std::string Parse(std::string_view line) {
  const auto entry = ParseEntry(line);
  if (entry.ok()) return entry->key + "=" + entry->value;
  EXPECT_EQ(entry.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(entry.status().message());
}

TEST(EntryText, SeparatesKeyAndValueByATab) {
  EXPECT_EQ(FormatEntry("key", "value"), "key\tvalue");
  EXPECT_EQ(Parse("key\tvalue"), "key=value");
  EXPECT_EQ(Parse("key\t"), "key=");
}

TEST(EntryText, EscapesWhatWouldBreakALineOrATerminal) {
  EXPECT_EQ(FormatEntry("a\tb", "c\nd\re\\f"), "a\\tb\tc\\nd\\re\\\\f");
  EXPECT_EQ(FormatEntry("k", std::string("\0\x1b[2J\x7f", 6)),
            "k\t\\x00\\x1b[2J\\x7f");
}

TEST(EntryText, LeavesOtherBytesAlone) {
  EXPECT_EQ(FormatEntry("größe", "\xff \"'"), "größe\t\xff \"'");
}

TEST(EntryText, ReadsEscapes) {
  EXPECT_EQ(Parse("a\\tb\t\\n\\r\\\\\\x41\\x7A"), "a\tb=\n\r\\Az");
}

TEST(EntryText, EveryByteSurvives) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::string line = FormatEntry(bytes, bytes);
  EXPECT_EQ(line.find('\n'), line.npos);
  const auto entry = ParseEntry(line);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->key, bytes);
  EXPECT_EQ(entry->value, bytes);
}

TEST(EntryText, SaysWhatIsWrongWithALine) {
  EXPECT_THAT(Parse(""), HasSubstr("no tab"));
  EXPECT_THAT(Parse("key value"), HasSubstr("no tab"));
  EXPECT_THAT(Parse("a\tb\tc"), HasSubstr("more than one tab"));
  EXPECT_THAT(Parse("\tvalue"), HasSubstr("key is empty"));
  for (const std::string escape :
       {"\\", "\\q", "\\x", "\\x4", "\\xg1", "\\x1g", "\\0"}) {
    EXPECT_THAT(Parse("k\t" + escape), HasSubstr("backslash")) << escape;
    EXPECT_THAT(Parse(escape + "\tv"), HasSubstr("backslash")) << escape;
  }
}

TEST(EntryText, LimitsAreOfTheBytesMeant) {
  const std::string key(kMaxKeyBytes, 'k');
  EXPECT_TRUE(ParseEntry(key + "\t").ok());
  EXPECT_EQ(Parse(key + "k\t"),
            "a key of 1025 bytes exceeds the limit of 1024");
  const std::string value(kMaxValueBytes, '\x01');
  EXPECT_TRUE(ParseEntry(FormatEntry("k", value)).ok());
  EXPECT_EQ(Parse(FormatEntry("k", value + '\x01')),
            "a value of 1048577 bytes exceeds the limit of 1048576");
}

}  // namespace
}  // namespace kv
