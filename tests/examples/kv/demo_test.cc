// The demo program as ./dev demo runs it.

#include <string>

#include "absl/strings/str_cat.h"
#include "examples/kv/demo_input.h"
#include "examples/kv/demo_page.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/kv/folder.h"
#include "tests/examples/kv/programs.h"

namespace kv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class DemoTest : public testing::Test {
 protected:
  Ran Demo(const std::string& arguments = "") {
    return RunShell(absl::StrCat("TMPDIR=", temporary_.path(), " ",
                                 kDemoProgram, " ", arguments));
  }

  TestFolder folder_;
  TestFolder temporary_;
};

TEST_F(DemoTest, RunsOnThisMachineAndLeavesNothing) {
  const Ran ran = Demo();
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_EQ(ran.err, "");
  EXPECT_THAT(ran.out, AllOf(HasSubstr("listening on 127.0.0.1:"),
                             HasSubstr("p99"), HasSubstr("Load: "),
                             HasSubstr("Watch: told of"), HasSubstr("a commit"),
                             HasSubstr("NOT_FOUND"), HasSubstr("UNAVAILABLE"),
                             HasSubstr("drained"), Not(HasSubstr("\x1b"))));
  EXPECT_TRUE(temporary_.IsEmpty());
}

TEST_F(DemoTest, TakesAFile) {
  WriteFile(folder_ / "in", "tern\tSterna\nswift\tApus apus\n");
  const Ran ran = Demo(folder_ / "in");
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("2 entries of " + folder_ / "in"));
  EXPECT_THAT(ran.out, HasSubstr("Apus apus"));
}

TEST_F(DemoTest, FailsOnABadFileAndLeavesNothing) {
  WriteFile(folder_ / "in", "key\tvalue\nno tab\n");
  const Ran ran = Demo(folder_ / "in");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr(folder_ / "in:2: no tab"));
  EXPECT_TRUE(temporary_.IsEmpty());
}

TEST_F(DemoTest, FailsWithoutATemporaryFolder) {
  const Ran ran =
      RunShell(absl::StrCat("TMPDIR=", folder_ / "none", " ", kDemoProgram));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("temporary folder"));
}

TEST_F(DemoTest, AWrongCommandLineIsExitCode2) {
  EXPECT_EQ(Demo("a b").exit_code, 2);
  EXPECT_EQ(Demo("--fast").exit_code, 2);
  EXPECT_EQ(Demo("--help").exit_code, 0);
}

TEST(DemoInput, ReadsAFile) {
  TestFolder folder;
  WriteFile(folder / "in", "a\t1\nb\t2\na\t3\n");
  const auto input = ReadDemoInput(folder / "in");
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_THAT(input->entries, ElementsAre(Pair("a", "3"), Pair("b", "2")));
}

TEST(DemoInput, RefusesAnEmptyFileAndAMissingOne) {
  EXPECT_THAT(std::string(ReadDemoInput("/dev/null").status().message()),
              HasSubstr("/dev/null"));
  EXPECT_THAT(std::string(ReadDemoInput("/no/file").status().message()),
              HasSubstr("/no/file"));
}

TEST(DemoInput, FindsSomethingOnThisMachine) {
  const auto input = ReadDemoInput("");
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_FALSE(input->entries.empty());
}

TEST(DemoPage, ShowsThreeDigitsOfALatency) {
  EXPECT_EQ(FormatLatency(absl::Nanoseconds(1234)), "1.23 us");
  EXPECT_EQ(FormatLatency(absl::Nanoseconds(12345)), "12.3 us");
  EXPECT_EQ(FormatLatency(absl::Nanoseconds(123456)), "123 us");
  EXPECT_EQ(FormatLatency(absl::Nanoseconds(999'600)), "1.00 ms");
  EXPECT_EQ(FormatLatency(absl::Microseconds(99'960)), "100 ms");
  EXPECT_EQ(FormatLatency(absl::Milliseconds(12'345)), "12.3 s");
}

}  // namespace
}  // namespace kv
