#include "tern/lib/base/thread_pool.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/base/thread.h"

namespace tern {
namespace {

thread_local const ThreadPool* worker_of = nullptr;

bool HasPassed(MonotonicTime deadline) {
  return !deadline.is_infinite() && deadline <= MonotonicTime::Now();
}

}  // namespace

ThreadPool::ThreadPool(const Options& options)
    : max_queued_tasks_(options.max_queued_tasks),
      workers_(new Worker[static_cast<size_t>(std::max(options.threads, 1))]) {
  TERN_CHECK(options.threads >= 1 && options.max_queued_tasks >= 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i) {
    absl::StatusOr<std::thread> thread =
        StartThread(ThreadName(options.name, i),
                    [this, worker = &workers_[i]] { WorkerMain(worker); });
    if (!thread.ok()) {
      TERN_LOG(kError) << "thread pool with " << i << " of " << options.threads
                       << " threads: " << thread.status();
      break;
    }
    threads.push_back(*std::move(thread));
  }
  TERN_CHECK(!threads.empty()) << "a thread pool needs a thread";
  thread_count_ = static_cast<int>(threads.size());
  MutexLock lock(mutex_);
  threads_ = std::move(threads);
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Submit(Task* task, MonotonicTime deadline, unsigned priority) {
  TERN_DCHECK(priority <= kMaxPriority);
  Task* dropped = nullptr;
  Drop why = Drop::kStopped;
  Worker* wake = nullptr;
  {
    MutexLock lock(mutex_);
    if (stopping_) {
      dropped = task;
    } else if (queued_ >= max_queued_tasks_) {
      dropped = MakeRoom(task, deadline, priority, &why);
    }
    if (dropped != task) {
      task->priority_ = static_cast<uint8_t>(priority);
      queues_[priority].Set(task, deadline);
      waiting_ = static_cast<uint8_t>(waiting_ | 1u << priority);
      ++queued_;
      // One for each queued task. When nobody sleeps, all will look at the
      // queue before they do.
      if (queued_ > waking_) wake = PopSleeper();
      CountFreeWorkers();
    }
  }
  if (wake != nullptr) wake->wake.NotifyOne();
  if (dropped != nullptr) dropped->OnDropped(why);
}

void ThreadPool::TakeOut(Task* task) {
  Queue& queue = queues_[task->priority_];
  queue.Remove(task);
  --queued_;
  if (queue.empty()) {
    waiting_ = static_cast<uint8_t>(waiting_ & ~(1u << task->priority_));
  }
}

ThreadPool::Task* ThreadPool::MakeRoom(Task* task, MonotonicTime deadline,
                                       unsigned priority, Drop* why) {
  // A live task shall not make room for a dead one, nor be dropped while a dead
  // one keeps its place.
  *why = Drop::kExpired;
  if (HasPassed(deadline)) return task;
  const auto dead = std::find_if(
      std::begin(queues_), std::end(queues_),
      [](const Queue& q) { return !q.empty() && HasPassed(q.front().time); });
  Task* victim;
  if (dead != std::end(queues_)) {
    victim = dead->front().item;
  } else {
    *why = Drop::kFull;
    const auto lowest = static_cast<unsigned>(std::countr_zero(waiting_));
    if (lowest > priority) return task;
    const Queue::Entry& latest = queues_[lowest].Latest();
    if (lowest == priority && latest.time <= deadline) return task;
    victim = latest.item;
  }
  TakeOut(victim);
  return victim;
}

bool ThreadPool::Withdraw(Task* task) {
  MutexLock lock(mutex_);
  if (task->place_ == Queue::kNotInHeap) return false;
  TakeOut(task);
  CountFreeWorkers();
  return true;
}

ThreadPool::Worker* ThreadPool::PopSleeper() {
  Worker* const worker = sleepers_;
  if (worker == nullptr) return nullptr;
  sleepers_ = worker->below;
  worker->woken = true;
  ++waking_;
  return worker;
}

void ThreadPool::CountFreeWorkers() {
  free_workers_.store(
      static_cast<int64_t>(idle_) - static_cast<int64_t>(queued_),
      std::memory_order_relaxed);
}

void ThreadPool::WorkerMain(Worker* self) {
  worker_of = this;
  mutex_.Lock();
  MonotonicTime deadline;
  while (Task* const task = TakeNext(self, &deadline)) {
    ++busy_;
    mutex_.Unlock();
    // Either call may destroy the task.
    if (HasPassed(deadline)) {
      task->OnDropped(Drop::kExpired);
    } else {
      task->Run();
    }
    mutex_.Lock();
    --busy_;
  }
  mutex_.Unlock();
}

ThreadPool::Task* ThreadPool::TakeNext(Worker* self, MonotonicTime* deadline) {
  while (queued_ == 0 && !stopping_) {
    self->woken = false;
    self->below = std::exchange(sleepers_, self);
    ++idle_;
    CountFreeWorkers();
    while (!self->woken) self->wake.Wait(mutex_);
    --waking_;
    --idle_;
    CountFreeWorkers();
  }
  if (stopping_) return nullptr;  // Stop() has emptied the queue.
  const Queue::Entry first = queues_[turns_.Next(waiting_)].front();
  *deadline = first.time;
  Task* const task = first.item;
  TakeOut(task);
  CountFreeWorkers();
  return task;
}

void ThreadPool::Stop() {
  TERN_CHECK(worker_of != this) << "a worker can't wait for its own end";
  std::vector<Task*> dropped;
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    if (stopping_) {  // Another thread does it, or did.
      while (!joined_) stopped_.Wait(mutex_);
      return;
    }
    stopping_ = true;
    for (Queue& queue : queues_) {
      while (!queue.empty()) {
        dropped.push_back(queue.front().item);
        TakeOut(dropped.back());
      }
    }
    threads.swap(threads_);
    while (Worker* const worker = PopSleeper()) worker->wake.NotifyOne();
  }
  for (Task* const task : dropped) task->OnDropped(Drop::kStopped);
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(mutex_);
  joined_ = true;
  stopped_.NotifyAll();
}

size_t ThreadPool::queued() const {
  MutexLock lock(mutex_);
  return queued_;
}

int ThreadPool::busy() const {
  MutexLock lock(mutex_);
  return busy_;
}

bool ThreadPool::OnWorker() { return worker_of != nullptr; }

}  // namespace tern
