#include <iostream>

#include "examples/hello/hello.tern.server.h"
#include "tern/server/server.h"

class Greeter final : public hello::v1::Greeter::Service {
  absl::Status SayHello(tern::ServerContext&, const hello::v1::HelloRequest& in,
                        hello::v1::HelloReply* out) override {
    out->set_text("Hello, " + in.name() + "!");
    return absl::OkStatus();
  }
};

int main(int argc, char** argv) {
  Greeter greeter;
  tern::Server server({.listen = {argc > 1 ? argv[1] : "[::]:7117"}});
  server.Register(&greeter);
  if (auto s = server.Start(); !s.ok()) return std::cerr << s << "\n", 1;
  server.Wait();  // Until SIGTERM or Ctrl-C; calls in flight are finished.
}
