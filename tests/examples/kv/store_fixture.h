#ifndef TERN_TESTS_EXAMPLES_KV_STORE_FIXTURE_H_
#define TERN_TESTS_EXAMPLES_KV_STORE_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/kv/service.h"
#include "examples/kv/store.h"
#include "gtest/gtest.h"
#include "tern/lib/base/monotonic_time.h"
#include "tests/examples/kv/folder.h"
#include "tests/examples/kv/served.h"

// The packaged LevelDB was not built for ThreadSanitizer, which therefore does
// not see in what order its threads touch its own memory.
#ifdef __SANITIZE_THREAD__
extern "C" __attribute__((used)) inline const char*
__tsan_default_suppressions() {  // NOLINT: the name is the sanitizer's.
  return "race:libleveldb.so\n";
}
#endif

namespace kv {

// The real store behind the real service, called over loopback.
class StoreFixture : public testing::Test {
 protected:
  using Entries = std::vector<std::pair<std::string, std::string>>;

  void Start(StoreOptions store_options = {},
             tern::ServerOptions server_options = {}) {
    store_options.directory = folder_ / "db";
    store_options.sync = false;
    auto store = Store::Open(store_options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    service_.emplace(store_.get());
    served_.emplace(&*service_, std::move(server_options));
  }
  v1::KeyValue::Stub& stub() { return served_->stub(); }

  absl::StatusOr<std::string> Get(const std::string& key) {
    v1::GetRequest request;
    request.set_key(key);
    auto reply = stub().Get(request);
    if (!reply.ok()) return reply.status();
    return reply->value();
  }
  absl::Status Put(const std::string& key, const std::string& value) {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return stub().Put(request).status();
  }
  absl::Status Delete(const std::string& key) {
    v1::DeleteRequest request;
    request.set_key(key);
    return stub().Delete(request).status();
  }
  absl::Status BatchPut(const Entries& entries) {
    v1::BatchPutRequest request;
    for (const auto& [key, value] : entries) {
      v1::Entry& entry = *request.add_entries();
      entry.set_key(key);
      entry.set_value(value);
    }
    return stub().BatchPut(request).status();
  }

  // Asks again and again, for what nothing tells of.
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const tern::MonotonicTime until =
        tern::MonotonicTime::Now() + absl::Seconds(50);
    while (!condition()) {
      if (tern::MonotonicTime::Now() > until) return false;
    }
    return true;
  }

  TestFolder folder_;
  std::unique_ptr<Store> store_;
  std::optional<KeyValueService> service_;
  std::optional<Served> served_;
};

}  // namespace kv

#endif  // TERN_TESTS_EXAMPLES_KV_STORE_FIXTURE_H_
