#ifndef TERN_BENCH_RAW_POOL_H_
#define TERN_BENCH_RAW_POOL_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/echo.pb.h"
#include "bench/raw/frame_stream.h"

namespace tern::bench {

// A thread of the pool shape (see server.cc): an epoll loop over its share of
// the connections, and an inbox of requests that another worker has read.
class PoolWorker {
 public:
  PoolWorker();

  // From the accepting thread.
  void Add(int fd);
  // The thread's body. `helper` gets the requests but the last of each read.
  void Run(PoolWorker& helper);

 private:
  struct Stream {
    explicit Stream(int fd) : frames(fd) {}
    FrameStream frames;  // Reading: its worker. Writing: under the mutex.
    std::mutex mutex;
  };
  struct Task {
    std::shared_ptr<Stream> stream;
    uint32_t id;
    std::string body;
  };

  void Serve(const std::shared_ptr<Stream>& stream, PoolWorker& helper);
  void Answer(Stream& stream, uint32_t id, const char* body, size_t size);
  void HandOver(std::vector<Task>* tasks);
  void RunInbox();

  int epoll_;
  int wake_;  // An eventfd: the inbox is not empty.

  std::mutex mutex_;
  std::unordered_map<int, std::shared_ptr<Stream>> streams_;  // mutex_
  std::vector<Task> inbox_;                                   // mutex_

  // The thread's own.
  std::vector<Task> to_hand_over_;
  std::vector<Task> running_;
  Payload request_;
  Payload reply_;
};

}  // namespace tern::bench

#endif  // TERN_BENCH_RAW_POOL_H_
