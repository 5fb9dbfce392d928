// The server's parts that need no connection: options, memory, registry.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tern/server/memory_budget.h"
#include "tern/server/method_registry.h"
#include "tern/server/server_load.h"
#include "tern/server/server_options.h"

namespace tern {
namespace {

ServerOptions Good() { return {.listen = {"127.0.0.1:0"}}; }

TEST(ServerOptions, DefaultsAreFine) {
  EXPECT_TRUE(CheckServerOptions(Good()).ok());
  const ServerOptions resolved = ResolveServerDefaults(Good());
  EXPECT_GE(resolved.loop_threads, 1);
  EXPECT_GE(resolved.worker_threads, 8);
  EXPECT_GE(resolved.max_request_memory_bytes, 1 << 20);
}

TEST(ServerOptions, WhatMakesNoSenseIsNamed) {
  const auto with = [](auto change) {
    ServerOptions options = Good();
    change(options);
    return options;
  };
  using O = ServerOptions;
  const std::pair<std::string, ServerOptions> cases[] = {
      {"listen", with([](O& o) { o.listen.clear(); })},
      {"loop_threads", with([](O& o) { o.loop_threads = 0; })},
      {"loop_threads", with([](O& o) { o.loop_threads = -2; })},
      {"worker_threads", with([](O& o) { o.worker_threads = 0; })},
      {"max_queued_calls", with([](O& o) { o.max_queued_calls = 0; })},
      {"max_connections", with([](O& o) { o.max_connections = 0; })},
      {"max_request_memory_bytes",
       with([](O& o) { o.max_request_memory_bytes = 0; })},
      {"max_concurrent_calls", with([](O& o) { o.max_concurrent_calls = 0; })},
      {"max_message_bytes", with([](O& o) { o.max_message_bytes = 0; })},
      {"max_frame_bytes", with([](O& o) { o.max_frame_bytes = 1000; })},
      {"stream_window_bytes", with([](O& o) { o.stream_window_bytes = 1; })},
      {"connection_window_bytes",
       with([](O& o) { o.connection_window_bytes = 1; })},
      {"max_metadata_bytes", with([](O& o) { o.max_metadata_bytes = 0; })},
      {"max_metadata_entries", with([](O& o) { o.max_metadata_entries = 0; })},
      {"max_unsent_bytes", with([](O& o) { o.max_unsent_bytes = 0; })},
      {"min_ping_interval",
       with([](O& o) { o.min_ping_interval = absl::ZeroDuration(); })},
      {"hello_timeout",
       with([](O& o) { o.hello_timeout = -absl::Seconds(1); })},
      {"frame_timeout",
       with([](O& o) { o.frame_timeout = absl::InfiniteDuration(); })},
      {"write_timeout",
       with([](O& o) { o.write_timeout = absl::Microseconds(1); })},
  };
  for (const auto& [name, options] : cases) {
    const absl::Status status = CheckServerOptions(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status;
  }
}

TEST(ServerOptions, LimitConnectionAgeAndItsGrace) {
  const std::pair<const char*, absl::Duration ServerOptions::*> options[] = {
      {"max_connection_age is ", &ServerOptions::max_connection_age},
      {"max_connection_age_grace is ",
       &ServerOptions::max_connection_age_grace}};
  for (const auto& [name, member] : options) {
    const auto check = [member = member](absl::Duration value) {
      ServerOptions with = Good();
      with.*member = value;
      return CheckServerOptions(with);
    };
    for (const absl::Duration value :
         {absl::Milliseconds(1), absl::Hours(24 * 30),
          absl::InfiniteDuration()}) {
      EXPECT_TRUE(check(value).ok()) << value;
    }
    for (const absl::Duration value :
         {absl::ZeroDuration(), absl::Milliseconds(1) - absl::Nanoseconds(1),
          absl::Hours(24 * 30) + absl::Nanoseconds(1), -absl::Seconds(1),
          -absl::InfiniteDuration()}) {
      const absl::Status status = check(value);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << value;
      EXPECT_NE(status.message().find(name), std::string::npos) << status;
    }
  }
}

TEST(Permille, OfACapacity) {
  EXPECT_EQ(Permille(0, 8), 0u);
  EXPECT_EQ(Permille(8, 8), 1'000u);
  EXPECT_EQ(Permille(9, 8), 1'125u);
  EXPECT_EQ(Permille(1, 3), 333u);
  EXPECT_EQ(Permille(-1, 8), 0u);
  EXPECT_EQ(Permille(std::numeric_limits<int64_t>::max(), 1), 4'000'000'000u);
  EXPECT_EQ(Permille(std::numeric_limits<int64_t>::max(),
                     std::numeric_limits<int64_t>::max()),
            1'000u);
  EXPECT_EQ(Permille(2, 0), 2'000u);
}

TEST(MemoryBudget, IsNeverOverdrawn) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.Take(60));
  EXPECT_FALSE(budget.Take(41));
  EXPECT_TRUE(budget.Take(40));
  EXPECT_EQ(budget.available(), 0);
  budget.Return(100);
  EXPECT_EQ(budget.available(), 100);
  EXPECT_GT(MemoryBudget::DefaultBytes(), 0);
}

TEST(MemoryAccount, TakesPiecesAndReturnsThem) {
  constexpr int64_t kPiece = MemoryAccount::kPieceBytes;
  MemoryBudget budget(10 * kPiece);
  {
    MemoryAccount account(&budget);
    EXPECT_TRUE(account.Reserve(1));
    EXPECT_EQ(budget.available(), 9 * kPiece);
    EXPECT_TRUE(account.Reserve(3 * kPiece));
    EXPECT_EQ(account.used(), 3 * kPiece + 1);
    EXPECT_EQ(budget.available(), 6 * kPiece);
    account.Release(3 * kPiece);
    account.Release(1);
    EXPECT_EQ(account.used(), 0);
    EXPECT_GE(budget.available(), 8 * kPiece);
  }
  EXPECT_EQ(budget.available(), 10 * kPiece);
}

TEST(MemoryAccount, UsesUpTheLastByte) {
  MemoryBudget budget(1000);
  MemoryAccount account(&budget);
  EXPECT_TRUE(account.Reserve(1000));
  EXPECT_FALSE(account.Reserve(1));
  account.Release(400);
  EXPECT_TRUE(account.Reserve(400));
  EXPECT_FALSE(account.Reserve(1));
}

// Connections that do nothing keep nothing from those that work.
TEST(MemoryAccount, AnIdleOneHoldsNothing) {
  MemoryBudget budget(MemoryAccount::kPieceBytes);
  MemoryAccount idle(&budget);
  EXPECT_TRUE(idle.Reserve(100));
  idle.Release(100);
  idle.ReleaseSpare();
  MemoryAccount busy(&budget);
  EXPECT_TRUE(busy.Reserve(MemoryAccount::kPieceBytes));
}

class NamedService final : public Service {
 public:
  NamedService(std::string_view name, std::vector<MethodHandler> methods)
      : name_(name), methods_(std::move(methods)) {}
  std::string_view TernServiceName() const override { return name_; }
  std::span<const MethodHandler> TernMethods() const override {
    return methods_;
  }

 private:
  const std::string_view name_;
  const std::vector<MethodHandler> methods_;
};

TEST(MethodRegistry, FindsMethodsByTheirFullName) {
  NamedService service("a.S", {{.info = {.full_name = "a.S/One"}},
                               {.info = {.full_name = "a.S/Two"}}});
  NamedService empty("a.Empty", {});
  MethodRegistry registry;
  ASSERT_TRUE(registry.Register(&service).ok());
  ASSERT_TRUE(registry.Register(&empty).ok());
  ASSERT_NE(registry.Find("a.S/Two"), nullptr);
  EXPECT_EQ(registry.Find("a.S/Two")->service, &service);
  EXPECT_EQ(registry.Find("a.S/Two")->handler->info.full_name, "a.S/Two");
  for (const char* name : {"a.S/Three", "a.S", "/One", "", "a.S/one"}) {
    EXPECT_EQ(registry.Find(name), nullptr) << name;
  }
  EXPECT_TRUE(registry.HasService("a.Empty"));
  EXPECT_FALSE(registry.HasService("a"));
}

TEST(MethodRegistry, RefusesTwoServicesOfOneName) {
  NamedService one("a.S", {});
  NamedService other("a.S", {});
  MethodRegistry registry;
  ASSERT_TRUE(registry.Register(&one).ok());
  const absl::Status status = registry.Register(&other);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("a.S"), std::string::npos) << status;
}

}  // namespace
}  // namespace tern
