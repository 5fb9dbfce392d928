// The echo service over Cap'n Proto: its event loop has one thread, which also
// runs the handlers.

#include <capnp/ez-rpc.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "bench/capnp/generated/echo.capnp.h"
#include "bench/load/process.h"

// Generated server classes are reference-counted by kj, which knows the type.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace tern::bench {
namespace {

class EchoServer final : public CapnpEcho::Server {
  kj::Promise<void> call(CallContext context) override {
    const auto body = context.getParams().getBody();
    context.getResults().setBody(body);
    return kj::READY_NOW;
  }
  kj::Promise<void> block(BlockContext context) override {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(context.getParams().getMilliseconds()));
    return kj::READY_NOW;
  }
};

}  // namespace
}  // namespace tern::bench

int main() {
  tern::bench::BeginProcess();
  capnp::EzRpcServer server(kj::heap<tern::bench::EchoServer>(), "127.0.0.1",
                            /*defaultPort=*/0);
  kj::WaitScope& wait_scope = server.getWaitScope();
  const auto port = static_cast<uint16_t>(server.getPort().wait(wait_scope));
  std::thread([port] {
    tern::bench::ServeUntilStdinEnds(port);
    _exit(0);
  }).detach();
  kj::Promise<void>(kj::NEVER_DONE).wait(wait_scope);
}
