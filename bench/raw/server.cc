// The server on bare sockets, in the shapes that a server of this kind has:
//
//   inline  one thread with one epoll loop, which answers where it has read
//   cores   such a thread for each core, connections dealt out
//   fresh   inline, with new messages for each call, as an RPC system must have
//           that lets its user keep them
//   headers inline, and with each message goes what an RPC carries beside it,
//   in
//           the generated classes of proto/tern: method, timeout and id of a
//           call, the status of a reply; the method is looked up
//   pool    two such threads; of what one has read it answers the last request
//           itself and hands the others to the other thread

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bench/echo.pb.h"
#include "bench/load/process.h"
#include "bench/raw/frame_stream.h"
#include "bench/raw/pool.h"
#include "tern/call.pb.h"
#include "tern/status.pb.h"

namespace tern::bench {
namespace {

constexpr int kEvents = 256;
// What is serialised of a stream before it is written.
constexpr size_t kPouredBytes = size_t{256} << 10;

struct Client {
  explicit Client(int fd) : stream(fd) {}
  FrameStream stream;
  bool pours = false;
  Payload poured;
};

enum class Messages { kReused, kFresh, kWithHeaders };

class Loop {
 public:
  explicit Loop(Messages messages) : messages_(messages) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) DieOfErrno("epoll_create1");
  }

  // From the accepting thread.
  void Add(int fd) {
    auto client = std::make_unique<Client>(fd);
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = client.release()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
  }

  void Run() {
    epoll_event events[kEvents];
    for (;;) {
      const int count = epoll_wait(epoll_, events, kEvents, -1);
      for (int i = 0; i < count; ++i) {
        auto* const client = static_cast<Client*>(events[i].data.ptr);
        if (!Serve(*client, events[i].events)) delete client;
      }
    }
  }

 private:
  // False when the client has closed.
  bool Serve(Client& client, uint32_t events) {
    FrameStream& stream = client.stream;
    const bool was_blocked = stream.unsent() > 0 || client.pours;
    if ((events & EPOLLIN) != 0) {
      if (!stream.Read(MSG_DONTWAIT)) return false;
      uint32_t id;
      const char* body;
      size_t size;
      while (stream.Next(&id, &body, &size)) {
        if (id == FrameStream::kPourId) {
          PourRequest request;
          request.ParseFromArray(body, static_cast<int>(size));
          client.poured.set_body(std::string(request.bytes(), 'x'));
          client.pours = true;
          continue;
        }
        switch (messages_) {
          case Messages::kReused:
            Parse(body, size, request_);
            Echo(request_, reply_);
            stream.Append(id, reply_);
            break;
          case Messages::kFresh: {
            Payload request;
            Payload reply;
            Parse(body, size, request);
            Echo(request, reply);
            stream.Append(id, reply);
            break;
          }
          case Messages::kWithHeaders:
            AnswerWithHeaders(stream, id, body, size);
            break;
        }
      }
    }
    while (client.pours && stream.unsent() < kPouredBytes) {
      stream.Append(0, client.poured);
    }
    if (stream.unsent() == 0) return true;
    const bool blocked = !stream.Write(MSG_DONTWAIT) || client.pours;
    if (blocked == was_blocked) return true;
    epoll_event event = {
        .events = EPOLLIN | (blocked ? static_cast<uint32_t>(EPOLLOUT) : 0u),
        .data = {.ptr = &stream}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, stream.fd(), &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
    return true;
  }

  static void Parse(const char* body, size_t size, Payload& request) {
    if (!request.ParseFromArray(body, static_cast<int>(size))) {
      Die("a request that does not parse");
    }
  }
  static void Echo(const Payload& request, Payload& reply) {
    reply.set_body(request.body());
  }

  void AnswerWithHeaders(FrameStream& stream, uint32_t id, const char* body,
                         size_t size) {
    if (!TakeHeader(header_, &body, &size)) Die("a header that does not parse");
    const auto method = methods_.find(header_.method());
    if (method == methods_.end()) Die("no method " + header_.method());
    Parse(body, size, request_);
    method->second(request_, reply_);
    status_.Clear();
    stream.Append(id, status_, reply_);
  }

  const Messages messages_;
  int epoll_;
  Payload request_;  // Reused: their memory is.
  Payload reply_;
  wire::v1::CallHeader header_;
  wire::v1::Status status_;
  const std::unordered_map<std::string, void (*)(const Payload&, Payload&)>
      methods_ = {{"tern.bench.Echo/Call", Echo}};
};

// Accepts, and deals connections out to what has an Add(fd).
template <typename Worker>
[[noreturn]] void Serve(const std::vector<std::unique_ptr<Worker>>& workers) {
  uint16_t port;
  const int listener = ListenOnLoopback(&port);
  std::thread([&workers, listener] {
    for (size_t next = 0;; ++next) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) DieOfErrno("accept4");
      workers[next % workers.size()]->Add(fd);
    }
  }).detach();
  ServeUntilStdinEnds(port);
  _exit(0);  // The threads use what a return would destroy.
}

void ServeWithLoops(size_t count, Messages messages = Messages::kReused) {
  std::vector<std::unique_ptr<Loop>> loops;
  for (size_t i = 0; i < count; ++i) {
    loops.push_back(std::make_unique<Loop>(messages));
    std::thread([loop = loops.back().get()] { loop->Run(); }).detach();
  }
  Serve(loops);
}

void ServeWithPool() {
  std::vector<std::unique_ptr<PoolWorker>> workers;
  workers.push_back(std::make_unique<PoolWorker>());
  workers.push_back(std::make_unique<PoolWorker>());
  for (int i : {0, 1}) {
    std::thread([&workers, i] { workers[i]->Run(*workers[1 - i]); }).detach();
  }
  Serve(workers);
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  tern::bench::BeginProcess();
  const std::string shape = argc > 1 ? argv[1] : "inline";
  if (shape == "inline") {
    tern::bench::ServeWithLoops(1);
  } else if (shape == "fresh") {
    tern::bench::ServeWithLoops(1, tern::bench::Messages::kFresh);
  } else if (shape == "headers") {
    tern::bench::ServeWithLoops(1, tern::bench::Messages::kWithHeaders);
  } else if (shape == "cores") {
    tern::bench::ServeWithLoops(std::thread::hardware_concurrency());
  } else if (shape == "pool") {
    tern::bench::ServeWithPool();
  } else {
    tern::bench::Die("inline, fresh, headers, cores or pool, not " + shape);
  }
}
