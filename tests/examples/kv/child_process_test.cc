#include "examples/kv/child_process.h"

#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kHung = absl::Seconds(50);

class ChildProcessTest : public testing::Test {
 protected:
  void Start(const std::string& script,
             ChildProcess::Input input = ChildProcess::Input::kEmpty) {
    auto process = ChildProcess::Start({"/bin/sh", "-c", script}, input);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
  }
  std::unique_ptr<ChildProcess> process_;
};

TEST_F(ChildProcessTest, ReadsItsLinesAndItsExitCode) {
  Start("echo one; echo two >&2; exit 7");
  EXPECT_EQ(*process_->ReadLine(kHung), "one");
  EXPECT_EQ(*process_->ReadLine(kHung), "two");
  EXPECT_TRUE(absl::IsOutOfRange(process_->ReadLine(kHung).status()));
  EXPECT_EQ(*process_->Wait(kHung), 7);
  EXPECT_EQ(process_->output(), "one\ntwo\n");
}

TEST_F(ChildProcessTest, ReadsWhatIsWritten) {
  Start("exec cat", ChildProcess::Input::kWritten);
  EXPECT_TRUE(process_->WriteLine("one").ok());
  EXPECT_EQ(*process_->ReadLine(kHung), "one");
  EXPECT_TRUE(process_->WriteLine("two").ok());
  process_->EndInput();
  EXPECT_EQ(*process_->Wait(kHung), 0);
  EXPECT_EQ(process_->output(), "one\ntwo\n");
}

TEST_F(ChildProcessTest, ThatHasEndedCannotBeWrittenTo) {
  Start("exit 0", ChildProcess::Input::kWritten);
  EXPECT_EQ(*process_->Wait(kHung), 0);
  EXPECT_FALSE(process_->WriteLine("one").ok());
}

TEST_F(ChildProcessTest, FindsALine) {
  Start("echo noise; echo port 7117");
  EXPECT_EQ(*process_->ReadLineAfter("port ", kHung), "7117");
}

TEST_F(ChildProcessTest, ShowsWhatCameInsteadOfALine) {
  Start("echo 'out of luck'");
  EXPECT_THAT(
      std::string(process_->ReadLineAfter("port ", kHung).status().message()),
      HasSubstr("out of luck"));
}

TEST_F(ChildProcessTest, GivesUpOnASilentProgram) {
  Start("exec cat /dev/zero >/dev/null");
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      process_->ReadLine(absl::Milliseconds(1)).status()));
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(process_->Wait(absl::Milliseconds(1)).status()));
  process_->Signal(SIGTERM);
  EXPECT_EQ(*process_->Wait(kHung), 128 + SIGTERM);
}

TEST_F(ChildProcessTest, IsKilledWhenItIsForgotten) {
  Start("echo running; exec cat /dev/zero >/dev/null");
  ASSERT_TRUE(process_->ReadLine(kHung).ok());
  const pid_t pid = process_->pid();
  process_.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(ChildProcess, SaysWhyAProgramCannotRun) {
  const auto process = ChildProcess::Start({"/no/such/program"});
  EXPECT_THAT(std::string(process.status().message()),
              HasSubstr("/no/such/program: No such file or directory"));
}

}  // namespace
}  // namespace kv
