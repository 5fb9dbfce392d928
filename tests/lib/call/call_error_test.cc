#include "tern/lib/call/call_error.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

CallError Full() {
  return {.certainty = Certainty::kFinished,
          .phase = CallPhase::kHandler,
          .method = "kv.v1.KeyValue/Get",
          .peer = "10.0.0.7:7117",
          .local = "10.0.0.9:51234",
          .elapsed = absl::Microseconds(1200),
          .retry_after = absl::Milliseconds(100),
          .load_permille = 1250,
          .truncated = true};
}

// What comes back out of a status that carries `error`.
CallError ThereAndBack(const CallError& error) {
  absl::Status status = absl::UnavailableError("x");
  error.AttachTo(&status);
  return CallError::From(status).value();
}

void ExpectEqual(const CallError& a, const CallError& b) {
  EXPECT_EQ(a.certainty, b.certainty);
  EXPECT_EQ(a.phase, b.phase);
  EXPECT_EQ(a.method, b.method);
  EXPECT_EQ(a.peer, b.peer);
  EXPECT_EQ(a.local, b.local);
  EXPECT_EQ(a.elapsed, b.elapsed);
  EXPECT_EQ(a.retry_after, b.retry_after);
  EXPECT_EQ(a.load_permille, b.load_permille);
  EXPECT_EQ(a.truncated, b.truncated);
}

TEST(CallError, IsReadableInTheStatus) {
  absl::Status status = absl::UnavailableError("no");
  Full().AttachTo(&status);
  EXPECT_EQ(status.ToString(),
            "UNAVAILABLE: no [tern.call='finished; in handler; method "
            "kv.v1.KeyValue/Get; to 10.0.0.7:7117; from 10.0.0.9:51234; after "
            "1.2ms; retry after 100ms; load 1250/1000; truncated']");
}

TEST(CallError, ComesBackAsItWas) {
  ExpectEqual(ThereAndBack(Full()), Full());
  ExpectEqual(ThereAndBack(CallError()), CallError());
  for (const CallPhase phase :
       {CallPhase::kResolve, CallPhase::kConnect, CallPhase::kSend,
        CallPhase::kQueue, CallPhase::kHandler, CallPhase::kReceive}) {
    for (const Certainty certainty :
         {Certainty::kNotStarted, Certainty::kMaybeStarted,
          Certainty::kFinished}) {
      CallError error = Full();
      error.phase = phase;
      error.certainty = certainty;
      ExpectEqual(ThereAndBack(error), error);
    }
  }
}

// A path may hold what separates the parts.
TEST(CallError, NamesMayHoldAnything) {
  CallError error = Full();
  for (const char* name : {"unix:/tmp/a; not started; in send", "unix:/50%",
                           "unix:/%3B; %25", ";", "; ", "%"}) {
    error.peer = error.local = name;
    ExpectEqual(ThereAndBack(error), error);
  }
}

TEST(CallError, ReplacesAnInnerCalls) {
  absl::Status status = absl::NotFoundError("x");
  Full().AttachTo(&status);
  CallError outer = Full();
  outer.peer = "outer:1";
  outer.AttachTo(&status);
  EXPECT_EQ(CallError::From(status)->peer, "outer:1");
  CallError::RemoveFrom(&status);
  EXPECT_EQ(CallError::From(status), std::nullopt);
  EXPECT_EQ(status.ToString(), "NOT_FOUND: x");
}

TEST(CallError, IsAbsentFromOtherStatuses) {
  EXPECT_EQ(CallError::From(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(CallError::From(absl::NotFoundError("x")), std::nullopt);
  EXPECT_EQ(CertaintyOf(absl::NotFoundError("x")), Certainty::kMaybeStarted);
  absl::Status status = absl::NotFoundError("x");
  Full().AttachTo(&status);
  EXPECT_EQ(CertaintyOf(status), Certainty::kFinished);
}

// Whoever put it there.
TEST(CallError, OddTextIsNoTrouble) {
  for (const char* text : {"", ";", "; ; ", "in nowhere", "after nothing",
                           "retry after", "in send; in send", "certainly"}) {
    absl::Status status = absl::NotFoundError("x");
    status.SetPayload("tern.call", absl::Cord(text));
    ASSERT_TRUE(CallError::From(status).has_value());
    EXPECT_EQ(CallError::From(status)->certainty, Certainty::kMaybeStarted);
  }
}

}  // namespace
}  // namespace tern
