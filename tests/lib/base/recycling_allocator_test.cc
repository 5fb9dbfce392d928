#include "tern/lib/base/recycling_allocator.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

// Under AddressSanitizer every block is new, so that it sees uses after the
// end.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr bool kRecycles = false;
#else
constexpr bool kRecycles = true;
#endif

// Each test has a type, and so blocks, of its own; those that have the second
// one share it.
template <int number>
struct Object {
  long value = number;
  char rest[100];
};

// Of objects.
std::atomic<size_t> heap_allocations{0};

TEST(RecyclingAllocator, GivesOutWhatTheThreadHasGivenBack) {
  RecyclingAllocator<Object<1>> allocator;
  Object<1>* const first = allocator.allocate(1);
  Object<1>* const second = allocator.allocate(1);
  EXPECT_NE(first, second);
  allocator.deallocate(first, 1);
  allocator.deallocate(second, 1);
  std::set<Object<1>*> given = {first, second};
  std::set<Object<1>*> again = {allocator.allocate(1), allocator.allocate(1)};
  EXPECT_EQ(again.size(), 2u);
  if (kRecycles) {
    EXPECT_EQ(again, given);
  }
  for (Object<1>* block : again) allocator.deallocate(block, 1);
}

using Blocks = std::vector<Object<2>*>;

Blocks Allocate(size_t count) {
  Blocks blocks(count);
  for (Object<2>*& block : blocks) {
    block = RecyclingAllocator<Object<2>>().allocate(1);
  }
  return blocks;
}
void Deallocate(const Blocks& blocks) {
  for (Object<2>* const block : blocks) {
    RecyclingAllocator<Object<2>>().deallocate(block, 1);
  }
}
// How many of so many come from the heap, and not from what was given back.
size_t NewAmong(size_t count) {
  const size_t before = heap_allocations;
  Deallocate(Allocate(count));
  return heap_allocations - before;
}

constexpr size_t kBatch = FreeBlock::kBatch;
constexpr size_t kMaxOfAll = FreeBatches::kMaxBatches * kBatch;
constexpr size_t kMaxOfAThread = 2 * kBatch - 1;

TEST(RecyclingAllocator, KeepsUpToANumber) {
  if (!kRecycles) GTEST_SKIP() << "nothing is kept";
  constexpr size_t kMost = kMaxOfAll + kMaxOfAThread;
  EXPECT_GT(NewAmong(kMost), 0u);
  EXPECT_EQ(NewAmong(kMost), 0u);
  // The one that makes a batch too many goes with it.
  EXPECT_EQ(NewAmong(kMost + 1), 1u);
  EXPECT_EQ(NewAmong(kMost + 1), kBatch);
}

TEST(RecyclingAllocator, GivesOutWhatOtherThreadsHaveGivenBack) {
  if (!kRecycles) GTEST_SKIP() << "nothing is kept";
  (void)NewAmong(kMaxOfAll);
  const size_t before = heap_allocations;
  // What this thread has less than a batch of stays.
  std::thread([&] { (void)Allocate(kMaxOfAll - kMaxOfAThread); }).join();
  EXPECT_EQ(heap_allocations, before);
}

// A thread that begins what another ends.
TEST(RecyclingAllocator, GoesFromThreadToThread) {
  if (!kRecycles) GTEST_SKIP() << "nothing is kept";
  constexpr size_t kUnderWay = 5 * kBatch;
  Blocks blocks;
  std::atomic<bool> filled{false};
  size_t heap_allocations_later = 0;
  constexpr int kRounds = 20;
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      filled.wait(false);
      Deallocate(blocks);
      filled = false;
      filled.notify_one();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    if (i == 2) heap_allocations_later = heap_allocations;
    blocks = Allocate(kUnderWay);
    filled = true;
    filled.notify_one();
    filled.wait(true);
  }
  EXPECT_EQ(heap_allocations, heap_allocations_later);
  other.join();
}

TEST(RecyclingAllocator, LeavesArraysToTheHeap) {
  RecyclingAllocator<Object<3>> allocator;
  Object<3>* const array = allocator.allocate(4);
  array[3].value = 7;
  allocator.deallocate(array, 4);
  Object<3>* const one = allocator.allocate(1);
  Object<3>* const other = allocator.allocate(1);
  EXPECT_NE(one, other);
  allocator.deallocate(one, 1);
  allocator.deallocate(other, 1);
}

TEST(RecyclingAllocator, TakesWhatOtherThreadsHaveAllocated) {
  std::shared_ptr<Object<4>> object;
  std::thread([&] {
    object = std::allocate_shared<Object<4>>(RecyclingAllocator<Object<4>>());
  }).join();
  EXPECT_EQ(object->value, 4);
  std::thread([object = std::move(object)]() mutable {
    object.reset();
  }).join();
}

// Other objects of the thread may end later than its blocks.
TEST(RecyclingAllocator, IsUsableWhileItsThreadEnds) {
  struct Late {
    std::shared_ptr<Object<5>> object;
    ~Late() {
      object.reset();
      object = std::allocate_shared<Object<5>>(RecyclingAllocator<Object<5>>());
    }
  };
  std::thread([] {
    thread_local Late late;
    late.object =
        std::allocate_shared<Object<5>>(RecyclingAllocator<Object<5>>());
    std::allocate_shared<Object<5>>(RecyclingAllocator<Object<5>>()).reset();
  }).join();
}

}  // namespace

static void* AllocateCounted(size_t size) {
  if (size == sizeof(Object<2>)) ++heap_allocations;
  return std::malloc(size);
}

}  // namespace tern

void* operator new(size_t size) { return tern::AllocateCounted(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t /*size*/) noexcept {
  std::free(block);
}
