#ifndef TERN_LIB_NET_EVENT_LOOP_H_
#define TERN_LIB_NET_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tern/lib/base/deadline_heap.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/net/loop_baton.h"
#include "tern/lib/net/socket.h"

namespace tern::net {

class StandbyDrivers;

// An epoll loop: file descriptors, timers and posted functions, each called on
// the loop's thread, one at a time.
//
// A turn: wait; read the clock once (now()); call the handlers that are ready,
// a few of them at a time; run the timers that are due; run what was posted
// before. What a callback posts or sets to be due at once waits for the next
// turn, so that nobody starves the others. Handlers must not block.
//
// What may block is an Errand: it runs on the loop's thread too, soon after the
// callback that added it, but with the loop on loan (LoopBaton). When it
// stalls, a thread of StandbyDrivers becomes the loop's thread and goes on
// where it was; "the loop's thread" is whoever drives the loop at the time.
// Between errands a turn's state is all in the loop, nothing on the stack: that
// is what makes it possible to go on elsewhere.
//
// Outlives its timers, and every thread that may still call it.
class EventLoop {
 public:
  // Told of readiness. Outlives its registration; may be unregistered (or
  // destroyed, after Unregister) in the middle of any callback on the loop's
  // thread, and is then not called any more, not even in this turn.
  class IoHandler {
   public:
    virtual ~IoHandler() = default;
    // REQUIRES: loop thread. `events` is epoll's mask.
    virtual void OnReady(uint32_t events) = 0;
    // REQUIRES: loop thread. Where several are ready: reads what there is to
    // `place`, and does nothing else; OnGathered() is called soon, instead of
    // OnReady(), if that is still to be called. False: it has not read.
    virtual bool Gather(uint32_t /*events*/, std::span<char> /*place*/,
                        IoResult* /*result*/) {
      return false;
    }
    virtual void OnGathered(std::span<char> /*place*/,
                            const IoResult& /*result*/) {}
  };

  // Work that may stall. Outlives its run.
  class Errand {
   public:
    virtual ~Errand() = default;
    // On the loop's thread, first; `last`: of those that one handler's callback
    // has added, no other waits. `may_stall`: somebody stands by for the loop,
    // or nobody ever does; else it is held up until the errand is over. False:
    // the errand has gone elsewhere, and is not to be run.
    virtual bool StaysHere(bool /*last*/, bool /*may_stall*/) { return true; }
    // Without the loop: OnLoopThread() is false, blocking is allowed. It begins
    // now, at `now`, and returns when it has ended: the next one's beginning,
    // for one reading of the clock.
    virtual MonotonicTime RunErrand(MonotonicTime now) = 0;
    // Right after it. On the loop's thread when `on_loop`; else the loop was
    // taken away meanwhile, and has gone on without this thread.
    virtual void OnErrandOver(bool on_loop) = 0;

   private:
    friend class EventLoop;
    Errand* next_ = nullptr;
    bool last_ = false;
  };

  // Has something to do once for all that happens in a while, such as to write
  // many answers at once.
  class Flushable {
   public:
    virtual ~Flushable() = default;
    // REQUIRES: loop thread.
    virtual void Flush() = 0;
    // Where there are several, before the first of them is flushed.
    virtual void PrepareFlush() {}
  };

  // A timer that its owner derives from: small, for those that are many. Loop
  // thread only, the destructor included (unless it is not set, or the loop has
  // stopped). Setting is O(log n) and allocates nothing in the steady state.
  class TimerBase {
   public:
    explicit TimerBase(EventLoop* loop) : loop_(loop) {}
    virtual ~TimerBase();  // Cancel().
    TimerBase(const TimerBase&) = delete;
    TimerBase& operator=(const TimerBase&) = delete;

    // Replaces an earlier time. InfiniteFuture() cancels; a time that has
    // passed is due in the next turn. Once the loop has stopped, no timer is
    // ever due.
    void Set(MonotonicTime when);
    void Cancel();
    // InfiniteFuture() when not set.
    MonotonicTime when() const { return when_; }

   protected:
    EventLoop* loop() const { return loop_; }

   private:
    friend class EventLoop;
    // Called on the loop's thread at or after the set time, once for each time
    // set. It may set, cancel or destroy this timer and others. Timers for the
    // same time are called in the order of setting.
    virtual void OnDue() = 0;

    EventLoop* const loop_;
    MonotonicTime when_ = MonotonicTime::InfiniteFuture();
    size_t place_ = static_cast<size_t>(-1);
  };

  // One that its owner embeds, and that calls a function.
  class Timer final : public TimerBase {
   public:
    Timer(EventLoop* loop, absl::AnyInvocable<void()> on_due);
    ~Timer() override;

   private:
    void OnDue() override;

    absl::AnyInvocable<void()> on_due_;
    bool* destroyed_ = nullptr;  // Set by the destructor during OnDue().
  };

  // The thread is started at once. The error names the failing system call.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(std::string name);
  // Stop().
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Thread-safe: runs `function` on the loop's thread, soon, in order of
  // posting. False once Stop() was called: `function` is then destroyed unrun,
  // and every one that was accepted runs. The queue has no limit of its own:
  // callers post a bounded number of functions for each of their (bounded)
  // objects.
  bool Post(absl::AnyInvocable<void()> function);
  // Post, and wait until it has run. Runs at once when on the loop's thread; on
  // the caller's, after the end of the loop's, when the loop has been stopped.
  void PostAndWait(absl::AnyInvocable<void()> function);

  // Runs what has been posted until now, then ends and joins the thread.
  // Idempotent. Not from the loop's thread. Timers are cancelled; registered
  // descriptors are left to their owners.
  void Stop();

  // REQUIRES: loop thread. Runs `errand` when the callback that is running has
  // returned, and those of other handlers that were ready with it, behind the
  // errands that were added before.
  void AddErrand(Errand* errand);
  // REQUIRES: loop thread. Whether an errand waits.
  bool has_errands() const { return first_errand_ != nullptr; }
  // Loop thread: something has been done between two errands that took longer
  // than to read the clock, which is no time of the next one's.
  void NoteTimeSpent() { time_spent_ = true; }
  // REQUIRES: loop thread, and `item` is not waiting for its flush. Calls
  // Flush() once the callbacks that are running, and the errands, have.
  void FlushSoon(Flushable* item);

  // Level-triggered. Register and Unregister: REQUIRES: loop thread. Modify:
  // any thread, while registered. `events` is a mask of EPOLLIN, EPOLLOUT;
  // errors and hang-ups are always told. Unregister before closing `fd`.
  absl::Status Register(int fd, uint32_t events, IoHandler* handler);
  void Modify(int fd, uint32_t events, IoHandler* handler);
  void Unregister(int fd, IoHandler* handler);

  // The time of this turn. REQUIRES: loop thread.
  MonotonicTime now() const {
    TERN_DCHECK(OnLoopThread());
    return now_;
  }
  // REQUIRES: loop thread. Whether no descriptor but one has been ready for
  // 10 ms or longer: who keeps the loop from others then, keeps it from nobody.
  bool IsForOne() const {
    TERN_DCHECK(OnLoopThread());
    return now_.nanoseconds() - one_since_.nanoseconds() >= kForOneNs;
  }
  // One buffer for all reads of this loop (but for what handlers gather), so
  // that an idle connection holds none. REQUIRES: loop thread; not across
  // callbacks.
  static constexpr size_t kReadBufferBytes = size_t{256} * 1024;
  std::span<char> read_buffer() {
    TERN_DCHECK(OnLoopThread());
    return {read_buffer_.get(), kReadBufferBytes};
  }

  // True on the loop's thread. Also true on every thread once that one has
  // ended (Stop() has returned), so that owners can be torn down anywhere.
  bool OnLoopThread() const;
  // Whether it waits for something to happen; a moment later it may not.
  bool IsAsleep() const { return sleeping_.load(std::memory_order_relaxed); }

  // True on the thread that drives the loop now.
  bool IsDrivenHere() const;
  // True on the thread of any EventLoop: blocking there would stall
  // connections.
  static bool OnAnyLoopThread();

 private:
  friend class EventLoopGroup;
  friend class StandbyDrivers;
  // Ready descriptors taken by one wait.
  static constexpr size_t kMaxEvents = 256;
  static constexpr int64_t kForOneNs = 10'000'000;
  // Handlers that are called before the errands and flushes they ask for come:
  // first all read, then all that has been read is worked on, then all write.
  // What one step needs is then still in the core's caches, which a system call
  // empties. More of them would wait longer for little more.
  static constexpr size_t kGroup = 8;
  // What each of them reads. (Where there is more, it reads again.)
  static constexpr size_t kGatherBytes = size_t{4} << 10;
  using TimerHeap = DeadlineHeap<TimerBase, &TimerBase::place_>;
  using Functions = std::vector<absl::AnyInvocable<void()>>;

  EventLoop(FileDescriptor epoll, FileDescriptor wake);
  // Drives until the loop has stopped or was taken away; true for the former.
  bool Drive();
  // When to wake at the latest; a later Post() wakes us.
  MonotonicTime PrepareToSleep();
  // Fills batch_. Returns at `until` at the latest, but may be early.
  void WaitForEvents(MonotonicTime until);
  void CallGroup(size_t end);
  // These three are false when the loop was taken away.
  [[nodiscard]] bool CallHandlers();
  [[nodiscard]] bool RunErrands();
  [[nodiscard]] bool Settle();  // Errands, then flushes.
  void RunTimers();
  void RunPosted();
  void End();
  void WakeUpIfSleeping();
  void RequestStop();
  void WaitUntilEnded();
  void Join();

  // Constant after construction.
  const FileDescriptor epoll_;
  const FileDescriptor wake_;  // An eventfd.
  const std::unique_ptr<char[]> read_buffer_;
  const std::unique_ptr<char[]> gather_buffer_;

  // Owned by the loop's thread.
  MonotonicTime now_;
  TimerHeap timers_;
  std::array<epoll_event, kMaxEvents> batch_;
  size_t batch_size_ = 0;
  size_t batch_next_ = 0;          // Of batch_: not yet delivered.
  const void* the_one_ = nullptr;  // That was last ready, and may be gone.
  MonotonicTime one_since_;
  Functions running_;  // Swapped with posted_, so that both keep their space.
  bool last_turn_ = false;
  bool time_spent_ = false;
  Errand* first_errand_ = nullptr;
  Errand* last_errand_ = nullptr;
  std::vector<Flushable*> to_flush_;
  std::vector<Flushable*> flushing_;  // Swapped with to_flush_.

  LoopBaton baton_;
  // Set before the first errand is added.
  std::atomic<StandbyDrivers*> standby_{nullptr};

  // The loop waits, or is about to, and nobody has woken it yet.
  std::atomic<bool> sleeping_{false};
  // posted_ or stopping_ has changed: without it, a turn need not lock mutex_.
  std::atomic<bool> has_posted_{false};
  std::atomic<bool> ended_{false};  // The thread is (as good as) gone.

  Mutex mutex_;
  CondVar ended_changed_;
  Functions posted_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

// `count` loops; Next() deals them out in turn. Thread-safe. The destructor
// stops them.
class EventLoopGroup {
 public:
  // count 0: one per core that this process may run on. The threads are named
  // "<name>-<index>". With max_standby_drivers above 0, errands that stall hold
  // up nobody but themselves: see StandbyDrivers.
  static absl::StatusOr<std::unique_ptr<EventLoopGroup>> Create(
      int count, std::string name, int max_standby_drivers = 0);
  ~EventLoopGroup();
  // Stops all the loops, and waits for errands that still run.
  void Stop();
  EventLoop* Next();
  EventLoop* at(size_t index) { return loops_.at(index).get(); }
  size_t size() const { return loops_.size(); }
  // nullptr when nobody stands by.
  const StandbyDrivers* standby() const { return standby_.get(); }

 private:
  EventLoopGroup();

  std::vector<std::unique_ptr<EventLoop>> loops_;  // Constant after Create().
  std::unique_ptr<StandbyDrivers> standby_;        // Likewise.
  std::atomic<size_t> next_{0};
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_EVENT_LOOP_H_
