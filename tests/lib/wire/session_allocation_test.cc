// In the steady state a unary call allocates nothing, at neither end; and an
// idle session holds next to nothing.

#include <cstddef>
#include <cstdlib>
#include <new>

#include "absl/base/config.h"
#include "bench/micro/echo_sessions.h"
#include "gtest/gtest.h"
#include "tern/lib/wire/session.h"

namespace {

size_t allocations = 0;
size_t bytes_in_use = 0;

// Each block knows its size; 16 bytes keep what follows aligned.
void* Allocate(size_t size) {
  ++allocations;
  bytes_in_use += size;
  auto* block = static_cast<size_t*>(std::malloc(size + 16));
  if (block == nullptr) std::abort();
  *block = size;
  return reinterpret_cast<char*>(block) + 16;
}

void Free(void* pointer) {
  if (pointer == nullptr) return;
  auto* block = reinterpret_cast<size_t*>(static_cast<char*>(pointer) - 16);
  bytes_in_use -= *block;
  std::free(block);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* pointer) noexcept { Free(pointer); }
void operator delete[](void* pointer) noexcept { Free(pointer); }
void operator delete(void* pointer, size_t) noexcept { Free(pointer); }
void operator delete[](void* pointer, size_t) noexcept { Free(pointer); }

namespace tern::wire {
namespace {

class SessionAllocation : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    GTEST_SKIP() << "streams are not used again under ASan";
#endif
  }
  static constexpr size_t kMessageBytes = 64;
  bench::EchoSessions sessions_{kMessageBytes};
};

TEST_F(SessionAllocation, AUnaryCallAllocatesNothingInTheSteadyState) {
  for (const int at_once : {1, 64, 100}) {
    for (int i = 0; i < 10; ++i) sessions_.CallAtOnce(at_once);
    const size_t before = allocations;
    for (int i = 0; i < 100; ++i) sessions_.CallAtOnce(at_once);
    EXPECT_EQ(allocations, before) << at_once << " at once";
  }
  EXPECT_EQ(sessions_.answered(), 110u * (1 + 64 + 100));
}

TEST_F(SessionAllocation, WhatIsKeptForSpeedIsGivenBack) {
  sessions_.CallAtOnce(100);  // Its streams stay with the thread.
  sessions_.ReleaseMemory();
  const size_t before = bytes_in_use;
  sessions_.CallAtOnce(100);
  EXPECT_GT(bytes_in_use, before);
  sessions_.ReleaseMemory();
  EXPECT_EQ(bytes_in_use, before);
}

// Of the 1,024 bytes that a server may spend on an idle connection (W6).
TEST_F(SessionAllocation, AnIdleSessionHoldsNothingButItself) {
  sessions_.CallAtOnce(4);  // Streams for the others, kept by the thread.
  sessions_.ReleaseMemory();
  const size_t before = bytes_in_use;
  // So short that the hosts' own copies of a message need no memory.
  bench::EchoSessions sessions(/*message_bytes=*/8);
  sessions.CallAtOnce(1);
  sessions.ReleaseMemory();
  EXPECT_LE(bytes_in_use, before + sizeof(void*));
  EXPECT_LE(sizeof(Session), 432u);
}

}  // namespace
}  // namespace tern::wire
