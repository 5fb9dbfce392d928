#include <iostream>

#include "examples/hello/hello.tern.client.h"
int main(int argc, char** argv) {
  auto channel = tern::Channel::Create(argc > 1 ? argv[1] : "localhost:7117");
  hello::v1::Greeter::Stub greeter(*channel);
  hello::v1::HelloRequest request;
  request.set_name("world");
  auto reply = greeter.SayHello(request, {.timeout = absl::Seconds(1)});
  if (!reply.ok()) return std::cerr << reply.status() << "\n", 1;
  std::cout << reply->text() << "\n";
}
