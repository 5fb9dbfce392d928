#include "examples/kv/line_reader.h"

#include <stdio.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

using testing::ElementsAre;

constexpr size_t kLimit = 4;

class LineReaderTest : public testing::Test {
 protected:
  // Each line, or what there was instead.
  std::vector<std::string> Read(std::string text) {
    std::vector<std::string> lines;
    // fmemopen refuses an empty buffer.
    const std::unique_ptr<FILE, int (*)(FILE*)> file(
        text.empty() ? fopen("/dev/null", "r")
                     : fmemopen(text.data(), text.size(), "r"),
        fclose);
    LineReader reader(file.get(), kLimit);
    std::string line;
    while (true) {
      const auto result = reader.Next(&line);
      if (result == LineReader::Result::kEnd) break;
      if (result == LineReader::Result::kTooLong) line = "TOO LONG";
      lines.push_back(line);
      EXPECT_EQ(reader.line_number(), lines.size());
    }
    EXPECT_EQ(reader.bytes_read(), text.size());
    return lines;
  }
};

TEST_F(LineReaderTest, ReadsLines) {
  EXPECT_THAT(Read(""), ElementsAre());
  EXPECT_THAT(Read("\n"), ElementsAre(""));
  EXPECT_THAT(Read("a\n\nb\n"), ElementsAre("a", "", "b"));
  EXPECT_THAT(Read("a\nb"), ElementsAre("a", "b"));
}

TEST_F(LineReaderTest, KeepsOtherBytes) {
  EXPECT_THAT(Read(std::string("\0\r\xff\n", 4)),
              ElementsAre(std::string("\0\r\xff", 3)));
}

TEST_F(LineReaderTest, SkipsALineAboveTheLimit) {
  EXPECT_THAT(Read("1234\n12345\n123456789\nok\n"),
              ElementsAre("1234", "TOO LONG", "TOO LONG", "ok"));
  EXPECT_THAT(Read("12345"), ElementsAre("TOO LONG"));
}

TEST_F(LineReaderTest, TellsAFailureFromTheEnd) {
  const std::unique_ptr<FILE, int (*)(FILE*)> folder(fopen("/", "r"), fclose);
  LineReader reader(folder.get(), kLimit);
  std::string line;
  EXPECT_EQ(reader.Next(&line), LineReader::Result::kFailed);
  EXPECT_EQ(errno, EISDIR);
}

}  // namespace
}  // namespace kv
