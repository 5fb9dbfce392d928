#include "examples/kv/loader.h"

#include <stdio.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/base/mutex.h"
#include "tests/examples/kv/served.h"

namespace kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A server that remembers what it was told, and fails or waits when asked to.
class FakeService final : public v1::KeyValue::Service {
 public:
  absl::Status Get(tern::ServerContext&, const v1::GetRequest&,
                   v1::GetReply*) override {
    return absl::UnimplementedError("");
  }
  absl::Status Put(tern::ServerContext&, const v1::PutRequest&,
                   v1::PutReply*) override {
    return absl::UnimplementedError("");
  }
  absl::Status Delete(tern::ServerContext&, const v1::DeleteRequest&,
                      v1::DeleteReply*) override {
    return absl::UnimplementedError("");
  }
  absl::Status Scan(tern::ServerContext&, const v1::ScanRequest&,
                    v1::ScanReply*) override {
    return absl::UnimplementedError("");
  }
  absl::Status BatchPut(tern::ServerContext&,
                        const v1::BatchPutRequest& request,
                        v1::BatchPutReply*) override {
    tern::MutexLock lock(mutex_);
    ++batches_;
    ++running_;
    most_running_ = std::max(most_running_, running_);
    changed_.NotifyAll();
    while (most_running_ < hold_until_running_) changed_.Wait(mutex_);
    --running_;
    for (const v1::Entry& entry : request.entries()) {
      if (entry.key() == failing_key_) {
        return absl::InternalError("the disk is full");
      }
    }
    for (const v1::Entry& entry : request.entries()) {
      entries_[entry.key()] = entry.value();
    }
    return absl::OkStatus();
  }

  void FailAt(const std::string& key) {
    tern::MutexLock lock(mutex_);
    failing_key_ = key;
  }
  // Calls do not return until so many of them have run at once.
  void HoldUntilRunning(int calls) {
    tern::MutexLock lock(mutex_);
    hold_until_running_ = calls;
  }
  std::map<std::string, std::string> entries() {
    tern::MutexLock lock(mutex_);
    return entries_;
  }
  int batches() {
    tern::MutexLock lock(mutex_);
    return batches_;
  }
  int most_running() {
    tern::MutexLock lock(mutex_);
    return most_running_;
  }

 private:
  tern::Mutex mutex_;
  tern::CondVar changed_;
  std::string failing_key_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> entries_ ABSL_GUARDED_BY(mutex_);
  int batches_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  int most_running_ ABSL_GUARDED_BY(mutex_) = 0;
  int hold_until_running_ ABSL_GUARDED_BY(mutex_) = 0;
};

class LoaderTest : public testing::Test {
 protected:
  LoaderTest() {
    options_.input_name = "in";
    options_.report = [this](std::string_view problem) {
      problems_.emplace_back(problem);
    };
  }

  LoadResult Load(std::string text) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(
        text.empty() ? fopen("/dev/null", "r")
                     : fmemopen(text.data(), text.size(), "r"),
        fclose);
    return kv::Load(file.get(), served_.stub(), options_);
  }
  static std::string Numbered(int lines) {
    std::string text;
    for (int i = 1; i <= lines; ++i) absl::StrAppend(&text, "k", i, "\tv\n");
    return text;
  }

  FakeService service_;
  Served served_{&service_};
  LoadOptions options_;
  std::vector<std::string> problems_;
};

TEST_F(LoaderTest, LoadsEveryLine) {
  options_.batch_entries = 10;
  const LoadResult result = Load(Numbered(95));
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.entries, 95u);
  EXPECT_EQ(result.batches, 10u);
  EXPECT_EQ(service_.entries().size(), 95u);
  EXPECT_EQ(service_.batches(), 10);
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(LoaderTest, LoadsNothing) {
  EXPECT_TRUE(Load("").ok());
  EXPECT_EQ(service_.batches(), 0);
}

TEST_F(LoaderTest, NeedsNoLastLineFeed) {
  EXPECT_EQ(Load("a\t1\nb\t2").entries, 2u);
  EXPECT_EQ(service_.entries()["b"], "2");
}

TEST_F(LoaderTest, ReportsMalformedLinesByNumberAndGoesOn) {
  const LoadResult result = Load("a\t1\nbad\nb\t2\n\nc\t\\q\nd\t4\n");
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.entries, 3u);
  EXPECT_EQ(result.malformed_lines, 3u);
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("in:2: no tab"), HasSubstr("in:4: no tab"),
                          HasSubstr("in:5: a backslash")));
  EXPECT_EQ(service_.entries().size(), 3u);
}

TEST_F(LoaderTest, CountsMalformedLinesAboveTheLimit) {
  options_.max_reported_lines = 2;
  EXPECT_EQ(Load("1\n2\n").malformed_lines, 2u);
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("in:1"), HasSubstr("in:2")));
  problems_.clear();
  EXPECT_EQ(Load("1\n2\n3\n").malformed_lines, 3u);
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("in:1"), HasSubstr("in:2"),
                                     HasSubstr("1 more malformed")));
}

TEST_F(LoaderTest, CutsBatchesByBytes) {
  options_.batch_bytes = 8;
  EXPECT_EQ(Load("a\t123\nb\t123\n").batches, 1u);   // 8 bytes
  EXPECT_EQ(Load("a\t123\nb\t1234\n").batches, 2u);  // 9 bytes
}

TEST_F(LoaderTest, SendsALargeEntryAlone) {
  options_.batch_bytes = 8;
  EXPECT_EQ(Load("a\t1\nb\t123456789\nc\t1\n").batches, 3u);
  EXPECT_EQ(service_.entries()["b"], "123456789");
}

TEST_F(LoaderTest, KeepsAsManyCallsInFlightAsAllowedAndNoMore) {
  options_.batch_entries = 1;
  options_.max_calls_in_flight = 4;
  service_.HoldUntilRunning(4);  // Fewer would wait for ever.
  EXPECT_TRUE(Load(Numbered(100)).ok());
  EXPECT_EQ(service_.most_running(), 4);
}

TEST_F(LoaderTest, TheLastLineOfAKeyCountsThoughCallsOvertake) {
  options_.batch_entries = 2;
  std::string text;
  for (int i = 1; i <= 300; ++i) {
    absl::StrAppend(&text, "other", i, "\t\nsame\t", i, "\n");
  }
  EXPECT_TRUE(Load(text).ok());
  EXPECT_EQ(service_.entries()["same"], "300");
  EXPECT_TRUE(Load("k\t1\nk\t2\n").ok());  // In one batch.
  EXPECT_EQ(service_.entries()["k"], "2");
}

TEST_F(LoaderTest, StopsAtAFailedCallAndNamesTheLinesThatAreNotStored) {
  options_.batch_entries = 10;
  options_.max_calls_in_flight = 1;
  service_.FailAt("k25");
  const LoadResult result = Load(Numbered(1000));
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.failed_batches, 1u);
  EXPECT_EQ(result.entries, 20u);
  EXPECT_THAT(
      problems_,
      ElementsAre(HasSubstr("in: lines 21 to 30 maybe stored: INTERNAL: the "
                            "disk is full"),
                  HasSubstr("in: from line 31 on nothing was sent")));
  EXPECT_EQ(service_.entries().size(), 20u);
}

TEST_F(LoaderTest, AFailureOfTheLastBatchLeavesNothingUnsent) {
  options_.batch_entries = 10;
  service_.FailAt("k25");
  EXPECT_EQ(Load(Numbered(25)).failed_batches, 1u);
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("in: lines 21 to 25")));
}

TEST_F(LoaderTest, TellsWhatSurelyWasNotStored) {
  served_.server().Stop();
  const LoadResult result = Load(Numbered(3));
  EXPECT_EQ(result.entries, 0u);
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("lines 1 to 3 not stored: UNAVAILABLE")));
}

TEST_F(LoaderTest, ReportsThatReadingFailed) {
  const std::unique_ptr<FILE, int (*)(FILE*)> folder(fopen("/", "r"), fclose);
  const LoadResult result = kv::Load(folder.get(), served_.stub(), options_);
  EXPECT_TRUE(result.read_failed);
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(problems_, ElementsAre("in:1: Is a directory"));
}

TEST_F(LoaderTest, TellsHowFarItIs) {
  options_.batch_entries = 10;
  uint64_t entries = 0;
  uint64_t bytes = 0;
  options_.progress = [&](uint64_t e, uint64_t b) {
    EXPECT_GE(e, entries);
    EXPECT_GE(b, bytes);
    entries = e;
    bytes = b;
  };
  const std::string text = Numbered(95);
  Load(text);
  EXPECT_EQ(entries, 95u);
  EXPECT_EQ(bytes, text.size());
}

}  // namespace
}  // namespace kv
