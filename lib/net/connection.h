#ifndef TERN_LIB_NET_CONNECTION_H_
#define TERN_LIB_NET_CONNECTION_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/net/address.h"
#include "tern/lib/net/driver_role.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/socket.h"
#include "tern/lib/wire/session.h"

namespace tern::net {

struct ConnectionOptions {
  wire::SessionOptions session;
  // When the transport has left so much of the output, nothing more is read;
  // reading goes on below half of it. (What waits for the peer's windows does
  // not count: only reading can bring those.)
  size_t max_unsent_bytes = 4 << 20;
  // The connection is given up when the peer takes no byte for so long.
  absl::Duration write_timeout = absl::Seconds(30);
  // Where a thread that calls reads its replies itself: the loop reads again
  // when no such thread has come back for so long (or twice that). Until then
  // nobody notices what the server says unasked.
  absl::Duration caller_rest = absl::Milliseconds(10);
};

// A connected socket and the wire::Session that speaks over it: the base of
// the server's and of the client's connections, which implement the visitor.
//
// The session belongs to whoever has the driver's role (see DriverRole): the
// loop's thread while it reads or a timer is due, and any thread that has
// queued something (a response, a call): then the thread writes it itself,
// without waking the loop. A turn of a driver is: take what has come in, take
// what was queued, write all that is to be sent in one system call.
//
// Held by shared_ptr: by itself while it is registered with the loop, by posted
// functions and by calls in flight.
class Connection : public std::enable_shared_from_this<Connection>,
                   public wire::SessionVisitor,
                   private EventLoop::IoHandler,
                   private EventLoop::Flushable,
                   private EventLoop::TimerBase {
 public:
  // Something that a visitor's callback wants done after the role has been
  // let go: whatever runs code that is not ours, or takes other locks.
  class Deferred {
   public:
    virtual ~Deferred() = default;
    // On the thread that had the role. `share`: what the connection had of
    // this.
    virtual void RunDeferred(std::shared_ptr<Deferred> share) = 0;
  };

  // `loop` outlives the connection's registration with it.
  Connection(EventLoop* loop, FileDescriptor socket, const Address& peer,
             std::shared_ptr<const ConnectionOptions> options);
  ~Connection() override;

  // REQUIRES: loop thread, once, held by a shared_ptr.
  void Start();

  // Ends the connection from any thread: GOAWAY(code), every call told. Soon.
  void CloseSoon(wire::ErrorCode code, std::string_view reason);

  // Ends the connection at once, without a word to the peer.
  // REQUIRES: loop thread, or the loop has stopped.
  void Abandon();

  using EventLoop::TimerBase::loop;
  const std::string& peer() const { return peer_; }
  const std::string& local() const { return local_; }

 protected:
  // Whether this is the loop's thread, and the loop has a share of this until
  // that returns to it.
  bool IsHeldHere() const {
    return loop()->IsDrivenHere() && loop_share_ != nullptr;
  }

  // Any thread: something is in a queue that TakeSubmissions() empties. The
  // caller holds a share of this connection until it returns. On the loop's
  // thread it is done a little later, with what else comes in this turn; on
  // others at once, if nobody else is at it.
  void Drive();

  // Drive(), for one of many: while many calls are open, and the loop is at
  // work anyway or such calls come in quick succession, it is left to the loop,
  // whose next system call then carries all that has been queued.
  void DriveOrLeaveToLoop(MonotonicTime now);

  // The same, for one of many messages: however few calls are open.
  void DriveInSuccession(MonotonicTime now);

  // Drive(), for a thread that then waits until `over`, for instance until a
  // call has ended. While its call is the only one here, it reads what comes
  // itself: that saves the loop's wake-up and its own. Returns when over() or
  // `deadline` has come, or when the loop reads, and the caller waits to be
  // told. `over` is called with the role and without.
  // REQUIRES: a thread that may block.
  void DriveAndRead(absl::FunctionRef<bool()> over, MonotonicTime now,
                    MonotonicTime deadline);
  // Drive(), for a thread that then waits for the next message of a stream, and
  // will for the one after it. While the stream is the only one here, it reads
  // what comes itself; returns when over() or `until` has come, or when the
  // loop reads. True: nobody reads now until the thread comes back, or for
  // `caller_rest`; it rests. Whoever waits for anything else of this stream's
  // meanwhile says ReadByLoop(); who does already, `may_rest` says, called with
  // the role.
  // REQUIRES: a thread that may block.
  bool DriveAndReadStream(absl::FunctionRef<bool()> over,
                          absl::FunctionRef<bool()> may_rest,
                          MonotonicTime until);
  // Any thread: ends that, and such a rest, soon.
  void ReadByLoop();
  // REQUIRES: role. Something has begun whose end is to be told on the loop,
  // which does better to find it itself than to be told by a thread that reads
  // a stream. That reads again when it has been alone for a while.
  void PreferLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // REQUIRES: role. The same: the stream has ended.
  void EndRest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_) { rests_ = false; }
  // Any thread: has a thread in the above look whether its wait is over. (As
  // ReadByLoop() does: it looks within some milliseconds.)
  void WakeReader();

  // For whoever has acquired the role: drives until no work is announced any
  // more (or for some rounds: then the loop goes on), lets the role go, and
  // runs what was deferred.
  void DriveAndRelease()
      ABSL_UNLOCK_FUNCTION(role_) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // REQUIRES: role. Gives the session what other threads have queued.
  virtual void TakeSubmissions() = 0;

  // REQUIRES: role. When the host has something to do that depends on the time,
  // and doing it (loop thread).
  virtual MonotonicTime NextHostTimeout() const {
    return MonotonicTime::InfiniteFuture();
  }
  virtual void OnHostTime(MonotonicTime /*now*/) {}

  // REQUIRES: role. What could be written in this turn has been.
  virtual void OnTurnEnd() {}
  // REQUIRES: role. No call has been open for some seconds: give back memory
  // that was kept for speed.
  virtual void OnIdle() {}

  // Loop thread, without the role, once: the socket is closed, the session has
  // told every stream.
  virtual void OnDisconnected(wire::ErrorCode code,
                              const std::string& reason) = 0;

  // REQUIRES: role.
  void Defer(std::shared_ptr<Deferred> deferred)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_) {
    if (deferred_ == nullptr) deferred_ = NewDeferredList();
    deferred_->push_back(std::move(deferred));
  }
  wire::Session& session() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_) {
    return session_;
  }

  // SessionVisitor. A subclass that overrides one calls this one, too.
  wire::PathFacts GetPathFacts() override;
  void OnClosed(wire::ErrorCode code, std::string_view reason) override;

  DriverRole role_;

 private:
  using DeferredList = std::vector<std::shared_ptr<Deferred>>;
  // Why it ends.
  struct End {
    wire::ErrorCode code;
    std::string reason;
  };

  void OnReady(uint32_t events) override;
  bool Gather(uint32_t events, std::span<char> place,
              IoResult* result) override;
  void OnGathered(std::span<char> place, const IoResult& result) override;
  void Flush() override;
  void PrepareFlush() override;
  void WriteBurst();
  void UpdateBurst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // After input: lets the role go, and does what has come of it.
  void EndInput() ABSL_UNLOCK_FUNCTION(role_) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnDue() override;
  bool IsInput(uint32_t events) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void ReadInput(std::span<char> buffer, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // What a read has brought; false when there is nothing more to be read.
  bool TakeInput(const IoResult& result, std::span<char> buffer,
                 MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool MayReadHere(size_t open_streams) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool TooFewAlone();
  void CountAnew();
  bool ReadAsCaller(absl::FunctionRef<bool()> over,
                    absl::FunctionRef<bool()> may_rest, MonotonicTime now,
                    MonotonicTime deadline, bool reads_stream);
  IoResult AwaitInput(std::span<char> buffer, MonotonicTime now,
                      MonotonicTime deadline, bool first);
  // False when the time was over before there was any, and nobody woke it.
  bool PollInput(MonotonicTime now, MonotonicTime deadline);
  void AwaitMore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void UpdateLowWater(bool may_wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void LowerWater() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool StopReadingHere(absl::FunctionRef<bool()> may_rest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void WriteOutput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void UpdateInterest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void UpdateClosing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  MonotonicTime NextTimeout() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  // What only the loop's thread may do: the timer, the registration.
  void UpdateLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void PostUpdate();
  // A thread's lists are used in turns by all that it drives.
  static std::unique_ptr<DeferredList>& SpareDeferredList();
  static std::unique_ptr<DeferredList> NewDeferredList();
  static void RunDeferred(std::unique_ptr<DeferredList> list);

  const int reading_fd_;  // socket_'s, for a thread that reads.
  const std::shared_ptr<const ConnectionOptions> options_;
  const std::string peer_;
  const std::string local_;

  // Loop thread.
  std::shared_ptr<Connection> loop_share_;  // While either of these is true:
  bool registered_ = false;                 // Until OnDisconnected.
  bool flush_due_ = false;                  // The loop is to Flush().
  uint8_t unwritten_ = 0;                   // Times of Drive() since a write.

  // Any thread.
  std::atomic<bool> many_open_{false};  // Streams. Written with the role.
  std::atomic<bool> one_open_{false};   // Likewise.
  std::atomic<bool> loop_reads_{true};  // reader_ is kLoop. Likewise.
  std::atomic<uint8_t> burst_{255};     // See UpdateBurst. Likewise.
  // Calls or waits for a message that were alone here, in a row, the loop
  // reading; negative where more than usual are wanted.
  std::atomic<int> lone_calls_{0};
  std::atomic<bool> loop_due_{false};      // ReadByLoop() has been called.
  std::atomic<bool> left_to_loop_{false};  // It has been posted to drive.
  std::atomic<bool> reader_waits_{false};  // In poll, or about to be.
  std::atomic<int64_t> driven_at_{0};      // By DriveOrLeaveToLoop, in ns.

  // A server's are many, and most of them idle: what few of them need is small
  // or allocated when it is needed, and small ones stand together.
  FileDescriptor socket_ ABSL_GUARDED_BY(role_);
  uint32_t interest_ ABSL_GUARDED_BY(role_) = 0;   // 0: not registered.
  uint32_t most_open_ ABSL_GUARDED_BY(role_) = 0;  // Streams, lately.
  bool reading_paused_ ABSL_GUARDED_BY(role_) = false;
  bool write_blocked_ ABSL_GUARDED_BY(role_) = false;
  bool write_failed_ ABSL_GUARDED_BY(role_) = false;
  bool shut_down_ ABSL_GUARDED_BY(role_) = false;  // All sent; awaiting FIN.
  bool broken_ ABSL_GUARDED_BY(role_) = false;     // No use to read or write.
  bool disconnected_ ABSL_GUARDED_BY(role_) = false;
  bool update_posted_ ABSL_GUARDED_BY(role_) = false;
  bool gathered_ ABSL_GUARDED_BY(role_) = false;  // Read, not yet received.

  // Who reads: the loop, or the thread of the one call that there is. Between
  // two such calls nobody does, for a moment: asking epoll to watch and not to
  // watch, for each call, would cost more than it saves.
  enum class Reader : uint8_t { kLoop, kCaller, kNobody };
  Reader reader_ ABSL_GUARDED_BY(role_) = Reader::kLoop;
  // kNobody although a stream is open, the only one: see DriveAndReadStream.
  bool rests_ ABSL_GUARDED_BY(role_) = false;
  bool reads_stream_ ABSL_GUARDED_BY(role_) = false;  // kCaller does.
  bool called_since_check_ ABSL_GUARDED_BY(role_) = false;
  bool can_read_here_ ABSL_GUARDED_BY(role_) = true;
  // The long message that comes in was late once: the rest of it is read as it
  // comes.
  bool slow_input_ ABSL_GUARDED_BY(role_) = false;
  // What the socket is to have before it tells of input, in units; 0: anything.
  uint8_t low_water_ ABSL_GUARDED_BY(role_) = 0;
  FileDescriptor reader_wake_;  // An eventfd; set before the first kCaller.
  // When the loop looks whether nobody has called for long, and reads again.
  MonotonicTime reader_check_at_ ABSL_GUARDED_BY(role_) =
      MonotonicTime::InfiniteFuture();

  wire::Session session_ ABSL_GUARDED_BY(role_);
  std::unique_ptr<DeferredList> deferred_ ABSL_GUARDED_BY(role_);
  // Since when it is write_blocked_, write_failed_ or shut_down_.
  MonotonicTime stuck_since_ ABSL_GUARDED_BY(role_);
  std::unique_ptr<const End> end_ ABSL_GUARDED_BY(role_);  // OnClosed.
  // What the timer is set to; it may be too early, never too late.
  MonotonicTime timer_set_to_ ABSL_GUARDED_BY(role_) =
      MonotonicTime::InfiniteFuture();
  // When to look whether it is idle, none until the next byte is read; while
  // the loop reads and there is a low_water_, when it has waited long enough.
  MonotonicTime look_at_ ABSL_GUARDED_BY(role_) =
      MonotonicTime::InfiniteFuture();
};

}  // namespace tern::net

#endif  // TERN_LIB_NET_CONNECTION_H_
