// What a unary call costs the server in memory from the heap, once it has
// served some: how many times its threads call operator new.

#include <stdlib.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <new>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<bool> counting{false};
// The test's own thread plays the client.
thread_local bool is_client = false;

void* Allocate(size_t size) {
  if (counting.load(std::memory_order_relaxed) && !is_client) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  void* const block = malloc(size);
  if (block == nullptr) abort();
  return block;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* block) noexcept { free(block); }
void operator delete[](void* block) noexcept { free(block); }
void operator delete(void* block, size_t) noexcept { free(block); }
void operator delete[](void* block, size_t) noexcept { free(block); }

namespace tern::testing {
namespace {

// None, but for some hundredths: what grows once in a while, and messages that
// have been used often enough. On workers the call and its stream: their memory
// comes from the loop's thread, and stays with the worker's; and messages, for
// those that find the kept ones in use by another thread just then.
constexpr double kMaxPerCallOnLoops = 0.05;
constexpr double kMaxPerCallOnWorkers = 2.25;

constexpr int kWarmUp = 2'000;
constexpr int kCalls = 2'000;

class AllocationTest : public EndToEnd,
                       public ::testing::WithParamInterface<HandlerThreads> {
 protected:
  AllocationTest() { is_client = true; }

  void SetUp() override {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    GTEST_SKIP() << "nothing is used again under AddressSanitizer";
#endif
  }
  static double MaxPerCall() {
    return GetParam() == HandlerThreads::kLoops ? kMaxPerCallOnLoops
                                                : kMaxPerCallOnWorkers;
  }

  void StartServerAndClient() {
    StartServer({.loop_threads = 1, .handler_threads = GetParam()});
    client_ = RawConnection::To(target());
    wire::Hello hello;  // No answer waits for the client's windows.
    hello.connection_window_bytes = 1 << 30;
    std::string payload;
    wire::AppendHello(hello, &payload);
    client_.Send(PrefaceBytes() + HelloFrame(payload));
    // As large as the answers are, so that all of them have one size.
    request_ = std::string("\x0a\x40") + std::string(64, 'x');
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
      std::string frames;
      for (int j = 0; j < at_a_time; ++j) {
        frames +=
            UnaryFrame(next_stream_, request_, "tern.testing.Tester/Call");
        next_stream_ += 2;
      }
      client_.Send(frames);
      client_.ReadUntilFrame(static_cast<uint8_t>(wire::FrameType::kStatus),
                             at_a_time);
    }
  }

  RawConnection client_;
  std::string request_;
  uint32_t next_stream_ = 1;
};

TEST_P(AllocationTest, CallsOneAtATime) {
  StartServerAndClient();
  const double per_call = AllocationsPerCall(1);
  RecordProperty("allocations_per_call", std::to_string(per_call));
  EXPECT_LE(per_call, MaxPerCall());
}

TEST_P(AllocationTest, CallsManyAtATime) {
  StartServerAndClient();
  const double per_call = AllocationsPerCall(64);
  RecordProperty("allocations_per_call", std::to_string(per_call));
  EXPECT_LE(per_call, MaxPerCall());
}

INSTANTIATE_TEST_SUITE_P(
    All, AllocationTest,
    ::testing::Values(HandlerThreads::kLoops, HandlerThreads::kWorkers),
    [](const ::testing::TestParamInfo<HandlerThreads>& info) {
      return std::string(info.param == HandlerThreads::kLoops ? "Loops"
                                                              : "Workers");
    });

}  // namespace
}  // namespace tern::testing
