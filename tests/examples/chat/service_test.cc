#include "examples/chat/service.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/chat/chat.tern.client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/server/server.h"

namespace chat {
namespace {

using testing::HasSubstr;

v1::TalkRequest Entering(const std::string& name, const std::string& room) {
  v1::TalkRequest request;
  request.mutable_enter()->set_name(name);
  request.mutable_enter()->set_room(room);
  return request;
}
v1::TalkRequest Saying(const std::string& text) {
  v1::TalkRequest request;
  request.mutable_say()->set_text(text);
  return request;
}

// A reply as a line: "ann: hello", "+ann", "-ann", "dropped ann", "here ann
// bob".
std::string Line(const v1::TalkReply& reply) {
  switch (reply.kind_case()) {
    case v1::TalkReply::kEntered: {
      std::string line = "here";
      for (const std::string& name : reply.entered().names()) {
        line += " " + name;
      }
      return line;
    }
    case v1::TalkReply::kJoined:
      return "+" + reply.joined().name();
    case v1::TalkReply::kLeft:
      return (reply.left().dropped() ? "dropped " : "-") + reply.left().name();
    case v1::TalkReply::kSaid:
      return reply.said().name() + ": " + reply.said().text();
    default:
      return "nothing";
  }
}

// One who talks, over a connection of his own.
class Person {
 public:
  Person(const std::string& target, const v1::TalkRequest& first)
      : channel_(tern::Channel::Create(target)),
        stream_(v1::Chat::Stub(*channel_).Talk()) {
    (void)stream_.Write(first);
  }
  // The next line, or how the call has ended.
  std::string Next() {
    v1::TalkReply reply;
    if (stream_.Read(&reply)) return Line(reply);
    return "end";
  }
  bool Say(const std::string& text) { return stream_.Write(Saying(text)); }
  bool Write(const v1::TalkRequest& request) { return stream_.Write(request); }
  // Leaves.
  absl::Status Finish() {
    stream_.EndWrites();
    return stream_.Finish();
  }
  void Cancel() { stream_.Cancel(); }
  void ExpectEnd(absl::StatusCode code, const std::string& why) {
    while (Next() != "end") {
    }
    const absl::Status status = stream_.Finish();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

 private:
  std::unique_ptr<tern::Channel> channel_;
  tern::ClientStream<v1::TalkRequest, v1::TalkReply> stream_;
};

class ChatServiceTest : public testing::Test {
 protected:
  void Start(const Limits& limits = {}, tern::ServerOptions options = {}) {
    options.listen = {"127.0.0.1:0"};
    service_.emplace(limits);
    server_.emplace(std::move(options));
    server_->Register(&*service_);
    ASSERT_TRUE(server_->Start().ok());
  }
  Person Calls(const v1::TalkRequest& first) {
    return Person(server_->addresses().front(), first);
  }
  // One who is in the room.
  Person Enters(const std::string& name, const std::string& room = "room") {
    Person person = Calls(Entering(name, room));
    EXPECT_THAT(person.Next(), HasSubstr("here"));
    return person;
  }

  std::optional<ChatService> service_;
  std::optional<tern::Server> server_;
};

TEST_F(ChatServiceTest, TellsTheOthersWhatOneSays) {
  Start();
  Person ann = Enters("ann");
  Person bob = Calls(Entering("bob", "room"));
  EXPECT_EQ(bob.Next(), "here ann bob");
  EXPECT_EQ(ann.Next(), "+bob");
  Person cid = Enters("cid", "another room");
  EXPECT_TRUE(ann.Say("hello"));
  EXPECT_EQ(bob.Next(), "ann: hello");
  EXPECT_TRUE(bob.Say("hi"));
  EXPECT_EQ(ann.Next(), "bob: hi");  // And not her own.
  Person dan = Enters("dan", "another room");
  EXPECT_EQ(cid.Next(), "+dan");  // Nothing of the other room.
}

TEST_F(ChatServiceTest, TellsWhoLeaves) {
  Start();
  Person ann = Enters("ann");
  {
    Person bob = Enters("bob");
    EXPECT_EQ(ann.Next(), "+bob");
    EXPECT_TRUE(bob.Finish().ok());
    EXPECT_EQ(ann.Next(), "-bob");
    Person cid = Enters("cid");
    EXPECT_EQ(ann.Next(), "+cid");
  }  // Goes without a word.
  EXPECT_EQ(ann.Next(), "-cid");
}

TEST_F(ChatServiceTest, ANameIsOnlyOnceInARoom) {
  Start();
  Person ann = Enters("ann");
  Person other = Calls(Entering("ann", "room"));
  other.ExpectEnd(absl::StatusCode::kAlreadyExists, "ann is in room");
  Person elsewhere = Enters("ann", "another room");
  EXPECT_TRUE(ann.Finish().ok());
  Enters("ann");
}

TEST_F(ChatServiceTest, TellsAllTheSameInTheSameOrder) {
  Start({.max_queued_replies = 10'000});
  constexpr int kPeople = 4;
  constexpr int kLines = 100;
  Person listener = Enters("listener");
  Person second = Enters("second");
  std::vector<std::thread> threads;
  for (int p = 0; p < kPeople; ++p) {
    threads.emplace_back([this, p] {
      Person person = Enters("p" + std::to_string(p));
      for (int i = 0; i < kLines; ++i) {
        EXPECT_TRUE(person.Say(std::to_string(i)));
      }
      EXPECT_TRUE(person.Finish().ok());
    });
  }
  EXPECT_EQ(listener.Next(), "+second");
  int left = 0;
  std::vector<int> said(kPeople);
  while (left < kPeople) {
    const std::string line = listener.Next();
    EXPECT_EQ(line, second.Next());
    if (line.starts_with("-")) ++left;
    if (line.starts_with("p")) {
      const int person = line[1] - '0';
      EXPECT_EQ(line.substr(2), ": " + std::to_string(said[person]++));
    }
    ASSERT_NE(line, "end");
  }
  EXPECT_EQ(said, std::vector<int>(kPeople, kLines));
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ChatServiceTest, DropsWhoIsTooSlowAndHoldsUpNobody) {
  Start({.max_queued_replies = 8}, {.max_stream_unsent_bytes = 10'000});
  Person slow = Enters("slow");
  Person ann = Enters("ann");
  Person bob = Enters("bob");
  EXPECT_EQ(ann.Next(), "+bob");
  const std::string text(kMaxTextBytes, 'x');
  // More than the window of a stream that is not read.
  std::string line;
  for (int i = 0; i < 10'000 && line != "dropped slow"; ++i) {
    ASSERT_TRUE(ann.Say(text));
    line = bob.Next();
    if (line == "dropped slow") break;
    ASSERT_EQ(line, "ann: " + text);
  }
  EXPECT_EQ(line, "dropped slow");
  slow.ExpectEnd(absl::StatusCode::kResourceExhausted,
                 "too slow: 8 messages wait");
  Person again = Enters("slow");
}

// --- Limits ------------------------------------------------------------------

TEST_F(ChatServiceTest, LimitsNamesAndRooms) {
  Start();
  const std::string name(kMaxNameBytes, 'n');
  const std::string room(kMaxRoomBytes, 'r');
  Person person = Enters(name, room);
  for (const auto& [refused, why] :
       std::vector<std::pair<v1::TalkRequest, std::string>>{
           {Entering("", "r"), "the name is empty"},
           {Entering("n", ""), "the room is empty"},
           {Entering(name + "n", room), "a name of 33 bytes exceeds the limit"},
           {Entering(name, room + "r"), "a room of 65 bytes exceeds the limit"},
           {Entering("a\nb", "r"), "has control characters"},
           {Entering("a", "r\x1b"), "has control characters"},
           {Saying("hello"), "not an Enter"},
           {{}, "not an Enter"}}) {
    Calls(refused).ExpectEnd(absl::StatusCode::kInvalidArgument, why);
  }
}

TEST_F(ChatServiceTest, LimitsTexts) {
  Start();
  Person ann = Enters("ann");
  Person bob = Enters("bob");
  const std::string text(kMaxTextBytes, 'x');
  EXPECT_TRUE(bob.Say(text));
  EXPECT_EQ(ann.Next(), "+bob");
  EXPECT_EQ(ann.Next(), "bob: " + text);
  EXPECT_TRUE(bob.Say(text + "x"));
  bob.ExpectEnd(absl::StatusCode::kInvalidArgument,
                "a text of 4097 bytes exceeds the limit of 4096");
  EXPECT_EQ(ann.Next(), "-bob");
  EXPECT_TRUE(ann.Say(""));
  ann.ExpectEnd(absl::StatusCode::kInvalidArgument, "the text is empty");
  Person cid = Enters("cid");
  EXPECT_TRUE(cid.Write(Entering("cid", "room")));
  cid.ExpectEnd(absl::StatusCode::kInvalidArgument, "not a Say");
}

TEST_F(ChatServiceTest, LimitsTheMembersOfARoom) {
  Start({.max_members = 2});
  Person ann = Enters("ann");
  Person bob = Enters("bob");
  Calls(Entering("cid", "room"))
      .ExpectEnd(absl::StatusCode::kResourceExhausted, "2 members");
  Person cid = Enters("cid", "another room");
  EXPECT_TRUE(bob.Finish().ok());
  Enters("dan");
}

TEST_F(ChatServiceTest, WaitsForAnEnterNotForEver) {
  Start({.enter_timeout = absl::Milliseconds(20)});
  auto channel = tern::Channel::Create(server_->addresses().front());
  auto silent = v1::Chat::Stub(*channel).Talk();
  v1::TalkReply reply;
  EXPECT_FALSE(silent.Read(&reply));
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.Finish()));
  auto leaving = v1::Chat::Stub(*channel).Talk();
  EXPECT_TRUE(absl::IsInvalidArgument(leaving.Finish()));
}

TEST_F(ChatServiceTest, SendsAllAwayWhenTheServerDrains) {
  Start({.enter_timeout = absl::Hours(1)});
  auto channel = tern::Channel::Create(server_->addresses().front());
  v1::Chat::Stub stub(*channel);
  auto silent = stub.Talk();
  auto ann = stub.Talk();
  v1::TalkReply reply;
  ASSERT_TRUE(ann.Write(Entering("ann", "room")));
  ASSERT_TRUE(ann.Read(&reply));  // So the silent one is there as well.
  Person bob = Enters("bob");
  // OK: there was nothing to cancel in the end, which is far away.
  EXPECT_EQ(server_->Drain(absl::Hours(1)), absl::OkStatus());
  for (auto* const stream : {&silent, &ann}) {
    while (stream->Read(&reply)) {
    }
    const absl::Status status = stream->Finish();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("draining"));
  }
  bob.ExpectEnd(absl::StatusCode::kUnavailable, "draining");
}

TEST_F(ChatServiceTest, MembersOfOneConnectionAreApart) {
  Start();
  auto channel = tern::Channel::Create(server_->addresses().front());
  v1::Chat::Stub stub(*channel);
  auto ann = stub.Talk();
  auto bob = stub.Talk();
  v1::TalkReply reply;
  ASSERT_TRUE(ann.Write(Entering("ann", "room")));
  ASSERT_TRUE(ann.Read(&reply));
  ASSERT_TRUE(bob.Write(Entering("bob", "room")));
  ASSERT_TRUE(bob.Read(&reply));
  ASSERT_TRUE(ann.Read(&reply));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ann.Write(Saying(std::to_string(i))));
    ASSERT_TRUE(bob.Read(&reply));
    EXPECT_EQ(Line(reply), "ann: " + std::to_string(i));
    ASSERT_TRUE(bob.Write(Saying("yes")));
    ASSERT_TRUE(ann.Read(&reply));
    EXPECT_EQ(Line(reply), "bob: yes");
  }
}

}  // namespace
}  // namespace chat
