// Tern's client: a channel for each connection, and the generated stub.

#include <memory>
#include <string>

#include "bench/echo.tern.client.h"
#include "bench/load/load.h"
#include "bench/load/process.h"
#include "tern/client/channel.h"

namespace tern::bench {
namespace {

class TernConnection final : public Connection {
 public:
  TernConnection(const PeerOptions& options, const Payload& request)
      : request_(request),
        channel_(
            Channel::Create(options.host + ":" + std::to_string(options.port))),
        stub_(*channel_),
        stream_bytes_(options.stream_bytes) {}

  void Call() override { Check(stub_.Call(request_, {})); }

  void Start(Completion* done) override {
    stub_.Call(request_, {},
               [this, done](const absl::StatusOr<Payload>& reply) {
                 Check(reply);
                 done->Done();
               });
  }

  void StartBlock(int milliseconds, Completion* done) override {
    BlockRequest request;
    request.set_milliseconds(static_cast<uint32_t>(milliseconds));
    stub_.Block(request, {}, [done](const absl::StatusOr<Payload>& reply) {
      if (!reply.ok()) Die(reply.status().ToString());
      done->Done();
    });
  }

  void Pour(const std::function<bool()>& on_message) override {
    PourRequest request;
    request.set_bytes(static_cast<uint32_t>(stream_bytes_));
    auto reader = stub_.Pour(request);
    Payload message;
    while (reader.Read(&message)) {
      if (message.body().size() != stream_bytes_) Die("not what was asked for");
      if (!on_message()) return;
    }
    Die(reader.Finish().ToString());
  }

 private:
  void Check(const absl::StatusOr<Payload>& reply) {
    if (!reply.ok()) Die(reply.status().ToString());
    if (reply->body().size() != request_.body().size()) {
      Die("a reply that is not the request");
    }
  }

  const Payload& request_;
  const std::unique_ptr<Channel> channel_;
  Echo::Stub stub_;
  const size_t stream_bytes_;
};

class TernPeer final : public Peer {
 public:
  explicit TernPeer(const PeerOptions& options) : options_(options) {
    request_.set_body(std::string(options.bytes, 'x'));
  }

  std::unique_ptr<Connection> Connect() override {
    return std::make_unique<TernConnection>(options_, request_);
  }

  // Callbacks come on Tern's own threads.
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
        return std::make_unique<tern::bench::TernPeer>(options);
      });
}
