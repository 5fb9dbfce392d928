// KeyValue.Watch.

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "examples/kv/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/kv/store_fixture.h"

namespace kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Reader = tern::ClientReader<v1::WatchReply>;

// "2 put key", "3 delete key".
std::vector<std::string> Texts(const v1::WatchReply& reply) {
  std::vector<std::string> texts;
  for (const v1::Change& change : reply.changes()) {
    texts.push_back(std::to_string(change.revision()) +
                    (change.deleted() ? " delete " : " put ") + change.key());
  }
  return texts;
}

class WatchTest : public StoreFixture {
 protected:
  // Small enough to be filled, large enough that only the tests that want to
  // lose changes do.
  static StoreOptions Keeping(size_t changes, size_t bytes = 1 << 20) {
    return {.history = {.max_changes = changes, .max_bytes = bytes}};
  }

  Reader Watch(const std::string& prefix, uint64_t after = 0) {
    v1::WatchRequest request;
    request.set_prefix(prefix);
    request.set_after_revision(after);
    return stub().Watch(request);
  }
  // One that has begun.
  Reader Watching(const std::string& prefix, uint64_t after = 0) {
    Reader reader = Watch(prefix, after);
    const v1::WatchReply begun = Next(reader);
    EXPECT_THAT(begun.changes(), IsEmpty());
    EXPECT_EQ(begun.revision(), after == 0 ? Last() : after);
    return reader;
  }
  static v1::WatchReply Next(Reader& reader) {
    v1::WatchReply reply;
    if (!reader.Read(&reply)) ADD_FAILURE() << reader.Finish();
    return reply;
  }
  // Some replies may be for one change each.
  static std::vector<std::string> NextChanges(Reader& reader, size_t count) {
    std::vector<std::string> texts;
    v1::WatchReply reply;
    while (texts.size() < count && reader.Read(&reply)) {
      for (std::string& text : Texts(reply)) texts.push_back(std::move(text));
    }
    return texts;
  }
  static void ExpectEnd(Reader reader, absl::StatusCode code,
                        const std::string& why) {
    v1::WatchReply reply;
    while (reader.Read(&reply)) {
    }
    const absl::Status status = reader.Finish();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
  uint64_t Last() { return store_->changes().last_revision(); }
};

TEST_F(WatchTest, TellsOfChangesInOrder) {
  Start();
  ASSERT_TRUE(Put("before", "").ok());
  Reader reader = Watching("");
  ASSERT_TRUE(Put("key", "value").ok());
  const v1::WatchReply put = Next(reader);
  EXPECT_THAT(Texts(put), ElementsAre("3 put key"));
  EXPECT_EQ(put.changes(0).value(), "value");
  EXPECT_EQ(put.revision(), 3u);
  ASSERT_TRUE(BatchPut({{"b", ""}, {"a", ""}, {"b", ""}}).ok());
  ASSERT_TRUE(Delete("key").ok());
  ASSERT_TRUE(Delete("never was").ok());
  EXPECT_THAT(NextChanges(reader, 5),
              ElementsAre("4 put b", "5 put a", "6 put b", "7 delete key",
                          "8 delete never was"));
}

TEST_F(WatchTest, TellsOfAPrefixOnly) {
  Start();
  Reader reader = Watching("a");
  for (const std::string key : {"b", "a", "ab", "\xff", "A", "a"}) {
    ASSERT_TRUE(Put(key, "").ok());
  }
  EXPECT_THAT(NextChanges(reader, 3),
              ElementsAre("3 put a", "4 put ab", "7 put a"));
}

TEST_F(WatchTest, GoesOnAfterARevision) {
  Start();
  for (const std::string key : {"a", "b", "c"}) ASSERT_TRUE(Put(key, "").ok());
  Reader reader = Watching("", 2);
  EXPECT_THAT(NextChanges(reader, 2), ElementsAre("3 put b", "4 put c"));
  ASSERT_TRUE(Put("d", "").ok());
  EXPECT_THAT(NextChanges(reader, 1), ElementsAre("5 put d"));
}

TEST_F(WatchTest, AfterAScanMissesNothing) {
  Start();
  std::atomic<bool> scanned{false};
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([this, t, &scanned] {
      for (int i = 0; i < 50 || !scanned; ++i) {
        const std::string key = std::to_string(i % 7);
        EXPECT_TRUE(i % 5 == 0
                        ? Delete(key).ok()
                        : Put(key, std::to_string(t * 1'000'000 + i)).ok());
      }
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(Put("after", "").ok());
    });
  }
  std::map<std::string, std::string> copy;
  const auto page = stub().Scan({});
  ASSERT_TRUE(page.ok()) << page.status();
  for (const v1::Entry& entry : page->entries()) {
    copy[entry.key()] = entry.value();
  }
  scanned = true;
  Reader reader = Watch("", page->revision());
  for (std::thread& writer : writers) writer.join();
  const uint64_t last = Last();
  v1::WatchReply reply;
  while (reply.revision() < last && reader.Read(&reply)) {
    for (const v1::Change& change : reply.changes()) {
      if (change.deleted()) {
        copy.erase(change.key());
      } else {
        copy[change.key()] = change.value();
      }
    }
  }
  std::map<std::string, std::string> now;
  const auto end = stub().Scan({});
  ASSERT_TRUE(end.ok()) << end.status();
  for (const v1::Entry& entry : end->entries())
    now[entry.key()] = entry.value();
  EXPECT_EQ(copy, now);
}

TEST_F(WatchTest, OfWhichManyCallsGoOnAfterEachOtherTellsOfEachChangeOnce) {
  Start();
  constexpr int kThreads = 2;
  constexpr int kWrites = 500;
  const uint64_t begin = Last();
  const uint64_t end = begin + kThreads * kWrites;
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([this] {
      for (int i = 0; i < kWrites; ++i) EXPECT_TRUE(Put("k", "").ok());
    });
  }
  uint64_t told = begin;      // Up to the last reply.
  uint64_t expected = begin;  // Of the last change.
  int calls = 0;
  while (told < end) {
    Reader reader = Watch("", told);
    v1::WatchReply reply;
    // It is dropped after the third reply, with whatever is on its way.
    for (int replies = 0; replies < 3 && told < end; ++replies) {
      ASSERT_TRUE(reader.Read(&reply)) << reader.Finish();
      for (const v1::Change& change : reply.changes()) {
        EXPECT_EQ(change.revision(), ++expected);
      }
      told = reply.revision();
      EXPECT_EQ(told, expected);
    }
    ++calls;
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(told, end);
  EXPECT_GT(calls, 1);
}

TEST_F(WatchTest, EndsWhenItIsNotWantedAnyMore) {
  Start({}, {.max_stream_threads = 1});
  { Reader reader = Watching(""); }
  // Its thread is free again.
  EXPECT_TRUE(Eventually([this] {
    Reader next = Watch("");
    v1::WatchReply reply;
    return next.Read(&reply);
  }));
}

TEST_F(WatchTest, EndsWithTheServer) {
  Start();
  Reader reader = Watching("");
  served_->server().Stop();
  ExpectEnd(std::move(reader), absl::StatusCode::kUnavailable, "");
}

TEST_F(WatchTest, GoesOnElsewhereWhenTheServerDrains) {
  Start();
  Reader reader = Watching("");
  ASSERT_TRUE(Put("before", "").ok());
  const uint64_t last = Next(reader).revision();
  // OK: there was nothing to cancel in the end, which is far away.
  EXPECT_EQ(served_->server().Drain(absl::Hours(1)), absl::OkStatus());
  ExpectEnd(std::move(reader), absl::StatusCode::kUnavailable, "draining");
  served_.emplace(&*service_);
  Reader next = Watching("", last);
  ASSERT_TRUE(Put("behind", "").ok());
  EXPECT_THAT(NextChanges(next, 1), ElementsAre("3 put behind"));
}

// --- Limits ------------------------------------------------------------------

TEST_F(WatchTest, LimitsThePrefix) {
  Start();
  Reader reader = Watching(std::string(kMaxKeyBytes, 'k'));
  ExpectEnd(Watch(std::string(kMaxKeyBytes + 1, 'k')),
            absl::StatusCode::kInvalidArgument,
            "a prefix of 1025 bytes exceeds the limit of 1024");
}

TEST_F(WatchTest, GoesOnAsFarBackAsTheHistoryReachesAndNoFurther) {
  Start(Keeping(4));
  const uint64_t begin = Last();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Put("k", "").ok());
  Reader reader = Watching("", begin);
  EXPECT_EQ(NextChanges(reader, 4).size(), 4u);
  ASSERT_TRUE(Put("k", "").ok());
  ExpectEnd(Watch("", begin), absl::StatusCode::kOutOfRange,
            "those after revision " + std::to_string(begin + 1) + " are");
  Reader next = Watching("", begin + 1);
  EXPECT_EQ(NextChanges(next, 4).size(), 4u);
}

TEST_F(WatchTest, RefusesARevisionThatIsNotReached) {
  Start();
  Reader reader = Watching("", Last());
  ExpectEnd(Watch("", Last() + 1), absl::StatusCode::kOutOfRange,
            "there is no revision 2 yet");
}

TEST_F(WatchTest, LimitsTheChangesOfAReply) {
  Start();
  Reader reader = Watching("");
  Entries entries(kMaxWatchChanges, {"k", ""});
  ASSERT_TRUE(BatchPut(entries).ok());
  EXPECT_EQ(Next(reader).changes_size(), static_cast<int>(kMaxWatchChanges));
  entries.emplace_back("k", "");
  ASSERT_TRUE(BatchPut(entries).ok());
  EXPECT_EQ(Next(reader).changes_size(), static_cast<int>(kMaxWatchChanges));
  EXPECT_EQ(Next(reader).changes_size(), 1);
}

TEST_F(WatchTest, LimitsTheBytesOfAReply) {
  Start();
  Reader reader = Watching("");
  const std::string value(kMaxWatchBytes / 2 - 1, 'v');
  ASSERT_TRUE(BatchPut({{"a", value}, {"b", value}}).ok());
  EXPECT_EQ(Next(reader).changes_size(), 2);
  ASSERT_TRUE(BatchPut({{"a", value}, {"b", value + "v"}}).ok());
  EXPECT_EQ(Next(reader).changes_size(), 1);
  EXPECT_EQ(Next(reader).changes_size(), 1);
  ASSERT_TRUE(Put("k", std::string(kMaxValueBytes, 'v')).ok());
  EXPECT_EQ(Next(reader).changes(0).value().size(), kMaxValueBytes);
}

TEST_F(WatchTest, OfOtherKeysStaysWithinTheHistory) {
  Start(Keeping(8));
  Reader reader = Watching("none");
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(Put("k", "").ok());
    const v1::WatchReply reply = Next(reader);
    EXPECT_THAT(reply.changes(), IsEmpty());
    EXPECT_EQ(reply.revision(), Last());
  }
}

TEST_F(WatchTest, OfOtherKeysStaysWithinTheBytesOfTheHistory) {
  Start(Keeping(1000, 4'000));
  Reader reader = Watching("none");
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(Put("k", std::string(999, 'v')).ok());
    EXPECT_EQ(Next(reader).revision(), Last());
  }
}

TEST_F(WatchTest, ThatIsTooSlowEndsAndHoldsUpNobody) {
  Start(Keeping(16, 1 << 20), {.max_stream_threads = 1});
  Reader slow = Watching("");
  // More than the history, the stream's window, and what may be unsent.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Put("k", std::string(50'000, 'v')).ok());
  }
  // Its thread is free, though nobody has read.
  EXPECT_TRUE(Eventually([this] {
    Reader next = Watch("");
    v1::WatchReply reply;
    return next.Read(&reply);
  }));
  ExpectEnd(std::move(slow), absl::StatusCode::kOutOfRange, "too slow");
}

TEST_F(WatchTest, ThatFallsBehindCatchesUpFromTheHistory) {
  Start(Keeping(1000, 100 << 20));
  Reader reader = Watching("");
  constexpr int kChanges = 200;
  for (int i = 0; i < kChanges; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i), std::string(50'000, 'v')).ok());
  }
  const std::vector<std::string> texts = NextChanges(reader, kChanges);
  ASSERT_EQ(texts.size(), size_t{kChanges});
  for (int i = 0; i < kChanges; ++i) {
    EXPECT_EQ(texts[i], std::to_string(i + 2) + " put k" + std::to_string(i));
  }
}

}  // namespace
}  // namespace kv
