#ifndef TERN_LIB_BASE_ELASTIC_THREADS_H_
#define TERN_LIB_BASE_ELASTIC_THREADS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/base/thread_pool.h"

namespace tern {

// Threads for tasks that may block for hours: one each, started when there is
// no idle one, and ended when there has been nothing to do for some time.
// Nothing waits in a queue: either there is a thread, or the task is not taken.
//
// Thread-safe; outlives the threads that call it.
class ElasticThreads {
 public:
  struct Options {
    int max_threads = 256;                         // At least 1.
    absl::Duration idle_time = absl::Seconds(10);  // Then a thread ends.
    std::string name = "tern-stream";
  };

  explicit ElasticThreads(const Options& options) : options_(options) {}
  ~ElasticThreads() { Stop(); }
  ElasticThreads(const ElasticThreads&) = delete;
  ElasticThreads& operator=(const ElasticThreads&) = delete;

  // nullopt: task->Run() is called, soon. Else nothing is: all threads are busy
  // and there may be no more (kFull), or Stop() has been called (kStopped).
  std::optional<ThreadPool::Drop> TryRun(ThreadPool::Task* task);

  // Waits for the tasks that run, and ends the threads. Idempotent. Not from
  // one of them.
  void Stop();

  // Now.
  int threads() const;
  int busy() const;  // Those that have a task.

 private:
  void ThreadMain(ThreadPool::Task* task);
  // The next task for an idle thread, or nullptr: then it ends.
  ThreadPool::Task* AwaitTask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_;
  CondVar ended_;
  // For as many of the idle threads.
  std::vector<ThreadPool::Task*> handed_over_ ABSL_GUARDED_BY(mutex_);
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tern

#endif  // TERN_LIB_BASE_ELASTIC_THREADS_H_
