#include "examples/kv/change_log.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ChangeLogTest : public testing::Test {
 protected:
  // One change of `bytes` bytes.
  void Append(size_t bytes) { AppendMany({bytes}); }
  void AppendMany(const std::vector<size_t>& sizes) {
    uint64_t revision = log_.last_revision();
    std::vector<SharedChange> changes;
    for (const size_t bytes : sizes) {
      auto change = std::make_shared<Change>();
      change->revision = ++revision;
      change->key = "k";
      change->value = std::string(bytes - 1, 'v');
      changes.push_back(std::move(change));
    }
    log_.Append(std::move(changes));
  }
  std::vector<uint64_t> ReadAfter(uint64_t revision, size_t max_changes = 100,
                                  size_t max_bytes = 100) {
    std::vector<uint64_t> revisions;
    const auto changes = log_.ReadAfter(revision, max_changes, max_bytes);
    EXPECT_TRUE(changes.ok()) << changes.status();
    if (!changes.ok()) return {};
    for (const SharedChange& change : *changes) {
      revisions.push_back(change->revision);
    }
    return revisions;
  }

  ChangeLog log_{{.max_changes = 4, .max_bytes = 40}, 10};
};

TEST_F(ChangeLogTest, IsReadFromAnyRevisionThatItHas) {
  EXPECT_THAT(ReadAfter(10), IsEmpty());
  AppendMany({1, 1});
  Append(1);
  EXPECT_EQ(log_.last_revision(), 13u);
  EXPECT_THAT(ReadAfter(10), ElementsAre(11, 12, 13));
  EXPECT_THAT(ReadAfter(12), ElementsAre(13));
  EXPECT_THAT(ReadAfter(13), IsEmpty());
}

TEST_F(ChangeLogTest, KeepsSoManyChangesAndNotOneMore) {
  AppendMany({1, 1, 1, 1});
  EXPECT_THAT(ReadAfter(10), ElementsAre(11, 12, 13, 14));
  Append(1);
  const absl::Status lost = log_.CheckAfter(10);
  EXPECT_TRUE(absl::IsOutOfRange(lost)) << lost;
  EXPECT_THAT(std::string(lost.message()),
              HasSubstr("those after revision 11 are"));
  EXPECT_EQ(log_.ReadAfter(10, 1, 1).status().code(), lost.code());
  EXPECT_THAT(ReadAfter(11), ElementsAre(12, 13, 14, 15));
}

TEST_F(ChangeLogTest, KeepsSoManyBytesAndNotOneMore) {
  AppendMany({20, 20});
  EXPECT_THAT(ReadAfter(10), ElementsAre(11, 12));
  Append(1);
  EXPECT_TRUE(absl::IsOutOfRange(log_.CheckAfter(10)));
  EXPECT_THAT(ReadAfter(11), ElementsAre(12, 13));
  Append(41);  // More than all of it.
  EXPECT_TRUE(absl::IsOutOfRange(log_.CheckAfter(13)));
  EXPECT_THAT(ReadAfter(14), IsEmpty());
  Append(1);
  EXPECT_THAT(ReadAfter(14), ElementsAre(15));
}

TEST_F(ChangeLogTest, HasNoRevisionThatIsNotReached) {
  EXPECT_TRUE(log_.CheckAfter(10).ok());
  EXPECT_TRUE(absl::IsOutOfRange(log_.CheckAfter(11)));
  EXPECT_TRUE(absl::IsOutOfRange(log_.CheckAfter(9)));
}

TEST_F(ChangeLogTest, IsReadInPieces) {
  AppendMany({10, 10, 10});
  EXPECT_THAT(ReadAfter(10, 2), ElementsAre(11, 12));
  EXPECT_THAT(ReadAfter(10, 3), ElementsAre(11, 12, 13));
  EXPECT_THAT(ReadAfter(10, 100, 20), ElementsAre(11, 12));
  EXPECT_THAT(ReadAfter(10, 100, 19), ElementsAre(11));
  EXPECT_THAT(ReadAfter(10, 100, 9), ElementsAre(11));  // At least one.
}

TEST_F(ChangeLogTest, WakesWhoWaits) {
  const auto never = [] { return false; };
  std::thread for_change([&] { log_.WaitForChange(10, never); });
  std::thread for_loss([&] { log_.WaitForLoss(10, never); });
  Append(1);
  for_change.join();
  AppendMany({1, 1, 1, 1});
  for_loss.join();
  log_.WaitForChange(10, never);  // Nothing to wait for.
  log_.WaitForLoss(10, never);

  std::atomic<bool> stop{false};
  const auto stopped = [&stop] { return stop.load(); };
  std::thread stops_a([&] { log_.WaitForChange(15, stopped); });
  std::thread stops_b([&] { log_.WaitForLoss(15, stopped); });
  stop.store(true);
  log_.Wake();
  stops_a.join();
  stops_b.join();
}

}  // namespace
}  // namespace kv
