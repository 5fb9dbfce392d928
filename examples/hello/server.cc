#include "server/server.h"

#include <iostream>

#include "examples/hello/hello.tern.server.h"

class Greeter final : public hello::v1::Greeter::Service {
  absl::Status SayHello(tern::ServerContext& context,
                        const hello::v1::HelloRequest& request,
                        hello::v1::HelloReply* reply) override {
    reply->set_text("Hello, " + request.name() + " at " + context.peer());
    return absl::OkStatus();
  }
};

int main() {
  Greeter greeter;
  tern::Server server({.listen = {"[::]:7117"}});
  server.Register(&greeter);
  if (absl::Status status = server.Start(); !status.ok()) {
    return std::cerr << status << "\n", 1;
  }
  server.Wait();  // Until SIGTERM or Ctrl-C; calls in flight are finished.
}
