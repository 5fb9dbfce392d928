// The echo service over Tern, with the options that a server has by default.

#include "tern/server/server.h"

#include <chrono>
#include <string>
#include <thread>

#include "bench/echo.tern.server.h"
#include "bench/load/process.h"

namespace {

class EchoService final : public tern::bench::Echo::Service {
  absl::Status Call(tern::ServerContext&, const tern::bench::Payload& request,
                    tern::bench::Payload* reply) override {
    reply->set_body(request.body());
    return absl::OkStatus();
  }
  absl::Status Block(tern::ServerContext&,
                     const tern::bench::BlockRequest& request,
                     tern::bench::Payload*) override {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(request.milliseconds()));
    return absl::OkStatus();
  }
  absl::Status Pour(tern::ServerContext&,
                    const tern::bench::PourRequest& request,
                    tern::ServerWriter<tern::bench::Payload>& writer) override {
    tern::bench::Payload message;
    message.set_body(std::string(request.bytes(), 'x'));
    while (writer.Write(message)) {
    }
    return absl::OkStatus();
  }
};

}  // namespace

int main() {
  tern::bench::BeginProcess();
  EchoService echo;
  tern::Server server({.listen = {"127.0.0.1:0"}});
  server.Register(&echo);
  if (const absl::Status status = server.Start(); !status.ok()) {
    tern::bench::Die(status.ToString());
  }
  tern::bench::ServeUntilStdinEnds(server.port());
  server.Stop();
}
