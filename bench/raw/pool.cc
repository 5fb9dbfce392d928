#include "bench/raw/pool.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "bench/load/process.h"

namespace tern::bench {
namespace {

constexpr int kEvents = 256;

void Watch(int epoll, int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) DieOfErrno("epoll_ctl");
}

}  // namespace

PoolWorker::PoolWorker()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK)) {
  if (epoll_ < 0 || wake_ < 0) DieOfErrno("epoll_create1, eventfd");
  Watch(epoll_, wake_);
}

void PoolWorker::Add(int fd) {
  {
    const std::lock_guard lock(mutex_);
    streams_[fd] = std::make_shared<Stream>(fd);
  }
  Watch(epoll_, fd);
}

void PoolWorker::Run(PoolWorker& helper) {
  epoll_event events[kEvents];
  for (;;) {
    const int count = epoll_wait(epoll_, events, kEvents, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == wake_) {
        RunInbox();
        continue;
      }
      std::shared_ptr<Stream> stream;
      {
        const std::lock_guard lock(mutex_);
        stream = streams_[events[i].data.fd];
      }
      Serve(stream, helper);
    }
  }
}

void PoolWorker::Serve(const std::shared_ptr<Stream>& stream,
                       PoolWorker& helper) {
  if (!stream->frames.Read(MSG_DONTWAIT)) {
    const int fd = stream->frames.fd();
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    const std::lock_guard lock(mutex_);
    streams_.erase(fd);  // Closed with the last task that holds it.
    return;
  }
  uint32_t id;
  const char* body;
  size_t size;
  if (!stream->frames.Next(&id, &body, &size)) return;
  for (;;) {
    uint32_t next_id;
    const char* next_body;
    size_t next_size;
    if (!stream->frames.Next(&next_id, &next_body, &next_size)) break;
    to_hand_over_.push_back({stream, id, std::string(body, size)});
    id = next_id;
    body = next_body;
    size = next_size;
  }
  if (!to_hand_over_.empty()) helper.HandOver(&to_hand_over_);
  const std::lock_guard lock(stream->mutex);
  Answer(*stream, id, body, size);
  stream->frames.Write(0);
}

void PoolWorker::Answer(Stream& stream, uint32_t id, const char* body,
                        size_t size) {
  if (!request_.ParseFromArray(body, static_cast<int>(size))) {
    Die("a request that does not parse");
  }
  reply_.set_body(request_.body());
  stream.frames.Append(id, reply_);
}

void PoolWorker::HandOver(std::vector<Task>* tasks) {
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    was_empty = inbox_.empty();
    for (Task& task : *tasks) inbox_.push_back(std::move(task));
  }
  tasks->clear();
  // Whoever found it empty wakes the worker, once for all that come until then.
  if (was_empty && eventfd_write(wake_, 1) != 0) DieOfErrno("eventfd_write");
}

void PoolWorker::RunInbox() {
  eventfd_t count;
  eventfd_read(wake_, &count);
  {
    const std::lock_guard lock(mutex_);
    running_.swap(inbox_);
  }
  // One write for all answers of a stream that lie next to each other.
  for (size_t i = 0; i < running_.size();) {
    Stream& stream = *running_[i].stream;
    const std::lock_guard lock(stream.mutex);
    for (; i < running_.size() && running_[i].stream.get() == &stream; ++i) {
      Answer(stream, running_[i].id, running_[i].body.data(),
             running_[i].body.size());
    }
    stream.frames.Write(0);
  }
  running_.clear();
}

}  // namespace tern::bench
