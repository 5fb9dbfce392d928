// The client on bare sockets: a blocking caller writes and reads; many
// outstanding calls go through one epoll loop, one read and one write for each
// connection and turn. --variant=fresh: a new message for each reply.
// --variant=headers: see server.cc.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/echo.pb.h"
#include "bench/load/load.h"
#include "bench/load/process.h"
#include "bench/raw/frame_stream.h"
#include "tern/call.pb.h"
#include "tern/status.pb.h"

namespace tern::bench {
namespace {

constexpr int kEvents = 256;

class RawPeer;

class RawConnection final : public Connection {
 public:
  explicit RawConnection(RawPeer& peer);
  ~RawConnection() override;

  void Call() override {
    Send(0);
    while (!stream_.Write(0)) {
    }
    uint32_t id;
    while (!TakeReply(&id)) Read(0);
  }

  void Start(Completion* done) override;

  void StartBlock(int, Completion*) override {
    Die("raw has one method, which does not block");
  }

  void Pour(const std::function<bool()>& on_message) override;

  // The loop's: reads, and tells the completions.
  void OnReadable() {
    Read(MSG_DONTWAIT);
    uint32_t id;
    while (TakeReply(&id)) {
      Completion* const done = waiting_[id];
      free_ids_.push_back(id);
      done->Done();
    }
  }

  void Flush() {
    in_turn_ = false;
    if (stream_.Write(MSG_DONTWAIT)) return;
    Die("the server takes nothing more");  // Small calls in bounded number.
  }

  int fd() const { return stream_.fd(); }

 private:
  void Send(uint32_t id);
  bool TakeReply(uint32_t* id);
  void Parse(const char* body, size_t size, Payload& reply);
  void Read(int flags) {
    if (!stream_.Read(flags)) Die("the server has closed the connection");
  }

  RawPeer& peer_;
  FrameStream stream_;
  bool in_turn_ = false;              // The loop will call Flush.
  std::vector<Completion*> waiting_;  // By id.
  std::vector<uint32_t> free_ids_;
};

class RawPeer final : public Peer {
 public:
  explicit RawPeer(const PeerOptions& options)
      : options_(options),
        fresh_messages_(options.variant == "fresh"),
        with_headers_(options.variant == "headers") {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) DieOfErrno("epoll_create1");
    request_.set_body(std::string(options.bytes, 'x'));
  }
  ~RawPeer() override { close(epoll_); }

  std::unique_ptr<Connection> Connect() override {
    return std::make_unique<RawConnection>(*this);
  }

  void Run(int64_t until) override {
    FlushAll();
    const int64_t wait = std::max<int64_t>(until - NowNanoseconds(), 0);
    const timespec timeout = {.tv_sec = wait / 1'000'000'000,
                              .tv_nsec = wait % 1'000'000'000};
    epoll_event events[kEvents];
    const int count = epoll_pwait2(epoll_, events, kEvents, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      static_cast<RawConnection*>(events[i].data.ptr)->OnReadable();
    }
    FlushAll();
  }

  const PeerOptions& options() const { return options_; }
  const Payload& request() const { return request_; }
  Payload& reply() { return reply_; }
  bool fresh_messages() const { return fresh_messages_; }
  bool with_headers() const { return with_headers_; }
  const wire::v1::CallHeader& NextHeader() {
    header_.set_method("tern.bench.Echo/Call");
    header_.set_timeout_us(30'000'000);
    header_.mutable_request_id()->set_client(42);
    header_.mutable_request_id()->set_sequence(++sequence_);
    return header_;
  }
  wire::v1::Status& status() { return status_; }

  void Watch(RawConnection* connection) {
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
  }
  void FlushLater(RawConnection* connection) {
    to_flush_.push_back(connection);
  }

 private:
  void FlushAll() {
    for (RawConnection* connection : to_flush_) connection->Flush();
    to_flush_.clear();
  }

  const PeerOptions options_;
  const bool fresh_messages_;
  const bool with_headers_;
  wire::v1::CallHeader header_;
  wire::v1::Status status_;
  uint64_t sequence_ = 0;
  int epoll_;
  Payload request_;
  Payload reply_;  // Of whichever call; its memory is reused.
  std::vector<RawConnection*> to_flush_;
};

RawConnection::RawConnection(RawPeer& peer)
    : peer_(peer), stream_(ConnectToLoopback(peer.options().port)) {
  peer_.Watch(this);
}

RawConnection::~RawConnection() = default;

void RawConnection::Start(Completion* done) {
  if (free_ids_.empty()) {
    free_ids_.push_back(static_cast<uint32_t>(waiting_.size()));
    waiting_.push_back(nullptr);
  }
  const uint32_t id = free_ids_.back();
  free_ids_.pop_back();
  waiting_[id] = done;
  Send(id);
  if (in_turn_) return;
  in_turn_ = true;
  peer_.FlushLater(this);
}

void RawConnection::Pour(const std::function<bool()>& on_message) {
  PourRequest request;
  request.set_bytes(static_cast<uint32_t>(peer_.options().stream_bytes));
  stream_.Append(FrameStream::kPourId, request);
  while (!stream_.Write(0)) {
  }
  while (true) {
    Read(0);
    uint32_t id;
    const char* body;
    size_t size;
    while (stream_.Next(&id, &body, &size)) {
      Payload& message = peer_.reply();
      if (!message.ParseFromArray(body, static_cast<int>(size)) ||
          message.body().size() != peer_.options().stream_bytes) {
        Die("a message that is not what was asked for");
      }
      if (!on_message()) return;
    }
  }
}

void RawConnection::Send(uint32_t id) {
  if (peer_.with_headers()) {
    stream_.Append(id, peer_.NextHeader(), peer_.request());
  } else {
    stream_.Append(id, peer_.request());
  }
}

bool RawConnection::TakeReply(uint32_t* id) {
  const char* body;
  size_t size;
  if (!stream_.Next(id, &body, &size)) return false;
  if (peer_.with_headers() && !TakeHeader(peer_.status(), &body, &size)) {
    Die("a header that does not parse");
  }
  if (peer_.fresh_messages()) {
    Payload reply;
    Parse(body, size, reply);
  } else {
    Parse(body, size, peer_.reply());
  }
  return true;
}

void RawConnection::Parse(const char* body, size_t size, Payload& reply) {
  if (!reply.ParseFromArray(body, static_cast<int>(size)) ||
      reply.body().size() != peer_.options().bytes) {
    Die("a reply that is not the request");
  }
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  return tern::bench::LoadMain(
      argc, argv, [](const tern::bench::PeerOptions& options) {
        return std::make_unique<tern::bench::RawPeer>(options);
      });
}
