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
// Thread-safe.
class FreeBatches {
 public:
  static constexpr size_t kMaxBatches = 32;

  // nullptr: there is none.
  FreeBlock* Take();
  // False, and nothing is done, when there are kMaxBatches.
  [[nodiscard]] bool Give(FreeBlock* batch);

 private:
  Mutex mutex_;
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
      if (FreeBlock* const block = Kept().Take(); block != nullptr) {
        return reinterpret_cast<T*>(block);
      }
    }
    return std::allocator<T>().allocate(count);
  }

  void deallocate(T* block, size_t count) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER
    if (count == 1) return Kept().Give(block);
#endif
    std::allocator<T>().deallocate(block, count);
  }

  friend bool operator==(RecyclingAllocator, RecyclingAllocator) {
    return true;
  }

 private:
  // A thread's: one chain that it takes from and gives to, and a batch.
  class Blocks {
   public:
    ~Blocks() {
      over_ = true;
      Free(std::exchange(first_, nullptr));
      Free(std::exchange(batch_, nullptr));
    }

    FreeBlock* Take() {
      if (first_ == nullptr) {
        if (over_) return nullptr;
        first_ = batch_ != nullptr ? std::exchange(batch_, nullptr)
                                   : Batches().Take();
        if (first_ == nullptr) return nullptr;
        count_ = FreeBlock::kBatch;
      }
      --count_;
      return std::exchange(first_, first_->next);
    }

    void Give(T* object) {
      if (over_) return std::allocator<T>().deallocate(object, 1);
      first_ = new (object) FreeBlock{first_};
      if (++count_ < FreeBlock::kBatch) return;
      if (batch_ != nullptr && !Batches().Give(batch_)) Free(batch_);
      batch_ = std::exchange(first_, nullptr);
      count_ = 0;
    }

   private:
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

    FreeBlock* first_ = nullptr;
    size_t count_ = 0;  // In there.
    FreeBlock* batch_ = nullptr;
    bool over_ = false;  // The thread ends: other destructors may still come.
  };
  static Blocks& Kept() {
    thread_local Blocks kept;
    return kept;
  }
};

}  // namespace tern

#endif  // TERN_LIB_BASE_RECYCLING_ALLOCATOR_H_
