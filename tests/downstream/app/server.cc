// Serves two services on a port of the kernel's choice, and prints the port.

#include "tern/server/server.h"

#include <iostream>

#include "greet/v1/greeter.tern.server.h"
#include "people/people.tern.server.h"
#include "tern/lib/compress/zstd_compressor.h"

namespace {

class Directory final : public people::Directory::Service {
  absl::Status Find(tern::ServerContext&, const people::Query& query,
                    people::Person* person) override {
    if (query.nickname() != "jo") {
      return absl::NotFoundError("nobody is called " + query.nickname());
    }
    person->set_name("Joanna");
    return absl::OkStatus();
  }
};

class Greeter final : public greet::v1::Greeter::Service {
  absl::Status SayHello(tern::ServerContext&,
                        const greet::v1::HelloRequest& request,
                        greet::v1::HelloReply* reply) override {
    reply->set_text("Hello, " + request.person().name() + "!");
    *reply->mutable_sent_at() = request.sent_at();
    return absl::OkStatus();
  }
};

}  // namespace

int main() {
  Directory directory;
  Greeter greeter;
  tern::Server server(
      {.listen = {"127.0.0.1:0"}, .compressors = {tern::ZstdCompressor()}});
  server.Register(&directory);
  server.Register(&greeter);
  if (absl::Status status = server.Start(); !status.ok()) {
    std::cerr << status << "\n";
    return 1;
  }
  std::cout << server.port() << std::endl;
  server.Wait();
}
