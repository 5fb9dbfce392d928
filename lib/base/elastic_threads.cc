#include "tern/lib/base/elastic_threads.h"

#include <thread>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/thread.h"

namespace tern {

std::optional<ThreadPool::Drop> ElasticThreads::TryRun(ThreadPool::Task* task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return ThreadPool::Drop::kStopped;
    if (handed_over_.size() < idle_) {
      handed_over_.push_back(task);
      work_.NotifyOne();
      return std::nullopt;
    }
    if (threads_ >= options_.max_threads) return ThreadPool::Drop::kFull;
    ++threads_;
  }
  absl::StatusOr<std::thread> thread =
      StartThread(options_.name, [this, task] { ThreadMain(task); });
  if (thread.ok()) {
    thread->detach();  // Stop() waits for its last look at this.
    return std::nullopt;
  }
  TERN_LOG(kError) << "no thread for a streaming call: " << thread.status();
  MutexLock lock(mutex_);
  if (--threads_ == 0) ended_.NotifyAll();
  return ThreadPool::Drop::kFull;
}

void ElasticThreads::ThreadMain(ThreadPool::Task* task) {
  while (task != nullptr) {
    task->Run();  // May destroy it.
    MutexLock lock(mutex_);
    task = AwaitTask();
    // Told with the lock held: who waits in Stop() may destroy this afterwards.
    if (task == nullptr && --threads_ == 0) ended_.NotifyAll();
  }
}

ThreadPool::Task* ElasticThreads::AwaitTask() {
  const MonotonicTime until = MonotonicTime::Now() + options_.idle_time;
  ++idle_;
  bool in_time = true;
  while (handed_over_.empty() && !stopping_ && in_time) {
    in_time = work_.WaitUntil(mutex_, until);
  }
  --idle_;
  if (handed_over_.empty()) return nullptr;
  ThreadPool::Task* const task = handed_over_.back();
  handed_over_.pop_back();
  return task;
}

void ElasticThreads::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  work_.NotifyAll();
  while (threads_ != 0) ended_.Wait(mutex_);
}

int ElasticThreads::threads() const {
  MutexLock lock(mutex_);
  return threads_;
}

int ElasticThreads::busy() const {
  MutexLock lock(mutex_);
  return threads_ - static_cast<int>(idle_ - handed_over_.size());
}

}  // namespace tern
