// From a call to the thread that runs it: the method's name looked up, work
// handed to a connection's driver, a task queued for a worker.

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/submission_queue.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/server/method_registry.h"
#include "tern/server/service.h"

namespace tern {
namespace {

// A service of many methods, none of which is called.
class ManyMethods final : public Service {
 public:
  explicit ManyMethods(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      names_.push_back("tern.bench.Many/Method" + std::to_string(i));
    }
    for (const std::string& name : names_) {
      MethodHandler handler = {};
      handler.info.full_name = name;
      methods_.push_back(handler);
    }
  }
  std::string_view TernServiceName() const override {
    return "tern.bench.Many";
  }
  std::span<const MethodHandler> TernMethods() const override {
    return methods_;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::vector<MethodHandler> methods_;
};

void FindMethod(benchmark::State& state) {
  ManyMethods service(state.range(0));
  MethodRegistry registry;
  if (!registry.Register(&service).ok()) state.SkipWithError("not registered");
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(registry.Find(service.names()[next]));
    if (++next == service.names().size()) next = 0;
  }
}
BENCHMARK(FindMethod)->Arg(1)->Arg(10)->Arg(1000);

struct Work {
  SubmissionLink<Work> submission;
};

void PushAndTakeWork(benchmark::State& state) {
  std::vector<std::shared_ptr<Work>> batch;
  for (int64_t i = 0; i < state.range(0); ++i) {
    batch.push_back(std::make_shared<Work>());
  }
  SubmissionQueue<Work> queue;
  for (auto _ : state) {
    for (const auto& work : batch) queue.Push(work);
    queue.TakeAll([](const std::shared_ptr<Work>& work) {
      benchmark::DoNotOptimize(work.get());
    });
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(PushAndTakeWork)->Arg(1)->Arg(16)->Arg(256);

class CountingTask final : public ThreadPool::Task {
 public:
  explicit CountingTask(std::atomic<int64_t>* left) : left_(left) {}
  void Run() override { CountDown(); }
  void OnDropped(ThreadPool::Drop) override { CountDown(); }

 private:
  void CountDown() {
    if (left_->fetch_sub(1, std::memory_order_acq_rel) == 1) {
      left_->notify_one();
    }
  }
  std::atomic<int64_t>* const left_;
};

// Until the last has run: with one task the price of a wake-up, with many that
// of the queue.
void RunTasks(benchmark::State& state) {
  std::atomic<int64_t> left{0};  // Outlives the workers.
  ThreadPool pool({.threads = static_cast<int>(state.range(0))});
  std::vector<std::unique_ptr<CountingTask>> tasks;
  for (int64_t i = 0; i < state.range(1); ++i) {
    tasks.push_back(std::make_unique<CountingTask>(&left));
  }
  for (auto _ : state) {
    left = state.range(1);
    for (const auto& task : tasks) {
      pool.Submit(task.get(), MonotonicTime::InfiniteFuture());
    }
    for (int64_t now = left; now != 0; now = left) left.wait(now);
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(RunTasks)
    ->ArgNames({"threads", "tasks"})
    ->Args({1, 1})
    ->Args({8, 1})
    ->Args({1, 256})
    ->Args({8, 256})
    ->UseRealTime();

}  // namespace
}  // namespace tern

BENCHMARK_MAIN();
