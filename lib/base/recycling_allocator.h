#ifndef TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_
#define TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern {

// Memory of one size that has been given back, in chains through itself.
struct FreeBlock {
  FreeBlock* next;

  // Chains that go from thread to thread are so long.
  static constexpr size_t kBatch = 64;
};

// Where threads that give back more than they take leave it for the others.
// Thread-safe. Nobody waits for another: in the child of a fork() there may be
// no other.
class FreeBatches {
 public:
  static constexpr size_t kMaxBatches = 32;

  // nullptr: there is none, or somebody else is here.
  FreeBlock* Take();
  // False, and nothing is done, when there are kMaxBatches, or somebody else is
  // here.
  [[nodiscard]] bool Give(FreeBlock* batch);

 private:
  TryMutex mutex_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  FreeBlock* batches_[kMaxBatches] ABSL_GUARDED_BY(mutex_) = {};
};

// For objects that come and go with every call: std::allocate_shared with it
// takes the memory from those that have been given back. A call often begins
// on one thread and ends on another; then what the one gives back goes to the
// other by the batch, so that neither waits for the heap's lock at each call.
// Of each type a thread keeps less than two batches, and all of them together
// FreeBatches::kMaxBatches. (Under AddressSanitizer nothing is kept, so that it
// sees uses after the end.)
//
// Thread-safe, as the default allocator is.
template <typename T>
class RecyclingAllocator {
 public:
  using value_type = T;

  RecyclingAllocator() = default;
  template <typename U>
  RecyclingAllocator(const RecyclingAllocator<U>&) {}  // NOLINT: as required.

  T* allocate(size_t count) {
    static_assert(sizeof(T) >= sizeof(FreeBlock) &&
                  alignof(T) >= alignof(FreeBlock));
    if (count == 1) {
      if (FreeBlock* const block = Take(kept_); block != nullptr) {
        return reinterpret_cast<T*>(block);
      }
    }
    return std::allocator<T>().allocate(count);
  }

  void deallocate(T* block, size_t count) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER
    if (count == 1) return Give(kept_, block);
#endif
    std::allocator<T>().deallocate(block, count);
  }

  friend bool operator==(RecyclingAllocator, RecyclingAllocator) {
    return true;
  }

 private:
  // A thread's. Without a destructor: other objects of the thread may use it
  // when it ends.
  struct Kept {
    FreeBlock* first;  // Taken from and given to.
    size_t count;      // In there.
    FreeBlock* batch;
    bool over;  // The thread ends.
  };
  static inline thread_local constinit Kept kept_{};

  struct AtThreadEnd {
    ~AtThreadEnd() {
      kept_.over = true;
      Free(std::exchange(kept_.first, nullptr));
      Free(std::exchange(kept_.batch, nullptr));
    }
  };

  static FreeBlock* Take(Kept& kept) {
    if (kept.first == nullptr) {
      if (kept.over) return nullptr;
      kept.first = kept.batch != nullptr ? std::exchange(kept.batch, nullptr)
                                         : Batches().Take();
      if (kept.first == nullptr) return nullptr;
      kept.count = FreeBlock::kBatch;
      FreeWhatIsKept();
    }
    --kept.count;
    return std::exchange(kept.first, kept.first->next);
  }

  static void Give(Kept& kept, T* object) {
    if (kept.first == nullptr) {
      if (kept.over) return std::allocator<T>().deallocate(object, 1);
      FreeWhatIsKept();
    }
    kept.first = new (object) FreeBlock{kept.first};
    if (++kept.count < FreeBlock::kBatch) return;
    if (kept.batch != nullptr && !Batches().Give(kept.batch)) Free(kept.batch);
    kept.batch = std::exchange(kept.first, nullptr);
    kept.count = 0;
  }

  // When this thread ends.
  static void FreeWhatIsKept() {
    thread_local const AtThreadEnd at_thread_end;
    (void)at_thread_end;
  }

  static FreeBatches& Batches() {
    // Never destroyed: other threads may outlive main().
    static FreeBatches* const batches = new FreeBatches;
    return *batches;
  }
  static void Free(FreeBlock* chain) {
    while (chain != nullptr) {
      T* const block = reinterpret_cast<T*>(chain);
      chain = chain->next;
      std::allocator<T>().deallocate(block, 1);
    }
  }
};

}  // namespace tern

#endif  // TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_
