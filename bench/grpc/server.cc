// The echo service over gRPC: `server sync` has the synchronous interface and
// its threads, `server callback` the one with reactors, both with the defaults.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "bench/echo.grpc.pb.h"
#include "bench/load/process.h"

namespace tern::bench {
namespace {

void Sleep(const BlockRequest& request) {
  std::this_thread::sleep_for(
      std::chrono::milliseconds(request.milliseconds()));
}

class SyncService final : public Echo::Service {
  grpc::Status Call(grpc::ServerContext*, const Payload* request,
                    Payload* reply) override {
    reply->set_body(request->body());
    return grpc::Status::OK;
  }
  grpc::Status Block(grpc::ServerContext*, const BlockRequest* request,
                     Payload*) override {
    Sleep(*request);
    return grpc::Status::OK;
  }
  grpc::Status Pour(grpc::ServerContext*, const PourRequest* request,
                    grpc::ServerWriter<Payload>* writer) override {
    Payload message;
    message.set_body(std::string(request->bytes(), 'x'));
    while (writer->Write(message)) {
    }
    return grpc::Status::OK;
  }
};

class CallbackService final : public Echo::CallbackService {
  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context,
                                 const Payload* request,
                                 Payload* reply) override {
    reply->set_body(request->body());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerUnaryReactor* Block(grpc::CallbackServerContext* context,
                                  const BlockRequest* request,
                                  Payload*) override {
    Sleep(*request);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<Payload>* Pour(grpc::CallbackServerContext*,
                                          const PourRequest* request) override {
    class Pouring final : public grpc::ServerWriteReactor<Payload> {
     public:
      explicit Pouring(size_t bytes) {
        message_.set_body(std::string(bytes, 'x'));
        StartWrite(&message_);
      }
      void OnWriteDone(bool ok) override {
        if (ok) return StartWrite(&message_);
        Finish(grpc::Status::OK);
      }
      void OnDone() override { delete this; }

     private:
      Payload message_;
    };
    return new Pouring(request->bytes());
  }
};

void Serve(grpc::Service& service) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Die("the gRPC server did not start");
  ServeUntilStdinEnds(static_cast<uint16_t>(port));
  server->Shutdown(std::chrono::system_clock::now());
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  tern::bench::BeginProcess();
  const std::string shape = argc > 1 ? argv[1] : "";
  if (shape == "sync") {
    tern::bench::SyncService service;
    tern::bench::Serve(service);
  } else if (shape == "callback") {
    tern::bench::CallbackService service;
    tern::bench::Serve(service);
  } else {
    tern::bench::Die("sync or callback, not " + shape);
  }
}
