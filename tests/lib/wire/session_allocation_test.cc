// In the steady state a unary call allocates nothing, at neither end; and an
// idle session holds next to nothing.

#include <cstddef>
#include <cstdlib>
#include <new>

#include "absl/base/config.h"
#include "bench/unary_path/unary_calls.h"
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
  bench::UnaryCalls calls_;
};

TEST_F(SessionAllocation, AUnaryCallAllocatesNothingInTheSteadyState) {
  for (const size_t batch : {1, 64, 100}) {
    for (int i = 0; i < 10; ++i) calls_.Run(batch);
    const size_t before = allocations;
    for (int i = 0; i < 100; ++i) calls_.Run(batch);
    EXPECT_EQ(allocations, before) << "in batches of " << batch;
  }
  EXPECT_EQ(calls_.ended(), 110u * (1 + 64 + 100));
}

TEST_F(SessionAllocation, WhatIsKeptForSpeedIsGivenBack) {
  calls_.Run(1);
  calls_.ReleaseMemory();
  const size_t before = bytes_in_use;
  for (int i = 0; i < 10; ++i) calls_.Run(100);
  EXPECT_GT(bytes_in_use, before);
  calls_.ReleaseMemory();
  // The host's own list of ready calls stays.
  EXPECT_LE(bytes_in_use, before + 128 * sizeof(void*));
}

// Of the 1,024 bytes that a server may spend on an idle connection (W6).
TEST_F(SessionAllocation, AnIdleSessionHoldsNothingButItself) {
  const size_t before = bytes_in_use;
  bench::UnaryCalls calls;
  calls.Run(1);
  calls.ReleaseMemory();
  EXPECT_LE(bytes_in_use, before + sizeof(void*)) << "the list of ready calls";
  EXPECT_LE(sizeof(Session), 512u);
}

}  // namespace
}  // namespace tern::wire
