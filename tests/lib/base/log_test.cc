#include "tern/lib/base/log.h"

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(EscapeForLog, LeavesPrintableTextAlone) {
  EXPECT_EQ(EscapeForLog(""), "");
  EXPECT_EQ(EscapeForLog("kv.v1.KeyValue/Get \"x\" ~"),
            "kv.v1.KeyValue/Get \"x\" ~");
  EXPECT_EQ(EscapeForLog("für 日本 🦆"), "für 日本 🦆");
}

TEST(EscapeForLog, EscapesWhatCouldEndTheLineOrDriveATerminal) {
  EXPECT_EQ(EscapeForLog("a\nb\rc\td"), "a\\nb\\rc\\td");
  EXPECT_EQ(EscapeForLog(std::string_view("\0\x1b[2J\x7f", 6)),
            "\\x00\\x1b[2J\\x7f");
  // C1's CSI, a line separator and a right-to-left override, all valid UTF-8.
  EXPECT_EQ(EscapeForLog("\u009b"), "\\xc2\\x9b");
  EXPECT_EQ(EscapeForLog("\u2028"), "\\xe2\\x80\\xa8");
  EXPECT_EQ(EscapeForLog("\u202e"), "\\xe2\\x80\\xae");
}

TEST(EscapeForLog, EscapesBackslashesSoThatNoEscapeCanBeForged) {
  EXPECT_EQ(EscapeForLog("\\n"), "\\\\n");
}

TEST(EscapeForLog, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(EscapeForLog("\x80"), "\\x80");                    // Continuation.
  EXPECT_EQ(EscapeForLog("\xff"), "\\xff");                    // Never valid.
  EXPECT_EQ(EscapeForLog("\xc0\xaf"), "\\xc0\\xaf");           // Overlong '/'.
  EXPECT_EQ(EscapeForLog("\xe2\x82"), "\\xe2\\x82");           // Truncated.
  EXPECT_EQ(EscapeForLog("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // Surrogate.
  EXPECT_EQ(EscapeForLog("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(EscapeForLog("\xe2z"), "\\xe2z");
}

TEST(EscapeForLog, CutsOnePastTheLimitAndStaysWithinIt) {
  EXPECT_EQ(EscapeForLog("12345678", 8), "12345678");
  EXPECT_EQ(EscapeForLog("123456789", 8), "12345...");
  EXPECT_EQ(EscapeForLog(std::string(256, 'x')), std::string(256, 'x'));
  EXPECT_EQ(EscapeForLog(std::string(257, 'x')), std::string(253, 'x') + "...");
}

TEST(EscapeForLog, CutsNoCharacterAndNoEscapeInTwo) {
  EXPECT_EQ(EscapeForLog("1234\n6789", 8), "1234...");
  EXPECT_EQ(EscapeForLog("1234ü6789", 8), "1234...");
}

TEST(EscapeForLog, ReadsNoMoreOfALongTextThanItNeeds) {
  // A peer's megabytes: bounded work. (The time is not asserted, the size is.)
  EXPECT_EQ(EscapeForLog(std::string(64 << 20, '\n'), 10), "\\n\\n\\n...");
}

TEST(LogRateLimiter, AllowsOneLineASecondAndCountsTheRest) {
  LogRateLimiter limiter;
  const MonotonicTime start = MonotonicTime::FromNanoseconds(1);
  uint64_t suppressed = 99;
  EXPECT_TRUE(limiter.Allow(start, &suppressed));
  EXPECT_EQ(suppressed, 0u);
  EXPECT_FALSE(limiter.Allow(start, &suppressed));
  EXPECT_FALSE(limiter.Allow(start + absl::Milliseconds(999), &suppressed));
  EXPECT_TRUE(limiter.Allow(start + absl::Seconds(1), &suppressed));
  EXPECT_EQ(suppressed, 2u);
  EXPECT_TRUE(limiter.Allow(start + absl::Seconds(2), &suppressed));
  EXPECT_EQ(suppressed, 0u);
}

TEST(LogRateLimiter, CountsEveryEventOfManyThreadsOnce) {
  constexpr int kThreads = 4;
  constexpr int kEvents = 1'000;
  LogRateLimiter limiter;
  const MonotonicTime now = MonotonicTime::FromNanoseconds(1);
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      uint64_t suppressed;
      for (int j = 0; j < kEvents; ++j) {
        if (limiter.Allow(now, &suppressed)) ++allowed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1);
  uint64_t suppressed = 0;
  EXPECT_TRUE(limiter.Allow(now + absl::Seconds(1), &suppressed));
  EXPECT_EQ(suppressed, uint64_t{kThreads * kEvents - 1});
}

TEST(Log, HandsEachLineToTheSink) {
  std::string got;
  SetLogSink([&](LogSeverity severity, std::string_view file, int line,
                 std::string_view text) {
    EXPECT_EQ(severity, LogSeverity::kWarning);
    EXPECT_TRUE(file.ends_with("log_test.cc")) << file;
    EXPECT_GT(line, 0);
    got = text;
  });
  TERN_LOG(kWarning) << "seven is " << 7;
  SetLogSink(nullptr);
  EXPECT_EQ(got, "seven is 7");
}

TEST(Log, WritesToStderrWithoutASink) {
  testing::internal::CaptureStderr();
  TERN_LOG(kInfo) << "hello";
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(line.starts_with("I2")) << line;  // The year.
  EXPECT_NE(line.find(" log_test.cc:"), std::string::npos) << line;
  EXPECT_TRUE(line.ends_with("] hello\n")) << line;
}

TEST(Log, CheckPassesWithoutEvaluatingItsMessage) {
  int evaluated = 0;
  TERN_CHECK(true) << ++evaluated;
  EXPECT_EQ(evaluated, 0);
}

TEST(LogDeathTest, FailedCheckSaysWhatAndAborts) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(TERN_CHECK(1 == 2) << "numbers",
               "log_test.cc:[0-9]+\\] Check failed: 1 == 2 numbers");
}

}  // namespace
}  // namespace tern
