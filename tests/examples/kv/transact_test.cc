// KeyValue.Transact.

#include <memory>
#include <optional>
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

using testing::HasSubstr;

v1::TransactRequest GetOf(const std::string& key) {
  v1::TransactRequest request;
  request.mutable_get()->set_key(key);
  return request;
}
v1::TransactRequest PutOf(const std::string& key, const std::string& value) {
  v1::TransactRequest request;
  request.mutable_put()->set_key(key);
  request.mutable_put()->set_value(value);
  return request;
}
v1::TransactRequest DeleteOf(const std::string& key) {
  v1::TransactRequest request;
  request.mutable_delete_()->set_key(key);
  return request;
}
v1::TransactRequest CommitOf() {
  v1::TransactRequest request;
  request.mutable_commit();
  return request;
}
v1::TransactRequest AbortOf() {
  v1::TransactRequest request;
  request.mutable_abort();
  return request;
}

// A transaction, in the client's hands.
class Client {
 public:
  explicit Client(v1::KeyValue::Stub& stub,
                  const tern::CallOptions& options = {})
      : stream_(stub.Transact(options)) {}

  // nullopt: the call has ended.
  std::optional<v1::TransactReply> Do(const v1::TransactRequest& request) {
    v1::TransactReply reply;
    (void)stream_.Write(request);
    if (!stream_.Read(&reply)) return std::nullopt;
    return reply;
  }
  // "none" when there is no value.
  std::string Get(const std::string& key) {
    const auto reply = Do(GetOf(key));
    if (!reply.has_value() || !reply->has_get()) return "the call has ended";
    return reply->get().found() ? reply->get().value() : "none";
  }
  bool Put(const std::string& key, const std::string& value) {
    const auto reply = Do(PutOf(key, value));
    return reply.has_value() && reply->has_put();
  }
  bool Delete(const std::string& key) {
    const auto reply = Do(DeleteOf(key));
    return reply.has_value() && reply->has_delete_();
  }
  // The revision, 0 when it failed.
  uint64_t Commit() {
    const auto reply = Do(CommitOf());
    return reply.has_value() ? reply->commit().revision() : 0;
  }
  absl::Status Finish() { return stream_.Finish(); }
  tern::ClientStream<v1::TransactRequest, v1::TransactReply>& stream() {
    return stream_;
  }

 private:
  tern::ClientStream<v1::TransactRequest, v1::TransactReply> stream_;
};

class TransactTest : public StoreFixture {
 protected:
  Client Begin() { return Client(stub()); }
  uint64_t Last() { return store_->changes().last_revision(); }
  static void ExpectEnd(Client& client, absl::StatusCode code,
                        const std::string& why) {
    const absl::Status status = client.Finish();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
};

TEST_F(TransactTest, ReadsAndWritesInTurnAndCommits) {
  Start();
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("b", "2").ok());
  Client client = Begin();
  EXPECT_EQ(client.Get("a"), "1");
  EXPECT_TRUE(client.Put("a", "10"));
  EXPECT_EQ(client.Get("a"), "10");
  EXPECT_TRUE(client.Delete("b"));
  EXPECT_EQ(client.Get("b"), "none");
  EXPECT_EQ(client.Get("c"), "none");
  EXPECT_TRUE(client.Put("c", ""));
  EXPECT_EQ(client.Get("c"), "");
  // Nobody else has seen it yet.
  EXPECT_EQ(*Get("a"), "1");
  EXPECT_EQ(Last(), 3u);
  EXPECT_EQ(client.Commit(), 6u);
  EXPECT_TRUE(client.Finish().ok());
  EXPECT_EQ(*Get("a"), "10");
  EXPECT_TRUE(absl::IsNotFound(Get("b").status()));
  EXPECT_EQ(*Get("c"), "");
  EXPECT_EQ(Last(), 6u);
}

TEST_F(TransactTest, TakesRequestsBeforeTheirRepliesAreRead) {
  Start();
  Client client = Begin();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.stream().Write(PutOf("k", std::to_string(i))));
    ASSERT_TRUE(client.stream().Write(GetOf("k")));
  }
  ASSERT_TRUE(client.stream().Write(CommitOf()));
  client.stream().EndWrites();
  v1::TransactReply reply;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.stream().Read(&reply));
    EXPECT_TRUE(reply.has_put());
    ASSERT_TRUE(client.stream().Read(&reply));
    EXPECT_EQ(reply.get().value(), std::to_string(i));
  }
  ASSERT_TRUE(client.stream().Read(&reply));
  EXPECT_EQ(reply.commit().revision(), 2u);
  EXPECT_FALSE(client.stream().Read(&reply));
  EXPECT_TRUE(client.Finish().ok());
}

TEST_F(TransactTest, WithoutACommitWritesNothing) {
  Start({}, {.max_stream_threads = 1});
  const auto begin = [this] {
    std::unique_ptr<Client> client;
    EXPECT_TRUE(Eventually([&] {  // The thread of the one before may not be
      client = std::make_unique<Client>(stub());  // free yet.
      return client->Put("k", "v");
    }));
    return client;
  };
  auto aborted = begin();
  const auto reply = aborted->Do(AbortOf());
  EXPECT_TRUE(reply.has_value() && reply->has_abort());
  EXPECT_TRUE(aborted->Finish().ok());
  auto half_closed = begin();
  half_closed->stream().EndWrites();
  EXPECT_TRUE(half_closed->Finish().ok());
  begin().reset();  // It goes away.
  begin();          // And has given back its thread.
  EXPECT_TRUE(absl::IsNotFound(Get("k").status()));
  EXPECT_EQ(Last(), 1u);
}

TEST_F(TransactTest, WhoseConnectionIsLostWritesNothing) {
  Start({}, {.max_stream_threads = 1});
  auto channel = tern::Channel::Create(served_->server().addresses().front());
  std::optional<v1::KeyValue::Stub> other(*channel);
  std::optional<Client> lost(*other);
  EXPECT_TRUE(lost->Put("k", "v"));
  lost.reset();
  other.reset();
  channel.reset();
  EXPECT_TRUE(Eventually([this] { return Begin().Put("other", ""); }));
  EXPECT_TRUE(absl::IsNotFound(Get("k").status()));
  EXPECT_EQ(Last(), 1u);
}

TEST_F(TransactTest, WhoseDeadlineHasPassedWritesNothing) {
  Start({}, {.max_stream_threads = 1});
  Client late(stub(), {.timeout = absl::Milliseconds(200)});
  (void)late.Put("k", "v");
  v1::TransactReply reply;
  EXPECT_FALSE(late.stream().Read(&reply));
  ExpectEnd(late, absl::StatusCode::kDeadlineExceeded, "");
  EXPECT_TRUE(Eventually([this] { return Begin().Put("other", ""); }));
  EXPECT_TRUE(absl::IsNotFound(Get("k").status()));
  EXPECT_EQ(Last(), 1u);
}

TEST_F(TransactTest, ThatHasReadWhatHasChangedIsAborted) {
  Start();
  ASSERT_TRUE(Put("k", "old").ok());
  Client client = Begin();
  EXPECT_EQ(client.Get("k"), "old");
  ASSERT_TRUE(Put("k", "new").ok());
  EXPECT_EQ(client.Get("k"), "old");  // As it was.
  EXPECT_TRUE(client.Put("other", "1"));
  EXPECT_EQ(client.Commit(), 0u);
  ExpectEnd(client, absl::StatusCode::kAborted, "the key \"k\" has changed");
  EXPECT_TRUE(absl::IsNotFound(Get("other").status()));
}

TEST_F(TransactTest, ThatHasFoundNothingIsAbortedWhenThereIsSomething) {
  Start();
  Client client = Begin();
  EXPECT_EQ(client.Get("k"), "none");
  ASSERT_TRUE(Put("k", "").ok());
  EXPECT_TRUE(client.Put("k", "mine"));
  EXPECT_EQ(client.Commit(), 0u);
  ExpectEnd(client, absl::StatusCode::kAborted, "the key \"k\" has changed");
  EXPECT_EQ(*Get("k"), "");
}

// Two that read what the other writes: in whatever order they had happened, one
// would have read the other's.
TEST_F(TransactTest, OfTwoThatReadWhatTheOtherWritesOneIsAborted) {
  Start();
  Client first = Begin();
  Client second = Begin();
  for (Client* const client : {&first, &second}) {
    EXPECT_EQ(client->Get("a"), "none");
    EXPECT_EQ(client->Get("b"), "none");
  }
  EXPECT_TRUE(first.Put("a", "first"));
  EXPECT_TRUE(second.Put("b", "second"));
  EXPECT_EQ(second.Commit(), 2u);
  EXPECT_EQ(first.Commit(), 0u);
  ExpectEnd(first, absl::StatusCode::kAborted, "the key \"b\" has changed");
  EXPECT_TRUE(absl::IsNotFound(Get("a").status()));
  EXPECT_EQ(*Get("b"), "second");
}

TEST_F(TransactTest, ConflictsOnlyInWhatItHasRead) {
  Start();
  ASSERT_TRUE(Put("read", "1").ok());
  Client client = Begin();
  EXPECT_EQ(client.Get("read"), "1");
  EXPECT_TRUE(client.Put("written", "mine"));
  ASSERT_TRUE(Put("written", "theirs").ok());
  ASSERT_TRUE(Put("read", "2").ok());
  ASSERT_TRUE(Put("read", "1").ok());  // As it was read.
  EXPECT_EQ(client.Commit(), 6u);
  EXPECT_EQ(*Get("written"), "mine");
}

TEST_F(TransactTest, ThatOnlyReadsAlwaysCommits) {
  Start();
  ASSERT_TRUE(Put("k", "1").ok());
  Client client = Begin();
  EXPECT_EQ(client.Get("k"), "1");
  ASSERT_TRUE(Put("k", "2").ok());
  EXPECT_EQ(client.Commit(), 2u);
  EXPECT_TRUE(client.Finish().ok());
  EXPECT_EQ(Last(), 3u);
}

TEST_F(TransactTest, ManyAtOnceLoseNoUpdate) {
  Start();
  ASSERT_TRUE(Put("counter", "0").ok());
  constexpr int kThreads = 4;
  constexpr int kIncrements = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int done = 0; done < kIncrements;) {
        Client client = Begin();
        const int count = std::stoi(client.Get("counter"));
        EXPECT_TRUE(client.Put("counter", std::to_string(count + 1)));
        if (client.Commit() != 0) {
          ++done;
        } else {
          EXPECT_TRUE(absl::IsAborted(client.Finish()));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*Get("counter"), std::to_string(kThreads * kIncrements));
}

// --- Limits ------------------------------------------------------------------

TEST_F(TransactTest, LimitsKeysAndValues) {
  Start();
  const std::string key(kMaxKeyBytes, 'k');
  const std::string value(kMaxValueBytes, 'v');
  Client client = Begin();
  EXPECT_TRUE(client.Put(key, value));
  EXPECT_TRUE(client.Delete(key));
  EXPECT_EQ(client.Get(key), "none");
  for (const auto& [request, why] :
       std::vector<std::pair<v1::TransactRequest, std::string>>{
           {GetOf(""), "the key is empty"},
           {GetOf(key + "k"), "a key of 1025 bytes"},
           {DeleteOf(key + "k"), "a key of 1025 bytes"},
           {PutOf(key + "k", ""), "a key of 1025 bytes"},
           {PutOf("k", value + "v"), "a value of 1048577 bytes"},
           {{}, "it has no operation"}}) {
    Client refused = Begin();
    EXPECT_TRUE(refused.Put("k", ""));
    EXPECT_FALSE(refused.Do(request).has_value());
    ExpectEnd(refused, absl::StatusCode::kInvalidArgument,
              "requests[1]: " + why);
  }
}

TEST_F(TransactTest, LimitsReadsAndWrites) {
  Start();
  for (const size_t more : {0, 1}) {
    Client client = Begin();
    for (size_t i = 0; i < kMaxTransactionOperations + more; ++i) {
      ASSERT_TRUE(
          client.stream().Write(i % 2 == 0 ? GetOf("k") : PutOf("k", "v")));
    }
    ASSERT_TRUE(client.stream().Write(CommitOf()) || more == 1);
    v1::TransactReply reply;
    size_t replies = 0;
    while (client.stream().Read(&reply)) ++replies;
    if (more == 0) {
      EXPECT_EQ(replies, kMaxTransactionOperations + 1);
      EXPECT_TRUE(reply.has_commit());
      EXPECT_TRUE(client.Finish().ok());
    } else {
      EXPECT_EQ(replies, kMaxTransactionOperations);
      ExpectEnd(client, absl::StatusCode::kInvalidArgument,
                "requests[1024]: a transaction of 1025 reads and writes "
                "exceeds the limit of 1024");
    }
  }
}

TEST_F(TransactTest, LimitsBytes) {
  Start();
  const std::string half(kMaxTransactionBytes / 2 - 1, 'v');
  ASSERT_TRUE(Put("r", half).ok());
  const std::string why =
      "requests[2]: a transaction of 2097153 bytes exceeds the limit of "
      "2097152";
  // What is read counts like what is written.
  for (const auto& last : {PutOf("k", ""), GetOf("k"), DeleteOf("k")}) {
    Client client = Begin();
    EXPECT_EQ(client.Get("r"), half);
    EXPECT_TRUE(client.Put("w", half));
    EXPECT_FALSE(client.Do(last).has_value());
    ExpectEnd(client, absl::StatusCode::kInvalidArgument, why);
  }
  Client client = Begin();
  EXPECT_EQ(client.Get("r"), half);
  EXPECT_TRUE(client.Put("w", half));
  EXPECT_NE(client.Commit(), 0u);
}

TEST_F(TransactTest, EndsWhenTheServerDrains) {
  Start();
  const uint64_t last = Last();
  Client client = Begin();
  EXPECT_TRUE(client.Put("k", "v"));
  // OK: there was nothing to cancel in the end, which is far away.
  EXPECT_EQ(served_->server().Drain(absl::Hours(1)), absl::OkStatus());
  ExpectEnd(client, absl::StatusCode::kUnavailable, "draining");
  EXPECT_EQ(Last(), last);
}

TEST_F(TransactTest, EndsAfterItsTime) {
  Start();
  // Another service over the same store, with less patience.
  KeyValueService hasty(store_.get(), absl::Milliseconds(20));
  Served served(&hasty);
  Client client(served.stub());
  v1::TransactReply reply;
  EXPECT_FALSE(client.stream().Read(&reply));
  ExpectEnd(client, absl::StatusCode::kAborted, "open for more than 20ms");
}

TEST_F(TransactTest, ThatDoesNotReadEndsAfterItsTimeToo) {
  Start();
  ASSERT_TRUE(Put("k", std::string(100'000, 'v')).ok());
  KeyValueService hasty(store_.get(), absl::Milliseconds(200));
  Served served(&hasty,
                {.max_stream_threads = 1, .max_stream_unsent_bytes = 1'000});
  Client client(served.stub());
  EXPECT_EQ(client.Get("k").size(), 100'000u);  // It has the thread.
  // More is read than fits the stream's window and what may be unsent.
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(client.stream().Write(GetOf("k")));
  }
  // Its thread is free, though nobody has read.
  EXPECT_TRUE(
      Eventually([&served] { return Client(served.stub()).Put("other", ""); }));
  v1::TransactReply reply;
  while (client.stream().Read(&reply)) {
  }
  ExpectEnd(client, absl::StatusCode::kAborted, "open for more than 200ms");
}

}  // namespace
}  // namespace kv
