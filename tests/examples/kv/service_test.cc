#include "examples/kv/service.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "examples/kv/call_window.h"
#include "examples/kv/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/call/call_error.h"
#include "tests/examples/kv/store_fixture.h"

namespace kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ServiceTest : public StoreFixture {
 protected:
  ServiceTest() { Start(); }

  absl::StatusOr<v1::ScanReply> Scan(const std::string& prefix,
                                     uint32_t page_size = 0,
                                     const std::string& token = "") {
    v1::ScanRequest request;
    request.set_prefix(prefix);
    request.set_page_size(page_size);
    request.set_page_token(token);
    return stub().Scan(request);
  }
  static std::vector<std::string> Keys(
      const absl::StatusOr<v1::ScanReply>& page) {
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<std::string> keys;
    if (!page.ok()) return keys;
    for (const v1::Entry& entry : page->entries()) keys.push_back(entry.key());
    return keys;
  }
  void PutNumbered(int count) {
    Entries entries;
    for (int i = 0; i < count; ++i) {
      entries.emplace_back(std::to_string(1'000'000 + i), "");
      if (entries.size() == kMaxBatchEntries || i + 1 == count) {
        ASSERT_TRUE(BatchPut(entries).ok());
        entries.clear();
      }
    }
  }
  static void ExpectRefused(const absl::Status& status,
                            const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_EQ(tern::CertaintyOf(status), tern::Certainty::kFinished);
  }
};

TEST_F(ServiceTest, PutsGetsAndDeletes) {
  ASSERT_TRUE(Put("key", "value").ok());
  EXPECT_EQ(*Get("key"), "value");
  ASSERT_TRUE(Delete("key").ok());
  EXPECT_TRUE(absl::IsNotFound(Get("key").status()));
  EXPECT_TRUE(Delete("key").ok());
}

TEST_F(ServiceTest, AMissingKeyIsNotFoundAndTheHandlerSaysSo) {
  const absl::Status status = Get("no\nkey").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"no\\nkey\""));
  const auto error = tern::CallError::From(status);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->certainty, tern::Certainty::kFinished);
  EXPECT_EQ(error->method, "kv.v1.KeyValue/Get");
}

TEST_F(ServiceTest, KeepsAnyBytes) {
  const std::string bytes("\0\n\xff", 3);
  ASSERT_TRUE(Put(bytes, bytes).ok());
  EXPECT_EQ(*Get(bytes), bytes);
  EXPECT_THAT(Keys(Scan(bytes)), ElementsAre(bytes));
}

TEST_F(ServiceTest, RefusesAnEmptyKey) {
  ExpectRefused(Get("").status(), "key is empty");
  ExpectRefused(Put("", "value"), "key is empty");
  ExpectRefused(Delete(""), "key is empty");
  ExpectRefused(BatchPut({{"a", ""}, {"", ""}}),
                "entries[1]: the key is empty");
}

TEST_F(ServiceTest, LimitsKeys) {
  const std::string key(kMaxKeyBytes, 'k');
  ASSERT_TRUE(Put(key, "v").ok());
  EXPECT_EQ(*Get(key), "v");
  EXPECT_THAT(Keys(Scan(key)), ElementsAre(key));
  ASSERT_TRUE(Delete(key).ok());
  ASSERT_TRUE(BatchPut({{key, "v"}}).ok());

  const std::string why = "a key of 1025 bytes exceeds the limit of 1024";
  ExpectRefused(Put(key + "k", "v"), why);
  ExpectRefused(Get(key + "k").status(), why);
  ExpectRefused(Delete(key + "k"), why);
  ExpectRefused(BatchPut({{"a", ""}, {key + "k", ""}}), "entries[1]: " + why);
  ExpectRefused(Scan(key + "k").status(), "prefix of 1025 bytes");
}

TEST_F(ServiceTest, LimitsValues) {
  const std::string value(kMaxValueBytes, 'v');
  ASSERT_TRUE(Put("key", value).ok());
  EXPECT_EQ(*Get("key"), value);
  ASSERT_TRUE(BatchPut({{"other", value}}).ok());

  const std::string why =
      "a value of 1048577 bytes exceeds the limit of 1048576";
  ExpectRefused(Put("key", value + "v"), why);
  ExpectRefused(BatchPut({{"key", value + "v"}}), "entries[0]: " + why);
  EXPECT_EQ(*Get("key"), value);
}

TEST_F(ServiceTest, LimitsTheEntriesOfABatch) {
  Entries entries;
  for (size_t i = 0; i < kMaxBatchEntries; ++i) {
    entries.emplace_back("k" + std::to_string(i), "v");
  }
  ASSERT_TRUE(BatchPut(entries).ok());
  EXPECT_EQ(*Get("k1023"), "v");
  entries.emplace_back("k1024", "v");
  ExpectRefused(BatchPut(entries),
                "a batch of 1025 entries exceeds the limit of 1024");
  EXPECT_TRUE(absl::IsNotFound(Get("k1024").status()));
}

TEST_F(ServiceTest, LimitsTheBytesOfABatch) {
  // Two entries of half the limit each, keys included.
  const std::string value(kMaxBatchBytes / 2 - 1, 'v');
  ASSERT_TRUE(BatchPut({{"a", value}, {"b", value}}).ok());
  EXPECT_EQ(*Get("b"), value);
  ExpectRefused(BatchPut({{"c", value}, {"dd", value}}),
                "a batch of 2097153 bytes exceeds the limit of 2097152");
  EXPECT_TRUE(absl::IsNotFound(Get("c").status()));
}

TEST_F(ServiceTest, ABatchIsStoredWholeOrNotAtAll) {
  ExpectRefused(BatchPut({{"good", "1"}, {"", "2"}}), "entries[1]");
  EXPECT_TRUE(absl::IsNotFound(Get("good").status()));
  ASSERT_TRUE(BatchPut({{"a", "1"}, {"a", "2"}, {"b", ""}}).ok());
  EXPECT_EQ(*Get("a"), "2");
  EXPECT_EQ(*Get("b"), "");
  EXPECT_TRUE(BatchPut({}).ok());
}

TEST_F(ServiceTest, ScansPageByPage) {
  for (const std::string key : {"a", "b1", "b2", "b3", "b4", "b5", "c"}) {
    ASSERT_TRUE(Put(key, "").ok());
  }
  auto page = Scan("b", 2);
  EXPECT_THAT(Keys(page), ElementsAre("b1", "b2"));
  page = Scan("b", 2, page->next_page_token());
  EXPECT_THAT(Keys(page), ElementsAre("b3", "b4"));
  page = Scan("b", 2, page->next_page_token());
  EXPECT_THAT(Keys(page), ElementsAre("b5"));
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(ServiceTest, TheLastPageSaysSoEvenWhenItIsFull) {
  PutNumbered(4);
  const auto page = Scan("", 4);
  EXPECT_EQ(Keys(page).size(), 4u);
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(ServiceTest, ScansNothing) {
  const auto page = Scan("none");
  EXPECT_THAT(Keys(page), IsEmpty());
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(ServiceTest, AScanGoesOnAfterItsNextEntryWasDeleted) {
  PutNumbered(4);
  const auto page = Scan("", 2);
  ASSERT_TRUE(Delete("1000002").ok());
  EXPECT_THAT(Keys(Scan("", 2, page->next_page_token())),
              ElementsAre("1000003"));
}

TEST_F(ServiceTest, APageHasAHundredEntriesByDefault) {
  PutNumbered(101);
  const auto page = Scan("");
  EXPECT_EQ(Keys(page).size(), kDefaultPageEntries);
  EXPECT_EQ(page->next_page_token(), "1000100");
}

TEST_F(ServiceTest, LimitsTheEntriesOfAPage) {
  PutNumbered(1001);
  const auto page = Scan("", kMaxPageEntries);
  EXPECT_EQ(Keys(page).size(), kMaxPageEntries);
  EXPECT_EQ(page->next_page_token(), "1001000");
  ExpectRefused(Scan("", kMaxPageEntries + 1).status(),
                "a page of 1001 entries exceeds the limit of 1000");
}

TEST_F(ServiceTest, LimitsTheBytesOfAPage) {
  const std::string value(kMaxPageBytes / 2 - 1, 'v');
  ASSERT_TRUE(Put("a", value).ok());
  ASSERT_TRUE(Put("b", value).ok());
  auto page = Scan("");
  EXPECT_THAT(Keys(page), ElementsAre("a", "b"));
  EXPECT_EQ(page->next_page_token(), "");

  ASSERT_TRUE(Put("b", value + "v").ok());
  page = Scan("");
  EXPECT_THAT(Keys(page), ElementsAre("a"));
  EXPECT_THAT(Keys(Scan("", 0, page->next_page_token())), ElementsAre("b"));
}

TEST_F(ServiceTest, RefusesATokenOfAnotherScan) {
  ExpectRefused(Scan("b", 2, "a1").status(), "another prefix");
  ExpectRefused(Scan("", 2, std::string(kMaxKeyBytes + 1, 'k')).status(),
                "page token of 1025 bytes");
  EXPECT_TRUE(Scan("", 2, std::string(kMaxKeyBytes, 'k')).ok());
}

TEST_F(ServiceTest, AnswersManyCallsAtOnce) {
  constexpr int kKeys = 500;
  std::atomic<int> right{0};
  {
    CallWindow window(32);
    for (int i = 0; i < kKeys; ++i) {
      v1::PutRequest request;
      request.set_key("key" + std::to_string(i));
      request.set_value(std::to_string(i));
      window.Open();
      stub().Put(request, {}, [&](absl::StatusOr<v1::PutReply> reply) {
        EXPECT_TRUE(reply.ok()) << reply.status();
        window.Close();
      });
    }
    window.WaitUntilEmpty();
    for (int i = 0; i < kKeys; ++i) {
      v1::GetRequest request;
      request.set_key("key" + std::to_string(i));
      window.Open();
      stub().Get(request, {}, [&, i](absl::StatusOr<v1::GetReply> reply) {
        if (reply.ok() && reply->value() == std::to_string(i)) ++right;
        window.Close();
      });
    }
  }
  EXPECT_EQ(right, kKeys);
}

}  // namespace
}  // namespace kv
