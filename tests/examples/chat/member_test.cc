#include "examples/chat/member.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "gtest/gtest.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_pipe.h"

namespace chat {
namespace {

constexpr size_t kMaxQueued = 3;

SharedReply Reply(int number) {
  auto reply = std::make_shared<v1::TalkReply>();
  reply->mutable_said()->set_text(std::to_string(number));
  return reply;
}

// A connection that takes what is written only when it is told to.
class Connection final : public tern::StreamPipe::Host {
 public:
  void OnPipeWork() override {
    tern::MutexLock lock(mutex_);
    has_work_ = true;
    changed_.NotifyAll();
  }
  // Waits until something was written since it was asked last.
  void AwaitWork() {
    tern::MutexLock lock(mutex_);
    while (!has_work_) changed_.Wait(mutex_);
    has_work_ = false;
  }

  // The texts that were written and not taken yet.
  std::vector<std::string> Take() {
    std::vector<std::string> texts;
    tern::StreamPipe::Work work = pipe.TakeWork();
    while (!work.messages->empty()) {
      v1::TalkReply reply;
      const auto message = work.messages->Next();
      EXPECT_TRUE(reply.ParseFromArray(message.bytes.data(),
                                       static_cast<int>(message.bytes.size())));
      texts.push_back(reply.said().text());
    }
    work.messages->Clear();
    if (pipe.SetQueuedBytes(0)) pipe.RunWakes();
    return texts;
  }
  // All of them, until there are none.
  std::vector<std::string> TakeAll() {
    std::vector<std::string> all;
    while (true) {
      const std::vector<std::string> texts = Take();
      if (texts.empty()) return all;
      all.insert(all.end(), texts.begin(), texts.end());
    }
  }

  // Has room for one message at a time.
  tern::StreamPipe pipe{this, /*max_unsent_bytes=*/1, /*credit_bytes=*/1000};

 private:
  tern::Mutex mutex_;
  tern::CondVar changed_;
  bool has_work_ ABSL_GUARDED_BY(mutex_) = false;
};

// So many may be on their way at once.
class Window {
 public:
  explicit Window(size_t size) : free_(size) {}
  void Take() {
    tern::MutexLock lock(mutex_);
    while (free_ == 0) changed_.Wait(mutex_);
    --free_;
  }
  void GiveBack(size_t count) {
    tern::MutexLock lock(mutex_);
    free_ += count;
    changed_.NotifyAll();
  }

 private:
  tern::Mutex mutex_;
  tern::CondVar changed_;
  size_t free_ ABSL_GUARDED_BY(mutex_);
};

class MemberTest : public testing::Test {
 protected:
  void Tell(int number) {
    if (member_->Queue(Reply(number))) member_->WriteQueued();
  }

  Connection connection_;
  tern::MessageStream messages_{&connection_.pipe,
                                tern::MessageStream::End::kServer};
  TalkStream stream_{&messages_};
  const std::shared_ptr<Member> member_ =
      std::make_shared<Member>("ann", &stream_, kMaxQueued);
};

TEST_F(MemberTest, IsToldInOrderAsFastAsItsConnectionTakesIt) {
  Tell(0);
  EXPECT_EQ(connection_.Take(), std::vector<std::string>{"0"});
  for (int i = 1; i <= 3; ++i) Tell(i);
  EXPECT_EQ(connection_.TakeAll(), (std::vector<std::string>{"1", "2", "3"}));
  Tell(4);
  EXPECT_EQ(connection_.TakeAll(), std::vector<std::string>{"4"});
}

TEST_F(MemberTest, ThatIsTooSlowEndsAtItsLimitAndNotBefore) {
  // One is on its way, the others wait.
  for (size_t i = 0; i < 1 + kMaxQueued; ++i) Tell(static_cast<int>(i));
  EXPECT_EQ(connection_.TakeAll().size(), 1 + kMaxQueued);
  for (size_t i = 0; i < 1 + kMaxQueued; ++i) Tell(static_cast<int>(i));
  Tell(99);
  EXPECT_EQ(member_->AwaitRequest(), std::nullopt);
  EXPECT_TRUE(absl::IsResourceExhausted(member_->TakeEnd()));
  Tell(100);  // Nobody is there any more.
  for (const std::string& text : connection_.TakeAll()) {
    EXPECT_LT(std::stoi(text), 99);
  }
}

TEST_F(MemberTest, EndsWhileItWaits) {
  std::thread ending(
      [this] { member_->End(absl::UnavailableError("good night")); });
  EXPECT_EQ(member_->AwaitRequest(), std::nullopt);
  ending.join();
  member_->End(absl::InternalError("not the first"));
  EXPECT_TRUE(absl::IsUnavailable(member_->TakeEnd()));
}

TEST_F(MemberTest, HearsItsClient) {
  v1::TalkRequest request;
  request.mutable_say()->set_text("hello");
  const std::string bytes = request.SerializeAsString();
  std::thread client([&] {
    if (connection_.pipe.Deliver(bytes, nullptr) ==
        tern::StreamPipe::Delivery::kWake) {
      connection_.pipe.RunWakes();
    }
  });
  const auto heard = member_->AwaitRequest();
  client.join();
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->say().text(), "hello");
  std::thread leaving([&] {
    if (connection_.pipe.EndReads()) connection_.pipe.RunWakes();
  });
  EXPECT_EQ(member_->AwaitRequest(), std::nullopt);
  leaving.join();
  EXPECT_TRUE(member_->TakeEnd().ok());
}

TEST_F(MemberTest, IsLeftAloneOnceItIsDetached) {
  Tell(0);
  Tell(1);  // Waits.
  member_->Detach();
  EXPECT_EQ(connection_.TakeAll(), std::vector<std::string>{"0"});
  Tell(2);
  EXPECT_TRUE(connection_.TakeAll().empty());
}

TEST_F(MemberTest, IsToldByManyThreadsWhileItsConnectionTakes) {
  constexpr int kThreads = 4;
  constexpr int kReplies = 1000;
  // The connection is to keep up. One less than the limit, as a reply that it
  // has taken may be in the queue for a moment still.
  Window window(kMaxQueued - 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kReplies; ++i) {
        window.Take();
        Tell(i);
      }
    });
  }
  for (size_t taken = 0; taken < size_t{kThreads * kReplies};) {
    connection_.AwaitWork();
    const size_t count = connection_.TakeAll().size();
    taken += count;
    window.GiveBack(count);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(member_->TakeEnd().ok());
  EXPECT_TRUE(connection_.TakeAll().empty());
}

}  // namespace
}  // namespace chat
