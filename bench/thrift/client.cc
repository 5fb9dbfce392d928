// Thrift's client. Outstanding calls are sent one behind the other and answered
// in that order, which is how Thrift shares a connection in one thread; where
// threads share one, its concurrent client is used.
//
// --variant=framed where the server has TFramedTransport.

#include <sys/epoll.h>
#include <thrift/async/TConcurrentClientSyncInfo.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "bench/load/load.h"
#include "bench/load/process.h"
#include "bench/thrift/generated/Echo.h"

namespace tern::bench {
namespace {

using apache::thrift::async::TConcurrentClientSyncInfo;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TBufferedTransport;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransport;

constexpr int kEvents = 256;

// Tells what it has read ahead: the socket is not readable for that.
class BufferedTransport final : public TBufferedTransport {
 public:
  using TBufferedTransport::TBufferedTransport;
  bool HoldsInput() const { return rBase_ < rBound_; }
};

class ThriftConnection final : public Connection {
 public:
  explicit ThriftConnection(const PeerOptions& options)
      : bytes_(options.bytes),
        socket_(std::make_shared<TSocket>(options.host, options.port)) {
    request_.__set_body(std::string(options.bytes, 'x'));
    std::shared_ptr<TTransport> transport;
    if (options.variant == "framed") {
      transport = std::make_shared<TFramedTransport>(socket_);
    } else {
      buffered_ = std::make_shared<BufferedTransport>(socket_);
      transport = buffered_;
    }
    socket_->setNoDelay(true);
    transport->open();
    const auto protocol = std::make_shared<TBinaryProtocol>(transport);
    client_ = std::make_unique<thrift_echo::EchoClient>(protocol);
    if (options.shared) {
      concurrent_ = std::make_unique<thrift_echo::EchoConcurrentClient>(
          protocol, std::make_shared<TConcurrentClientSyncInfo>());
    }
  }

  void Call() override {
    thrift_echo::Payload reply;
    if (concurrent_ != nullptr) {
      concurrent_->Call(reply, request_);
    } else {
      client_->Call(reply, request_);
    }
    CheckReply(reply);
  }

  void Start(Completion* done) override {
    client_->send_Call(request_);
    outstanding_.push_back({done, /*block=*/false});
  }

  void StartBlock(int milliseconds, Completion* done) override {
    client_->send_Block(milliseconds);
    outstanding_.push_back({done, /*block=*/true});
  }

  void OnReadable() {
    do {
      if (outstanding_.empty()) Die("the server has closed the connection");
      const Outstanding call = outstanding_.front();
      outstanding_.pop_front();
      if (call.block) {
        client_->recv_Block(reply_);
      } else {
        client_->recv_Call(reply_);
        CheckReply(reply_);
      }
      call.done->Done();
    } while (buffered_ != nullptr && buffered_->HoldsInput());
  }

  int fd() const { return static_cast<int>(socket_->getSocketFD()); }

 private:
  struct Outstanding {
    Completion* done;
    bool block;
  };

  void CheckReply(const thrift_echo::Payload& reply) const {
    if (reply.body.size() != bytes_) Die("a reply that is not the request");
  }

  const size_t bytes_;
  const std::shared_ptr<TSocket> socket_;
  std::shared_ptr<BufferedTransport> buffered_;
  std::unique_ptr<thrift_echo::EchoClient> client_;
  std::unique_ptr<thrift_echo::EchoConcurrentClient> concurrent_;
  thrift_echo::Payload request_;
  thrift_echo::Payload reply_;
  std::deque<Outstanding> outstanding_;
};

class ThriftPeer final : public Peer {
 public:
  explicit ThriftPeer(const PeerOptions& options)
      : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) DieOfErrno("epoll_create1");
  }
  ~ThriftPeer() override { close(epoll_); }

  std::unique_ptr<Connection> Connect() override {
    auto connection = std::make_unique<ThriftConnection>(options_);
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection.get()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
    return connection;
  }

  void Run(int64_t until) override {
    const int64_t wait = std::max<int64_t>(until - NowNanoseconds(), 0);
    const timespec timeout = {.tv_sec = wait / 1'000'000'000,
                              .tv_nsec = wait % 1'000'000'000};
    epoll_event events[kEvents];
    const int count = epoll_pwait2(epoll_, events, kEvents, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      static_cast<ThriftConnection*>(events[i].data.ptr)->OnReadable();
    }
  }

 private:
  const PeerOptions options_;
  const int epoll_;
};

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  return tern::bench::LoadMain(
      argc, argv, [](const tern::bench::PeerOptions& options) {
        return std::make_unique<tern::bench::ThriftPeer>(options);
      });
}
