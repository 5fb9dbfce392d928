#include "examples/kv/store.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/kv/folder.h"

namespace kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Entries = std::vector<std::pair<std::string, std::string>>;

class StoreTest : public testing::Test {
 protected:
  StoreTest() { Open(); }

  void Open() {
    auto store = Store::Open({.directory = folder_ / "db"});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Reopen() {
    store_.reset();
    Open();
  }
  absl::Status Put(const std::string& key, const std::string& value) {
    const Store::Entry entry = {key, value};
    return store_->Put({&entry, 1});
  }
  absl::Status Delete(const std::string& key) { return store_->Delete(key); }
  std::vector<SharedChange> ChangesAfter(uint64_t revision) {
    auto changes = store_->changes().ReadAfter(revision, 1'000'000, 1 << 30);
    EXPECT_TRUE(changes.ok()) << changes.status();
    return changes.ok() ? *changes : std::vector<SharedChange>();
  }
  // The value, or the status's code: "NOT_FOUND".
  std::string Get(const std::string& key) {
    std::string value;
    const absl::Status status = store_->Get(key, &value);
    return status.ok() ? value : absl::StatusCodeToString(status.code());
  }
  Entries Scan(const std::string& prefix, const std::string& start = "",
               size_t limit = 1000) {
    Entries found;
    EXPECT_TRUE(store_
                    ->Scan(prefix, start,
                           [&](const Store::Entry& entry) {
                             if (found.size() == limit) return false;
                             found.emplace_back(entry.key, entry.value);
                             return true;
                           })
                    .ok());
    return found;
  }

  TestFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, KeepsWhatIsPutUntilItIsDeleted) {
  ASSERT_TRUE(Put("key", "one").ok());
  EXPECT_EQ(Get("key"), "one");
  ASSERT_TRUE(Put("key", "two").ok());
  EXPECT_EQ(Get("key"), "two");
  ASSERT_TRUE(Delete("key").ok());
  EXPECT_EQ(Get("key"), "NOT_FOUND");
}

TEST_F(StoreTest, DeletesAMissingKey) { EXPECT_TRUE(Delete("none").ok()); }

TEST_F(StoreTest, TellsAnEmptyValueFromNone) {
  ASSERT_TRUE(Put("empty", "").ok());
  EXPECT_EQ(Get("empty"), "");
}

TEST_F(StoreTest, KeepsAnyBytes) {
  const std::string bytes("\0\n\xff\t", 4);
  ASSERT_TRUE(Put(bytes, bytes).ok());
  EXPECT_EQ(Get(bytes), bytes);
}

TEST_F(StoreTest, PutsManyAndTheLaterOfOneKeyCounts) {
  const std::vector<Store::Entry> entries = {
      {"a", "1"}, {"b", "2"}, {"a", "3"}};
  ASSERT_TRUE(store_->Put(entries).ok());
  EXPECT_THAT(Scan(""), ElementsAre(Pair("a", "3"), Pair("b", "2")));
}

TEST_F(StoreTest, ScansAPrefixInTheOrderOfBytes) {
  for (const std::string key : {"b", "a\xff", "a", "\xff", "ab", "aa"}) {
    ASSERT_TRUE(Put(key, "").ok());
  }
  EXPECT_THAT(Scan("a"), ElementsAre(Pair("a", ""), Pair("aa", ""),
                                     Pair("ab", ""), Pair("a\xff", "")));
  EXPECT_THAT(Scan("\xff"), ElementsAre(Pair("\xff", "")));
  EXPECT_THAT(Scan("c"), IsEmpty());
  EXPECT_EQ(Scan("").size(), 6u);
}

TEST_F(StoreTest, ScansFromAStartUntilItIsToldToStop) {
  for (const std::string key : {"a1", "a2", "a3", "b"}) {
    ASSERT_TRUE(Put(key, "").ok());
  }
  EXPECT_THAT(Scan("a", "a2"), ElementsAre(Pair("a2", ""), Pair("a3", "")));
  EXPECT_THAT(Scan("a", "", 1), ElementsAre(Pair("a1", "")));
  // A start before the prefix does not widen the scan.
  EXPECT_EQ(Scan("b", "a2").size(), 1u);
}

TEST_F(StoreTest, SurvivesBeingClosed) {
  ASSERT_TRUE(Put("key", "value").ok());
  Reopen();
  EXPECT_EQ(Get("key"), "value");
}

TEST_F(StoreTest, RefusesADirectoryThatIsInUseAndNamesIt) {
  const auto second = Store::Open({.directory = folder_ / "db"});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr("in use"), HasSubstr(folder_ / "db")));
}

TEST_F(StoreTest, NamesADirectoryThatCannotBeOpened) {
  WriteFile(folder_ / "file", "");
  for (const std::string name : {"file", "file/db", "no/db"}) {
    const auto store = Store::Open({.directory = folder_ / name});
    EXPECT_THAT(std::string(store.status().message()),
                HasSubstr("\"" + folder_ / name + "\""));
  }
}

TEST_F(StoreTest, RefusesDamagedData) {
  store_.reset();
  WriteFile(folder_ / "db/CURRENT", "damaged");
  const auto store = Store::Open({.directory = folder_ / "db"});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, WritesUnsyncedWhenAskedTo) {
  store_.reset();
  auto store = Store::Open({.directory = folder_ / "db", .sync = false});
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
  ASSERT_TRUE(Put("key", "value").ok());
  EXPECT_EQ(Get("key"), "value");
}

// --- Changes -----------------------------------------------------------------

TEST_F(StoreTest, NumbersItsChanges) {
  EXPECT_EQ(store_->changes().last_revision(), 1u);
  ASSERT_TRUE(Put("a", "1").ok());
  const std::vector<Store::Entry> entries = {{"b", "2"}, {"c", "3"}};
  ASSERT_TRUE(store_->Put(entries).ok());
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_EQ(store_->changes().last_revision(), 5u);
  const std::vector<SharedChange> changes = ChangesAfter(1);
  ASSERT_EQ(changes.size(), 4u);
  EXPECT_EQ(changes[0]->revision, 2u);
  EXPECT_EQ(changes[2]->key, "c");
  EXPECT_EQ(changes[2]->value, "3");
  EXPECT_EQ(changes[3]->revision, 5u);
  EXPECT_EQ(changes[3]->value, std::nullopt);
}

TEST_F(StoreTest, GoesOnCountingWhereItWasClosed) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("a", "2").ok());
  Reopen();
  EXPECT_EQ(store_->changes().last_revision(), 3u);
  Reopen();  // With nothing written.
  EXPECT_EQ(store_->changes().last_revision(), 3u);
  EXPECT_TRUE(store_->changes().CheckAfter(3).ok());
  EXPECT_TRUE(absl::IsOutOfRange(store_->changes().CheckAfter(2)));
  ASSERT_TRUE(Put("a", "3").ok());
  EXPECT_EQ(ChangesAfter(3).at(0)->revision, 4u);
}

TEST_F(StoreTest, GivesNoRevisionTwiceAfterACrash) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("a", "2").ok());
  const uint64_t last = store_->changes().last_revision();
  // What a crash leaves: the files as they are while the store is open.
  std::filesystem::copy(folder_ / "db", folder_ / "copy");
  const auto copy = Store::Open({.directory = folder_ / "copy"});
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_GT((*copy)->changes().last_revision(), last);
  std::string value;
  EXPECT_TRUE((*copy)->Get("a", &value).ok());
  EXPECT_EQ(value, "2");
}

TEST_F(StoreTest, RefusesARevisionThatIsNoNumber) {
  ASSERT_TRUE(Put("a", "1").ok());  // The first write reserves revisions.
  const Store::Entry entry = {"", "many"};
  ASSERT_TRUE(store_->Put({&entry, 1}).ok());
  std::filesystem::copy(folder_ / "db", folder_ / "copy");
  const auto copy = Store::Open({.directory = folder_ / "copy"});
  EXPECT_EQ(copy.status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, TellsOfTheWritesOfManyThreadsInTheirOrder) {
  store_.reset();
  auto store = Store::Open({.directory = folder_ / "db", .sync = false});
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
  constexpr int kThreads = 4;
  constexpr int kWrites = 1'000;
  constexpr int kKeys = 3;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = std::to_string(i % kKeys);
        EXPECT_TRUE(Put(key, std::to_string(t * kWrites + i)).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::vector<SharedChange> changes = ChangesAfter(1);
  ASSERT_EQ(changes.size(), size_t{kThreads * kWrites});
  std::map<std::string, std::string> last;
  std::map<int, int> last_of_thread;
  uint64_t revision = 1;
  for (const SharedChange& change : changes) {
    EXPECT_EQ(change->revision, ++revision);
    last[change->key] = *change->value;
    const int number = std::stoi(*change->value);
    const auto [seen, first] =
        last_of_thread.emplace(number / kWrites, number % kWrites);
    if (!first) {
      EXPECT_GT(number % kWrites, seen->second);
    }
    seen->second = number % kWrites;
  }
  for (const auto& [key, value] : last) EXPECT_EQ(Get(key), value);
}

}  // namespace
}  // namespace kv
