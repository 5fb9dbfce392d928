// The echo service over Thrift, with the two servers that people choose:
//
//   threaded     a thread for each connection, TBufferedTransport
//   nonblocking  an event loop on one thread, which also runs the handlers,
//                TFramedTransport

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TNonblockingServer.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TNonblockingServerSocket.h>
#include <thrift/transport/TServerSocket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "bench/load/process.h"
#include "bench/thrift/generated/Echo.h"

namespace tern::bench {
namespace {

namespace protocol = apache::thrift::protocol;
namespace server = apache::thrift::server;
namespace transport = apache::thrift::transport;

constexpr int kBacklog = 4096;

class Handler final : public thrift_echo::EchoIf {
 public:
  void Call(thrift_echo::Payload& reply,
            const thrift_echo::Payload& request) override {
    reply.body = request.body;
    reply.__isset.body = true;
  }
  void Block(thrift_echo::Payload&, int32_t milliseconds) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }
};

// Tells when the server listens.
class Listening final : public server::TServerEventHandler {
 public:
  void preServe() override { listening_.set_value(); }
  void Wait() { listening_.get_future().wait(); }

 private:
  std::promise<void> listening_;
};

std::shared_ptr<apache::thrift::TProcessor> MakeProcessor() {
  return std::make_shared<thrift_echo::EchoProcessor>(
      std::make_shared<Handler>());
}

// Serves until standard input ends; `port` is asked once the server listens.
template <typename GetPort>
[[noreturn]] void Serve(server::TServer& server, const GetPort& port) {
  const auto listening = std::make_shared<Listening>();
  server.setServerEventHandler(listening);
  std::thread([&server] { server.serve(); }).detach();
  listening->Wait();
  ServeUntilStdinEnds(static_cast<uint16_t>(port()));
  _exit(0);
}

[[noreturn]] void ServeThreaded() {
  const auto socket =
      std::make_shared<transport::TServerSocket>("127.0.0.1", 0);
  socket->setAcceptBacklog(kBacklog);
  server::TThreadedServer server(
      MakeProcessor(), socket,
      std::make_shared<transport::TBufferedTransportFactory>(),
      std::make_shared<protocol::TBinaryProtocolFactory>());
  Serve(server, [&socket] { return socket->getPort(); });
}

[[noreturn]] void ServeNonblocking() {
  const auto socket =
      std::make_shared<transport::TNonblockingServerSocket>("127.0.0.1", 0);
  socket->setAcceptBacklog(kBacklog);
  server::TNonblockingServer server(
      MakeProcessor(), std::make_shared<protocol::TBinaryProtocolFactory>(),
      socket);
  Serve(server, [&socket] { return socket->getListenPort(); });
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  tern::bench::BeginProcess();
  const std::string shape = argc > 1 ? argv[1] : "";
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
  if (shape == "threaded") tern::bench::ServeThreaded();
  if (shape == "nonblocking") tern::bench::ServeNonblocking();
  tern::bench::Die("threaded or nonblocking, not " + shape);
}
