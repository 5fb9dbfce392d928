#ifndef TERN_SERVER_CONCURRENCY_H_
#define TERN_SERVER_CONCURRENCY_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace tern {

// How many calls of one method are there now. Thread-safe, without a lock;
// outlives its places.
class Concurrency {
 public:
  // One call's place among them, given back when destroyed. Not thread-safe.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      if (this == &other) return *this;
      GiveBack();
      owner_ = std::exchange(other.owner_, nullptr);
      return *this;
    }
    ~Place() { GiveBack(); }
    explicit operator bool() const { return owner_ != nullptr; }

   private:
    friend class Concurrency;
    explicit Place(Concurrency* owner) : owner_(owner) {}
    void GiveBack() {
      if (owner_ != nullptr) {
        owner_->calls_.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    Concurrency* owner_ = nullptr;
  };

  // An empty place when `limit` calls are there already. Exact: a call that is
  // refused is at no moment in another's way.
  Place TryTake(uint32_t limit) {
    uint32_t calls = calls_.load(std::memory_order_relaxed);
    do {
      if (calls >= limit) return Place();
    } while (!calls_.compare_exchange_weak(calls, calls + 1,
                                           std::memory_order_relaxed));
    return Place(this);
  }

  uint32_t calls() const { return calls_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> calls_{0};
};

}  // namespace tern

#endif  // TERN_SERVER_CONCURRENCY_H_
