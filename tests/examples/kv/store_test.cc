#include "examples/kv/store.h"

#include <map>
#include <memory>
#include <string>
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

}  // namespace
}  // namespace kv
