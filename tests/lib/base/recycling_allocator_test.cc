#include "tern/lib/base/recycling_allocator.h"

#include <memory>
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

// Each test has a type, and so blocks, of its own.
template <int number>
struct Object {
  int value = number;
  char rest[100];
};

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

TEST(RecyclingAllocator, KeepsUpToANumber) {
  constexpr size_t kMaxKept = RecyclingAllocator<Object<2>>::kMaxKept;
  RecyclingAllocator<Object<2>> allocator;
  std::vector<Object<2>*> blocks(kMaxKept + 1);
  for (Object<2>*& block : blocks) block = allocator.allocate(1);
  for (Object<2>* block : blocks) allocator.deallocate(block, 1);
  // Last in, first out: the last one above the limit has gone to the heap.
  for (size_t i = 0; kRecycles && i < kMaxKept; ++i) {
    EXPECT_EQ(allocator.allocate(1), blocks[kMaxKept - 1 - i]);
  }
  for (size_t i = 0; kRecycles && i < kMaxKept; ++i) {
    allocator.deallocate(blocks[i], 1);
  }
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
}  // namespace tern
