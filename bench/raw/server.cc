// The server on bare sockets, in the shapes that a server of this kind has:
//
//   inline  one thread with one epoll loop, which answers where it has read
//   cores   such a thread for each core, connections dealt out
//   fresh   inline, with new messages for each call, as an RPC system must have
//           that lets its user keep them
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
#include <vector>

#include "bench/echo.pb.h"
#include "bench/load/process.h"
#include "bench/raw/frame_stream.h"
#include "bench/raw/pool.h"

namespace tern::bench {
namespace {

constexpr int kEvents = 256;

class Loop {
 public:
  explicit Loop(bool fresh_messages) : fresh_messages_(fresh_messages) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) DieOfErrno("epoll_create1");
  }

  // From the accepting thread.
  void Add(int fd) {
    auto stream = std::make_unique<FrameStream>(fd);
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = stream.release()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
  }

  void Run() {
    epoll_event events[kEvents];
    for (;;) {
      const int count = epoll_wait(epoll_, events, kEvents, -1);
      for (int i = 0; i < count; ++i) {
        auto* const stream = static_cast<FrameStream*>(events[i].data.ptr);
        if (!Serve(*stream, events[i].events)) delete stream;
      }
    }
  }

 private:
  // False when the client has closed.
  bool Serve(FrameStream& stream, uint32_t events) {
    const bool was_blocked = stream.unsent() > 0;
    if ((events & EPOLLIN) != 0) {
      if (!stream.Read(MSG_DONTWAIT)) return false;
      uint32_t id;
      const char* body;
      size_t size;
      while (stream.Next(&id, &body, &size)) {
        if (fresh_messages_) {
          Payload request;
          Payload reply;
          Answer(stream, id, {body, size}, request, reply);
        } else {
          Answer(stream, id, {body, size}, request_, reply_);
        }
      }
    }
    if (stream.unsent() == 0) return true;
    const bool blocked = !stream.Write(MSG_DONTWAIT);
    if (blocked == was_blocked) return true;
    epoll_event event = {
        .events = EPOLLIN | (blocked ? static_cast<uint32_t>(EPOLLOUT) : 0u),
        .data = {.ptr = &stream}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, stream.fd(), &event) != 0) {
      DieOfErrno("epoll_ctl");
    }
    return true;
  }

  static void Answer(FrameStream& stream, uint32_t id, std::string_view bytes,
                     Payload& request, Payload& reply) {
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      Die("a request that does not parse");
    }
    reply.set_body(request.body());
    stream.Append(id, reply);
  }

  const bool fresh_messages_;
  int epoll_;
  Payload request_;  // Reused: their memory is.
  Payload reply_;
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

void ServeWithLoops(size_t count, bool fresh_messages = false) {
  std::vector<std::unique_ptr<Loop>> loops;
  for (size_t i = 0; i < count; ++i) {
    loops.push_back(std::make_unique<Loop>(fresh_messages));
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
    tern::bench::ServeWithLoops(1, /*fresh_messages=*/true);
  } else if (shape == "cores") {
    tern::bench::ServeWithLoops(std::thread::hardware_concurrency());
  } else if (shape == "pool") {
    tern::bench::ServeWithPool();
  } else {
    tern::bench::Die("inline, fresh, cores or pool, not " + shape);
  }
}
