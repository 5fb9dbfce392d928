// Connections that are drained because they are old.

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "tern/testing/fake_clock.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/logged.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ConnectionAgeTest : public EndToEnd {
 protected:
  // Answers with the client's end of the connection.
  void AnswerWithPeer() {
    service_.OnCall([](ServerContext& context, const Message&, Message* reply) {
      reply->set_text(context.peer());
      return absl::OkStatus();
    });
  }
};

TEST_F(ConnectionAgeTest, ConnectsAnewWithoutFailingACall) {
  AnswerWithPeer();
  StartServer({.max_connection_age = absl::Milliseconds(10)});
  const std::unique_ptr<Channel> channels[] = {Connect(), Connect()};
  std::atomic<int> answered{0};
  InThreads(4, [&](int i) {
    const MonotonicTime until = MonotonicTime::Now() + kPatience;
    std::set<std::string> peers;
    while (peers.size() < 5 && MonotonicTime::Now() < until) {
      const absl::StatusOr<Message> reply = Call(*channels[i % 2], "x");
      ASSERT_TRUE(reply.ok()) << reply.status();
      ++answered;
      peers.insert(reply->text());
    }
    EXPECT_EQ(peers.size(), 5u);
  });
  EXPECT_EQ(service_.started(), answered);
}

TEST_F(ConnectionAgeTest, LetsStreamsFinishWithinTheGrace) {
  AnswerWithPeer();
  service_.OnWatch([this](ServerContext& context, const Message&,
                          ServerWriter<Message>& writer) {
    Event told;
    const auto registration = context.OnDrain([&told] { told.Notify(); });
    EXPECT_TRUE(told.Wait());
    EXPECT_TRUE(writer.Write(MessageWith(context.peer())));
    holdup_.WaitUntilLetGo();
    EXPECT_TRUE(writer.Write(MessageWith("the rest")));
    return absl::OkStatus();
  });
  StartServer({.max_connection_age = absl::Milliseconds(10),
               .max_connection_age_grace = absl::InfiniteDuration()});
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message old_peer;
  ASSERT_TRUE(reader.Read(&old_peer));
  const absl::StatusOr<Message> new_peer = Call(*channel, "x");
  ASSERT_TRUE(new_peer.ok()) << new_peer.status();
  EXPECT_NE(new_peer->text(), old_peer.text());
  holdup_.LetGo();
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  EXPECT_EQ(message.text(), "the rest");
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(ConnectionAgeTest, CancelsAndListsCallsThatOutlastTheGrace) {
  const Logged warnings(LogSeverity::kWarning);
  service_.OnCall(holdup_.HandlerThatHeedsCancellation());
  StartServer({.max_connection_age = absl::Milliseconds(200),
               .max_connection_age_grace = absl::Milliseconds(200)});
  const auto channel = Connect();
  const auto call = StartCall(*channel, "x");
  EXPECT_TRUE(Failed(call->WaitForStatus(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
  StopServer();
  EXPECT_THAT(
      warnings.lines(),
      ElementsAre(
          StartsWith("the grace of a connection's maximum age is over; calls "
                     "cancelled: 1 "),
          AllOf(StartsWith("tern.testing.Tester/Call for 127.0.0.1:"),
                EndsWith("ms old"))));
}

TEST_F(ConnectionAgeTest, ClosesAnIdleConnection) {
  const Logged warnings(LogSeverity::kWarning);
  StartServer({.max_connection_age = absl::Milliseconds(10)});
  RawConnection client = RawConnection::To(target());
  client.Send(GreetingBytes());
  EXPECT_THAT(DescribeFrames(client.ReadUntilClosed()),
              ElementsAre("PREFACE", "HELLO", "GOAWAY 2147483647 NO_ERROR",
                          "PING 0000000000000002", "GOAWAY 0 NO_ERROR"));
  StopServer();
  EXPECT_THAT(warnings.lines(), IsEmpty());
}

// The server's own drain has a longer grace, or a shorter one: it holds.
TEST_F(ConnectionAgeTest, DoesNotShortenTheServersDrain) {
  constexpr absl::Duration kAge = absl::Milliseconds(100);
  Event over;
  service_.OnCall([&](ServerContext& context, const Message&, Message*) {
    EXPECT_TRUE(server_->Drain(absl::Minutes(10)).ok());
    const auto registration =
        context.cancellation().OnCancel([&over] { over.Notify(); });
    EXPECT_FALSE(over.Wait(1, 3 * kAge));
    return absl::OkStatus();
  });
  StartServer(
      {.max_connection_age = kAge, .max_connection_age_grace = kAge / 10});
  const auto channel = Connect();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(status.ok()) << status;
  server_->Wait();
}

// Age by the clock, of days, so that what a test takes does not count.
class FakedAgeTest : public ConnectionAgeTest {
 protected:
  static constexpr absl::Duration kAge = absl::Hours(500);
  static constexpr absl::Duration kHour = absl::Hours(1);

  // Watchers answer with their connection, and stay when it drains.
  void StartServerWithWatchers(absl::Duration grace) {
    AnswerWithPeer();
    service_.OnWatch([this](ServerContext& context, const Message&,
                            ServerWriter<Message>& writer) {
      const auto on_drain = context.OnDrain([this] { told_.Notify(); });
      const auto on_cancel =
          context.cancellation().OnCancel([this] { holdup_.LetGo(); });
      EXPECT_TRUE(writer.Write(MessageWith(context.peer())));
      holdup_.WaitUntilLetGo();
      // What a cancelled call answers does not matter.
      (void)writer.Write(MessageWith("the rest"));
      return absl::OkStatus();
    });
    StartServer(
        {.max_connection_age = kAge, .max_connection_age_grace = grace});
  }
  std::string PeerOfACall(Channel& channel) {
    const absl::StatusOr<Message> reply = Call(channel, "x");
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->text() : "";
  }
  void TearDown() override { StopServer(); }  // Before its clock.

  FakeClock clock_;
  Event told_;
};

TEST_F(FakedAgeTest, DrainsAConnectionAtItsAgeAndNotBefore) {
  StartServerWithWatchers(absl::InfiniteDuration());
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message peer;
  ASSERT_TRUE(reader.Read(&peer));
  clock_.Advance(0.9 * kAge - kHour);  // The least that it can be.
  // The second comes behind what the time had brought when the first came.
  EXPECT_EQ(PeerOfACall(*channel), peer.text());
  EXPECT_EQ(PeerOfACall(*channel), peer.text());
  EXPECT_EQ(told_.count(), 0);

  clock_.Advance(0.2 * kAge + kHour);  // The most.
  ASSERT_TRUE(told_.Wait());
  // The client is told, too: soon, and none of its calls fails until then.
  const MonotonicTime until = MonotonicTime::Now() + kPatience;
  std::string next = peer.text();
  while (next == peer.text() && MonotonicTime::Now() < until) {
    next = PeerOfACall(*channel);
  }
  EXPECT_NE(next, peer.text());
  // The one in flight finishes.
  holdup_.LetGo();
  Message rest;
  ASSERT_TRUE(reader.Read(&rest));
  EXPECT_EQ(rest.text(), "the rest");
  EXPECT_TRUE(reader.Finish().ok());
}

// Once a connection drains for its age and the server drains, too, its calls
// have the earlier of the two graces.
TEST_F(FakedAgeTest, KeepsItsGraceWhenTheServerDrainsForLonger) {
  constexpr absl::Duration kGrace = absl::Hours(10);
  StartServerWithWatchers(kGrace);
  const auto channel = Connect();
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  clock_.Advance(1.1 * kAge);
  ASSERT_TRUE(told_.Wait());
  // A younger connection, for whose call only the server drains.
  Event begun;
  Event draining;
  service_.OnUpload(
      [&](ServerContext& context, ServerReader<Message>&, Message*) {
        Event told;
        const auto on_drain = context.OnDrain([&told] { told.Notify(); });
        begun.Notify();
        EXPECT_TRUE(told.Wait());
        draining.Notify();
        return absl::OkStatus();
      });
  const auto younger = Connect();
  auto writer = Tester::Stub(*younger).Upload();
  ASSERT_TRUE(begun.Wait());
  absl::Status drained;
  std::thread drain(
      [&] { drained = server_->Drain(absl::InfiniteDuration()); });
  EXPECT_TRUE(draining.Wait());
  EXPECT_TRUE(writer.Finish().ok());
  clock_.Advance(kGrace);
  while (reader.Read(&message)) {
  }
  EXPECT_TRUE(Failed(reader.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
  drain.join();
  // There was nothing left for the drain to cancel.
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(FakedAgeTest, HasNoLongerGraceThanTheServersDrain) {
  StartServerWithWatchers(absl::InfiniteDuration());
  // No ping is to be late when the time jumps.
  const auto channel = Connect({.keepalive_interval = absl::Hours(24 * 365),
                                .keepalive_timeout = absl::Hours(24 * 365)});
  auto reader = Tester::Stub(*channel).Watch(MessageWith(""));
  Message message;
  ASSERT_TRUE(reader.Read(&message));
  clock_.Advance(1.1 * kAge);
  ASSERT_TRUE(told_.Wait());
  // Until the drain has begun, its grace is not over: it may be asked again.
  Event over;
  std::thread advance([&] {
    while (!over.Wait(1, absl::Milliseconds(1))) clock_.Advance(kHour);
  });
  const absl::Status drained = server_->Drain(kHour);
  over.Notify();
  advance.join();
  EXPECT_EQ(drained.code(), StatusCode::kDeadlineExceeded) << drained;
  while (reader.Read(&message)) {
  }
  EXPECT_TRUE(Failed(reader.Finish(), StatusCode::kCancelled,
                     Certainty::kMaybeStarted, CallPhase::kHandler));
}

}  // namespace
}  // namespace tern::testing
