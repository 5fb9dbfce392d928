#ifndef TERN_SERVER_MEMORY_BUDGET_H_
#define TERN_SERVER_MEMORY_BUDGET_H_

#include <atomic>
#include <cstdint>

namespace tern {

// The memory that requests in flight may hold, all connections together.
// Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t bytes) : available_(bytes) {}

  // Takes `bytes`, all or nothing.
  bool Take(int64_t bytes) {
    int64_t available = available_.load(std::memory_order_relaxed);
    do {
      if (available < bytes) return false;
    } while (!available_.compare_exchange_weak(available, available - bytes,
                                               std::memory_order_relaxed));
    return true;
  }
  void Return(int64_t bytes) {
    available_.fetch_add(bytes, std::memory_order_relaxed);
  }
  int64_t available() const {
    return available_.load(std::memory_order_relaxed);
  }

  // A quarter of what this process may use: the smallest of its cgroup's
  // limits and the machine's memory.
  static int64_t DefaultBytes();

 private:
  std::atomic<int64_t> available_;
};

// What one call holds of the budget beside its connection's account: what its
// request has been inflated to. Of one thread at a time; the budget outlives
// it.
class MemoryHold {
 public:
  MemoryHold() = default;
  MemoryHold(const MemoryHold&) = delete;
  MemoryHold& operator=(const MemoryHold&) = delete;
  ~MemoryHold() {
    if (held_ != 0) budget_->Return(held_);
  }

  // False, and no more is held than before, when there is not so much left.
  bool Take(MemoryBudget* budget, int64_t bytes) {
    if (!budget->Take(bytes)) return false;
    budget_ = budget;
    held_ += bytes;
    return true;
  }

 private:
  MemoryBudget* budget_ = nullptr;
  int64_t held_ = 0;
};

// One connection's part of the budget, taken and returned in large pieces so
// that the path of a call does not touch what all connections share. Not
// thread-safe; the budget outlives it.
class MemoryAccount {
 public:
  static constexpr int64_t kPieceBytes = 64 << 10;

  explicit MemoryAccount(MemoryBudget* budget) : budget_(budget) {}
  ~MemoryAccount() { budget_->Return(taken_); }
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  bool Reserve(int64_t bytes);
  void Release(int64_t bytes);

  // Returns what is taken and not used.
  void ReleaseSpare();

  int64_t used() const { return used_; }
  int64_t taken() const { return taken_; }

 private:
  MemoryBudget* const budget_;
  int64_t used_ = 0;
  int64_t taken_ = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_MEMORY_BUDGET_H_
