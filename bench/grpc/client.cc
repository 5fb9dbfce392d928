// gRPC's client: blocking calls with the synchronous stub, outstanding ones
// with the callback stub; a channel with its own TCP connection for each.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "bench/echo.grpc.pb.h"
#include "bench/load/load.h"
#include "bench/load/process.h"

namespace tern::bench {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const PeerOptions& options) {
  grpc::ChannelArguments arguments;
  // Else channels to one address share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      options.host + ":" + std::to_string(options.port),
      grpc::InsecureChannelCredentials(), arguments);
}

void Check(const grpc::Status& status) {
  if (!status.ok()) Die(status.error_message());
}

class GrpcConnection final : public Connection {
 public:
  GrpcConnection(const PeerOptions& options, const Payload& request)
      : request_(request),
        stub_(Echo::NewStub(MakeChannel(options))),
        stream_bytes_(options.stream_bytes) {}

  void Call() override {
    grpc::ClientContext context;
    Payload reply;
    Check(stub_->Call(&context, request_, &reply));
    CheckReply(reply);
  }

  void Start(Completion* done) override {
    auto* const call = new Outstanding;
    stub_->async()->Call(&call->context, &request_, &call->reply,
                         [this, call, done](const grpc::Status& status) {
                           Check(status);
                           CheckReply(call->reply);
                           delete call;
                           done->Done();
                         });
  }

  void StartBlock(int milliseconds, Completion* done) override {
    auto* const call = new Outstanding;
    call->block.set_milliseconds(static_cast<uint32_t>(milliseconds));
    stub_->async()->Block(&call->context, &call->block, &call->reply,
                          [call, done](const grpc::Status& status) {
                            Check(status);
                            delete call;
                            done->Done();
                          });
  }

  void Pour(const std::function<bool()>& on_message) override {
    grpc::ClientContext context;
    PourRequest request;
    request.set_bytes(static_cast<uint32_t>(stream_bytes_));
    const auto reader = stub_->Pour(&context, request);
    Payload message;
    while (reader->Read(&message)) {
      if (message.body().size() != stream_bytes_) Die("not what was asked for");
      if (on_message()) continue;
      context.TryCancel();
      reader->Finish();
      return;
    }
    Check(reader->Finish());
    Die("the stream has ended");
  }

 private:
  struct Outstanding {
    grpc::ClientContext context;
    BlockRequest block;
    Payload reply;
  };

  void CheckReply(const Payload& reply) {
    if (reply.body().size() != request_.body().size()) {
      Die("a reply that is not the request");
    }
  }

  const Payload& request_;
  const std::unique_ptr<Echo::Stub> stub_;
  const size_t stream_bytes_;
};

class GrpcPeer final : public Peer {
 public:
  explicit GrpcPeer(const PeerOptions& options) : options_(options) {
    request_.set_body(std::string(options.bytes, 'x'));
  }

  std::unique_ptr<Connection> Connect() override {
    return std::make_unique<GrpcConnection>(options_, request_);
  }

  // Callbacks come on gRPC's own threads.
  void Run(int64_t until) override { SleepUntil(until); }

 private:
  const PeerOptions options_;
  Payload request_;
};

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  return tern::bench::LoadMain(
      argc, argv, [](const tern::bench::PeerOptions& options) {
        return std::make_unique<tern::bench::GrpcPeer>(options);
      });
}
