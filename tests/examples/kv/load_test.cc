// KeyValue.Load.

#include <signal.h>
#include <sys/resource.h>

#include <string>
#include <utility>

#include "examples/kv/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/status_details.h"
#include "tests/examples/kv/store_fixture.h"

namespace kv {
namespace {

using testing::HasSubstr;

using Writer = tern::ClientWriter<v1::LoadRequest, v1::LoadReply>;

// No file of this process may be longer meanwhile.
class LimitedFiles {
 public:
  explicit LimitedFiles(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);  // An error, please, of write().
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit limited = before_;
    limited.rlim_cur = bytes;
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  }
  ~LimitedFiles() { EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0); }
  LimitedFiles(const LimitedFiles&) = delete;
  LimitedFiles& operator=(const LimitedFiles&) = delete;

 private:
  rlimit before_ = {};
};

class LoadTest : public StoreFixture {
 protected:
  static v1::LoadRequest RequestWith(const Entries& entries) {
    v1::LoadRequest request;
    for (const auto& [key, value] : entries) {
      v1::Entry& entry = *request.add_entries();
      entry.set_key(key);
      entry.set_value(value);
    }
    return request;
  }
  static std::string Key(size_t i) { return "k" + std::to_string(i); }
  static Entries Numbered(size_t first, size_t end) {
    Entries entries;
    for (size_t i = first; i < end; ++i) entries.emplace_back(Key(i), "v");
    return entries;
  }
  absl::StatusOr<v1::LoadReply> Load(const Entries& entries) {
    Writer writer = stub().Load();
    (void)writer.Write(RequestWith(entries));
    return writer.Finish();
  }
  // How many changes there have been.
  uint64_t Changes() { return store_->changes().last_revision() - 1; }
  static void ExpectRefused(const absl::Status& status,
                            const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
};

TEST_F(LoadTest, StoresAllAndSaysHowMany) {
  Start();
  Writer writer = stub().Load();
  for (size_t first = 0; first < 2'500; first += 100) {
    ASSERT_TRUE(writer.Write(RequestWith(Numbered(first, first + 100))));
  }
  ASSERT_TRUE(writer.Write(RequestWith({})));
  ASSERT_TRUE(writer.Write(RequestWith({{"k7", "last"}})));
  const auto reply = writer.Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->entries(), 2'501u);
  // Keys of 2 to 5 bytes, values of one.
  EXPECT_EQ(reply->bytes(), 10 * 3u + 90 * 4u + 900 * 5u + 1'500 * 6u + 6u);
  EXPECT_EQ(Changes(), 2'501u);
  EXPECT_EQ(*Get("k7"), "last");
  EXPECT_EQ(*Get("k2499"), "v");
}

TEST_F(LoadTest, StoresNothing) {
  Start();
  const auto reply = stub().Load().Finish();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->entries(), 0u);
  EXPECT_EQ(reply->bytes(), 0u);
}

TEST_F(LoadTest, StoresABatchAsSoonAsItIsFull) {
  Start();
  Writer writer = stub().Load();
  ASSERT_TRUE(writer.Write(RequestWith(Numbered(0, kMaxBatchEntries))));
  ASSERT_TRUE(writer.Write(RequestWith({{"one more", ""}})));
  EXPECT_TRUE(Eventually([this] { return Changes() > 0; }));
  EXPECT_EQ(Changes(), kMaxBatchEntries);
  EXPECT_EQ(writer.Finish()->entries(), kMaxBatchEntries + 1);
}

TEST_F(LoadTest, CutsBatchesByBytes) {
  Start();
  const std::string half(kMaxBatchBytes / 2 - 1, 'v');
  Writer writer = stub().Load();
  ASSERT_TRUE(writer.Write(RequestWith({{"a", half}})));
  ASSERT_TRUE(writer.Write(RequestWith({{"b", half}, {"c", ""}})));
  EXPECT_TRUE(Eventually([this] { return Changes() > 0; }));
  EXPECT_EQ(Changes(), 2u);
  ASSERT_TRUE(writer.Finish().ok());

  writer = stub().Load();
  ASSERT_TRUE(writer.Write(RequestWith({{"d", half}})));
  ASSERT_TRUE(writer.Write(RequestWith({{"ee", half}})));
  EXPECT_TRUE(Eventually([this] { return Changes() > 3; }));
  EXPECT_EQ(Changes(), 4u);
  EXPECT_TRUE(writer.Finish().ok());
}

TEST_F(LoadTest, AnInvalidEntryIsNamedAndThoseBeforeItAreStored) {
  Start();
  Entries entries = Numbered(0, 1'500);
  entries.emplace_back("", "no key");
  entries.emplace_back("behind", "");
  const absl::Status refused = Load(entries).status();
  ExpectRefused(refused,
                "entries[1500]: the key is empty; the first 1500 entries are "
                "stored");
  const auto stored = tern::GetDetail<v1::LoadReply>(refused);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->entries(), 1'500u);
  EXPECT_EQ(stored->bytes(), 10 * 3u + 90 * 4u + 900 * 5u + 500 * 6u);
  EXPECT_EQ(Changes(), 1'500u);
  EXPECT_EQ(*Get("k1499"), "v");
  EXPECT_TRUE(absl::IsNotFound(Get("behind").status()));
}

TEST_F(LoadTest, ADiskThatFailsCutsItShort) {
  Start();
  Entries entries;
  const std::string value(1'000, 'v');
  for (size_t i = 0; i < 3 * kMaxBatchEntries; ++i) {
    entries.emplace_back(Key(i), value);
  }
  absl::Status failed;
  {
    // Room for the first two batches, of a MB each.
    const LimitedFiles limited(2'500'000);
    failed = Load(entries).status();
  }
  EXPECT_EQ(failed.code(), absl::StatusCode::kInternal) << failed;
  EXPECT_THAT(std::string(failed.message()),
              HasSubstr("the first 2048 entries are stored"));
  const auto stored = tern::GetDetail<v1::LoadReply>(failed);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->entries(), 2 * kMaxBatchEntries);
  EXPECT_EQ(Changes(), 2 * kMaxBatchEntries);
  EXPECT_EQ(*Get(Key(2 * kMaxBatchEntries - 1)), value);
}

TEST_F(LoadTest, LimitsKeysAndValues) {
  Start();
  const std::string key(kMaxKeyBytes, 'k');
  const std::string value(kMaxValueBytes, 'v');
  EXPECT_TRUE(Load({{key, value}}).ok());
  EXPECT_EQ(*Get(key), value);
  ExpectRefused(Load({{"a", ""}, {key + "k", ""}}).status(),
                "entries[1]: a key of 1025 bytes exceeds the limit of 1024");
  ExpectRefused(Load({{"b", value + "v"}}).status(),
                "entries[0]: a value of 1048577 bytes");
  EXPECT_EQ(*Get("a"), "");
}

TEST_F(LoadTest, ThatIsCancelledStoresNoMore) {
  Start({}, {.max_stream_threads = 1});
  {
    Writer writer = stub().Load();
    ASSERT_TRUE(writer.Write(RequestWith(Numbered(0, kMaxBatchEntries + 1))));
    EXPECT_TRUE(Eventually([this] { return Changes() > 0; }));
  }
  // Its thread is free again.
  EXPECT_TRUE(Eventually([this] { return stub().Load().Finish().ok(); }));
  EXPECT_EQ(Changes(), kMaxBatchEntries);
}

TEST_F(LoadTest, SaysHowFarItIsWhenTheServerDrains) {
  Start();
  Writer writer = stub().Load();
  ASSERT_TRUE(writer.Write(RequestWith(Numbered(0, kMaxBatchEntries + 1))));
  EXPECT_TRUE(Eventually([this] { return Changes() > 0; }));
  // OK: there was nothing to cancel in the end, which is far away.
  EXPECT_EQ(served_->server().Drain(absl::Hours(1)), absl::OkStatus());
  const absl::Status drained = writer.Finish().status();
  EXPECT_EQ(drained.code(), absl::StatusCode::kUnavailable) << drained;
  EXPECT_EQ(tern::CallError::From(drained)->certainty,
            tern::Certainty::kFinished);
  const auto stored = tern::GetDetail<v1::LoadReply>(drained);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->entries(), kMaxBatchEntries + 1);
  EXPECT_EQ(Changes(), kMaxBatchEntries + 1);
}

}  // namespace
}  // namespace kv
