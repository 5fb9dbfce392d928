#include "tern/lib/net/resolver.h"

#include <algorithm>
#include <latch>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tests/lib/net/slot.h"

namespace tern::net {
namespace {

using Addresses = std::vector<Address>;
using Answer = absl::StatusOr<Addresses>;

Address Numeric(std::string_view host, uint16_t port = 80) {
  return Address::FromNumericHost(host, port).value();
}

TEST(ResolveNumeric, AnswersForNumericAndUnixEndpoints) {
  EXPECT_EQ(ResolveNumeric(HostPort{"10.0.0.7", 7117}),
            Addresses{Numeric("10.0.0.7", 7117)});
  EXPECT_EQ(ResolveNumeric(HostPort{"::1", 7117}),
            Addresses{Numeric("::1", 7117)});
  EXPECT_EQ(ResolveNumeric(UnixPath{"/run/kv.sock"}),
            Addresses{Address::FromUnixPath("/run/kv.sock").value()});
}

TEST(ResolveNumeric, DoesNotAnswerForNames) {
  EXPECT_EQ(ResolveNumeric(HostPort{"localhost", 7117}), std::nullopt);
}

TEST(ResolveBlocking, NeedsNoLookupForNumericEndpoints) {
  EXPECT_EQ(*ResolveBlocking(HostPort{"::1", 1}), Addresses{Numeric("::1", 1)});
}

TEST(ResolveBlocking, FindsLocalhostWithThePort) {
  const Answer answer = ResolveBlocking(HostPort{"localhost", 7117});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_FALSE(answer->empty());
  for (const Address& address : *answer) {
    EXPECT_TRUE(address == Numeric("127.0.0.1", 7117) ||
                address == Numeric("::1", 7117))
        << address.ToString();
    EXPECT_EQ(std::count(answer->begin(), answer->end(), address), 1);
  }
}

// L21.
TEST(ResolveBlocking, NamesTheHostThatCannotBeFound) {
  const Answer answer = ResolveBlocking(HostPort{"nonexistent.invalid", 1});
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  const std::string message(answer.status().message());
  const std::string prefix = "resolve \"nonexistent.invalid\": ";
  EXPECT_TRUE(message.starts_with(prefix)) << message;
  EXPECT_GT(message.size(), prefix.size());
}

TEST(ResolveBlocking, RefusesAUnixPathThatCannotBe) {
  EXPECT_EQ(ResolveBlocking(UnixPath{""}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ResolveBlocking, TakesTheFamiliesInTurn) {
  const Addresses answers = {Numeric("::1"), Numeric("::2"), Numeric("::3"),
                             Numeric("10.0.0.1"), Numeric("10.0.0.2")};
  EXPECT_EQ(resolver_internal::TakenInTurn(answers),
            (Addresses{Numeric("::1"), Numeric("10.0.0.1"), Numeric("::2"),
                       Numeric("10.0.0.2"), Numeric("::3")}));
}

TEST(ResolveBlocking, BeginsWithTheFamilyOfTheFirstAnswer) {
  const Addresses answers = {Numeric("10.0.0.1"), Numeric("::1")};
  EXPECT_EQ(resolver_internal::TakenInTurn(answers), answers);
}

TEST(ResolveBlocking, CutsTheAnswerOnePastTheLimit) {
  Addresses answers;
  while (answers.size() < kMaxResolvedAddresses) {
    answers.push_back(Numeric("10.0.0.1", answers.size()));
  }
  EXPECT_EQ(resolver_internal::TakenInTurn(answers), answers);
  Addresses one_more = answers;
  one_more.push_back(Numeric("10.0.0.2"));
  EXPECT_EQ(resolver_internal::TakenInTurn(one_more), answers);
}

TEST(ResolveAsync, AnswersOnAThreadOfItsOwn) {
  Slot<std::pair<Answer, std::thread::id>> slot;
  ResolveAsync(HostPort{"localhost", 7117}, [&](Answer answer) {
    slot.Put({std::move(answer), std::this_thread::get_id()});
  });
  const auto [answer, thread] = slot.Take();
  EXPECT_TRUE(answer.ok()) << answer.status();
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(ResolveAsync, RefusesOnePastTheLimitOfItsQueue) {
  constexpr int kThreads = 4;
  constexpr int kMaxQueued = 1'024;
  const Endpoint numeric = HostPort{"::1", 1};
  Slot<absl::Status> slot;
  std::latch all_blocked(kThreads);
  std::latch release(1);
  for (int i = 0; i < kThreads; ++i) {
    ResolveAsync(numeric, [&](Answer answer) {
      all_blocked.count_down();
      release.wait();
      slot.Put(answer.status());
    });
  }
  all_blocked.wait();
  const auto resolve = [&] {
    ResolveAsync(numeric, [&](Answer answer) { slot.Put(answer.status()); });
  };
  for (int i = 0; i < kMaxQueued; ++i) resolve();
  EXPECT_TRUE(slot.empty());
  resolve();
  EXPECT_EQ(slot.Take().code(), absl::StatusCode::kResourceExhausted);
  release.count_down();
  for (int i = 0; i < kThreads + kMaxQueued; ++i) {
    EXPECT_TRUE(slot.Take().ok());
  }
}

}  // namespace
}  // namespace tern::net
