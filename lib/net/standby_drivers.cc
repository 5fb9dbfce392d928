#include "tern/lib/net/standby_drivers.h"

#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/thread.h"

namespace tern::net {
namespace {

// Looks without a change before the watcher rests: 100 ms. To wake it costs the
// loop a system call.
constexpr int kLooksBeforeRest = 20;

}  // namespace

absl::StatusOr<std::unique_ptr<StandbyDrivers>> StandbyDrivers::Create(
    std::vector<EventLoop*> loops, int max_threads) {
  std::unique_ptr<StandbyDrivers> drivers(
      new StandbyDrivers(std::move(loops), max_threads));
  {
    MutexLock lock(drivers->mutex_);
    TERN_RETURN_IF_ERROR(drivers->AddThread());
  }
  for (EventLoop* const loop : drivers->loops_) {
    loop->standby_.store(drivers.get(), std::memory_order_relaxed);
  }
  return drivers;
}

StandbyDrivers::StandbyDrivers(std::vector<EventLoop*> loops, int max_threads)
    : loops_(std::move(loops)),
      spare_(static_cast<size_t>(max_threads)),
      marks_(loops_.size()),
      max_threads_(static_cast<size_t>(max_threads)) {}

StandbyDrivers::~StandbyDrivers() { Stop(); }

absl::Status StandbyDrivers::AddThread() {
  TERN_ASSIGN_OR_RETURN(std::thread thread,
                        StartThread("tern-standby", [this] { Serve(); }));
  threads_.push_back(std::move(thread));
  return absl::OkStatus();
}

void StandbyDrivers::WakeWatcher() {
  MutexLock lock(mutex_);
  resting_.store(false, std::memory_order_relaxed);
  changed_.NotifyAll();
}

void StandbyDrivers::StandBy() {
  AddSpare();
  Serve();
}

void StandbyDrivers::Serve() {
  while (EventLoop* const loop = WaitForStalledLoop()) {
    loop->Drive();
    AddSpare();
  }
}

void StandbyDrivers::AddSpare() {
  MutexLock lock(mutex_);
  spare_.fetch_add(1, std::memory_order_seq_cst);
}

EventLoop* StandbyDrivers::WaitForStalledLoop() {
  MutexLock lock(mutex_);
  ++waiting_;
  while (watched_ && !stopping_) duty_.Wait(mutex_);
  watched_ = true;
  EventLoop* const loop = Watch();
  watched_ = false;
  --waiting_;
  duty_.NotifyOne();
  if (loop != nullptr && waiting_ == 0 && threads_.size() < max_threads_) {
    if (absl::Status added = AddThread(); !added.ok()) {
      TERN_LOG(kWarning) << "no thread to watch the event loops: " << added;
      spare_.fetch_sub(max_threads_ - threads_.size(),
                       std::memory_order_seq_cst);
      max_threads_ = threads_.size();
    }
  }
  return loop;
}

EventLoop* StandbyDrivers::Watch() {
  int quiet = 0;
  while (!stopping_) {
    bool changed = false;
    if (EventLoop* const loop = Look(&changed)) return loop;
    quiet = changed ? 0 : quiet + 1;
    if (quiet < kLooksBeforeRest) {
      changed_.WaitUntil(mutex_, MonotonicTime::Now() + kStallTime);
      continue;
    }
    resting_.store(true, std::memory_order_seq_cst);
    if (EventLoop* const loop = Look(&changed)) return loop;
    while (!changed && resting_.load(std::memory_order_relaxed) && !stopping_) {
      changed_.Wait(mutex_);
    }
    resting_.store(false, std::memory_order_relaxed);
    quiet = 0;
  }
  return nullptr;
}

EventLoop* StandbyDrivers::Look(bool* changed) {
  for (size_t i = 0; i < loops_.size(); ++i) {
    const LoopBaton::Mark mark = loops_[i]->baton_.Look();
    if (std::exchange(marks_[i], mark) != mark) {
      *changed = true;
    } else if (LoopBaton::IsLent(mark)) {
      // First, so that nobody counts on this thread while it drives.
      spare_.fetch_sub(1, std::memory_order_seq_cst);
      if (loops_[i]->baton_.Take(mark)) return loops_[i];
      spare_.fetch_add(1, std::memory_order_seq_cst);
    }
  }
  return nullptr;
}

void StandbyDrivers::Stop() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    changed_.NotifyAll();
    duty_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tern::net
