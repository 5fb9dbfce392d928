// What calls and connections cost in memory from the heap: how many times a
// server's threads call operator new for a unary call, once they have served
// some, and both ends' where callbacks make the calls; and what a connection
// that has made a call holds.

#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "bench/echo.tern.client.h"
#include "bench/echo.tern.server.h"
#include "gtest/gtest.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/task.h"
#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<bool> counting{false};
// What all threads but the test's have allocated and not freed, as malloc
// counts it.
std::atomic<int64_t> held_bytes{0};
// The test's own thread plays the client, mostly, and is not counted.
thread_local bool is_client = false;

// A block with what malloc notes before it.
int64_t BytesOf(void* block) {
  return static_cast<int64_t>(malloc_usable_size(block) + sizeof(size_t));
}

void* Allocate(size_t size) {
  if (counting.load(std::memory_order_relaxed) && !is_client) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  void* const block = malloc(size);
  if (block == nullptr) abort();
  if (!is_client) held_bytes += BytesOf(block);
  return block;
}

void Free(void* block) {
  if (block != nullptr && !is_client) held_bytes -= BytesOf(block);
  free(block);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* block) noexcept { Free(block); }
void operator delete[](void* block) noexcept { Free(block); }
void operator delete(void* block, size_t) noexcept { Free(block); }
void operator delete[](void* block, size_t) noexcept { Free(block); }

namespace tern::testing {
namespace {

// None, but for some hundredths: what grows once in a while, and messages that
// have been used often enough. On workers the call and its stream: their memory
// comes from the loop's thread, and stays with the worker's; and messages, for
// those that find the kept ones in use by another thread just then.
constexpr double kMaxPerCallOnLoops = 0.05;
constexpr double kMaxPerCallOnWorkers = 2.25;

// Itself with what malloc adds is 800; its timer and its place among the others
// 70, with the room that those tables have for more.
constexpr double kMaxBytesPerConnection = 900;
constexpr int kConnections = 400;

constexpr int kWarmUp = 2'000;
constexpr int kCalls = 2'000;

class AllocationTest : public EndToEnd {
 protected:
  AllocationTest() { is_client = true; }

  void SetUp() override {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    GTEST_SKIP() << "nothing is used again under AddressSanitizer";
#endif
  }
  void StartServerAndClient(HandlerThreads handler_threads) {
    StartServer({.loop_threads = 1, .handler_threads = handler_threads});
    // As large as the answers are, so that all of them have one size.
    request_ = std::string("\x0a\x40") + std::string(64, 'x');
    client_ = Connect();
  }

  RawConnection Connect() { return ConnectTo(target()); }
  static RawConnection ConnectTo(const std::string& target) {
    RawConnection client = RawConnection::To(target);
    wire::Hello hello;  // No answer waits for the client's windows.
    hello.connection_window_bytes = 1 << 30;
    std::string payload;
    wire::AppendHello(hello, &payload);
    client.Send(PrefaceBytes() + HelloFrame(payload));
    return client;
  }

  // `count` more connections, each of which has made a call.
  void ConnectAndCall(int count) {
    for (int i = 0; i < count; ++i) {
      resting_.push_back(Connect());
      Call(resting_.back(), 1, 1);
    }
  }

  // The server's allocations for each of kCalls calls, so many at a time.
  double AllocationsPerCall(int at_a_time) {
    Serve(kWarmUp, at_a_time);
    allocations = 0;
    counting = true;
    Serve(kCalls, at_a_time);
    counting = false;
    return static_cast<double>(allocations) / kCalls;
  }

 private:
  void Serve(int calls, int at_a_time) {
    for (int i = 0; i < calls; i += at_a_time) {
      Call(client_, next_stream_, at_a_time);
      next_stream_ += 2 * at_a_time;
    }
  }
  void Call(RawConnection& client, uint32_t stream, int at_once) {
    std::string frames;
    for (int i = 0; i < at_once; ++i) {
      frames +=
          UnaryFrame(stream + 2 * i, request_, "tern.testing.Tester/Call");
    }
    client.Send(frames);
    client.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kStatus),
                          at_once);
  }

  RawConnection client_;
  std::vector<RawConnection> resting_;
  std::string request_;
  uint32_t next_stream_ = 1;
};

// Of the 1,024 bytes that issue 3 allows; the rest is for holes. Nothing is
// waited for: what a connection needed for its call it has given back when it
// has answered. (Where workers run handlers, they keep the calls' memory.)
TEST_F(AllocationTest, AConnectionHoldsLittleWhenItHasMadeACall) {
  StartServerAndClient(HandlerThreads::kLoops);
  ConnectAndCall(100);
  const int64_t before = held_bytes;
  ConnectAndCall(kConnections);
  const double per_connection =
      static_cast<double>(held_bytes - before) / kConnections;
  RecordProperty("bytes_per_connection", std::to_string(per_connection));
  EXPECT_LE(per_connection, kMaxBytesPerConnection);
}

// ---- Calls that wait without a thread

// What a server holds for each, as bench/outstanding has them: its own part,
// with the coroutine and its sleep (1,346); or that and the client's part of a
// call to another server, which the coroutine waits for (2,033). There it is
// the resident memory that is measured (1,345, and 2,039 to 2,043), of which
// places in a table that nobody has touched yet are no part. Counted, they are:
// so there are nearly as many calls here as those tables, which double as they
// grow, have places for: on each connection 1,005 of 1,024, and of sleeps in
// the process 32,160 of 32,768, then twice that. (With 20 connections a sleep's
// place is 39 bytes instead of 25.)
constexpr double kMaxBytesPerWaitingCall = 2048;
constexpr int kWaitingConnections = 32;
constexpr int kWaitingCallsOfEach = 1'000;

class TimerService final : public bench::Echo::CoService {
 public:
  Task<absl::Status> Block(ServerContext&, const bench::BlockRequest&,
                           bench::Payload*) override {
    entered.Notify();
    co_return co_await tern::SleepFor(absl::InfiniteDuration());
  }

  Event entered;
};

class RelayService final : public bench::Echo::CoService {
 public:
  explicit RelayService(const std::string& target) {
    for (int i = 0; i < kWaitingConnections; ++i) {
      channels_.push_back(Channel::Create(target));
      stubs_.emplace_back(*channels_.back());
    }
  }

  Task<absl::Status> Block(ServerContext&, const bench::BlockRequest& request,
                           bench::Payload*) override {
    const size_t turn = next_.fetch_add(1) % stubs_.size();
    co_return (co_await stubs_[turn].Co().Block(request)).status();
  }

 private:
  std::atomic<size_t> next_{0};
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<bench::Echo::Stub> stubs_;
};

int ThreadCount() {
  int count = 0;
  for ([[maybe_unused]] const auto& thread :
       std::filesystem::directory_iterator("/proc/self/task")) {
    ++count;
  }
  return count;
}

class WaitingCallTest : public AllocationTest {
 protected:
  void SetUp() override {
    AllocationTest::SetUp();
#ifdef ABSL_HAVE_THREAD_SANITIZER
    GTEST_SKIP() << "ThreadSanitizer's heap has blocks of other sizes";
#endif
    if (!IsSkipped()) StartServerOf(&timer_, Options());
  }
  static ServerOptions Options() {
    return {.listen = {"127.0.0.1:0"},
            .loop_threads = 1,
            .worker_threads = 2,
            .handler_threads = HandlerThreads::kWorkers,
            .max_queued_calls = kWaitingConnections * kWaitingCallsOfEach};
  }

  // What each of so many calls of the server at `target` holds while it waits.
  double BytesPerWaitingCall(const std::string& target) {
    std::vector<RawConnection> clients;
    for (int i = 0; i < kWaitingConnections; ++i) {
      clients.push_back(ConnectTo(target));
    }
    // What is made once, and the connections' first calls.
    WaitIn(clients, 0, 5);
    const int threads = ThreadCount();
    const int64_t before = held_bytes;
    WaitIn(clients, 5, kWaitingCallsOfEach);
    EXPECT_EQ(ThreadCount(), threads);
    const double bytes = static_cast<double>(held_bytes - before) /
                         (kWaitingConnections * kWaitingCallsOfEach);
    clients_.push_back(std::move(clients));
    return bytes;
  }
  void TearDown() override {
    clients_.clear();  // Handlers are told, and end.
    StopServer();
  }

 private:
  // `begun`: at each connection, before.
  void WaitIn(std::vector<RawConnection>& clients, int begun, int count) {
    for (RawConnection& client : clients) {
      const int before = timer_.entered.count();
      std::string frames;
      for (int i = begun; i < begun + count; ++i) {
        frames += UnaryFrame(static_cast<uint32_t>(1 + 2 * i), "\x08\x01",
                             "tern.bench.Echo/Block");
      }
      client.Send(frames);
      // No more at a time: the workers' queue would grow.
      ASSERT_TRUE(timer_.entered.Wait(before + count));
    }
  }

  TimerService timer_;
  std::vector<std::vector<RawConnection>> clients_;
};

TEST_F(WaitingCallTest, HoldsNoThreadAndLittleMemory) {
  const double asleep = BytesPerWaitingCall(target());
  std::cout << "bytes for a call that sleeps: " << asleep << "\n";
  RecordProperty("bytes_per_sleeping_call", std::to_string(asleep));
  EXPECT_LE(asleep, kMaxBytesPerWaitingCall);

  // Both servers are in this process.
  RelayService relay(target());
  Server server(Options());
  server.Register(&relay);
  ASSERT_TRUE(server.Start().ok());
  const double both = BytesPerWaitingCall(server.addresses().front());
  const double calling = both - asleep;
  std::cout << "bytes for a call that waits for a call: " << calling << "\n";
  RecordProperty("bytes_per_calling_call", std::to_string(calling));
  EXPECT_LE(calling, kMaxBytesPerWaitingCall);
}

class CallAllocationTest
    : public AllocationTest,
      public ::testing::WithParamInterface<HandlerThreads> {
 protected:
  static double MaxPerCall() {
    return GetParam() == HandlerThreads::kLoops ? kMaxPerCallOnLoops
                                                : kMaxPerCallOnWorkers;
  }
};

TEST_P(CallAllocationTest, OneAtATime) {
  StartServerAndClient(GetParam());
  const double per_call = AllocationsPerCall(1);
  RecordProperty("allocations_per_call", std::to_string(per_call));
  EXPECT_LE(per_call, MaxPerCall());
}

TEST_P(CallAllocationTest, ManyAtATime) {
  StartServerAndClient(GetParam());
  const double per_call = AllocationsPerCall(64);
  RecordProperty("allocations_per_call", std::to_string(per_call));
  EXPECT_LE(per_call, MaxPerCall());
}

// Each callback makes the next call, as of somebody who has so much to ask.
class ChainOfCalls {
 public:
  explicit ChainOfCalls(Channel* channel) : stub_(*channel) {
    request_.set_text(std::string(64, 'x'));
  }

  // So many are counted that it does not matter what a thread takes once that
  // has to drive a stalled loop on, as on a busy machine: a call and a stream
  // for each that is under way.
  static constexpr int kCounted = 10 * kCalls;

  // Makes so many, `at_a_time`, and counts the allocations of the last kCounted
  // of them: for each.
  double AllocationsPerCall(int at_a_time) {
    to_make_ = kWarmUp + kCounted;
    const int ended = ended_.count();
    // All begin on the I/O thread: else the first might make all the calls that
    // are not counted before the last has begun.
    stub_.Call(request_, {},
               [this, at_a_time](const absl::StatusOr<Message>& reply) {
                 if (!reply.ok()) ++failures_;
                 for (int i = 0; i < at_a_time; ++i) Next();
               });
    EXPECT_TRUE(ended_.Wait(ended + at_a_time));
    counting = false;
    return static_cast<double>(allocations) / kCounted;
  }
  int failures() const { return failures_; }

 private:
  void Next() {
    const int left = to_make_.fetch_sub(1);
    if (left <= 0) return ended_.Notify();
    if (left == kCounted) {
      allocations = 0;
      counting = true;
    }
    stub_.Call(request_, {}, [this](const absl::StatusOr<Message>& reply) {
      if (!reply.ok() || reply->text() != request_.text()) ++failures_;
      Next();
    });
  }

  Tester::Stub stub_;
  Message request_;
  std::atomic<int> to_make_{0};
  std::atomic<int> failures_{0};
  Event ended_;
};

// The client's I/O thread has its part in it: what it parses a reply into is
// used again where the callback has left it.
TEST_F(AllocationTest, CallsThatCallbacksMakeTakeNothingAtEitherEnd) {
  StartServer({.loop_threads = 1, .handler_threads = HandlerThreads::kLoops});
  const auto channel = Channel::Create(target());
  ChainOfCalls chain(channel.get());
  for (const int at_a_time : {1, 64}) {
    const double per_call = chain.AllocationsPerCall(at_a_time);
    RecordProperty("allocations_per_call", std::to_string(per_call));
    EXPECT_LE(per_call, kMaxPerCallOnLoops) << at_a_time << " at a time";
  }
  EXPECT_EQ(chain.failures(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, CallAllocationTest,
    ::testing::Values(HandlerThreads::kLoops, HandlerThreads::kWorkers),
    [](const ::testing::TestParamInfo<HandlerThreads>& info) {
      return std::string(info.param == HandlerThreads::kLoops ? "Loops"
                                                              : "Workers");
    });

}  // namespace
}  // namespace tern::testing
