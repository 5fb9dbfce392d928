#include "tern/lib/net/event_loop.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "tern/lib/base/status_macros.h"
#include "tern/lib/base/thread.h"
#include "tern/lib/net/standby_drivers.h"

namespace tern::net {
namespace {

thread_local const EventLoop* loop_of_this_thread = nullptr;

timespec ToTimespec(int64_t nanoseconds) {
  return {.tv_sec = nanoseconds / 1'000'000'000,
          .tv_nsec = nanoseconds % 1'000'000'000};
}

// For kernels without epoll_pwait2 (before 5.11). Rounded up: rounded down, the
// loop would spin through the last millisecond before each timer.
int ToMillisecondsRoundedUp(int64_t nanoseconds) {
  const int64_t milliseconds =
      nanoseconds / 1'000'000 + (nanoseconds % 1'000'000 != 0);
  return static_cast<int>(
      std::min<int64_t>(milliseconds, std::numeric_limits<int>::max()));
}

// epoll_wait for at most `nanoseconds`, or for ever when negative. Returns the
// number of events; none after a signal.
int WaitForEpoll(int epoll, epoll_event* events, int max_events,
                 int64_t nanoseconds) {
  static std::atomic<bool> has_pwait2{true};
  int count = -1;
  if (has_pwait2.load(std::memory_order_relaxed)) {
    const timespec timeout = ToTimespec(std::max<int64_t>(nanoseconds, 0));
    count = epoll_pwait2(epoll, events, max_events,
                         nanoseconds < 0 ? nullptr : &timeout, nullptr);
    // Sandboxes refuse system calls that they don't know with either.
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
      has_pwait2.store(false, std::memory_order_relaxed);
    }
  }
  if (!has_pwait2.load(std::memory_order_relaxed)) {
    count =
        epoll_wait(epoll, events, max_events,
                   nanoseconds < 0 ? -1 : ToMillisecondsRoundedUp(nanoseconds));
  }
  TERN_CHECK(count >= 0 || errno == EINTR)
      << "epoll_wait: " << ErrnoText(errno);
  return std::max(count, 0);
}

int CoresOfThisProcess() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    return std::max(CPU_COUNT(&cores), 1);
  }
  return std::max<int>(std::thread::hardware_concurrency(), 1);
}

}  // namespace

EventLoop::TimerBase::~TimerBase() {
  if (place_ != TimerHeap::kNotInHeap) Cancel();
}

void EventLoop::TimerBase::Set(MonotonicTime when) {
  TERN_DCHECK(loop_->OnLoopThread());
  if (when.is_infinite()) return Cancel();
  if (loop_->ended_.load(std::memory_order_acquire)) return;
  when_ = when;
  // Not before this turn's time: a timer that always sets itself to be due in
  // the past would else stay ahead of all the others.
  loop_->timers_.Set(this, std::max(when, loop_->now_));
}

void EventLoop::TimerBase::Cancel() {
  TERN_DCHECK(loop_->OnLoopThread());
  when_ = MonotonicTime::InfiniteFuture();
  if (place_ != TimerHeap::kNotInHeap) loop_->timers_.Remove(this);
}

EventLoop::Timer::Timer(EventLoop* loop, absl::AnyInvocable<void()> on_due)
    : TimerBase(loop), on_due_(std::move(on_due)) {}

EventLoop::Timer::~Timer() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void EventLoop::Timer::OnDue() {
  // Called from a local, so that the function outlives a timer destroyed by it.
  bool destroyed = false;
  destroyed_ = &destroyed;
  absl::AnyInvocable<void()> on_due = std::move(on_due_);
  on_due();
  if (destroyed) return;
  on_due_ = std::move(on_due);
  destroyed_ = nullptr;
}

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(std::string name) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoToStatus(errno, "epoll_create1");
  FileDescriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoToStatus(errno, "eventfd");
  // Edge-triggered: each write tells us once, and need not be read. It has no
  // handler, as it only ends the wait.
  epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoToStatus(errno, "epoll_ctl");
  }
  std::unique_ptr<EventLoop> loop(
      new EventLoop(std::move(epoll), std::move(wake)));
  absl::StatusOr<std::thread> thread = StartThread(name, [loop = loop.get()] {
    if (loop->Drive()) return;
    loop->standby_.load(std::memory_order_relaxed)->StandBy();
  });
  if (!thread.ok()) {
    loop->ended_.store(true, std::memory_order_release);
    return std::move(thread).status();
  }
  MutexLock lock(loop->mutex_);
  loop->thread_ = *std::move(thread);
  return loop;
}

EventLoop::EventLoop(FileDescriptor epoll, FileDescriptor wake)
    : epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      read_buffer_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes)),
      gather_buffer_(
          std::make_unique_for_overwrite<char[]>(kGroup * kGatherBytes)),
      now_(MonotonicTime::Now()) {}

EventLoop::~EventLoop() { Stop(); }

bool EventLoop::Post(absl::AnyInvocable<void()> function) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return false;
    posted_.push_back(std::move(function));
    has_posted_.store(true, std::memory_order_seq_cst);
  }
  WakeUpIfSleeping();
  return true;
}

void EventLoop::PostAndWait(absl::AnyInvocable<void()> function) {
  if (OnLoopThread()) return function();
  struct {
    Mutex mutex;
    CondVar changed;
    bool done ABSL_GUARDED_BY(mutex) = false;
  } state;
  const bool posted = Post([&] {
    function();
    // Notified under the lock: `state` is gone as soon as the other sees it.
    MutexLock lock(state.mutex);
    state.done = true;
    state.changed.NotifyOne();
  });
  if (!posted) {
    WaitUntilEnded();
    return function();
  }
  MutexLock lock(state.mutex);
  while (!state.done) state.changed.Wait(state.mutex);
}

void EventLoop::Stop() {
  RequestStop();
  WaitUntilEnded();
  Join();
}

void EventLoop::RequestStop() {
  TERN_CHECK(loop_of_this_thread != this)
      << "a loop can't wait for its own end";
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    has_posted_.store(true, std::memory_order_seq_cst);
  }
  WakeUpIfSleeping();
}

void EventLoop::Join() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    thread.swap(thread_);  // Of several callers, one joins.
  }
  if (thread.joinable()) thread.join();
}

void EventLoop::WaitUntilEnded() {
  MutexLock lock(mutex_);
  while (!ended_.load(std::memory_order_acquire)) ended_changed_.Wait(mutex_);
}

void EventLoop::WakeUpIfSleeping() {
  // The caller has set has_posted_. Either the loop sees that before it sleeps;
  // or it looked before, and had set sleeping_ first, which we then see: all
  // four accesses are in one order.
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  if (!sleeping_.exchange(false, std::memory_order_relaxed)) return;
  AddToEventFd(wake_.get(), 1);
}

absl::Status EventLoop::Register(int fd, uint32_t events, IoHandler* handler) {
  TERN_DCHECK(OnLoopThread());
  epoll_event event = {.events = events, .data = {.ptr = handler}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) {
    return absl::OkStatus();
  }
  return ErrnoToStatus(errno, "epoll_ctl");
}

void EventLoop::Modify(int fd, uint32_t events, IoHandler* handler) {
  epoll_event event = {.events = events, .data = {.ptr = handler}};
  TERN_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0)
      << ErrnoText(errno);
}

void EventLoop::Unregister(int fd, IoHandler* handler) {
  TERN_DCHECK(OnLoopThread());
  TERN_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0)
      << ErrnoText(errno);
  // What this turn's wait said of the handler must not reach it any more: it
  // may be gone by then. If it has another descriptor, the next wait says so
  // again.
  for (size_t i = batch_next_; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == handler) batch_[i].data.ptr = nullptr;
  }
}

bool EventLoop::OnLoopThread() const {
  return loop_of_this_thread == this || ended_.load(std::memory_order_acquire);
}

bool EventLoop::IsDrivenHere() const { return loop_of_this_thread == this; }

bool EventLoop::OnAnyLoopThread() { return loop_of_this_thread != nullptr; }

void EventLoop::AddErrand(Errand* errand) {
  TERN_DCHECK(OnLoopThread());
  errand->next_ = nullptr;
  errand->last_ = false;
  (first_errand_ == nullptr ? first_errand_ : last_errand_->next_) = errand;
  last_errand_ = errand;
}

void EventLoop::FlushSoon(Flushable* item) {
  TERN_DCHECK(OnLoopThread());
  to_flush_.push_back(item);
}

bool EventLoop::Drive() {
  loop_of_this_thread = this;
  now_ = MonotonicTime::Now();
  // What another driver has left of its turn comes first, be it the last.
  if (!Settle()) return false;
  while (!last_turn_) {
    if (!CallHandlers()) return false;
    RunTimers();
    if (!Settle()) return false;
    RunPosted();
    if (!Settle()) return false;
    if (!last_turn_) WaitForEvents(PrepareToSleep());
  }
  End();
  return true;
}

void EventLoop::End() {
  while (!timers_.empty()) timers_.front().item->Cancel();
  loop_of_this_thread = nullptr;  // So that no flush asks for another.
  flushing_.swap(to_flush_);
  for (Flushable* const item : flushing_) item->Flush();
  flushing_.clear();
  MutexLock lock(mutex_);
  ended_.store(true, std::memory_order_release);
  ended_changed_.NotifyAll();
}

MonotonicTime EventLoop::PrepareToSleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (has_posted_.load(std::memory_order_seq_cst) || !to_flush_.empty()) {
    sleeping_.store(false, std::memory_order_relaxed);
    return MonotonicTime();
  }
  return timers_.empty() ? MonotonicTime::InfiniteFuture()
                         : timers_.front().time;
}

void EventLoop::WaitForEvents(MonotonicTime until) {
  int64_t nanoseconds = -1;
  if (!until.is_infinite()) {
    // Callbacks have taken time since now_. Where that matters little, a
    // reading of the clock is saved: most timers are far away.
    constexpr int64_t kFarNs = 100'000'000;
    nanoseconds = until.nanoseconds() - now_.nanoseconds();
    if (nanoseconds < kFarNs) {
      nanoseconds = std::max<int64_t>(
          until.nanoseconds() - MonotonicTime::Now().nanoseconds(), 0);
    }
    nanoseconds = MonotonicTime::WaitNanoseconds(nanoseconds);
  }
  batch_next_ = 0;
  batch_size_ =
      WaitForEpoll(epoll_.get(), batch_.data(), batch_.size(), nanoseconds);
  sleeping_.store(false, std::memory_order_relaxed);
  now_ = MonotonicTime::Now();
}

bool EventLoop::CallHandlers() {
  while (batch_next_ < batch_size_) {
    CallGroup(std::min(batch_size_, batch_next_ + kGroup));
    if (!Settle()) return false;
  }
  batch_next_ = batch_size_ = 0;
  return true;
}

// The handlers of batch_ up to `end`.
void EventLoop::CallGroup(size_t end) {
  const size_t begin = batch_next_;
  std::array<IoResult, kGroup> results;
  std::array<bool, kGroup> gathered = {};
  const auto place = [&](size_t i) -> std::span<char> {
    return {gather_buffer_.get() + (i - begin) * kGatherBytes, kGatherBytes};
  };
  // Null: the wake-up, or a handler that was unregistered in this turn.
  const auto handler = [&](size_t i) {
    return static_cast<IoHandler*>(batch_[i].data.ptr);
  };
  for (size_t i = begin; end - begin > 1 && i < end; ++i) {
    gathered[i - begin] =
        handler(i) != nullptr &&
        handler(i)->Gather(batch_[i].events, place(i), &results[i - begin]);
  }
  while (batch_next_ < end) {
    const size_t i = batch_next_++;
    if (handler(i) == nullptr) continue;
    if (std::exchange(the_one_, handler(i)) != handler(i)) one_since_ = now_;
    if (gathered[i - begin]) {
      handler(i)->OnGathered(place(i), results[i - begin]);
    } else {
      handler(i)->OnReady(batch_[i].events);
    }
    if (first_errand_ != nullptr) last_errand_->last_ = true;
  }
}

bool EventLoop::Settle() {
  // Flushes may add errands, and the other way round, but not without end: what
  // then is left waits for the next turn.
  constexpr int kMaxRounds = 4;
  for (int i = 0; i < kMaxRounds; ++i) {
    if (!RunErrands()) return false;
    if (to_flush_.empty()) return true;
    flushing_.swap(to_flush_);
    if (flushing_.size() > 1) {
      for (Flushable* const item : flushing_) item->PrepareFlush();
    }
    for (Flushable* const item : flushing_) item->Flush();
    flushing_.clear();
  }
  return RunErrands();
}

bool EventLoop::RunErrands() {
  if (first_errand_ == nullptr) return true;
  MonotonicTime now = MonotonicTime::Now();
  while (first_errand_ != nullptr) {
    Errand* const errand = first_errand_;
    first_errand_ = errand->next_;
    StandbyDrivers* const standby = standby_.load(std::memory_order_relaxed);
    const bool may_stall = standby == nullptr || standby->CoverAllLoops();
    const bool last = errand->last_ || first_errand_ == nullptr;
    if (!errand->StaysHere(last, may_stall)) {
      continue;
    }
    loop_of_this_thread = nullptr;
    const LoopBaton::Mark mark = baton_.Lend();
    if (standby != nullptr) standby->OnLent();
    now = errand->RunErrand(now);
    if (!baton_.Reclaim(mark)) {
      errand->OnErrandOver(/*on_loop=*/false);
      return false;
    }
    loop_of_this_thread = this;
    errand->OnErrandOver(/*on_loop=*/true);
    if (std::exchange(time_spent_, false)) now = MonotonicTime::Now();
  }
  return true;
}

void EventLoop::RunTimers() {
  // Those set from now on are behind all that are due, and wait for the next
  // turn.
  const uint64_t end = timers_.next_sequence();
  while (!timers_.empty() && timers_.front().time <= now_ &&
         timers_.front().sequence < end) {
    TimerBase* const timer = timers_.front().item;
    timers_.Remove(timer);
    timer->when_ = MonotonicTime::InfiniteFuture();
    timer->OnDue();
  }
}

void EventLoop::RunPosted() {
  if (!has_posted_.load(std::memory_order_relaxed)) return;
  {
    MutexLock lock(mutex_);
    has_posted_.store(false, std::memory_order_relaxed);
    running_.swap(posted_);
    last_turn_ = stopping_;  // Post() has accepted nothing since.
  }
  for (absl::AnyInvocable<void()>& function : running_) {
    function();
    function = nullptr;  // What it holds is not kept until the last has run.
  }
  running_.clear();
}

EventLoopGroup::EventLoopGroup() = default;
EventLoopGroup::~EventLoopGroup() { Stop(); }

absl::StatusOr<std::unique_ptr<EventLoopGroup>> EventLoopGroup::Create(
    int count, std::string name, int max_standby_drivers) {
  if (count < 0) {
    return absl::InvalidArgumentError("a group of " + std::to_string(count) +
                                      " event loops");
  }
  if (count == 0) count = CoresOfThisProcess();
  std::unique_ptr<EventLoopGroup> group(new EventLoopGroup);
  for (int i = 0; i < count; ++i) {
    TERN_ASSIGN_OR_RETURN(auto loop, EventLoop::Create(ThreadName(name, i)));
    group->loops_.push_back(std::move(loop));
  }
  if (max_standby_drivers > 0) {
    std::vector<EventLoop*> loops;
    for (const auto& loop : group->loops_) loops.push_back(loop.get());
    TERN_ASSIGN_OR_RETURN(
        group->standby_,
        StandbyDrivers::Create(std::move(loops), max_standby_drivers));
  }
  return group;
}

void EventLoopGroup::Stop() {
  for (const auto& loop : loops_) loop->RequestStop();
  for (const auto& loop : loops_) loop->WaitUntilEnded();
  if (standby_ != nullptr) standby_->Stop();
  for (const auto& loop : loops_) loop->Join();
}

EventLoop* EventLoopGroup::Next() {
  return loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()]
      .get();
}

}  // namespace tern::net
