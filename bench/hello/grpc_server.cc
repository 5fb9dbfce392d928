// examples/hello/greeter_server.cc with gRPC, for its size.

#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>

#include "examples/hello/hello.grpc.pb.h"

class Greeter final : public hello::v1::Greeter::Service {
  grpc::Status SayHello(grpc::ServerContext*, const hello::v1::HelloRequest* in,
                        hello::v1::HelloReply* out) override {
    out->set_text("Hello, " + in->name() + "!");
    return grpc::Status::OK;
  }
};

int main(int argc, char** argv) {
  Greeter greeter;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argc > 1 ? argv[1] : "[::]:7117",
                           grpc::InsecureServerCredentials());
  builder.RegisterService(&greeter);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return std::cerr << "it did not start\n", 1;
  server->Wait();
}
