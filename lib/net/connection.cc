#include "tern/lib/net/connection.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/net/round_trip.h"

namespace tern::net {
namespace {

// Turns of one driver before it lets others have their share of its thread.
constexpr int kMaxTurns = 16;
// Read in one turn: the other connections of the loop wait meanwhile.
constexpr size_t kMaxReadBytesPerTurn = size_t{1} << 20;
// How long a connection that has said everything waits for the peer's FIN.
// Closing at once could make the kernel send RST, which destroys what the peer
// has not read yet: our GOAWAY.
constexpr absl::Duration kShutdownTimeout = absl::Seconds(1);
// A connection without calls then gives back the memory that it kept for speed.
constexpr absl::Duration kIdleTime = absl::Seconds(5);

// From so many on, a system call for each costs more than to wait for the loop.
constexpr size_t kManyStreams = 8;
// Nearer to each other, two calls or messages are worth waking the loop for the
// second and those that follow: what a wake-up takes.
constexpr int64_t kSuccessionNs = 20'000;
// Calls in a row that were alone on the connection, before their thread reads.
constexpr int kLoneCalls = 4;
// So many more when others have been in the way.
constexpr int kMoreLoneCalls = 60;
// A calling thread waits so long in the read itself, where nothing but input
// wakes it: a poll before each read would be a third system call for each call.
// Longer waits poll.
constexpr absl::Duration kReadWaitTime = absl::Milliseconds(5);
// What a turn reads first (less where several connections are ready, see
// EventLoop::kGatherBytes): small messages by the hundred, or as much of a long
// one as it takes to know where the rest belongs, which is then read there. (A
// chunk, its header, and some small frames before it.)
constexpr size_t kFirstReadBytes =
    wire::Session::kMaxChunkFrameBytes + (size_t{1} << 10);

// The rest of a long message that comes alone is read in large parts, of so
// many units at the most: each costs a wake-up at both ends, which takes as
// long as to copy 100 KiB.
constexpr size_t kLowWaterUnit = size_t{64} << 10;
constexpr size_t kMaxLowWater = 4;
// They are waited for no longer than this: fewer may come, and something else
// behind them.
constexpr absl::Duration kLowWaterTime = absl::Milliseconds(1);

// How many of a turn's calls or answers are written before it ends: a quarter
// of those that are under way, so that both sides have something to do all the
// time, but no fewer than are worth a system call. A server does not know of
// those that are on the way to it or back: a third of what it sees is as many.
constexpr size_t kClientBursts = 4;
constexpr size_t kServerBursts = 3;
constexpr size_t kMinBurst = 16;
// What is open at once differs from turn to turn: the most in about so many
// looks.
constexpr uint32_t kBurstLooks = 64;

// Threads that read it often keep their copies of its cache line.
void StoreIfOther(std::atomic<bool>& shared, bool value) {
  if (shared.load(std::memory_order_relaxed) != value) {
    shared.store(value, std::memory_order_relaxed);
  }
}

// The thread ends, and its buffer has gone.
thread_local bool caller_buffer_over = false;

// What a calling thread reads into: at least so much. Less than it had before
// is not given.
std::span<char> CallerBuffer(size_t bytes) {
  struct Buffer {
    std::unique_ptr<char[]> memory;
    size_t size = 0;
    ~Buffer() { caller_buffer_over = true; }
  };
  thread_local Buffer buffer;
  if (buffer.size < bytes) {
    buffer.memory = std::make_unique_for_overwrite<char[]>(bytes);
    buffer.size = bytes;
  }
  return {buffer.memory.get(), buffer.size};
}

std::string Describe(const char* what, int error) {
  return std::string(ToStd(ErrnoToStatus(error, what).message()));
}

}  // namespace

Connection::Connection(EventLoop* loop, FileDescriptor socket,
                       const Address& peer,
                       std::shared_ptr<const ConnectionOptions> options)
    : TimerBase(loop),
      reading_fd_(socket.get()),
      options_(std::move(options)),
      peer_(peer.ToString()),
      local_(LocalAddress(socket.get()).ToString()),
      socket_(std::move(socket)),
      session_(&options_->session, this, MonotonicTime::Now()) {}

Connection::~Connection() = default;

void Connection::Start() {
  TERN_DCHECK(loop()->OnLoopThread());
  role_.Acquire();
  registered_ = true;
  loop_share_ = shared_from_this();
  interest_ = EPOLLERR | EPOLLIN;
  if (absl::Status status = loop()->Register(socket_.get(), interest_, this);
      !status.ok()) {
    interest_ = 0;
    broken_ = true;
    session_.OnTransportClosed(ToStd(status.message()), MonotonicTime::Now());
  }
  DriveAndRelease();
}

void Connection::CloseSoon(wire::ErrorCode code, std::string_view reason) {
  loop()->Post([self = shared_from_this(), code, reason = std::string(reason)] {
    self->role_.Acquire();
    self->session_.Close(code, reason);
    self->DriveAndRelease();
  });
}

void Connection::Abandon() {
  TERN_DCHECK(loop()->OnLoopThread());
  const std::shared_ptr<Connection> self = shared_from_this();
  role_.Acquire();
  broken_ = true;
  session_.OnTransportClosed("abandoned", MonotonicTime::Now());
  DriveAndRelease();
}

void Connection::Drive() {
  if (loop()->IsDrivenHere()) {
    if (std::exchange(flush_due_, true)) {
      ++unwritten_;
      if (unwritten_ >= burst_.load(std::memory_order_relaxed) &&
          loop()->IsForOne()) {
        WriteBurst();
      }
      return;
    }
    unwritten_ = 1;
    if (loop_share_ == nullptr) loop_share_ = shared_from_this();
    return loop()->FlushSoon(this);
  }
  if (role_.AcquireOrAnnounce()) DriveAndRelease();
}

void Connection::DriveOrLeaveToLoop(MonotonicTime now) {
  if (!many_open_.load(std::memory_order_relaxed)) return Drive();
  DriveInSuccession(now);
}

void Connection::DriveInSuccession(MonotonicTime now) {
  if (loop()->IsDrivenHere()) return Drive();
  const int64_t before = driven_at_.load(std::memory_order_relaxed);
  if (loop()->IsAsleep() && now.nanoseconds() - before >= kSuccessionNs) {
    driven_at_.store(now.nanoseconds(), std::memory_order_relaxed);
    return Drive();
  }
  // Who finds it set has queued its work before the loop clears it, and so
  // before the loop looks for work.
  if (left_to_loop_.exchange(true, std::memory_order_acq_rel)) return;
  loop()->Post([self = shared_from_this()] {
    self->left_to_loop_.exchange(false, std::memory_order_acq_rel);
    self->Drive();
  });
}

// Of a turn that brings many calls or answers some go before it ends: the peer
// works on those while this side makes the rest. (Where the loop has other
// connections, it works on what these have brought.) All else comes with the
// flush that is due: here may be the middle of what a user's callback does.
void Connection::WriteBurst() {
  unwritten_ = 0;
  if (!role_.AcquireOrAnnounce()) return;
  TakeSubmissions();
  WriteOutput();
  loop()->NoteTimeSpent();
  (void)role_.Release();  // What was announced waits for the flush, too.
}

void Connection::UpdateBurst() {
  const uint32_t less =
      most_open_ - (most_open_ + kBurstLooks - 1) / kBurstLooks;
  most_open_ = std::max(static_cast<uint32_t>(session_.open_streams()), less);
  const size_t bursts = options_->session.role == wire::Role::kClient
                            ? kClientBursts
                            : kServerBursts;
  burst_.store(
      static_cast<uint8_t>(std::clamp<size_t>(
          most_open_ / bursts, kMinBurst, std::numeric_limits<uint8_t>::max())),
      std::memory_order_relaxed);
}

void Connection::Flush() {
  flush_due_ = false;
  std::shared_ptr<Connection> last;
  if (!registered_) last = std::move(loop_share_);
  if (role_.AcquireOrAnnounce()) DriveAndRelease();
}

void Connection::PrepareFlush() {
  if (!role_.AcquireOrAnnounce()) return;
  TakeSubmissions();
  (void)role_.Release();  // What was announced waits for the flush, too.
}

void Connection::OnReady(uint32_t events) {
  role_.Acquire();
  if (IsInput(events)) {
    ReadInput(loop()->read_buffer(), loop()->now());
    AwaitMore();
  }
  EndInput();
}

bool Connection::Gather(uint32_t events, std::span<char> place,
                        IoResult* result) {
  role_.Acquire();
  // Not while it rests: its thread could not come back until that is received.
  // (What belongs to a long message is read to where it will stay.)
  gathered_ = IsInput(events) && reader_ == Reader::kLoop && !broken_ &&
              session_.ReceiveInto().empty();
  const bool gathered = gathered_;
  if (gathered) *result = ReadSome(socket_.get(), place.data(), place.size());
  (void)role_.Release();  // What was announced is done when this goes on.
  return gathered;
}

void Connection::OnGathered(std::span<char> place, const IoResult& result) {
  role_.Acquire();
  gathered_ = false;
  if (!broken_ && TakeInput(result, place, loop()->now())) {
    ReadInput(loop()->read_buffer(), loop()->now());
  }
  AwaitMore();
  EndInput();
}

// The loop has read what there was.
void Connection::AwaitMore() {
  if (reader_ != Reader::kLoop) return;
  UpdateLowWater(/*may_wait=*/true);
  if (low_water_ != 0) look_at_ = loop()->now() + kLowWaterTime;
}

// Whether the loop is to read.
bool Connection::IsInput(uint32_t events) const {
  switch (reader_) {
    case Reader::kLoop:
      return (events & ~uint32_t{EPOLLOUT}) != 0;
    case Reader::kNobody:
      // It may have been told of input before a thread has read that.
      return (events & ~uint32_t{EPOLLOUT | EPOLLIN}) != 0;
    case Reader::kCaller:
      // (Of an error the loop is told, too: the thread will find it.)
      return false;
  }
  return false;
}

// When handlers are about to run here, what they answer is written with the
// rest.
void Connection::EndInput() {
  if (loop()->has_errands() && deferred_ == nullptr && !broken_) {
    UpdateBurst();
    Drive();
    if (role_.TryRelease()) return;
  }
  DriveAndRelease();
}

void Connection::OnDue() {
  role_.Acquire();
  timer_set_to_ = MonotonicTime::InfiniteFuture();
  const MonotonicTime now = loop()->now();
  session_.OnTime(now);
  OnHostTime(now);
  if (write_failed_ && now >= stuck_since_ + kShutdownTimeout) {
    broken_ = true;
    session_.OnTransportClosed("the transport takes no more bytes", now);
  }
  if (write_blocked_ && now >= stuck_since_ + options_->write_timeout) {
    broken_ = true;
    session_.OnTransportClosed(
        absl::StrCat("the peer has taken no byte for ",
                     absl::FormatDuration(options_->write_timeout)),
        now);
  }
  if (shut_down_ && now >= stuck_since_ + kShutdownTimeout) broken_ = true;
  if (now >= reader_check_at_) {
    const bool called = std::exchange(called_since_check_, false);
    if (reader_ == Reader::kNobody && !called) {
      reader_ = Reader::kLoop;
      lone_calls_.store(0, std::memory_order_relaxed);
    }
    // A long call needs no looks: StopReadingHere asks for the next.
    const bool look_again = reader_ != Reader::kLoop && called;
    reader_check_at_ = look_again ? now + options_->caller_rest
                                  : MonotonicTime::InfiniteFuture();
  }
  if (now >= look_at_ && low_water_ != 0 && reader_ != Reader::kCaller) {
    slow_input_ = true;
    LowerWater();
  }
  if (now >= look_at_) {
    const bool idle = session_.open_streams() == 0;
    look_at_ = idle ? MonotonicTime::InfiniteFuture() : now + kIdleTime;
    if (idle) {
      session_.ReleaseMemory();
      OnIdle();
    }
  }
  DriveAndRelease();
}

// The last share, the loop's, may be dropped at the end: callers then touch
// nothing of this connection any more.
void Connection::DriveAndRelease() {
  std::shared_ptr<Connection> last;
  std::unique_ptr<DeferredList> deferred;
  std::unique_ptr<const End> end;  // If it is to be told.
  bool released = false;
  for (int turn = 0; turn < kMaxTurns && !released; ++turn) {
    TakeSubmissions();
    WriteOutput();
    OnTurnEnd();
    UpdateClosing();
    UpdateInterest();
    const bool was_disconnected = disconnected_;
    UpdateLoop();
    if (disconnected_ && !was_disconnected) end = std::move(end_);
    if (deferred == nullptr) {
      deferred = std::move(deferred_);
    } else if (deferred_ != nullptr) {
      std::move(deferred_->begin(), deferred_->end(),
                std::back_inserter(*deferred));
      deferred_->clear();
    }
    released = role_.TryRelease();
  }
  // Its last try has taken note of work, which is then nobody's.
  if (!released && !role_.Release()) PostUpdate();
  if (deferred != nullptr) RunDeferred(std::move(deferred));
  if (end == nullptr) return;
  registered_ = false;
  if (!flush_due_) last = std::move(loop_share_);
  OnDisconnected(end->code, end->reason);
}

std::unique_ptr<Connection::DeferredList>& Connection::SpareDeferredList() {
  thread_local std::unique_ptr<DeferredList> spare;
  return spare;
}

std::unique_ptr<Connection::DeferredList> Connection::NewDeferredList() {
  std::unique_ptr<DeferredList> list = std::move(SpareDeferredList());
  return list != nullptr ? std::move(list) : std::make_unique<DeferredList>();
}

// What is deferred may drive another connection, and defer something there.
void Connection::RunDeferred(std::unique_ptr<DeferredList> list) {
  for (std::shared_ptr<Deferred>& item : *list) {
    Deferred* const deferred = item.get();
    deferred->RunDeferred(std::move(item));
  }
  list->clear();
  SpareDeferredList() = std::move(list);
}

void Connection::ReadInput(std::span<char> buffer, MonotonicTime now) {
  size_t taken = 0;
  const std::span<char> first =
      buffer.first(std::min(buffer.size(), kFirstReadBytes));
  while (taken < kMaxReadBytesPerTurn && !broken_) {
    // The rest of a long message is read to where it will stay.
    const wire::InputPieces direct = session_.ReceiveInto();
    if (direct.empty()) {
      const std::span<char> place = taken == 0 ? first : buffer;
      const IoResult result =
          ReadSome(socket_.get(), place.data(), place.size());
      if (!TakeInput(result, place, now)) return;
      taken += result.bytes;
      continue;
    }
    const IoResult result = ReadPieces(socket_.get(), direct);
    if (result.kind != IoResult::kOk) {
      TakeInput(result, buffer, now);
      return;
    }
    session_.ReceivedInto(result.bytes, now);
    if (result.bytes < direct.bytes()) return;
    taken += result.bytes;
  }
}

bool Connection::TakeInput(const IoResult& result, std::span<char> buffer,
                           MonotonicTime now) {
  if (look_at_.is_infinite()) look_at_ = now + kIdleTime;
  switch (result.kind) {
    case IoResult::kOk:
      // After its end the session takes no more: what still comes is read only
      // to reach the peer's FIN.
      session_.Receive(std::string_view(buffer.data(), result.bytes), now);
      return result.bytes == buffer.size();
    case IoResult::kWouldBlock:
      return false;
    case IoResult::kEndOfStream:
      broken_ = true;
      session_.OnTransportClosed("the peer closed the connection", now);
      return false;
    case IoResult::kError:
      broken_ = true;
      session_.OnTransportClosed(Describe("read", result.error), now);
      return false;
  }
  return false;
}

// --- A caller that reads -----------------------------------------------------

void Connection::DriveAndRead(absl::FunctionRef<bool()> over, MonotonicTime now,
                              MonotonicTime deadline) {
  if (many_open_.load(std::memory_order_relaxed)) {
    return DriveOrLeaveToLoop(now);
  }
  if (!role_.AcquireOrAnnounce()) return;
  const bool read_here = MayReadHere(/*open_streams=*/0);
  DriveAndRelease();
  if (!read_here) return;
  // Other calls that come meanwhile are read here, too.
  ReadAsCaller(
      over, [] { return false; }, now, deadline, /*reads_stream=*/false);
}

bool Connection::DriveAndReadStream(absl::FunctionRef<bool()> over,
                                    absl::FunctionRef<bool()> may_rest,
                                    MonotonicTime until) {
  if (!one_open_.load(std::memory_order_relaxed)) return false;
  if (loop_reads_.load(std::memory_order_relaxed) && TooFewAlone()) {
    return false;
  }
  // It may take a moment: the loop is often at work just then.
  role_.Acquire();
  const bool read_here = MayReadHere(/*open_streams=*/1);
  DriveAndRelease();
  return read_here && ReadAsCaller(over, may_rest, MonotonicTime::Now(), until,
                                   /*reads_stream=*/true);
}

bool Connection::ReadAsCaller(absl::FunctionRef<bool()> over,
                              absl::FunctionRef<bool()> may_rest,
                              MonotonicTime now, MonotonicTime deadline,
                              bool reads_stream) {
  std::span<char> buffer = CallerBuffer(kFirstReadBytes);
  const auto done = [&] {
    return over() ||
           (reads_stream && loop_due_.load(std::memory_order_seq_cst));
  };
  bool rests = false;
  bool reading = true;
  bool in_message = false;  // What comes has a place in the session ...
  bool for_much = false;    // ... and there is to be much at a time.
  for (bool first = true; reading; first = false) {
    reader_waits_.store(true, std::memory_order_seq_cst);
    IoResult result = {.kind = IoResult::kWouldBlock};
    bool slow = false;
    if (!done()) {
      if (in_message) {
        const MonotonicTime until =
            for_much ? std::min(deadline, now + kLowWaterTime) : deadline;
        slow = !PollInput(now, until) && for_much;
      } else {
        result =
            AwaitInput(buffer.first(kFirstReadBytes), now, deadline, first);
      }
    }
    reader_waits_.store(false, std::memory_order_relaxed);
    now = MonotonicTime::Now();
    role_.Acquire();
    if (slow) slow_input_ = true;
    if (in_message) {
      ReadInput(buffer, now);
    } else if (TakeInput(result, buffer.first(kFirstReadBytes), now)) {
      // There is much to be read, as much as the loop would.
      buffer = CallerBuffer(EventLoop::kReadBufferBytes);
      ReadInput(buffer, now);
    }
    // (A stream that is not here any more goes on elsewhere.)
    reading =
        !broken_ && !done() && now < deadline &&
        (!reads_stream || (session_.open_streams() == 1 && !reading_paused_));
    in_message = reading && !session_.ReceiveInto().empty();
    UpdateLowWater(/*may_wait=*/in_message);
    for_much = low_water_ != 0;
    if (!reading) rests = StopReadingHere(may_rest);
    DriveAndRelease();
  }
  return rests;
}

// Whether the calling thread becomes the reader: one that has a call to send,
// or waits for a message of the one stream that is open.
bool Connection::MayReadHere(size_t open_streams) {
  const bool alone = session_.open_streams() == open_streams &&
                     reader_ != Reader::kCaller && interest_ != 0 && !broken_ &&
                     !session_.closed() && !reading_paused_ && !gathered_ &&
                     can_read_here_ && !caller_buffer_over;
  if (!alone) {
    CountAnew();
    return false;
  }
  // (Who waits for a stream's message was counted before.)
  if (reader_ == Reader::kLoop && open_streams == 0 && TooFewAlone()) {
    return false;
  }
  if (!reader_wake_.valid()) {
    reader_wake_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    can_read_here_ = reader_wake_.valid() &&
                     PrepareToWait(socket_.get(), kReadWaitTime).ok();
    if (!can_read_here_) return false;
  }
  if (reader_ == Reader::kLoop) {
    reader_check_at_ = MonotonicTime::Now() + options_->caller_rest;
  }
  called_since_check_ = true;
  LowerWater();  // The loop's.
  reader_ = Reader::kCaller;
  reads_stream_ = open_streams == 1;
  return true;
}

// Whether there have been too few of them that a thread were to read.
bool Connection::TooFewAlone() {
  return lone_calls_.fetch_add(1, std::memory_order_relaxed) + 1 < kLoneCalls;
}

void Connection::CountAnew() {
  if (lone_calls_.load(std::memory_order_relaxed) > 0) {
    lone_calls_.store(0, std::memory_order_relaxed);
  }
}

// Without the role: nobody else reads (OnReady, UpdateLoop).
IoResult Connection::AwaitInput(std::span<char> buffer, MonotonicTime now,
                                MonotonicTime deadline, bool first) {
  if (first && now.After(absl::ToInt64Nanoseconds(kReadWaitTime)) < deadline) {
    return WaitAndReadSome(reading_fd_, buffer.data(), buffer.size());
  }
  PollInput(now, deadline);
  return ReadSome(reading_fd_, buffer.data(), buffer.size());
}

bool Connection::PollInput(MonotonicTime now, MonotonicTime deadline) {
  pollfd fds[] = {{.fd = reading_fd_, .events = POLLIN, .revents = 0},
                  {.fd = reader_wake_.get(), .events = POLLIN, .revents = 0}};
  const int64_t left = MonotonicTime::WaitNanoseconds(
      std::max<int64_t>(0, deadline.nanoseconds() - now.nanoseconds()));
  const timespec timeout = {.tv_sec = left / 1'000'000'000,
                            .tv_nsec = left % 1'000'000'000};
  const int ready =
      ppoll(fds, 2, deadline.is_infinite() ? nullptr : &timeout, nullptr);
  if ((fds[1].revents & POLLIN) != 0) {
    uint64_t count;
    (void)!read(reader_wake_.get(), &count, sizeof(count));
  }
  return ready != 0;
}

// Before somebody waits for input.
void Connection::UpdateLowWater(bool may_wait) {
  const size_t awaited = session_.AwaitedBytes();
  if (awaited == 0) slow_input_ = false;
  if (!may_wait || awaited < kLowWaterUnit || slow_input_ || broken_) {
    return LowerWater();
  }
  const auto wanted =
      static_cast<uint8_t>(std::min(awaited / kLowWaterUnit, kMaxLowWater));
  if (std::exchange(low_water_, wanted) != wanted) {
    SetLowWater(socket_.get(), wanted * kLowWaterUnit);
  }
}

void Connection::LowerWater() {
  if (std::exchange(low_water_, uint8_t{0}) == 0) return;
  SetLowWater(socket_.get(), 1);
  look_at_ = MonotonicTime::Now() + kIdleTime;
}

bool Connection::StopReadingHere(absl::FunctionRef<bool()> may_rest) {
  rests_ = session_.open_streams() == 1 && !broken_ && !reading_paused_ &&
           !loop_due_.load(std::memory_order_relaxed) && may_rest();
  // Where other calls have come meanwhile the loop is better at many.
  const bool alone = (session_.open_streams() == 0 && !broken_) || rests_;
  reader_ = alone ? Reader::kNobody : Reader::kLoop;
  if (!alone) CountAnew();
  if (alone && reader_check_at_.is_infinite()) {
    reader_check_at_ = MonotonicTime::Now() + options_->caller_rest;
  }
  return rests_;
}

void Connection::ReadByLoop() {
  loop_due_.store(true, std::memory_order_seq_cst);
  WakeReader();
  Drive();
}

void Connection::PreferLoop() {
  if (reader_ != Reader::kCaller || !reads_stream_) return;
  lone_calls_.store(-kMoreLoneCalls, std::memory_order_relaxed);
  loop_due_.store(true, std::memory_order_seq_cst);
  WakeReader();
}

void Connection::WakeReader() {
  if (!reader_waits_.load(std::memory_order_seq_cst)) return;
  AddToEventFd(reader_wake_.get(), 1);
}

void Connection::WriteOutput() {
  if (disconnected_ || shut_down_) return;
  while (!broken_ && !write_failed_) {
    const wire::OutputPieces output = session_.Output();
    if (output.empty()) {
      write_blocked_ = false;
      return;
    }
    const IoResult result = WritePieces(socket_.get(), output);
    if (result.kind == IoResult::kOk) {
      session_.Sent(result.bytes);
      write_blocked_ = false;
      continue;
    }
    if (result.kind == IoResult::kWouldBlock) {
      if (!std::exchange(write_blocked_, true)) {
        stuck_since_ = MonotonicTime::Now();
      }
      return;
    }
    // What the peer had sent before may still be there to be read, and says
    // more: its answers, its GOAWAY. Reading then finds the end.
    write_failed_ = true;
    write_blocked_ = false;
    stuck_since_ = MonotonicTime::Now();
  }
}

// When the session is over and all is said: FIN now, close when the peer's
// comes.
void Connection::UpdateClosing() {
  if (!session_.closed() || broken_ || shut_down_ || write_blocked_) return;
  if (write_failed_) {
    broken_ = true;
    return;
  }
  shut_down_ = true;
  stuck_since_ = MonotonicTime::Now();
  ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::UpdateInterest() {
  StoreIfOther(many_open_, session_.open_streams() >= kManyStreams);
  const bool one = session_.open_streams() == 1;
  StoreIfOther(one_open_, one);
  UpdateBurst();
  if (interest_ == 0 || broken_) return;
  const size_t unsent = session_.output_bytes();
  const size_t limit = reading_paused_ ? options_->max_unsent_bytes / 2
                                       : options_->max_unsent_bytes;
  const bool pause = !shut_down_ && !write_failed_ && unsent > limit;
  if (std::exchange(reading_paused_, pause) != pause) {
    session_.PauseReceiving(pause, MonotonicTime::Now());
  }
  // (A thread that reads a stream sees that itself, and then comes here.)
  const bool loop_due = !(reader_ == Reader::kCaller && reads_stream_) &&
                        loop_due_.load(std::memory_order_relaxed) &&
                        loop_due_.exchange(false, std::memory_order_acquire);
  if (!one || loop_due) rests_ = false;
  // Calls that no thread waits for here need the loop.
  if (reader_ == Reader::kNobody && session_.open_streams() != 0 && !rests_) {
    reader_ = Reader::kLoop;
    CountAnew();
  }
  StoreIfOther(loop_reads_, reader_ == Reader::kLoop);
  uint32_t next = EPOLLERR;  // Always told: 0 would mean "not registered".
  if (reader_ != Reader::kLoop) {
    // Between calls nobody reads, but of the peer's end the loop must know:
    // the next call is for another connection then.
    next |= EPOLLRDHUP;
  } else if (!reading_paused_) {
    next |= EPOLLIN;
  }
  if (write_blocked_) next |= EPOLLOUT;
  if (next == interest_) return;
  interest_ = next;
  loop()->Modify(socket_.get(), interest_, this);
}

MonotonicTime Connection::NextTimeout() const {
  MonotonicTime next = std::min(
      {session_.NextTimeout(), NextHostTimeout(), look_at_, reader_check_at_});
  if (write_blocked_) {
    next = std::min(next, stuck_since_ + options_->write_timeout);
  }
  if (write_failed_) {
    next = std::min(next, stuck_since_ + kShutdownTimeout);
  }
  if (shut_down_) next = std::min(next, stuck_since_ + kShutdownTimeout);
  return next;
}

void Connection::UpdateLoop() {
  if (disconnected_) return;
  const MonotonicTime next = NextTimeout();
  if (!broken_ && next >= timer_set_to_) return;
  if (!loop()->OnLoopThread()) {
    if (!std::exchange(update_posted_, true)) PostUpdate();
    return;
  }
  if (broken_) {
    // Its thread polls the socket, which another could be named like once this
    // one is closed. It finds the end itself, or is told of its call's.
    if (reader_ == Reader::kCaller) return;
    TERN_DCHECK(end_ != nullptr);
    disconnected_ = true;
    TimerBase::Cancel();
    if (interest_ != 0) loop()->Unregister(socket_.get(), this);
    interest_ = 0;
    socket_.Close();
    return;
  }
  TimerBase::Set(next);
  timer_set_to_ = next;
}

// Has the loop's thread drive, soon.
void Connection::PostUpdate() {
  loop()->Post([weak = weak_from_this()] {
    const std::shared_ptr<Connection> self = weak.lock();
    if (self == nullptr) return;
    self->role_.Acquire();
    self->update_posted_ = false;
    self->DriveAndRelease();
  });
}

wire::PathFacts Connection::GetPathFacts() {
  role_.AssertHeld();
  return {.round_trip = MinRoundTrip(socket_.get())};
}

void Connection::OnClosed(wire::ErrorCode code, std::string_view reason) {
  role_.AssertHeld();
  end_ = std::make_unique<const End>(
      End{.code = code, .reason = std::string(reason)});
}

}  // namespace tern::net
