#ifndef TERN_TESTS_EXAMPLES_KV_SERVED_H_
#define TERN_TESTS_EXAMPLES_KV_SERVED_H_

#include <memory>
#include <optional>
#include <utility>

#include "examples/kv/kv.tern.client.h"
#include "examples/kv/kv.tern.server.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/server/server.h"

namespace kv {

// A service on a real server at a port of its own, and a stub that calls it.
class Served {
 public:
  // `service` outlives it.
  explicit Served(v1::KeyValue::Service* service,
                  tern::ServerOptions options = {})
      : server_(OnLoopback(std::move(options))) {
    server_.Register(service);
    const absl::Status status = server_.Start();
    if (!status.ok()) {
      ADD_FAILURE() << status;
      return;
    }
    channel_ = tern::Channel::Create(server_.addresses().front());
    stub_.emplace(*channel_);
  }

  v1::KeyValue::Stub& stub() { return *stub_; }
  tern::Server& server() { return server_; }

 private:
  static tern::ServerOptions OnLoopback(tern::ServerOptions options) {
    options.listen = {"127.0.0.1:0"};
    return options;
  }

  tern::Server server_;
  std::unique_ptr<tern::Channel> channel_;
  std::optional<v1::KeyValue::Stub> stub_;
};

}  // namespace kv

#endif  // TERN_TESTS_EXAMPLES_KV_SERVED_H_
